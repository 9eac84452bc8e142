"""A virtual system: the devices of a profile, their DSPs, and the nodes that lead to them."""

from __future__ import annotations

import atexit
import errno
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from qda import limits
from qda.driver import Census, Channel, Device, Front, Limits, LocalNode
from qda.dsp.boot import Boot, Endpoint, Output, start_processor
from qda.errors import UsageError, suggestion
from qda.fastrpc.control import REFUSED_CAPABILITIES
from qda.fastrpc.domains import domain_id
from qda.interrupts import Section, deadline
from qda.profiles.nodes import NodeKind, nodes_of
from qda.profiles.profile import DEFAULT, DspProfile, Profile, load
from qda.uapi import ACCEL_DIALECTS, DIALECTS
from qda.virtual.nodes import open_node

__all__ = ["Machine", "machine", "stands_in"]

_log = logging.getLogger("qda.virtual")

PATIENCE = "QDA_PATIENCE"
"""The variable that says for how many microseconds a side of a lane looks before it sleeps."""


class Machine:
    """The devices of one profile in this process.  Nothing is started before the first open.

    With `threads` the DSPs are threads of this process, for debugging, instead of processes.  What
    these print goes to the files of `output`, or else where this program prints.  `start` starts
    DSPs otherwise, and returns the driver's ends of their channels.
    """

    dialect = "rfc"
    """What its nodes speak with who asks for no dialect."""

    node_type = LocalNode

    def __init__(
        self,
        profile: Profile,
        threads: bool = False,
        output: Output = None,
        start: Callable[[Boot], Endpoint] | None = None,
    ) -> None:
        self.profile = profile
        self._output, self._start_otherwise = output, start
        self._handed_over: dict[str, type] | None = {} if threads else None
        self.closed = False
        self._patience = 0 if threads or start else int(os.environ.get(PATIENCE, limits.LOOK))
        self._lock = threading.Lock()
        self._processors: list[subprocess.Popen[bytes]] = []
        self.nodes = nodes_of(profile)
        self.devices = {dsp.name: self._device(dsp) for dsp in profile.dsps}

    def _device(self, dsp: DspProfile) -> Device:
        allowed = Limits(
            dsp.stream_ids,
            dsp.message_limit,
            dsp.secure,
            dsp.poll_mode,
            dsp.remote_heap,
            dsp.policy,
            dsp.refused_nodes,
            dsp.switches,
        )
        return Device(
            dsp.name,
            allowed,
            lambda: Channel(self._start(dsp), self._patience, dsp.name, domain_id(dsp.name)),
            f"profile {self.profile.name}",
        )

    def _start(self, dsp: DspProfile) -> Endpoint:
        told = dsp.capabilities
        if dsp.capability_status:
            told = {REFUSED_CAPABILITIES: dsp.capability_status}
        boot = Boot(dsp.name, told)
        if self._start_otherwise is not None:
            return self._start_otherwise(boot)
        if self._handed_over is not None:
            from qda.dsp.threaded import start_threads  # the whole DSP, which others run elsewhere

            return start_threads(boot, self._handed_over)
        process, endpoint = start_processor(boot, self._output)
        with self._lock:
            for ended in [other for other in self._processors if other.poll() is not None]:
                self._processors.remove(ended)
            self._processors.append(process)
        _log.debug("%s is up, process %d", dsp.name, process.pid)
        return endpoint

    def open(self, domain: str, dialect: str = dialect) -> LocalNode:
        """Open a node of a DSP that speaks a dialect, one for privileged programs if there is one.

        UsageError if the system has no DSP of that name, DeviceError if it does not come up.
        """
        if domain not in self.devices:
            raise UsageError(f"{domain!r}: {self.profile.title} has {', '.join(self.devices)}")
        if dialect not in DIALECTS:
            raise UsageError(f"{dialect!r} is no dialect: {suggestion(dialect, DIALECTS)}")
        kind = NodeKind.ACCEL if dialect in ACCEL_DIALECTS else NodeKind.FASTRPC
        nodes = [node for node in self.nodes if (node.kind, node.domain) == (kind, domain)]
        path = max(nodes, key=lambda node: node.secure).path
        return self.node_type(
            f"virtual {domain}",
            path,
            lambda path: self.open_node(path, dialect),
            self._handed_over,
        )

    def open_node(self, path: str, dialect: str = "rfc") -> Front:
        """Open the node at a path: the front behind it, for any client.

        `dialect` is that of the accelerator's nodes, or of the older driver's if it is one of them;
        otherwise these speak that of the profile.  OSError ENOENT if there is no such node, ENODEV
        if its DSP does not come up, EBUSY if a node of the older driver has no session left;
        UsageError for an accelerator's node and another dialect.
        """
        older = dialect in DIALECTS and dialect not in ACCEL_DIALECTS
        for node in self.nodes:
            if node.path == path:
                fastrpc = dialect if older else self.profile.fastrpc
                return open_node(node, self.devices, dialect, fastrpc)
        raise FileNotFoundError(errno.ENOENT, f"{self.profile.title} has no node {path}")

    def began(self, node: LocalNode, follow: Callable[[], None]) -> None:
        """A session has begun on a node; `follow` gives what it has logged to the program's
        logger.  For tests, which want that."""

    def full(self, domain: str) -> str:
        """Words for a DSP that has no context bank left, "" for one that has."""
        device = self.devices[domain]
        if not device.is_full:
            return ""
        return f"{device.banks_in_use(device.system)}: close a session that is not needed any more"

    @property
    def pids(self) -> list[int]:
        """Process ids of the processors that run."""
        return [process.pid for process in self._processors if process.poll() is None]

    def census(self) -> dict[str, Census]:
        """What each device holds."""
        return {name: device.census() for name, device in self.devices.items()}

    def close(self) -> None:
        """Close every file and end every process that was started."""
        self.closed = True
        with Section(limits.PATIENCE, ends=True):
            for device in self.devices.values():
                device.close()
            for process in self._processors:
                if not deadline(limits.GRACE).until(partial(_has_ended, process)):
                    process.kill()  # and with it its protection domains, as it is their parent
                    process.wait()
            self._processors.clear()

    def disown(self) -> None:
        """In a forked child: let go of what belongs to the parent, without a word to the DSP."""
        for device in self.devices.values():
            device.disown()


