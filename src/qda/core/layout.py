"""Lanes as they lie in memory, for both ends and both languages.

A session has a *pool*, shared memory that its driver and its protection domain map.  Block 0 holds
the words of all lanes, block i the message memory of lane i, whose number is also that of its calls
in context words.  A lane has two sides, and each writes its own only:

    driver   record: the message of 40 bytes    bell: number of the request that it asks for
    DSP      record: the response of 16 bytes   bell: number of the request that it has answered

To *ring* is to store the number and, if the other side has said that it sleeps, to write a byte
into its pipe.  An answer is the equal number together with the right context word (H15); whatever
else the other side writes changes nothing.  `native/core/lane.h` says the same in C.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from qda import limits
from qda.fastrpc.message import CONTEXT_NUMBERS
from qda.layout import Record, octets, u32

__all__ = [
    "BLOCK",
    "LANES",
    "POOL_SIZE",
    "Arguments",
    "Handle",
    "Side",
    "Woken",
    "lane_address",
]

LANES = CONTEXT_NUMBERS[-1]
"""Lanes of a pool at most: what a context word can number."""

BLOCK = limits.SLOT
"""Bytes of message memory of a lane; a longer message gets memory of its own."""

POOL_SIZE = (LANES + 1) * BLOCK
"""Bytes of a pool.  What is not used takes no memory."""


class Side(Record, spelling="qda_side"):
    """One side of a lane, a cache line."""

    bell: int = u32("Number of the request that is asked for, or has been answered")
    sleeps: int = u32("1: a byte in the pipe is needed to wake this side")
    cpu: int = u32("CPU that it was last on, plus 1; 0: not told")
    unused: int = u32("Zero")
    record: bytes = octets(40, "Message, or response")
    rest: bytes = octets(8, "Zero")


Handle: TypeAlias = tuple[int, int, int, int, memoryview | None]
"""A handle argument: fd, offset, length, its first word, and the bytes if it names an object."""

Arguments: TypeAlias = list[memoryview | Handle] | int
"""The arguments of a call in wire order, or the status that says why they cannot be found."""


def lane_address(pool: int, number: int) -> int:
    """Where the words of a lane lie: the driver's side, then the DSP's."""
    return pool + number * 2 * Side.byte_size


class Woken(enum.IntEnum):
    """Why a wait has ended."""

    RUNG = 0
    """The answer is there."""
    DEAD = 1
    """Nobody is left who could answer."""
    ALSO = 2
    """The other descriptor has something to say."""
    LATE = 3
    """The time is over."""
    SIGNAL = 4
    """A signal handler has run."""
