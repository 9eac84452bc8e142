"""Packed records: fields in order, each at the next multiple of its alignment, padding zero.

A record travels as one buffer.  Its declared length is rounded up to the largest alignment in it;
a receiver is content with the unrounded end of the last field (spec/idl.md 6.2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, Final, TypeAlias

from qda.errors import BAD_PARAMETER, StatusError, UsageError, UsageTypeError
from qda.memory import align

__all__ = ["REFUSALS", "Buffers", "Fields", "Layout", "MarshalError", "Row", "refusal", "stack"]

Row: TypeAlias = list[int | float | bytes]
"""The fields of a record, which are appended in their order."""

Fields: TypeAlias = Iterator[Any]
"""The fields of a record that have not been read yet: numbers and bytes, as its layout says."""


REFUSALS: Final = TypeError, ValueError, OverflowError, MemoryError
"""What values raise that do not fit their type, ours or not."""


def refusal(what: str, error: Exception) -> UsageError | UsageTypeError:
    """What a value of `what` raises that does not fit: it says of which part the error is."""
    kind = UsageTypeError if isinstance(error, TypeError) else UsageError
    return kind(f"{what}: {error}")


class MarshalError(StatusError):
    """What arrived does not fit the interface; `status` ends the call."""

    def __init__(self, text: str, status: int = BAD_PARAMETER) -> None:
        super().__init__(status, text)


class Layout:
    """Where the fields of a record lie: format `codes` of `struct`, padding included.

    `end` is the unrounded end of the last field, `size` the length that is declared, both in
    bytes.  A layout without fields has size 0, and its record does not exist.
    """

    __slots__ = ("_reader", "_writer", "alignment", "codes", "end", "size")

    def __init__(self, codes: str = "", end: int = 0, alignment: int = 1) -> None:
        self.codes, self.end, self.alignment = codes, end, alignment
        self.size = align(end, alignment)
        self._reader = struct.Struct("<" + codes)
        self._writer = struct.Struct(f"<{self.block}")

    @property
    def block(self) -> str:
        """The codes up to the rounded end."""
        return f"{self.codes}{self.size - self.end}x"

    def pack(self, values: Row) -> bytes:
        """A record of the fields' values.  UsageError for one that does not fit."""
        try:
            return self._writer.pack(*values)
        except (struct.error, OverflowError, TypeError, ValueError) as error:
            raise UsageError(f"a value does not fit its field: {error}") from error

    def unpack(self, record: memoryview) -> Fields:
        """The fields' values.  MarshalError for a record that is too short."""
        if len(record) < self.end:
            raise MarshalError(f"a record of {len(record)} bytes, {self.end} are needed")
        return iter(self._reader.unpack_from(record))

    def rows(self, records: memoryview, count: int) -> Iterable[Fields]:
        """The fields' values of each of `count` records, which lie back to back."""
        if not self.size:
            return repeat(iter(()), count)
        return map(iter, self._writer.iter_unpack(records[: count * self.size]))


def stack(blocks: Iterable[Layout]) -> Layout:
    """Lay out blocks one after another, each with its alignment and its rounded size."""
    codes, end, widest = "", 0, 1
    for block in blocks:
        if block.size:
            start = align(end, block.alignment)
            codes += f"{start - end}x{block.block}"
            end = start + block.size
            widest = max(widest, block.alignment)
    return Layout(codes, end, widest)


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
