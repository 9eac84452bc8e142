"""Which part of each buffer has bytes of its own, when buffers of one call overlap in memory.

Overlapping buffers share bytes in the message as they do in the caller's memory, so that a
method that gets one array as input and as output sees one array.  The rule (spec/fastrpc.md 2.2):
sort by start, longest first; a buffer owns only the bytes that no earlier one covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Overlap", "overlaps"]


class Overlap(NamedTuple):
    """A buffer [start, end) that is argument number `argument` and owns [own_start, own_end).

    `offset` is how far its start lies below its own part, 0 where nothing earlier covers it.  A
    buffer that lies inside earlier ones owns nothing: own_start = own_end = 0.
    """

    start: int
    end: int
    argument: int
    own_start: int
    own_end: int
    offset: int

    @property
    def own(self) -> int:
        """Number of bytes that the buffer owns."""
        return self.own_end - self.own_start


def overlaps(ranges: Sequence[tuple[int, int]]) -> list[Overlap]:
    """Overlaps of buffers given as (address, length), in the order in which they are placed."""
    by_start = sorted(
        ((start, start + length, index) for index, (start, length) in enumerate(ranges)),
        key=lambda entry: (entry[0], -entry[1]),
    )
    placed, covered = [], 0
    for start, end, index in by_start:
        if start >= covered:
            placed.append(Overlap(start, end, index, start, end, 0))
            covered = end
        elif end > covered:
            placed.append(Overlap(start, end, index, covered, end, covered - start))
            covered = end
        else:
            placed.append(Overlap(start, end, index, 0, 0, covered - start))
    return placed
