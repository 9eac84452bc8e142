"""Calls that go on beside their caller: a thread owns a call, and its memory, until it is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import Any, Generic, ParamSpec, TypeVar

__all__ = ["Pending", "start"]

P = ParamSpec("P")
T = TypeVar("T")


class Pending(Generic[T]):
    """A call in a thread of its own: `await` it, or ask for its result."""

    def __init__(self, call: Callable[[], T], name: str = "call") -> None:
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
        """Wait until the call is over, at most `timeout` seconds; whether it is."""
        return bool(wait([self._future], timeout).done)

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
    return Pending(lambda: method(*args, **kwargs), getattr(method, "__qualname__", "call"))
