"""A pool: sessions with a DSP that work on one job, as `concurrent.futures` has threads for it.

with qda.Pool(4, Filters) as pool:
    for drawn in pool.map(filters.edges, pictures, progress=True):
        ...

What a pool runs is a function of a remote object, so a method of the interface is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    SupportsIndex,
    TypeVar,
    overload,
)

from qda import limits
from qda.client import RemoteModule, Session
from qda.client.unheld import leave
from qda.errors import QdaError, UsageError, UsageTypeError, bare
from qda.interrupts import made_whole
from qda.opening import open as open_session
from qda.pool.crew import Crew
from qda.pool.member import Member
from qda.pool.order import count_of, in_order, naming_item
from qda.pool.progress import length_of, shown

if TYPE_CHECKING:
    from qda.fastrpc.skeleton import AnySkeleton
    from qda.idl import Skeleton as InterfaceSkeleton

__all__ = ["Loaded", "Pool"]


class Loaded(Protocol):
    """What `Session.load` gives: a remote object, or a `RemoteModule`."""

    def close(self) -> None: ...
    def __enter__(self) -> Self: ...


M = TypeVar("M", bound=Loaded)
T = TypeVar("T")
P = ParamSpec("P")


class Pool(Generic[M]):
    """Sessions with a DSP, a thread for each, and a module that is loaded in all of them.

    `module` is what `Session.load` takes, and `opener` opens a session, as `qda.open` does:
    `lambda: qda.open("adsp", profile="sm8550")`.  DeviceError if there is no room for so many.

    What is submitted is a function whose first argument is the remote object of a session that is
    free.  Large arguments and results of its calls travel in shared memory (`qda.pool.carrying`).
    Where the DSP dies, its session is opened again, and a call that was under way fails; with
    `retries` it is made again so many times: say that only of calls that may be made twice.

    `close`, or the end of a `with` block, waits for all that was submitted, and ends the sessions;
    a block that is left by an exception, as by Ctrl-C, waits for nothing.
    """

    @overload
    def __init__(
        self,
        sessions: SupportsIndex,
        module: type[M],
        *,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        sessions: SupportsIndex,
        module: type[InterfaceSkeleton[M]],
        *,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    @overload
    def __init__(
        self: Pool[RemoteModule],
        sessions: SupportsIndex,
        module: str | type[AnySkeleton],
        *,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    def __init__(
        self,
        sessions: SupportsIndex,
        module: Any,
        *,
        opener: Callable[[], Session] = open_session,
        retries: SupportsIndex = 0,
    ) -> None:
        self._process = os.getpid()
        try:
            self.sessions = count_of("sessions", sessions, 1)
            again = count_of("retries", retries, 0)
            if not callable(opener):
                raise UsageTypeError(f"opener {opener!r:.80}: a function that opens a session")
            self._crew: Crew[M] = _crew(
                self.sessions, opener, lambda session: session.load(module), again
            )
        except QdaError as error:
            bare(error)
            raise

    def submit(
        self, function: Callable[Concatenate[M, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Have `function(remote, *args, **kwargs)` called in the session that is free next.

        `asyncio.wrap_future` makes of the future one that can be awaited.  What is submitted waits
        in a line of any length; `map` keeps that short.  UsageError when the pool is closed.
        """
        crew = self._crew_for(function, "submit(calculator.sum, numbers)")
        return crew.submit(lambda module: function(module, *args, **kwargs))

    def map(
        self,
        function: Callable[..., T],
        *iterables: Iterable[object],
        buffersize: SupportsIndex | None = None,
        progress: bool | str = False,
    ) -> Iterator[T]:
        """Call `function(remote, *item)` with each item, of several iterables with one of each.

        The results come in the order of the items.  These are taken as they are needed: no more
        than `buffersize`, by default limits.POOL_AHEAD for each session, are under way, or done
        and not taken yet.  What a call raises comes in its place, says in a note which item it was,
        and ends the map.  With `progress` a bar is shown, with its text if it is one.
        """
        ahead = limits.POOL_AHEAD * self.sessions if buffersize is None else buffersize
        length = count_of("buffersize", ahead, 1)
        if not iterables:
            raise UsageError("map: there are no items")
        crew = self._crew_for(function, "map(calculator.sum, lists)")

        def submit(number: int, item: tuple[object, ...]) -> Future[T]:
            return crew.submit(lambda module: naming_item(function, number, module, *item))

        results = in_order(submit, zip(*iterables, strict=False), length)
        return shown(results, function, progress, length_of(iterables))

    def close(self) -> None:
        """Wait for what was submitted, then end the sessions.  Idempotent."""
        if self._process == os.getpid():  # a forked child has none of its threads to wait for
            self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._process == os.getpid():
            self._crew.abandon()

    def _crew_for(self, function: object, example: str) -> Crew[M]:
        """Who is to call a function.  UsageTypeError for what is none; UsageError in a child."""
        if not callable(function):
            raise UsageTypeError(f"{function!r:.80} is no function: `pool.{example}`")
        if self._process != os.getpid():
            words = f"this pool belongs to process {self._process}: make one in this process"
            raise UsageError(words)
        return self._crew

    def __del__(self) -> None:
        crew = getattr(self, "_crew", None)
        if crew is not None and not crew.is_closed and self._process == os.getpid():
            leave(self, crew.abandon)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to one process: make a pool in the other one")

    def __repr__(self) -> str:
        return f"<Pool of {self.sessions} sessions>"


def _crew(
    sessions: int, opener: Callable[[], Session], load: Callable[[Session], M], retries: int
) -> Crew[M]:
    """Open all sessions.  DeviceError, DspError, which say which one could not be."""
    with ExitStack() as undo:
        members = []
        for number in range(sessions):
            member = Member(opener, load)
            undo.callback(member.close)
            try:
                member.module()
            except QdaError as error:
                error.add_note(f"for session {number + 1} of the {sessions} of a pool")
                raise
            members.append(member)
        crew = made_whole(lambda: Crew(members, retries))
        undo.pop_all()
        return crew
