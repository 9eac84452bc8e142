"""The members of a pool at work: a thread for each, and a line of tasks before them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeAlias, TypeVar

from qda.errors import UsageError
from qda.interrupts import deadline
from qda.pool.member import Member

__all__ = ["Crew"]

M = TypeVar("M")
T = TypeVar("T")

_Task: TypeAlias = Callable[[Member[M] | None], None]
"""Does what was submitted with a member; without one it is cancelled."""


class Crew(Generic[M]):
    """Members that are open, each in a thread; `retries` is how often they make a call again.

    The threads know no pool, so that one that is dropped goes.
    """

    def __init__(self, members: Sequence[Member[M]], retries: int) -> None:
        self._members, self._retries = members, retries
        self._tasks: SimpleQueue[_Task[M] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self.is_closed = False
        self._threads = [
            threading.Thread(target=_work, args=(self._tasks, member), daemon=True, name="qda-pool")
            for member in members
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[[M], T]) -> Future[T]:
        """Have a function called with the module of who is free.  UsageError if it is closed."""
        future: Future[T] = Future()
        with self._lock:
            if self.is_closed:
                raise UsageError("the pool is closed")
            self._tasks.put(partial(_do, future, call, self._retries))
        return future

    def close(self) -> None:
        """Wait for what was submitted, then end the sessions.  Idempotent."""
        self._accept_no_more()
        try:
            for thread in self._threads:
                thread.join()
        except BaseException:  # Ctrl-C
            self.abandon()
            raise
        self._end_sessions()

    def abandon(self) -> None:
        """Cancel what has not begun, and end the sessions, and with them the calls in them."""
        self._accept_no_more()
        with suppress(Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task(None)
        self._tasks.put(None)
        self._end_sessions()
        until = deadline()
        for thread in self._threads:  # a function that does not end is not waited for
            thread.join(until.left)

    def _accept_no_more(self) -> None:
        with self._lock:
            if not self.is_closed:
                self.is_closed = True
                self._tasks.put(None)

    def _end_sessions(self) -> None:
        with ExitStack() as each:
            for member in self._members:
                each.callback(member.close)


def _work(tasks: SimpleQueue[_Task[M] | None], member: Member[M]) -> None:
    """Do tasks until there are no more."""
    while (task := tasks.get()) is not None:
        task(member)
        del task  # and what it holds, while the next one is waited for
    tasks.put(None)  # for the next one, who waits for it


def _do(future: Future[T], call: Callable[[M], T], retries: int, member: Member[M] | None) -> None:
    if member is None:
        future.cancel()
    if not future.set_running_or_notify_cancel() or member is None:
        return
    try:
        result = member.run(call, retries)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
