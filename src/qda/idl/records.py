"""Packed records: fields in order, each at the next multiple of its alignment, padding zero.

A record travels as one buffer.  Its declared length is rounded up to the largest alignment in it;
a receiver is content with the unrounded end of the last field (spec/idl.md 6.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qda.errors import BAD_PARAMETER
from qda.layout import align

__all__ = ["Buffers", "Extent", "MarshalError", "RecordReader", "RecordWriter", "stack"]


class MarshalError(Exception):
    """What arrived does not fit the interface; `status` ends the call."""

    def __init__(self, text: str, status: int = BAD_PARAMETER) -> None:
        super().__init__(text)
        self.status = status


class Extent(NamedTuple):
    """How much room a field or a block of fields takes: `size` 0 means that there is nothing."""

    size: int = 0
    alignment: int = 1


def stack(fields: Iterable[Extent]) -> tuple[int, Extent]:
    """Fields one after another: the unrounded end, and the extent as a block of its own."""
    end, widest = 0, 1
    for size, alignment in fields:
        if size:
            end = align(end, alignment) + size
            widest = max(widest, alignment)
    return end, Extent(align(end, widest), widest)


class RecordWriter:
    """Appends fields to a record."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._widest = 1

    def align(self, alignment: int) -> None:
        """Pad to a multiple of `alignment`, which counts for the record from here on."""
        self._data += bytes(-len(self._data) % alignment)
        self._widest = max(self._widest, alignment)

    def append(self, data: bytes, alignment: int) -> None:
        """Add a field."""
        self.align(alignment)
        self._data += data

    def count(self, number: int) -> None:
        """Add a u32: a number of elements."""
        self.append(number.to_bytes(4, "little"), 4)

    def finish(self) -> bytearray:
        """The record, rounded up to its largest alignment."""
        self.align(self._widest)
        return self._data


class RecordReader:
    """Reads fields from a record in the order in which they were appended.

    MarshalError if the record is too short.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._place = 0

    def align(self, alignment: int) -> None:
        """Skip the padding before a field."""
        self._place = align(self._place, alignment)

    def take(self, size: int, alignment: int) -> memoryview:
        """The next field."""
        self.align(alignment)
        start, self._place = self._place, self._place + size
        if self._place > len(self._data):
            raise MarshalError(
                f"a record of {len(self._data)} bytes ends before byte {self._place}"
            )
        return self._data[start : self._place]

    def count(self) -> int:
        """The next u32."""
        return int.from_bytes(self.take(4, 4), "little")


class Buffers:
    """The secondary buffers of a call, taken in order.  MarshalError when they run out."""

    def __init__(self, buffers: Iterable[memoryview], what: str) -> None:
        self._buffers: Iterator[memoryview] = iter(buffers)
        self._what = what

    def take(self, size: int) -> memoryview:
        """The next buffer's first `size` bytes; longer buffers are fine (6.8)."""
        buffer = next(self._buffers, None)
        if buffer is None:
            raise MarshalError(f"an {self._what} is missing")
        if len(buffer) < size:
            raise MarshalError(f"an {self._what} of {len(buffer)} bytes, {size} are needed")
        return buffer[:size]
