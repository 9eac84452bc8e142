"""One session of a pool: opened again when its DSP has died."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from qda.client import Session
from qda.errors import UsageError, UsageTypeError
from qda.pool.carrying import Shelf

__all__ = ["Member"]

M = TypeVar("M")
T = TypeVar("T")


class Member(Generic[M]):
    """A session, and the module that it has loaded, for one thread; `close` is for any.

    `load` loads the module in a new session.
    """

    def __init__(self, opener: Callable[[], Session], load: Callable[[Session], M]) -> None:
        self._opener, self._load = opener, load
        self._session: Session | None = None
        self._shelf: Shelf | None = None
        self._module: M | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def has_died(self) -> bool:
        """Whether there is no session, or its process on the DSP has died."""
        return self._session is None or self._session.calls.has_died

    def run(self, function: Callable[[M], T], retries: int, in_all: int | None = None) -> T:
        """Call a function with the module; again, at most `retries` times, if the DSP has died.

        `in_all` is how often others make it again, for the words of the error.
        """
        left = retries
        while True:
            try:
                return function(self.module())
            except Exception as error:
                if not self.has_died or self._is_closed:
                    raise
                if not left:
                    error.add_note(_told(retries if in_all is None else in_all))
                    raise
                left -= 1

    def module(self) -> M:
        """The module; in a new session if the one that there was has died."""
        if self._module is None or self.has_died:
            self._end()
            session = self._opener()
            if not isinstance(session, Session):
                raise UsageTypeError(f"opener: it has given {session!r:.80}, which is no session")
            shelf = Shelf(session.empty)
            try:
                session.calls.carrier = shelf.carrier
                module = self._load(session)
                with self._lock:
                    if self._is_closed:
                        raise UsageError("the pool is closed")
                    self._session, self._shelf, self._module = session, shelf, module
            except BaseException:
                session.close()
                raise
        return self._module

    def close(self) -> None:
        """End the session; a call in it ends with an error.  Idempotent."""
        with self._lock:
            self._is_closed = True
        self._end()

    def _end(self) -> None:
        session, shelf, module = self._session, self._shelf, self._module
        self._session = self._shelf = self._module = None
        if session is not None:
            session.close()
        del module  # which warns of being dropped as long as its session is open
        if shelf is not None:
            shelf.clear()  # which has the session, as that has it


def _told(retries: int) -> str:
    """What is said of a call whose DSP has died, and that is not made again."""
    if retries:
        return f"Its DSP has died each time: the call was made {retries + 1} times."
    return (
        "The next call has a new session.  A call whose DSP has died is made again only if it may:"
        " `retries=1` says so."
    )
