"""Where a program begins: `open` chooses a node, real or virtual, and starts a session on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from qda.client import (
    POLLING,
    DeviceInfo,
    KernelNode,
    Node,
    ProcessAttribute,
    Session,
    check_domain,
    find_node,
    kernel_devices,
    start_session,
)
from qda.fastrpc.skeleton import AnySkeleton
from qda.virtual import SPOKEN, load_profile, machine

__all__ = ["devices", "open_session"]


def open_session(
    domain: str = "cdsp",
    *,
    device: str | None = None,
    dialect: str | None = None,
    profile: str = "generic",
    process: Literal["user", "root"] = "user",
    attributes: int = ProcessAttribute.UNSIGNED,
    shell: bytes | None = None,
    skeletons: Iterable[type[AnySkeleton]] = (),
    debug: bool = False,
    poll: bool = False,
) -> Session:
    """Open a session with a DSP.

    `device` is a path, or "virtual" for a device in this process; by default a real node of the
    DSP if there is one, else the virtual one, and the session says which.  A real node that may
    not be opened is an error, no reason to go virtual.

    `process` "user" makes a protection domain of our own, with `attributes` and the image `shell`
    (on a real DSP the installed one, if there is one; our own DSP needs none); "root" attaches to
    the root protection domain.  `skeletons` are classes that are installed in the session's process
    from the beginning.  `dialect` is "rfc", "v1", or of `/dev/fastrpc-*` "legacy" or "legacy-7.3";
    by default any node will do, and its dialect is found out.  `profile` is the system that is
    virtual.  With `debug` its DSP is threads of this process, so that
    `breakpoint()` works in a skeleton.

    With `poll` calls wait awake for up to `limits.POLL` microseconds before they sleep: they return
    sooner, and keep a CPU busy.  Only the driver of kernels since 7.3 has that ("legacy-7.3").

    UsageError for a DSP, profile or dialect that does not exist; DeviceError, DspError.
    """
    check_domain(domain)
    if poll and dialect is None:
        dialect = POLLING
    path = find_node(domain, dialect) if device is None else device
    node: Node
    if path is None or path == "virtual":
        node = machine(profile, threads=debug).open(domain, dialect or "rfc")
    else:
        node = KernelNode(path)
    session = start_session(node, domain, dialect, process, attributes, shell, poll)
    try:
        for skeleton in skeletons:
            session.install(skeleton)
    except BaseException:
        session.close()
        raise
    return session


def devices(profile: str = "generic") -> list[DeviceInfo]:
    """All nodes: those of the machine, then those of the virtual system of that profile."""
    spoken = ", ".join(SPOKEN)
    virtual = [DeviceInfo("virtual", dsp.name, spoken) for dsp in load_profile(profile).dsps]
    return kernel_devices() + virtual
