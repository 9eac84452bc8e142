"""Calls that go on beside their caller: a thread owns a call, and its memory, until it is over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from functools import cache
from typing import Any, Generic, ParamSpec, TypeVar

from qda import limits
from qda.errors import CallTimeout

__all__ = ["Pending", "start"]

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """A call in a thread of its own: `await` it, or ask for its result."""

    def __init__(self, call: Callable[[], T], name: str = "call") -> None:
        self._name = name
        self._future: Future[T] = Future()
        self._future.set_running_or_notify_cancel()  # a call cannot be taken back
        threading.Thread(target=self._run, args=(call,), daemon=True, name=name).start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._future.set_result(call())
        except BaseException as error:
            self._future.set_exception(error)

    def done(self) -> bool:
        """Whether the call is over."""
        return self._future.done()

    def wait(self, timeout: float | None) -> bool:
        """Wait until the call is over, at most `timeout` seconds, which may be infinite; whether it
        is."""
        if timeout is not None and timeout > threading.TIMEOUT_MAX:
            timeout = None  # longer than anything runs, and than the system counts
        return bool(wait([self._future], timeout).done)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the call; returns or raises what it did.

        CallTimeout after `timeout` seconds; the call goes on.
        """
        if timeout is not None and not self.wait(timeout):
            raise CallTimeout.of(self._name, timeout)
        return self._future.result()

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio  # whoever awaits has loaded it, others need not

        return asyncio.wrap_future(self._future).__await__()


def start(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
    """Start a call: `pending = qda.start(remote.sum, numbers)`.

    Later `pending.result(timeout=1)` or `await pending` has its result.  Each call keeps its
    arguments until it is answered, whether anybody waits for it or not.  Up to limits.STARTED may
    be on their way; to start another one waits until one of them is over.
    """
    room = _room(os.getpid())
    # Who is being waited for itself must not wait for room.
    within = threading.current_thread() in _started
    if not within:
        room.acquire()

    def run() -> T:
        _started.add(threading.current_thread())
        try:
            return method(*args, **kwargs)
        finally:
            _started.discard(threading.current_thread())
            if not within:
                room.release()

    try:
        return Pending(run, getattr(method, "__qualname__", "call"))
    except BaseException:  # no thread could be made
        if not within:
            room.release()
        raise


_started: set[threading.Thread] = set()
"""The threads whose calls `start` has started."""


@cache
def _room(process: int) -> threading.Semaphore:
    """How many calls this process may start still: those of its parent are not on their way in
    it."""
    return threading.Semaphore(limits.STARTED)
