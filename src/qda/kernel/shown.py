"""Which of the guest's memory a protection domain sees: what its messages name, and no more.

Before a call each range that its message names is resolved anew.  One that leads where it led
before needs nothing; one that does not is announced again, and takes with it what it overlaps.
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
        for other, range_ in self._ranges.items():
            if other <= start and start + size <= other + range_.size:
                if not self._leads_as_before(other, range_):
                    break
                self._ranges[other] = self._ranges.pop(other)
                return
        runs = self._bus.runs(start, size)
        overlapped = [
            other
            for other, range_ in self._ranges.items()
            if other < start + size and start < other + range_.size
        ]
        for other in overlapped:
            self._withdraw(other)
        while self._ranges and self._size + size > limits.KNOWN_MEMORY:
            self._withdraw(next(iter(self._ranges)))
        self._announce(start, size, runs)
        self._ranges[start] = _Range(size, runs)
        self._size += size

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
