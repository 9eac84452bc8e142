"""Memory that is shared exists as long as it is used; who uses it is known, not only how often.

Everything that is used by several has a set of users.  A user is a `Uses`: the bag of one call, one
mapping, one handle, or one block of a function, into which everything goes that it holds.

    with Uses() as uses:
        buffer = objects.create(size, uses)
        ...
        uses.keep()             # what was begun has succeeded: they stay for whoever has the bag

To *hold* is to enter a user, to *release* is to cross it out.  Both may be done twice, so a release
that a signal has broken off is simply done again: nothing is given up twice.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

__all__ = ["Keeps", "Shared", "Uses"]


class Shared(ABC):
    """Something that goes when its last user releases it.

    `lock` is that of the table in which it is found; who looks there and holds does so under it.
    """

    def __init__(self, lock: threading.Lock | threading.RLock) -> None:
        self.lock = lock
        self.users: set[Uses] = set()

    def release(self, user: Uses) -> None:
        """Cross out a user; nothing if it is none.  After the last one this ends."""
        with self.lock:
            if user not in self.users:
                return
            self.users.discard(user)
            if self.users:
                return
            self._forget()
        self._end()

    @abstractmethod
    def _forget(self) -> None:
        """Take it out of the table, whose lock is held: from now on nobody finds it."""

    @abstractmethod
    def _end(self) -> None:
        """Give back what it is made of."""


class Uses:
    """What one user holds, `held`.  A `with` block releases it at its end, unless it is kept."""

    __slots__ = ("_kept", "held")

    works: ClassVar[bool] = True
    """Whether what is held is being used, not only kept for others to use."""

    def __init__(self) -> None:
        self.held: list[Shared] = []
        self._kept = False

    def hold(self, shared: Shared) -> None:
        """Hold one thing more.  The caller has the lock of its table, or holds it already."""
        self.held.append(shared)
        shared.users.add(self)

    def keep(self) -> None:
        """Let what is held stay at the end of the block, until `release`."""
        self._kept = True

    def release(self) -> None:
        """Give up everything, the last thing first.  Idempotent; may be broken off and repeated."""
        held = self.held
        while held:
            held[-1].release(self)
            held.pop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._kept:
            self.release()


class Keeps(Uses):
    """A user that only keeps things, for others to use: a handle."""

    __slots__ = ()

    works = False
