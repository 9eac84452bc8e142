"""A FIFO in shared memory: bytes that one end writes and the other reads.

    0    u32 tail: where the reader is
    4    u32 head: where the writer is
    8    the bytes, a multiple of eight

The other end is not trusted: its index is looked at once for each step, and has to lie inside.
Both are multiples of eight, as all commands are.  Eight bytes stay free, as a full FIFO would look
like an empty one; eight more are kept for the command that says that the writer waits for room.
"""

from __future__ import annotations

from qda.glink.command import ALIGNMENT, GlinkFault

__all__ = ["INDEXES", "Fifo"]

INDEXES = 8
"""Bytes in front of a FIFO's bytes."""
_TAIL, _HEAD = 0, 1


class Fifo:
    """One direction of an edge, over `memory` with the two indexes in front."""

    def __init__(self, memory: memoryview) -> None:
        self._indexes = memory[:INDEXES].cast("I")
        self._bytes = memory[INDEXES:]
        self._length = len(self._bytes)
        if self._length < 4 * ALIGNMENT or self._length % ALIGNMENT:
            raise ValueError(f"a FIFO of {self._length} bytes: a multiple of 8, from 32 on")

    def _index(self, which: int) -> int:
        index = self._indexes[which]
        if index >= self._length or index % ALIGNMENT:
            raise GlinkFault(f"an index of {index} in a FIFO of {self._length} bytes")
        return index

    # For its reader.

    @property
    def filled(self) -> int:
        """How many bytes there are to read.  GlinkFault."""
        return (self._index(_HEAD) - self._index(_TAIL)) % self._length

    def peek(self, count: int) -> bytes:
        """The next bytes, of which `filled` has said that they are there."""
        start = self._index(_TAIL)
        first = bytes(self._bytes[start : start + count])
        return first + bytes(self._bytes[: count - len(first)])

    def skip(self, count: int) -> None:
        """They have been read, and may be written over."""
        self._indexes[_TAIL] = (self._index(_TAIL) + count) % self._length

    # For its writer.

    @property
    def room(self) -> int:
        """How many bytes may be written, for one who keeps room for READ_NOTIFICATION."""
        free = (self._index(_TAIL) - self._index(_HEAD) - ALIGNMENT) % self._length
        return max(0, free - ALIGNMENT)

    @property
    def capacity(self) -> int:
        """The most that `room` ever is."""
        return self._length - 2 * ALIGNMENT

    def write(self, command: bytes) -> None:
        """Write a command for which there is room, and show it: the index moves last."""
        head = self._index(_HEAD)
        first = min(len(command), self._length - head)
        self._bytes[head : head + first] = command[:first]
        self._bytes[: len(command) - first] = command[first:]
        self._indexes[_HEAD] = (head + len(command)) % self._length
