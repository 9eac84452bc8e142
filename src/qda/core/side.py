"""A side of a lane, for the twin: its words, and the wait for those of the other.

It always rings and never looks, so it needs no care for the order of memory: it says once and for
all that it sleeps.
"""

from __future__ import annotations

import ctypes
import os
import select
import threading
import time

from qda.core.layout import TOLD, Side, Times, Woken
from qda.fastrpc.message import InvokeMessage

__all__ = ["Guard", "Waiter", "Words", "memory_at", "rouse", "word_clear", "word_set"]

_PLACES = {field.name: field.offset for field in Side.fields}
_BELL, _SLEEPS, _TIMED, _RECORD = (_PLACES[name] for name in ("bell", "sleeps", "timed", "record"))


def memory_at(address: int, length: int) -> memoryview:
    """`length` bytes of this process."""
    return memoryview((ctypes.c_ubyte * length).from_address(address)).cast("B")


def word_set(address: int, bits: int) -> int:
    """Set bits of a word of 32 bits; returns what it was before.

    Here nobody else changes it meanwhile: the twin's words are not lent (`qda.shim.lending`).
    """
    word = memory_at(address, 4).cast("I")
    before, word[0] = word[0], word[0] | bits
    return before


def word_clear(address: int, bits: int) -> int:
    """Clear bits of a word of 32 bits; returns what it was before."""
    word = memory_at(address, 4).cast("I")
    before, word[0] = word[0], word[0] & ~bits
    return before


class Words:
    """One side of a lane."""

    def __init__(self, address: int) -> None:
        memory = memory_at(address, Side.byte_size)
        self._words = memory.cast("I")
        self.record = memory[_RECORD : _RECORD + InvokeMessage.codec.size]

    @property
    def bell(self) -> int:
        return self._words[_BELL // 4]

    def strike(self, number: int) -> None:
        self._words[_BELL // 4] = number

    @property
    def timed(self) -> bool:
        """Whether the other side is to tell when a method runs."""
        return self._words[_TIMED // 4] == 1

    @timed.setter
    def timed(self, wanted: bool) -> None:
        self._words[_TIMED // 4] = wanted

    def tell_times(self, begun: int) -> None:
        """A method that has begun then has ended now, in this thread."""
        who = {"process": os.getpid(), "thread": threading.get_native_id()}
        Times(begun=begun, ended=time.monotonic_ns(), **who).pack_into(self.record, TOLD)

    def say_asleep(self) -> None:
        self._words[_SLEEPS // 4] = 1


class Guard:
    """Who looks after those who wait long: it sleeps at the other end of `bell` while nobody does;
    -1: there is none.  `told` says that somebody has begun to wait since it has looked last."""

    def __init__(self) -> None:
        self.told, self.bell = True, -1

    def call(self) -> None:
        """Somebody begins to sleep."""
        if not self.told:
            self.told = True
            os.write(self.bell, b"\0")


def rouse(end: int) -> None:
    """Wake who sleeps on our end of a pipe, unless it has bytes; never waits."""
    room = select.poll()
    room.register(end, select.POLLOUT)
    if any(events & select.POLLOUT for _, events in room.poll(0)):
        os.write(end, b"\0")


class Waiter:
    """A side of a lane, with the pipe it sleeps on and the one by which it wakes the other."""

    def __init__(self, mine: Words, other: Words, sleep: int, wake: int) -> None:
        self.mine, self.other = mine, other
        self.sleep, self.wake = sleep, wake
        self.dead = False
        self.sleeps = False
        self.guard = Guard()
        mine.say_asleep()

    def ring(self, number: int) -> None:
        """Tell the other side."""
        self.mine.strike(number & 0xFFFFFFFF)
        try:
            os.write(self.wake, b"\0")
        except (BlockingIOError, BrokenPipeError):
            return  # it has bytes enough, or nobody is there

    def has_rung(self, number: int, context: int | None) -> bool:
        """Whether the other side has told that number, with that context word."""
        if self.other.bell != number & 0xFFFFFFFF:
            return False
        return context is None or int.from_bytes(self.other.record[:8], "little") == context

    def wait(self, number: int, context: int | None, also: int = -1, timeout: int = -1) -> int:
        """Wait for that; `also` and `timeout` (milliseconds) end the wait too, unless -1."""
        if self.has_rung(number, context):
            return Woken.RUNG
        self.sleeps = True
        self.guard.call()
        try:
            return self._sleep(number, context, also, timeout)
        finally:
            self.sleeps = False

    def _sleep(self, number: int, context: int | None, also: int, timeout: int) -> int:
        end = time.monotonic() + timeout / 1000
        while not self.has_rung(number, context):
            if self.dead:
                return Woken.DEAD
            if also >= 0 or timeout >= 0:
                left = max(0.0, end - time.monotonic()) * 1000 if timeout >= 0 else None
                poll = select.poll()
                poll.register(self.sleep, select.POLLIN)
                if also >= 0:
                    poll.register(also, select.POLLIN)
                ready = [descriptor for descriptor, _ in poll.poll(left)]
                if not ready:
                    return Woken.LATE
                if self.sleep not in ready:
                    return Woken.ALSO
            if not os.read(self.sleep, 16):
                self.dead = True
        return Woken.RUNG
