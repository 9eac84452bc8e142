"""Which of the guest's memory a protection domain sees: what its messages name, and no more.

Before a call each range that its message names is resolved anew.  One that leads where it led
before needs nothing; one that does not is announced again, with what it overlaps, of which what
does not lead where it led before is forgotten.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from qda import limits
from qda.kernel.guest import AddressFault, Bus, GuestMemory, Run
from qda.memory import PAGE, Piece, align
from qda.rpmsg import Link, pack_pieces

__all__ = ["Shown"]


@dataclass(slots=True)
class _Range:
    size: int
    runs: list[Run]


class Shown:
    """The guest's memory that the protection domain behind a link has been told of."""

    def __init__(self, link: Link, memory: GuestMemory, bus: Bus) -> None:
        self._link, self._memory, self._bus = link, memory, bus
        self._lock = threading.Lock()
        self._ranges: dict[int, _Range] = {}  # by where they begin, the longest unused first
        self._size = 0

    def show(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Let it see bus addresses with lengths.  AddressFault, OSError, PeerGone."""
        with self._lock:
            for address, length in ranges:
                if length:
                    start = address & -PAGE
                    self._show(start, align(address + length - start, PAGE))

    def _show(self, start: int, size: int) -> None:
        overlapped = {
            other: range_
            for other, range_ in self._ranges.items()
            if other < start + size and start < other + range_.size
        }
        same = {
            other: other + range_.size
            for other, range_ in overlapped.items()
            if self._leads_as_before(other, range_)
        }
        if any(other <= start and start + size <= end for other, end in same.items()):
            (other,) = overlapped
            self._ranges[other] = self._ranges.pop(other)
            return
        # Parts of one buffer can have a page in common.  This message or another that is under way
        # may name both, so what is seen of them stays so, in one range.
        first, last = min([start, *same]), max([start + size, *same.values()])
        if last - first > limits.KNOWN_MEMORY:
            first, last = start, start + size
        runs = self._bus.runs(first, last - first)
        for other in [other for other in self._ranges if other not in overlapped]:
            if self._size + last - first > limits.KNOWN_MEMORY:
                self._withdraw(other)
        self._announce(first, last - first, runs)
        for other in overlapped:
            if other == first:  # is replaced by what was announced
                self._size -= self._ranges.pop(other).size
            else:
                self._withdraw(other)
        self._ranges[first] = _Range(last - first, runs)
        self._size += last - first

    def _leads_as_before(self, start: int, range_: _Range) -> bool:
        """Whether what was announced is still what the kernel means; it may be gone in part."""
        try:
            return self._bus.runs(start, range_.size) == range_.runs
        except AddressFault:
            return False

    def _withdraw(self, start: int) -> None:
        self._size -= self._ranges.pop(start).size
        self._link.withdraw(start)

    def _announce(self, start: int, size: int, runs: list[Run]) -> None:
        file = os.memfd_create("qda pieces", os.MFD_CLOEXEC)
        try:
            os.write(file, pack_pieces([Piece(*run) for run in runs]))
            self._link.announce(start, size, self._memory.descriptor, file)
        finally:
            os.close(file)
