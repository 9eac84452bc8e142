"""Calls that go on beside their caller: a thread owns a call, and its memory, until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, ParamSpec, TypeVar

__all__ = ["Pending", "start"]

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """A call that has been started: `await` it, or ask for its result."""

    def __init__(self) -> None:
        self._future: Future[T] = Future()
        self._future.set_running_or_notify_cancel()  # a call cannot be taken back

    def run(self, call: Callable[[], T]) -> None:
        """Make the call; its result or exception is kept for those who ask."""
        try:
            self._future.set_result(call())
        except BaseException as error:
            self._future.set_exception(error)

    def done(self) -> bool:
        """Whether the call is over."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the call; returns or raises what it did.

        TimeoutError after `timeout` seconds; the call goes on.
        """
        return self._future.result(timeout)

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio  # whoever awaits has loaded it, others need not

        return asyncio.wrap_future(self._future).__await__()


def start(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
    """Start a call: `pending = qda.start(remote.sum, numbers)`.

    Later `pending.result(timeout=1)` or `await pending` has its result.  Any number of calls of a
    session may be on their way; each keeps its arguments until it is answered, whether anybody
    waits for it or not.
    """
    pending: Pending[T] = Pending()
    name = getattr(method, "__qualname__", "call")
    run = threading.Thread(
        target=lambda: pending.run(lambda: method(*args, **kwargs)), daemon=True, name=name
    )
    run.start()
    return pending
