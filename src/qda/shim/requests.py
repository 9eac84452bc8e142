"""What a request is before the driver has it, and who sees it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Protocol

from qda.driver import Client
from qda.shim.files import OpenNode
from qda.virtual.nodes import NodePath

__all__ = ["Observer", "open_refusal"]

_EXCLUSIVE = os.O_CREAT | os.O_EXCL


class Observer(Protocol):
    """Sees the requests of all clients."""

    def opened(self, client: Client, name: bytes, flags: int, result: int) -> None:
        """A node was opened, or not: `result` is 0 or a negative errno."""
        ...

    def ioctl(
        self,
        node: OpenNode,
        client: Client,
        descriptor: int,
        code: int,
        argument: int,
        carry_out: Callable[[], int],
    ) -> int:
        """Have an ioctl carried out, and return its result."""
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
