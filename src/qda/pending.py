"""Calls that go on beside their caller: a thread owns a call, and its memory, until it is over."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from functools import cache, partial
from types import TracebackType
from typing import Any, Generic, NoReturn, ParamSpec, TypeAlias, TypeVar

from qda import limits
from qda.errors import CallTimeout, QdaError, UsageError, UsageTypeError, bare

__all__ = ["Pending", "beside", "checked_timeout", "start"]

P = ParamSpec("P")
T = TypeVar("T")


def checked_timeout(operation: str, timeout: float) -> float:
    """A number of seconds, of whatever type.  UsageTypeError, UsageError for what is no time;
    infinity is one, and so is what is over."""
    words = f"{operation}: timeout {timeout!r:.80}: a number of seconds"
    if not hasattr(timeout, "__float__"):
        raise UsageTypeError(words)
    if timeout != timeout:  # only what is no number is not itself
        raise UsageError(words)
    try:
        return float(timeout)
    except OverflowError:
        return math.inf if timeout > 0 else -math.inf


class Pending(Generic[T]):
    """A call beside its caller: `await` it, or ask for its result.

    A task that is cancelled while it awaits a call lets go of it: one that has not begun is taken
    back, any other goes on and keeps its memory until it is answered.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call, self._name = call, name
        self._future: Future[T] = Future()

    def _run(self) -> None:
        """Make the call, in the thread that owns it, unless it has been taken back."""
        call = self._call
        del self._call  # and what it holds, as soon as it is over
        if not self._future.set_running_or_notify_cancel():
            return
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
        try:
            if timeout is not None and not self.wait(checked_timeout(self._name, timeout)):
                raise CallTimeout.of(self._name, timeout)
            return self._future.result()
        except QdaError as error:
            bare(error)
            raise
        except BaseException as error:
            error.__traceback__ = _below_us(error.__traceback__)
            raise

    def let_go(self, undo: Callable[[T], object]) -> None:
        """Nobody waits for the call any more: what it returns, if it does, `undo` gets, in the
        thread of the call."""

        def over(future: Future[T]) -> None:
            if not future.cancelled() and future.exception() is None:
                undo(future.result())

        self._future.add_done_callback(over)

    def __reduce__(self) -> NoReturn:
        words = f"the call {self._name} goes on in one process: send its result"
        raise UsageTypeError(words)

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio  # whoever awaits has loaded it, others need not

        return asyncio.wrap_future(self._future).__await__()


def start(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
    """Start a call: `pending = qda.start(remote.sum, numbers)`.

    Later `pending.result(timeout=1)` or `await pending` has its result.  Each call keeps its
    arguments until it is answered, whether anybody waits for it or not.  Up to limits.STARTED may
    be on their way; to start another one waits until one of them is over.  In a thread that runs an
    event loop it does not wait: the call does, and begins when it is its turn.
    """
    try:
        if not callable(method):
            raise UsageTypeError(f"{method!r:.80} is no method: `qda.start(remote.sum, numbers)`")
    except UsageTypeError as error:
        bare(error)
        raise
    call = partial(method, *args, **kwargs)
    name = getattr(method, "__qualname__", "call")
    if _here.place is not None:  # who is being waited for itself must not wait for a place
        return beside(call, name)
    places, pending = _places(os.getpid()), Pending(call, name)
    turn = places.enter(pending)
    if turn is None:
        _begin(pending, _Place(places))
        return pending
    pending._future.add_done_callback(lambda _: places.withdraw(pending))
    if not _runs_event_loop():
        try:
            turn.wait()
        except BaseException:  # Ctrl-C
            pending._future.cancel()
            raise
    return pending


def beside(call: Callable[[], T], name: str = "call") -> Pending[T]:
    """Begin a call in a thread of its own.

    Within a call that `start` has started it is a part of that, which keeps its place until both
    are over.
    """
    pending, place = Pending(call, name), _here.place
    if place is not None:
        place.share()
    _begin(pending, place)
    return pending


_Waiting: TypeAlias = Pending[Any]
"""A call that stands in line, or follows: what it returns is its caller's concern."""


class _Places:
    """The places for started calls in a process.  Who finds none stands in line.  Thread-safe."""

    def __init__(self) -> None:
        self.free = limits.STARTED
        self._line: dict[_Waiting, threading.Event] = {}
        self._lock = threading.Lock()

    def enter(self, pending: Pending[T]) -> threading.Event | None:
        """Take a place; without one the call stands in line, and the event is set at its turn."""
        with self._lock:
            if not self.free:
                return self._line.setdefault(pending, threading.Event())
            self.free -= 1
            return None

    def withdraw(self, pending: Pending[T]) -> None:
        """A call does not stand in line any more."""
        with self._lock:
            self._line.pop(pending, None)

    def pass_on(self) -> _Waiting | None:
        """Give a place back: who has it now, the first in line."""
        with self._lock:
            for first in self._line:
                self._line.pop(first).set()
                return first
            self.free += 1
            return None


class _Place:
    """The place that a started call has, together with the calls that it begins itself."""

    def __init__(self, places: _Places) -> None:
        self._places, self._users = places, 1
        self._lock = threading.Lock()

    def share(self) -> None:
        """One call more has it."""
        with self._lock:
            self._users += 1

    def leave(self) -> _Waiting | None:
        """One call less has it; who follows the last one, if somebody stands in line."""
        with self._lock:
            self._users -= 1
            is_last = not self._users
        return self._places.pass_on() if is_last else None

    def next(self) -> _Place:
        """The same place for who follows."""
        return _Place(self._places)


class _Here(threading.local):
    """What a thread has: the place of the started call that it makes, or is a part of."""

    place: _Place | None = None


_here = _Here()


def _below_us(traceback: TracebackType | None) -> TracebackType | None:
    """What is left of a traceback without those who have carried the error here."""
    ours = (__name__, Future.__module__)
    while traceback is not None and traceback.tb_frame.f_globals.get("__name__") in ours:
        traceback = traceback.tb_next
    return traceback


@cache
def _places(process: int) -> _Places:
    """Those of this process: the calls of its parent are not on their way in it."""
    return _Places()


def _begin(pending: Pending[T], place: _Place | None) -> None:
    try:
        work = threading.Thread(
            target=_work, args=(pending, place), daemon=True, name=pending._name
        )
        work.start()
    except BaseException as error:  # no thread could be made
        while place is not None and (waiting := place.leave()) is not None:
            waiting._future.set_exception(error)
            place = place.next()
        raise


def _work(pending: _Waiting, place: _Place | None) -> None:
    """Make a call, and those that stand in line for the place that it leaves."""
    following: _Waiting | None = pending
    while following is not None:
        _here.place = place
        following._run()
        following = place.leave() if place is not None else None
        place = place.next() if place is not None else None


def _runs_event_loop() -> bool:
    """Whether this thread runs an event loop, which must not be kept waiting."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
