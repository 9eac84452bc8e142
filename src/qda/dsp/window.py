"""The window of a protection domain: the addresses of its process that are DSP addresses.

They lie below 4 GiB, are reserved once, and hold nothing until something is placed in them.  What
is taken away leaves inaccessible memory behind: whoever still holds a view of it faults.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from qda import limits
from qda.core.side import memory_at
from qda.linux import map_shared, reserve, unmap
from qda.memory import Piece, Ranges

__all__ = ["Pages", "Window"]

_LOWEST: Final = 0x2000_0000
_HIGHEST: Final = 1 << 32
_STEP: Final = 0x1000_0000


@dataclass(frozen=True, slots=True)
class Pages:
    """Memory that somebody else has: the pieces of a file, in their order, of whole pages."""

    descriptor: int
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, descriptor: int, size: int) -> Pages:
        """The first bytes of a file."""
        return cls(descriptor, (Piece(0, size),))

    @property
    def identity(self) -> tuple[int, int]:
        """What tells them from others': numbers of descriptors are used again, files are not."""
        return os.fstat(self.descriptor).st_ino, self.pieces[0].offset

    def part(self, offset: int, size: int) -> Iterator[tuple[int, Piece]]:
        """The pieces of `size` bytes from byte `offset` on, each with where in those it begins."""
        start, end = -offset, 0
        for piece in self.pieces:
            end = start + piece.size
            first, last = max(start, 0), min(end, size)
            if first < last:
                yield first, Piece(piece.offset + first - start, last - first)
            start = end

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


class Window:
    """Addresses, `size` bytes of them; OSError ENOMEM if they are not free.  Not thread-safe."""

    def __init__(self, size: int) -> None:
        try:
            self._base = self._find(size)
        except OSError:
            if size != limits.WINDOW:
                raise
            size //= 2  # AddressSanitizer has its own memory from 2 GiB on
            self._base = self._find(size)
        self._size = size
        self._ranges = Ranges(self._base, self._base + size, limits.GRANULE)
        self._held = 0
        self._ended = self._given_back = False

    @staticmethod
    def _find(size: int) -> int:
        for base in range(_LOWEST, _HIGHEST - size + 1, _STEP):
            with suppress(OSError):
                reserve(base, size)
                return base
        raise OSError(errno.ENOMEM, f"no {size} bytes of addresses are free below 4 GiB")

    def place(
        self, size: int, pages: Pages, offset: int = 0, wish: int = 0
    ) -> tuple[int, memoryview]:
        """Map `size` bytes from byte `offset` of them on, at the wish if that is free.  OSError."""
        try:
            start = self._ranges.take(size, wish)
        except MemoryError as error:
            raise OSError(errno.ENOMEM, str(error)) from error
        try:
            for at, piece in pages.part(offset, size):
                map_shared(start + at, piece.size, pages.descriptor, piece.offset).release()
        except BaseException:
            self.take_away(start, size)
            raise
        return start, memory_at(start, size)

    def take_away(self, start: int, size: int) -> None:
        """Put inaccessible memory in the place of what was there."""
        if not self._ended:
            reserve(start, size, replace=True)
            self._ranges.give_back(start)

    def hold(self) -> None:
        """Somebody has memory in it, whom it outlives."""
        self._held += 1

    def let_go(self, start: int, size: int) -> None:
        """Undo one `hold`, and take its memory away."""
        self._held -= 1
        self.take_away(start, size)
        if self._ended:
            self.close()

    def end(self) -> None:
        """From now on nothing is taken away one by one."""
        self._ended = True

    def close(self) -> None:
        """Give back the addresses, once, if nobody has any: they may be another window's next."""
        if not self._held and not self._given_back:
            self._given_back = True
            unmap(self._base, self._size)
