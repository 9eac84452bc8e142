"""The program's side of a farm: what is submitted, and its results."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
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

import distributed

from qda import limits
from qda.client import RemoteModule, Session
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

    `close`, or the end of a `with` block, closes the sessions.  The client is its owner's.
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
        self._is_closed = False
        plugin = Sessions(self._name, self._sessions, opener, _Load(module), self._retries)
        try:
            client.register_plugin(plugin)
        except BaseException:
            self.close()
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
        return Submitted(future)

    def close(self) -> None:
        """Close the sessions of all workers.  Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._client.unregister_worker_plugin(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to the program of its client")

    def __repr__(self) -> str:
        return f"<Farm {self._name} on {self._client.scheduler.address}>"


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
