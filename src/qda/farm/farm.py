"""The program's side of a farm: what is submitted, and its results."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import (
    Concatenate,
    Generic,
    NoReturn,
    ParamSpec,
    Self,
    SupportsIndex,
    TypeVar,
    overload,
)
from weakref import WeakSet

import distributed

from qda import limits
from qda.client import RemoteModule, Session
from qda.client.unheld import leave
from qda.errors import UsageError, UsageTypeError
from qda.farm.worker import Raised, Sessions, make_call
from qda.fastrpc.skeleton import AnySkeleton
from qda.idl import Skeleton as InterfaceSkeleton
from qda.idl.python.runtime import remote_of
from qda.opening import open as open_session
from qda.pool import Loaded, count_of, in_order, length_of, shown

__all__ = ["Farm", "Submitted"]

M = TypeVar("M", bound=Loaded)
T = TypeVar("T")
P = ParamSpec("P")


class Submitted(Generic[T]):
    """A call that was submitted; `future` is Dask's, of the call's result or what it raised."""

    def __init__(self, future: distributed.Future[T | Raised]) -> None:
        self.future = future

    def done(self) -> bool:
        """Whether the call is over."""
        return bool(self.future.done())

    def cancel(self) -> None:
        """Take the call back; nobody waits for it any more."""
        self.future.cancel()

    def result(self, timeout: float | None = None) -> T:
        """Wait for the call; returns or raises what it did.  TimeoutError after so many seconds."""
        result: T | Raised = self.future.result(timeout)
        if isinstance(result, Raised):
            raise result.error
        return result


class Farm(Generic[M]):
    """A pool whose sessions are those of a Dask cluster's workers, each with a module.

    `module` and `opener` are as for `qda.Pool`; both go to the workers, and so does what is called:
    cloudpickle carries them.  Each worker, also one that joins later, opens `sessions` of its own.
    They are a resource of Dask, so a call goes to a worker that has one free.

    A call whose DSP dies is made again up to `retries` times, where there is a session; one whose
    worker dies Dask makes again in any case, as all of its tasks.

    `close`, or the end of a `with` block, waits for all that was submitted, and ends the sessions;
    a block that is left by an exception, as by Ctrl-C, cancels it.  The client is its owner's, and
    has to be there until then.
    """

    @overload
    def __init__(
        self,
        client: distributed.Client,
        module: type[M],
        *,
        sessions: SupportsIndex = 1,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        client: distributed.Client,
        module: type[InterfaceSkeleton[M]],
        *,
        sessions: SupportsIndex = 1,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    @overload
    def __init__(
        self: Farm[RemoteModule],
        client: distributed.Client,
        module: str | type[AnySkeleton],
        *,
        sessions: SupportsIndex = 1,
        opener: Callable[[], Session] = ...,
        retries: SupportsIndex = 0,
    ) -> None: ...

    def __init__(
        self,
        client: distributed.Client,
        module: str | type,
        *,
        sessions: SupportsIndex = 1,
        opener: Callable[[], Session] = open_session,
        retries: SupportsIndex = 0,
    ) -> None:
        if not isinstance(client, distributed.Client) or client.asynchronous:
            raise UsageTypeError(f"client {client!r:.80}: a dask.distributed.Client that waits")
        if not callable(opener):
            raise UsageTypeError(f"opener {opener!r:.80}: a function that opens a session")
        self._sessions = count_of("sessions", sessions, 1)
        self._retries = count_of("retries", retries, 0)
        self._client = client
        self._name = f"qda-{uuid.uuid4().hex[:8]}"
        self._submitted: WeakSet[distributed.Future[object]] = WeakSet()  # Dask cancels the dropped
        self._is_closed = False
        plugin = Sessions(self._name, self._sessions, opener, _Load(module), self._retries)
        try:
            client.register_plugin(plugin)
        except BaseException:
            self._end_sessions()
            raise

    def submit(
        self, function: Callable[Concatenate[M, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Submitted[T]:
        """Have `function(remote, *args, **kwargs)` called in a session that is free."""
        return self._submit(None, function, args, kwargs)

    def map(
        self,
        function: Callable[..., T],
        *iterables: Iterable[object],
        buffersize: SupportsIndex | None = None,
        progress: bool | str = False,
    ) -> Iterator[T]:
        """Call `function(remote, *item)` with each item; as `Pool.map`.

        The default of `buffersize` counts the sessions that there are now.
        """
        if not iterables:
            raise UsageError("map: there are no items")
        self._check_open()
        there = len(self._client.nthreads()) * self._sessions
        ahead = limits.POOL_AHEAD * max(1, there) if buffersize is None else buffersize
        results = in_order(
            lambda number, item: self._submit(number, function, item, {}),
            zip(*iterables, strict=False),
            count_of("buffersize", ahead, 1),
        )
        return shown(results, function, progress, length_of(iterables))

    def _submit(
        self,
        number: int | None,
        function: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> Submitted[T]:
        if not callable(function):
            raise UsageTypeError(f"{function!r:.80} is no function")
        self._check_open()
        name = getattr(function, "__name__", "call")
        future = self._client.submit(
            make_call,
            self._name,
            number,
            function,
            args,
            kwargs,
            key=f"{name}-{uuid.uuid4().hex}",  # the dashboard shows what stands before the dash
            resources={self._name: 1},
            retries=self._retries,
            pure=False,
        )
        self._submitted.add(future)
        return Submitted(future)

    def close(self) -> None:
        """Wait for what was submitted, then close the sessions of all workers.  Idempotent.

        UsageError if the client was closed before: then they stay open.
        """
        if self._is_closed:
            return
        self._check_open()
        try:
            for future in list(self._submitted):
                with suppress(CancelledError):
                    distributed.wait(future)
        except BaseException:  # Ctrl-C
            self._cancel()
            raise
        finally:
            self._end_sessions()

    def _check_open(self) -> None:
        """UsageError if nothing can be called any more."""
        if self._is_closed:
            raise UsageError("the farm is closed")
        if self._client.status != "running":
            raise UsageError(
                f"the client of {self!r} is {self._client.status}: a farm needs it until it is "
                "closed itself"
            )

    def _cancel(self) -> None:
        for future in list(self._submitted):
            future.cancel()

    def _end_sessions(self) -> None:
        self._is_closed = True
        self._client.unregister_worker_plugin(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._is_closed and self._client.status == "running":
            self._cancel()
            self._end_sessions()
        elif kind is None:
            self.close()

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True) and self._client.status == "running":
            leave(self, partial(self._client.unregister_worker_plugin, self._name))

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to the program of its client")

    def __repr__(self) -> str:
        return f"<Farm {self._name}>"


class _Load:
    """Loads a module on a worker.  A skeleton's interface goes with it: there the class has no
    remote one of its own."""

    def __init__(self, module: str | type) -> None:
        self._module = module
        self._skeletons: tuple[type, ...] = ()
        if isinstance(module, type) and issubclass(module, InterfaceSkeleton):
            interface = remote_of(module)
            if interface is not None:
                self._module, self._skeletons = interface, (module,)

    def __call__(self, session: Session) -> Loaded:
        for skeleton in self._skeletons:
            session.install(skeleton)
        return session.load(self._module)
