"""Who is told that the other end has gone, without waiting for a message.

A lane tells nothing of a death: its bells are pipes, whose other end a skeleton's children may
still have.  What tells is the end of a control endpoint, and one thread watches all of a channel's.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable

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
                for descriptor, _ in epoll.poll():
                    if descriptor == stopped.fileno():
                        return
                    self._tell(epoll, descriptor)

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

    def close(self) -> None:
        """End the thread.  Who has not been told is told now: it is not going to be heard of any
        more, whether it has gone already or not.  Idempotent."""
        with self._lock:
            while self._told:
                self._told.popitem()[1]()
            if self._stop is not None:
                self._stop.close()
