"""A program with a few bytes of memory, as the driver of `tests.literal` sees it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from qda.driver.memory import Awaited, MessageMemory, Piece, wait_for
from qda.linux import Area
from qda.memory import ClientAddress

__all__ = ["MEMORY_AT", "FakeCaller"]

MEMORY_AT = 0x10000
"""Where a program has a page of memory."""


class FakeCaller:
    """A thread of a program.  What a method of its is about to do may be replaced by `trouble`."""

    pid = 100
    comm = b"caller"
    limit = 1 << 47
    port = None

    def __init__(self, tid: int = 1) -> None:
        self.tid = tid
        self.data = bytearray(4096)
        self.areas: list[Area] = []
        self.trouble: dict[str, Callable[[], None]] = {}

    def _about_to(self, what: str) -> None:
        self.trouble.get(what, int)()

    def read(self, address: int, length: int) -> bytes | None:
        start = address - MEMORY_AT
        inside = 0 <= start <= start + length <= len(self.data)
        return bytes(self.data[start : start + length]) if inside else None

    def write(self, address: int, data: bytes) -> bool:
        start = address - MEMORY_AT
        if not 0 <= start <= start + len(data) <= len(self.data):
            return False
        self.data[start : start + len(data)] = data
        return True

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        self._about_to("fetch")
        for address, length, position in pieces:
            data = self.read(address, length)
            if data is None:
                return False
            message.view[position : position + length] = data
        return True

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        self._about_to("store")
        return all(
            self.write(address, bytes(message.view[position : position + length]))
            for address, length, position in pieces
        )

    def area(self, address: ClientAddress) -> Area | None:
        return next((area for area in self.areas if area.start <= address < area.end), None)

    def descriptor(self, number: int) -> int:
        raise OSError(errno.EBADF, "it has no descriptors")

    def install(self, descriptor: int, flags: int) -> int:
        raise OSError(errno.EBADF, "it has no descriptors")

    def wait(self, answer: Awaited, timeout: float | None) -> None:
        self._about_to("wait")
        wait_for(answer, timeout)
