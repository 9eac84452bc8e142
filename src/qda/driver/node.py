"""A device node that is opened and used in this process, without a kernel in between."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Callable
from time import monotonic_ns
from typing import TypeVar

from qda.driver.front import FileFront, Front
from qda.driver.memory import LocalClient
from qda.driver.noting import Notes
from qda.driver.watching import watching
from qda.errors import DeviceError, is_errno
from qda.fastrpc.obituary import Obituary
from qda.linux import address_of, mark_process
from qda.memory import ClientAddress
from qda.uapi import ioctl_size

__all__ = ["LocalNode"]

M = TypeVar("M", bound=mmap.mmap)


class LocalNode:
    """An open node of a system that lives in this process.

    It does what a descriptor of `path` does; `name` says what it is.  `reach` opens a node of the
    system by its path; DeviceError if it refuses this one.  `handed_over` is the table by which
    classes get to a DSP that runs in this process, too.
    """

    def __init__(
        self,
        name: str,
        path: str,
        reach: Callable[[str], Front],
        handed_over: dict[str, type] | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.handed_over = handed_over
        self._reach = reach
        self._owner = os.getpid()
        self._mark = mark_process()  # cleared when the node is closed, too: one look tells both
        self._client = LocalClient()
        try:
            self._front = reach(path)
        except OSError as error:
            self._client.close()
            number = error.errno or errno.ENODEV
            raise DeviceError("open", f"{name}, {path}", number, str(error)) from error
        except BaseException:
            self._client.close()
            raise
        self._closed = False
        self._lock = threading.Lock()

    def neighbour(self, path: str) -> LocalNode:
        """Open another node of the same system.  DeviceError."""
        return LocalNode(self.name, path, self._reach, self.handed_over)

    def ioctl(self, code: int, data: bytearray) -> int:
        """Carry out an ioctl in place; returns a signed 32-bit result.

        OSError only for results -1 to -4095, as from the system call.
        """
        if not self._mark[0]:
            self._refuse()
        result = self._front.at_once(self._client, code, data)
        if result is None:
            result = self._at_an_address(code, data)
        if result < 0 and is_errno(result):
            raise OSError(-result, os.strerror(-result))
        return result

    def _at_an_address(self, code: int, data: bytearray) -> int:
        if len(data) < ioctl_size(code):
            raise OSError(errno.EFAULT, f"{len(data)} bytes for a code of {ioctl_size(code)}")
        address = ClientAddress(address_of(data))
        self._client.structures[address] = data
        begun, before = (monotonic_ns(), bytes(data)) if watching() is not None else (0, b"")
        try:
            result = self._front.ioctl(self._client, code, address)
        finally:
            self._client.structures.pop(address, None)
        if begun and (watcher := watching()) is not None:
            watcher.asked(self.path, code, before, bytes(data), result, begun)
        return result

    def mmap(self, length: int, offset: int, kind: type[M]) -> M:
        """Map `length` bytes at an offset of the node.  OSError EINVAL, EACCES, ENODEV."""
        if not self._mark[0]:
            self._refuse()
        return self._front.mmap(length, offset, kind)

    @property
    def obituary(self) -> Obituary | None:
        """How the process of the node's session has died; None if it has not, or nobody can
        tell."""
        return self._front.obituary if self._mark[0] else None

    def notes(self) -> Notes | None:
        """What notes the calls of the node's session; None if it has none."""
        front = self._front
        session = front.file.session if isinstance(front, FileFront) else None
        return None if session is None else Notes(session.device, session.client_id)

    def _refuse(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the node is closed")
        raise OSError(errno.ENODEV, "a virtual device belongs to the process that opened it")

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._mark[0] = 0
        try:
            if self._owner == os.getpid():
                self._front.close(self._client)
        finally:
            self._client.close()
