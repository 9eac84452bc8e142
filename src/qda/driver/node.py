"""A device node that is opened and used in this process, without a kernel in between."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from typing import TypeVar

from qda.driver.commands import Front, open_front
from qda.driver.device import Device
from qda.driver.memory import LocalClient
from qda.errors import DeviceError, UsageError, is_errno
from qda.uapi import DIALECTS

__all__ = ["LocalNode"]

M = TypeVar("M", bound=mmap.mmap)


class LocalNode:
    """An open node of a device that lives in this process.

    It does what a descriptor of `/dev/accel/accelN` does; `name` says what it is, `dialect` how it
    is spoken to.  UsageError for a dialect that does not exist, DeviceError if the DSP does not
    come up.
    """

    def __init__(self, device: Device, dialect: str) -> None:
        if dialect not in DIALECTS:
            raise UsageError(f"dialect {dialect!r}: there are {', '.join(DIALECTS)}")
        self.name = f"virtual {device.name}"
        self._owner = os.getpid()
        self._client = LocalClient()
        try:
            self._front: Front = open_front(device, DIALECTS[dialect])
        except OSError as error:
            self._client.close()
            number = error.errno or errno.ENODEV
            raise DeviceError("open", device.name, number, str(error)) from error
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
        return self._front.mmap(length, offset, kind)

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
        try:
            if self._owner == os.getpid():
                self._front.close(self._client)
        finally:
            self._client.close()
