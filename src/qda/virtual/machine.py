"""A virtual system: the devices of a profile, their DSPs, and the nodes that lead to them."""

from __future__ import annotations

import atexit
import errno
import logging
import mmap
import os
import subprocess
import threading
from contextlib import suppress
from typing import TypeVar

from qda.driver import Census, Device, LocalClient, open_front
from qda.dsp import start_processor
from qda.errors import DeviceError, UsageError, is_errno
from qda.rpmsg import Channel
from qda.uapi import DIALECTS, Interface
from qda.virtual.profile import DEFAULT, DspProfile, Profile, load

__all__ = ["Machine", "VirtualNode", "machine"]

M = TypeVar("M", bound=mmap.mmap)

_log = logging.getLogger("qda.virtual")


class VirtualNode:
    """An open device node of a virtual system, used from this process.

    It does what a descriptor of `/dev/accel/accelN` does: see `qda.client.node.Node`.
    """

    def __init__(self, machine: Machine, device: Device, dialect: Interface) -> None:
        self.name = f"virtual {device.name}"
        self._machine = machine
        self._owner = os.getpid()
        self._client = LocalClient()
        try:
            self._front = open_front(device, dialect)
        except BaseException:
            self._client.close()
            raise
        self._closed = False
        self._lock = threading.Lock()

    def ioctl(self, code: int, data: bytearray) -> int:
        """Carry out an ioctl in place; returns a signed 32-bit result.

        OSError only for results -1 to -4095, as from the system call.
        """
        self._check()
        result = self._front.ioctl(self._client, code, data)
        if is_errno(result):
            raise OSError(-result, os.strerror(-result))
        return result

    def mmap(self, length: int, offset: int, kind: type[M]) -> M:
        """Map `length` bytes at a fake offset.  OSError EINVAL, EACCES."""
        self._check()
        return kind(self._front.mmap(length, offset).descriptor, length)

    def _check(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the node is closed")
        if self._owner != os.getpid():
            raise OSError(errno.ENODEV, "a virtual device belongs to the process that opened it")

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._owner == os.getpid():
            self._front.close(self._client)
        self._client.close()


class Machine:
    """The devices of one profile in this process.  Nothing is started before the first open."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._lock = threading.Lock()
        self._processors: list[subprocess.Popen[bytes]] = []
        self.devices = {dsp.name: self._device(dsp) for dsp in profile.dsps}

    def _device(self, dsp: DspProfile) -> Device:
        return Device(dsp.name, dsp.limits, lambda: self._start(dsp))

    def _start(self, dsp: DspProfile) -> Channel:
        process, endpoint = start_processor(dsp.boot)
        with self._lock:
            for ended in [other for other in self._processors if other.poll() is not None]:
                self._processors.remove(ended)
            self._processors.append(process)
        _log.debug("%s is up, process %d", dsp.name, process.pid)
        return Channel(endpoint)

    def open(self, domain: str, dialect: str = "rfc") -> VirtualNode:
        """Open the node of a DSP.  UsageError if the system has none of that name."""
        if domain not in self.devices:
            raise UsageError(f"{domain!r}: {self.profile.title} has {', '.join(self.devices)}")
        if dialect not in DIALECTS:
            raise UsageError(f"dialect {dialect!r}: there are {', '.join(DIALECTS)}")
        try:
            return VirtualNode(self, self.devices[domain], DIALECTS[dialect])
        except (OSError, TimeoutError) as error:
            raise DeviceError("open", domain, error.errno or errno.ENODEV, str(error)) from error

    @property
    def pids(self) -> list[int]:
        """Process ids of the processors that run."""
        return [process.pid for process in self._processors if process.poll() is None]

    def census(self) -> dict[str, Census]:
        """What each device holds."""
        return {name: device.census() for name, device in self.devices.items()}

    def close(self) -> None:
        """Close every file and end every process that was started."""
        for device in self.devices.values():
            device.close()
        for process in self._processors:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self._processors.clear()

    def disown(self) -> None:
        """In a forked child: let go of what belongs to the parent, without a word to the DSP."""
        for device in self.devices.values():
            device.disown()


_machines: dict[str, Machine] = {}
_machines_lock = threading.Lock()


def machine(profile: str = DEFAULT) -> Machine:
    """This process's system of that profile, made at the first call.  UsageError."""
    with _machines_lock:
        if not _machines:
            _register_hooks()
        if profile not in _machines:
            _machines[profile] = Machine(load(profile))
        return _machines[profile]


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
