"""Where a program begins: `open` chooses a node, real or virtual, and starts a session on it.

The client and the virtual system are loaded by the functions, so that a DSP can load beside them.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from qda import limits
from qda.dsp.spawn import started_ahead
from qda.errors import DeviceError, QdaError, UsageError, UsageTypeError, bare
from qda.interrupts import made_whole

if TYPE_CHECKING:
    from qda.client import DeviceInfo, Session
    from qda.fastrpc.skeleton import AnySkeleton

__all__ = ["devices", "open"]


def open(  # noqa: A001  # qda.open, like gzip.open
    domain: str = "cdsp",
    *,
    device: str | None = None,
    dialect: str | None = None,
    profile: str = "generic",
    process: Literal["user", "root", "sensors", "audio"] = "user",
    attributes: int | None = None,
    shell: bytes | None = None,
    skeletons: Iterable[type[AnySkeleton]] = (),
    debug: bool = False,
    poll: bool = False,
    wait: float = 0,
) -> Session:
    """Open a session with a DSP.

    `device` is a path, or "virtual" for a device in this process; by default a real node of the
    DSP if there is one, else the virtual one, and the session says which.  A real node that may
    not be opened is an error, no reason to go virtual.

    `process` "user" makes a protection domain of our own, unsigned or with `attributes`, and the
    image `shell` (on a real DSP the installed one, if there is one; our own DSP needs none); "root"
    attaches to the root protection domain; "sensors" and "audio", which only the older driver has,
    begin a session with the DSP's process of that name, where others find what we install.
    `skeletons` are classes that are installed in the session's process from the beginning.
    `dialect` is "rfc", "v1" or "handle", or of `/dev/fastrpc-*` "legacy" or "legacy-7.3"; by
    default any node will do, and its dialect is found out.  `profile` is the system that is
    virtual.  With `debug` its DSP is threads of this process: `breakpoint()` works in a skeleton.

    With `poll` calls wait awake for up to `limits.POLL` microseconds before they sleep: they return
    sooner, and keep a CPU busy.  Only the driver of kernels since 7.3 has that ("legacy-7.3").

    A DSP has so many sessions at a time as it has context banks.  Where others have all of them,
    `wait` is for how many seconds one is waited for; by default that is an error at once.

    UsageError for a DSP, profile or dialect that does not exist; DeviceError, DspError.
    """
    try:
        _check_wait(wait)
        _check_switches(debug=debug, poll=poll)
        if isinstance(skeletons, type | str) or not isinstance(skeletons, Iterable):
            raise UsageTypeError(f"skeletons {skeletons!r:.80}: a list of classes")
        session = _in_time(
            lambda: made_whole(
                lambda: _open(
                    domain, device, dialect, profile, process, attributes, shell, debug, poll
                )
            ),
            wait,
        )
        try:
            for skeleton in skeletons:
                session.install(skeleton)
        except BaseException:
            session.close()
            raise
    except QdaError as error:
        bare(error)
        raise
    return session


def _check_wait(wait: float) -> None:
    if not isinstance(wait, int | float):
        raise UsageTypeError(f"wait {wait!r:.80}: a number of seconds")
    if not 0 <= wait < float("inf"):
        raise UsageError(f"wait {wait!r:.80}: a number of seconds, 0 or more, that ends")


def _check_switches(**switches: bool) -> None:
    for what, switch in switches.items():
        if isinstance(switch, str):  # which is true, whatever it says
            raise UsageTypeError(f"{what} {switch!r:.80}: True or False")


def _in_time(begin: Callable[[], Session], seconds: float) -> Session:
    """What `begin` returns; if there is no room for it, it begins again until the time is over.

    It waits outside of any section, so that signals end it.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return begin()
        except DeviceError as error:
            left = end - time.monotonic()
            if error.errno not in (errno.ENOMEM, errno.EBUSY) or left <= 0:
                raise
        time.sleep(min(left, limits.BANK_LOOK))


def _open(
    domain: str,
    device: str | None,
    dialect: str | None,
    profile: str,
    process: str,
    attributes: int | None,
    shell: bytes | None,
    debug: bool,
    poll: bool,
) -> Session:
    with _processor_ahead(device, debug):
        from qda import client
        from qda.virtual import machine

        client.check_domain(domain)
        client.check_device(device)
        client.check_dialect(dialect)
        if poll and dialect is None:
            dialect = client.POLLING
        path = client.find_node(domain, dialect) if device is None else device
        real = path is not None and path != "virtual"
        system = None if real else machine(profile, threads=debug)
        given = client.ProcessAttribute.UNSIGNED if attributes is None else attributes

        def begin() -> Session:
            if system is None:
                kernel = client.KernelNode(str(path))
                return client.start_session(kernel, domain, dialect, process, given, shell, poll)
            spoken = dialect or system.dialect
            node = system.open(domain, spoken)
            session = client.start_session(node, domain, spoken, process, given, shell, poll)
            system.began(node, session.log.follow)
            return session

        return client.with_room(begin, lambda: system.full(domain) if system is not None else "")


def _processor_ahead(device: str | None, debug: bool) -> AbstractContextManager[None]:
    """Begin to start a DSP if one will plainly be needed, and there is something to load here
    meanwhile: at the first open on a machine without nodes."""
    if debug or "qda.virtual" in sys.modules:
        return nullcontext()
    nodes = device is None and any(
        name == "accel" or name.startswith("fastrpc-") for name in os.listdir("/dev")
    )
    return nullcontext() if nodes or device not in (None, "virtual") else started_ahead()


def devices(profile: str = "generic") -> list[DeviceInfo]:
    """All nodes: those of the machine, then those of the virtual system of that profile."""
    from qda.client import DeviceInfo, kernel_devices
    from qda.virtual import SPOKEN, load_profile

    spoken = ", ".join(SPOKEN)
    try:
        dsps = load_profile(profile).dsps
    except QdaError as error:
        bare(error)
        raise
    return kernel_devices() + [DeviceInfo("virtual", dsp.name, spoken) for dsp in dsps]
