"""Sizes and addresses that every room shares: pages, rounding, ranges, three kinds of address.

The three kinds of address are three types, which are never told apart by their value (R3).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import NamedTuple, NewType

__all__ = [
    "MEMORY_NAME",
    "PAGE",
    "BusAddress",
    "ClientAddress",
    "DspAddress",
    "Piece",
    "Ranges",
    "align",
]

PAGE = 4096
"""Bytes of a page, to the programs as on the DSP."""

MEMORY_NAME = "qda"
"""What the memory of buffer objects is called; by this the preload library knows a DMA-BUF."""

ClientAddress = NewType("ClientAddress", int)
"""An address in the memory of the process that calls the device."""

BusAddress = NewType("BusAddress", int)
"""A device address: what the DSP's SMMU translates.  Bits 63..32 are the stream id of the context
bank that it belongs to, 0 for device memory."""

DspAddress = NewType("DspAddress", int)
"""A virtual address of a process on the DSP, below 4 GiB."""


class Piece(NamedTuple):
    """`size` bytes of a file, from byte `offset` on."""

    offset: int
    size: int


def align(value: int, boundary: int) -> int:
    """Round `value` up to the next multiple of `boundary`, which is a power of two."""
    return (value + boundary - 1) & -boundary


class Ranges:
    """Allocated ranges [start, end) inside a window [low, high), none of which overlap.

    Starts are multiples of `granule`, a power of two; lengths are rounded up to it.
    """

    def __init__(self, low: int, high: int, granule: int) -> None:
        self.low, self.high, self.granule = low, high, granule
        self._taken: list[tuple[int, int]] = []
        self._dense = 0  # so many of them, from the first on, leave nothing free before or between

    def take(self, length: int, wish: int = 0) -> int:
        """Allocate `length` bytes, at `wish` if that is free.  MemoryError if nothing fits."""
        length = align(max(1, length), self.granule)
        if wish and not wish % self.granule and self._free(wish, wish + length):
            insort(self._taken, (wish, wish + length))
            return wish
        start = self._taken[self._dense - 1][1] if self._dense else self.low
        for index in range(self._dense, len(self._taken)):
            taken_start, taken_end = self._taken[index]
            if taken_start - start >= length:
                break
            if taken_start == start and index == self._dense:
                self._dense += 1
            start = taken_end
        if self.high - start < length:
            raise MemoryError(f"no {length} bytes left in {self.low:#x}..{self.high:#x}")
        insort(self._taken, (start, start + length))
        return start

    def give_back(self, start: int) -> None:
        """Free the range that begins at `start`.  KeyError if none does."""
        index = bisect_right(self._taken, (start, self.high)) - 1
        if index < 0 or self._taken[index][0] != start:
            raise KeyError(start)
        del self._taken[index]
        self._dense = min(self._dense, index)

    def __len__(self) -> int:
        return len(self._taken)

    def _free(self, start: int, end: int) -> bool:
        if start < self.low or end > self.high:
            return False
        index = bisect_right(self._taken, (start, self.high))
        return (not index or self._taken[index - 1][1] <= start) and (
            index == len(self._taken) or end <= self._taken[index][0]
        )
