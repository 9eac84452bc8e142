"""A program with a few bytes of memory, as the driver of `tests.literal` sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qda.driver.memory import Awaited, MessageMemory, Piece, wait_for
from qda.interrupts import Deadline
from tests.literal import LiteralClient

__all__ = ["MEMORY_AT", "FakeCaller"]

MEMORY_AT = 0x10000
"""Where a program has a page of memory."""


class FakeCaller(LiteralClient):
    """A thread of a program.  What a method of its is about to do may be replaced by `trouble`."""

    pid = 100
    comm = b"caller"
    is_admin = True
    limit = 1 << 47

    def __init__(self, tid: int = 1) -> None:
        super().__init__()
        self.tid = tid
        self.data = bytearray(4096)
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
        return super().fetch(pieces, message)

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        self._about_to("store")
        return super().store(pieces, message)

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        self._about_to("wait")
        wait_for(answer, within)
