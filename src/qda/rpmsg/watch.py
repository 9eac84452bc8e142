"""Who is told that the other end has gone, without waiting for a message.

A lane tells nothing of a death: its bells are pipes, whose other end a skeleton's children may
still have.  What tells is the end of a control endpoint, and one thread watches all of a channel's.

The same thread looks after lanes on which somebody waits long, as the words of a lane may have been
overwritten: a moment after a wait has begun, then after twice as long, and so on.  While nobody
waits it sleeps.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from qda import limits
from qda.core import Pool

__all__ = ["Watch", "has_gone"]


def has_gone(descriptor: int) -> bool:
    """Whether the other end of a socket has gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # its end is always told
    return bool(poll.poll(0))


class Watch:
    """Calls back, in a thread of its own, when the other ends of sockets have gone.

    The thread begins with the first socket.  `close` ends it, and who is left is told then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[int, Callable[[], None]] = {}
        self._epoll: select.epoll | None = None
        self._stop: socket.socket | None = None
        self._rounds = _Rounds()

    def look_after(self, pool: Pool, broken: Callable[[int], None]) -> None:
        """Have `broken` called, once, with the number of a lane of the pool on which somebody waits
        and of which the words have been overwritten."""
        with self._lock:
            if self._epoll is None:
                self._begin()
            self._rounds.add(pool, broken)

    def leave(self, pool: Pool) -> None:
        """Nobody waits on its lanes any more."""
        with self._lock:
            self._rounds.remove(pool)

    def add(self, descriptor: int, gone: Callable[[], None]) -> None:
        """Have `gone` called once when the other end of a socket has gone; perhaps at once.

        It must not wait for a thread that uses this watch.
        """
        with self._lock:
            if self._epoll is None:
                self._begin()
            assert self._epoll is not None
            self._told[descriptor] = gone
            self._epoll.register(descriptor, 0)

    def _begin(self) -> None:
        self._epoll = select.epoll()
        self._stop, stopped = socket.socketpair()
        self._epoll.register(stopped, 0)
        self._epoll.register(self._rounds.begin(), select.EPOLLIN)
        arguments = self._epoll, stopped
        threading.Thread(target=self._run, args=arguments, daemon=True, name="qda watch").start()

    def remove(self, descriptor: int) -> None:
        """Nobody is told any more; before the descriptor is closed, or what `gone` needs ends."""
        with self._lock:
            if self._told.pop(descriptor, None) is not None and self._epoll is not None:
                self._epoll.unregister(descriptor)

    def _run(self, epoll: select.epoll, stopped: socket.socket) -> None:
        with stopped, epoll:
            while True:
                for descriptor, _ in epoll.poll(self._rounds.left):
                    if descriptor == stopped.fileno():
                        return
                    self._tell(epoll, descriptor)
                with self._lock:
                    self._rounds.go()

    def _tell(self, epoll: select.epoll, descriptor: int) -> None:
        """The number may be another socket's since the event was seen.  Who is told is told under
        the lock: after `remove` nobody is."""
        with self._lock:
            if descriptor in self._told and has_gone(descriptor):
                epoll.unregister(descriptor)
                self._told.pop(descriptor)()

    def disown(self) -> None:
        """In a forked child, which has no such thread: close these copies of the descriptors."""
        if self._stop is not None and self._epoll is not None:
            self._stop.close()
            self._epoll.close()
            self._rounds.close()

    def close(self) -> None:
        """End the thread.  Who has not been told is told now: it is not going to be heard of any
        more, whether it has gone already or not.  Idempotent."""
        with self._lock:
            while self._told:
                self._told.popitem()[1]()
            self._rounds.close()
            if self._stop is not None:
                self._stop.close()


class _Rounds:
    """When to look after the lanes of which pools."""

    def __init__(self) -> None:
        self._pools: dict[Pool, Callable[[int], None]] = {}
        self._bell = self._heard = -1
        self._pause, self._next = 0.0, 0.0

    def begin(self) -> int:
        """From now on pools can tell that somebody waits; returns the descriptor that says so."""
        self._heard, self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        return self._heard

    def add(self, pool: Pool, broken: Callable[[int], None]) -> None:
        self._pools[pool] = broken
        pool.guard(self._bell)

    def remove(self, pool: Pool) -> None:
        if self._pools.pop(pool, None) is not None:
            pool.guard(-1)

    @property
    def left(self) -> float | None:
        """Seconds until the next round; None if nobody waits."""
        return max(0.0, self._next - time.monotonic()) if self._pause else None

    def go(self) -> None:
        """Go the round that is due, if one is."""
        begins = self._hear()
        if self._pause and time.monotonic() >= self._next:
            waits = False
            for pool, broken in list(self._pools.items()):
                found = pool.look()
                waits = waits or found > 0
                if found < 0:
                    self.remove(pool)
                    broken(-found)
            self._plan(min(2 * self._pause, limits.LAST_LOOK) if waits else 0.0)
        if begins:
            self._plan(limits.FIRST_LOOK)

    def _hear(self) -> bool:
        """Whether somebody has begun to wait."""
        with suppress(BlockingIOError):
            return self._heard >= 0 and bool(os.read(self._heard, 64))
        return False

    def _plan(self, pause: float) -> None:
        self._pause, self._next = pause, time.monotonic() + pause

    def close(self) -> None:
        """Nobody looks any more.  Idempotent."""
        for pool in list(self._pools):
            self.remove(pool)
        for descriptor in (self._bell, self._heard):
            if descriptor >= 0:
                os.close(descriptor)
        self._bell = self._heard = -1
