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
from qda.layout import Record, octets, s32, u32, u64

__all__ = [
    "BLOCK",
    "LANES",
    "POOL_SIZE",
    "TOLD",
    "Arguments",
    "Handle",
    "Side",
    "Times",
    "Traced",
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
    timed: int = u32("1: the other side is to tell when a method runs")
    record: bytes = octets(40, "Message, or response")
    rest: bytes = octets(8, "Zero")


class Times(Record, spelling="qda_times"):
    """What a DSP tells of a method, behind its response, if its driver wants to know."""

    begun: int = u64("When it took the message; nanoseconds of CLOCK_MONOTONIC")
    ended: int = u64("When it answered")
    process: int = s32("Process of the protection domain")
    thread: int = s32("Thread that has served the call")


TOLD = 16
"""Where in the record of the DSP's side its times stand."""


class Traced(Record, spelling="qda_traced"):
    """A call that the core has made by itself, as it is noted in the ring of a trace; times are
    nanoseconds of CLOCK_MONOTONIC."""

    begun: int = u64("When the program asked for it")
    sent: int = u64("When its message left")
    answered: int = u64("When its answer was there")
    ended: int = u64("When the program had it")
    method_begun: int = u64("When the method began, 0 if nobody has said")
    method_ended: int = u64("When it had ended")
    dsp_process: int = s32("Process of the protection domain")
    dsp_thread: int = s32("Thread that has run the method")
    copied: int = u64("Bytes of arguments that were copied")
    shared: int = u64("Bytes of arguments that lie in buffer objects")
    longest: int = u64("Bytes of the longest argument that was copied")
    handle: int = u32("Handle of the module")
    scalars: int = u32("Method and numbers of arguments")
    number: int = u32("Number of the method")
    result: int = s32("0 or a status")
    thread: int = s32("Thread that has called")
    client_id: int = s32("Session of the call")
    domain: int = u32("Number of the DSP")
    unused: int = u32("Zero")


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