def _has_ended(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Wait for the end of a process; whether it has come."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return True
    return False


_machines: dict[tuple[str, bool], Machine] = {}
_machines_lock = threading.Lock()


def machine(profile: str = DEFAULT, threads: bool = False) -> Machine:
    """This process's system of that profile, made at the first call.  UsageError."""
    with _machines_lock:
        if not _machines:
            _register_hooks()
        key = str(profile), threads  # of whatever is given, which `load` looks at
        if key not in _machines or _machines[key].closed:
            _machines[key] = Machine(load(profile), threads)
        return _machines[key]


@contextmanager
def stands_in(system: Machine, threads: bool = False) -> Iterator[None]:
    """Make a system this process's own in a block: that of its profile, and the one for who does
    not care which."""
    keys = {(name, threads) for name in (DEFAULT, system.profile.name)}
    with _machines_lock:
        if not _machines:
            _register_hooks()
        before = {key: _machines[key] for key in keys if key in _machines}
        _machines.update(dict.fromkeys(keys, system))
    try:
        yield
    finally:
        with _machines_lock:
            for key in keys:
                _machines.pop(key, None)
            _machines.update(before)


_hooked = False


def _register_hooks() -> None:
    global _hooked
    if not _hooked:
        atexit.register(_close_all)
        os.register_at_fork(after_in_child=_disown_all)
        _hooked = True


def _close_all() -> None:
    for system in list(_machines.values()):
        system.close()
    _machines.clear()


def _disown_all() -> None:
    global _machines_lock
    _machines_lock = threading.Lock()
    for system in _machines.values():
        system.disown()
    _machines.clear()
