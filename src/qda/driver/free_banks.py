"""The context banks that no file has, and who waits for one: first come, first served.

A bank that is given back is kept for the thread that has waited longest, so that nobody who comes
later gets it first.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from qda.core import Woken
from qda.driver.banks import ContextBank
from qda.driver.memory import Client
from qda.interrupts import Deadline

__all__ = ["FreeBanks"]


class FreeBanks:
    """The banks of a DSP that are free; at first all of them.  Thread-safe."""

    def __init__(self, stream_ids: Sequence[int]) -> None:
        self._lock = threading.Lock()
        self._free = sorted(stream_ids, reverse=True)
        self._waiting: deque[_Turn] = deque()
        self._kept = set[int]()  # threads, of each of which a free one is

    def __len__(self) -> int:
        return len(self._free)

    @property
    def waiting(self) -> int:
        """How many threads wait for a turn that has not come."""
        return len(self._waiting)

    def take(self) -> ContextBank | None:
        """A bank for this thread; None if there is none, or only what is kept for others."""
        with self._lock:
            thread = threading.get_ident()
            if thread not in self._kept and len(self._free) <= len(self._kept):
                return None
            self._kept.discard(thread)
            return ContextBank(self._free.pop())

    def give_back(self, bank: ContextBank) -> None:
        """A file has ended that had the bank."""
        with self._lock:
            self._free.append(bank.stream_id)
            self._free.sort(reverse=True)
            self._call()

    @contextmanager
    def turn(self, client: Client, within: Deadline) -> Iterator[bool]:
        """Wait on a client's behalf until it is this thread's turn: a bank is kept for it in the
        block.  False if it has not come in time; OSError of what breaks the wait off."""
        turn = _Turn()
        try:
            with self._lock:
                self._waiting.append(turn)
                self._call()
            try:
                client.wait(turn, within)
                came = True
            except TimeoutError:
                came = False
            yield came
        finally:
            with self._lock:
                with suppress(ValueError):  # it came
                    self._waiting.remove(turn)
                self._kept.discard(turn.thread)
                self._call()
            turn.close()

    def _call(self) -> None:
        """Keep what is free for those who wait, in their order.  The caller has the lock."""
        while self._waiting and len(self._free) > len(self._kept):
            turn = self._waiting.popleft()
            self._kept.add(turn.thread)
            turn.come()


class _Turn:
    """What a thread waits for: that its turn comes."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._bell = os.eventfd(0)

    def come(self) -> None:
        """It is this thread's turn."""
        os.eventfd_write(self._bell, 1)

    def wait(self, also: int = -1, timeout: int = -1) -> int:
        """See `qda.driver.memory.Awaited`."""
        ends = select.poll()
        ends.register(self._bell, select.POLLIN)
        if also >= 0:
            ends.register(also, select.POLLIN)
        ready = [descriptor for descriptor, _ in ends.poll(timeout)]
        if self._bell in ready:
            return Woken.RUNG
        return Woken.ALSO if ready else Woken.LATE

    def close(self) -> None:
        """It is over."""
        os.close(self._bell)
