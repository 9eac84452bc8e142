"""Who sees the calls that a driver sends, and what is kept of each: plain values.

Nobody sees them, most of the time: a call asks for that once when it is sent, and once when it is
answered.  Calls that the core makes by itself are noted there (`qda.core.Ring`).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cache
from time import monotonic_ns
from typing import Protocol

from qda import limits
from qda.errors import UsageError
from qda.fastrpc.obituary import Obituary

__all__ = ["Crossing", "Watcher", "watch", "watching"]


@dataclass(slots=True)
class Crossing:
    """A call on its way across the transport; times are nanoseconds of CLOCK_MONOTONIC.

    `message` are the 40 bytes, `payload` is the message memory as the driver has sent it, and
    `outputs` as the DSP has left it, both from `address` on the bus and of limits.TRACED_MESSAGE
    bytes at most.  `times` are those of the method, if the DSP has told them: begin, end, process,
    thread.
    """

    device: str
    begun: int
    sent: int = 0
    answered: int = 0
    ended: int = 0
    process: int = 0
    message: bytes = b""
    address: int = 0
    payload: bytes = b""
    outputs: bytes = b""
    times: tuple[int, int, int, int] = (0, 0, 0, 0)
    result: int = 0
    has_died: bool = False
    """Whether there was no answer, since the protection domain has died."""

    def leaves(self, message: bytes, address: int, memory: memoryview, size: int) -> None:
        """Its message is about to leave, `size` bytes of message memory with it."""
        self.message, self.address = message, address
        self.payload = bytes(memory[: min(size, limits.TRACED_MESSAGE)])
        self.sent = monotonic_ns()

    def comes_back(self, memory: memoryview, times: tuple[int, int, int, int]) -> None:
        """Its answer is there."""
        self.answered = monotonic_ns()
        self.outputs = bytes(memory[: len(self.payload)])
        if self.sent <= times[0] <= times[1] <= self.answered:  # or the DSP tells stories
            self.times = times

    def dies(self) -> None:
        """No answer will come."""
        self.answered, self.outputs, self.has_died = monotonic_ns(), self.payload, True


class Watcher(Protocol):
    """Is told of calls, in the threads that make them."""

    def sent(self, crossing: Crossing) -> None:
        """A message leaves."""
        ...

    def answered(self, crossing: Crossing) -> None:
        """A call has ended, with an answer or because of a death."""
        ...

    def died(self, device: str, process: int, words: Obituary) -> None:
        """A protection domain has died that was made since somebody watches; whose it was."""
        ...

    def asked(
        self, path: str, code: int, before: bytes, after: bytes, result: int, time: int
    ) -> None:
        """This process has issued an ioctl on a node of its own, at a time, which was no call."""
        ...


_watcher: Watcher | None = None
_lock = threading.Lock()


def watch(watcher: Watcher | None) -> None:
    """Let somebody see all calls of this process's drivers from here on, or nobody; those of its
    forked children are not seen.  UsageError if somebody else sees them."""
    global _watcher
    _leave_children()
    with _lock:
        if watcher is not None and _watcher is not None:
            raise UsageError("this process is traced already: there is one trace at a time")
        _watcher = watcher


@cache
def _leave_children() -> None:
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    global _watcher, _lock
    _watcher, _lock = None, threading.Lock()  # somebody may have had it


def watching() -> Watcher | None:
    """Who sees them."""
    return _watcher
