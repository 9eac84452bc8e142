"""What a system call on a node does before and after the driver: paths, and structures."""

from __future__ import annotations

import errno
import logging
import os
from typing import Protocol

from qda.driver import Client
from qda.memory import ClientAddress
from qda.shim.files import OpenNode
from qda.uapi import Access, ioctl_size
from qda.virtual.nodes import NodeKind, NodePath

__all__ = ["Observer", "open_refusal", "run_ioctl"]

_log = logging.getLogger("qda.shim")

_WRITE, _READ = Access.WRITE.value, Access.READ.value
_EXCLUSIVE = os.O_CREAT | os.O_EXCL


class Observer(Protocol):
    """Sees the requests of all clients; it carries out ioctls itself, by `run_ioctl`."""

    def opened(self, client: Client, name: bytes, flags: int, result: int) -> None:
        """A node was opened, or not: `result` is 0 or a negative errno."""
        ...

    def ioctl(
        self, node: OpenNode, client: Client, descriptor: int, code: int, argument: int
    ) -> int:
        """Carry out an ioctl."""
        ...

    def mapped(
        self, node: OpenNode, client: Client, descriptor: int, length: int, offset: int, result: int
    ) -> None:
        """Memory of a node was mapped, or not."""
        ...

    def released(self, path: NodePath, opener: int) -> None:
        """The last descriptor of a node, opened by the process `opener`, is gone."""
        ...


def open_refusal(path: NodePath | None, flags: int, is_folder: bool) -> int:
    """What open(2) says of a path before a driver is asked: 0 or a negative errno."""
    if path is None:
        return -errno.EISDIR if is_folder else -errno.ENOENT
    if flags & os.O_DIRECTORY:
        return -errno.ENOTDIR
    if flags & _EXCLUSIVE == _EXCLUSIVE:
        return -errno.EEXIST
    return 0


def run_ioctl(node: OpenNode, client: Client, code: int, argument: int) -> int:
    """Carry out an ioctl on the structure at `argument` in the client's memory.

    Returns the result of the system call.  Whether a structure that cannot be read or written
    matters is decided by the front, which gets nothing in its place.
    """
    size, direction, address = ioctl_size(code), code >> 30, ClientAddress(argument)
    given = client.read(address, size) if size and direction & _WRITE else bytes(size)
    data = bytearray(given or b"")
    try:
        result = node.front.ioctl(client, code, data)
    except Exception:
        _log.exception("%s, ioctl %#x of process %d", node.path.path, code, client.pid)
        return -errno.EIO
    if direction & _READ and data:
        # The DRM core and the heap write every structure back, the older driver those that it
        # has changed (spec/fastrpc.md 4.1, 5.2).
        written = bytes(data)
        changed = node.path.kind is not NodeKind.FASTRPC or written != given
        if changed and not client.write(address, written):
            return -errno.EFAULT
    return result
