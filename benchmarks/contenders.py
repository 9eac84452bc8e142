"""Who is measured: QDA, its peers, and floors below which no call between processes can be."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager as Block
from enum import StrEnum
from typing import NamedTuple

from benchmarks.cases import Case, Form
from benchmarks.clocks import Batch, timed

__all__ = ["Contender", "LeftOut", "Maker", "Sort", "echoes"]

Maker = Callable[[Case], Batch | None]
"""Gives the calls of a case; None for what a contender does not do."""


class LeftOut(Exception):
    """A contender cannot be measured here; the text says why."""


class Sort(StrEnum):
    """What a contender is for: floors are no packages, and stand apart."""

    OURS = "ours"
    PEER = "RPC"
    FLOOR = "floor"


class Contender(NamedTuple):
    """One who is measured; `opened` is a block in which its calls can be made.  LeftOut."""

    name: str
    sort: Sort
    opened: Callable[[], Block[Maker]]


Echo = Callable[[bytes], object]


def echoes(echo: Echo, length: Echo | None = None, most: int = 1 << 30) -> Maker:
    """The calls of one that sends bytes and gets them back, at most so many.

    `length` sends bytes and gets their number.  Memory cannot be shared, so a buffer there and one
    back are the same bytes; what it would cost to read and write each is not measured.
    """

    def make(case: Case) -> Batch | None:
        if case.size > most:
            return None
        match case.form:
            case Form.EMPTY | Form.TYPED:
                return timed(lambda: echo(b""), case.work)
            case Form.INLINE | Form.ENDS:
                payload = bytes(case.size)
                return timed(lambda: echo(payload))
            case Form.ARRAY if length is not None:
                numbers = memoryview(bytes(4 * case.size)).cast("i")
                return timed(lambda: length(numbers.tobytes()))
        return None

    return make
