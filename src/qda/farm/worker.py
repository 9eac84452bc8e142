"""What a worker of a Dask cluster has of a farm: sessions, and how calls are made in them."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

import cloudpickle
from distributed import Status, Worker, WorkerPlugin, get_worker
from distributed.metrics import context_meter

from qda.client import Session
from qda.pool import Member, naming_item

__all__ = ["Raised", "Sessions", "make_call"]

_PACKAGE = str(Path(__file__).parents[1])

M = TypeVar("M")
T = TypeVar("T")


class Raised(NamedTuple):
    """What a call has raised, as its result: for Dask it has not failed."""

    error: BaseException


class Sessions(WorkerPlugin, Generic[M]):
    """The sessions of each worker of the cluster, also of one that comes later, or again.

    A worker says that it has them: they are a resource of Dask, by the plug-in's `name`, and a call
    goes where one is free.  `opener` opens one, `load` loads the module in it.
    Dask makes a call whose DSP has died again up to `retries` times.
    """

    def __init__(
        self,
        name: str,
        sessions: int,
        opener: Callable[[], Session],
        load: Callable[[Session], M],
        retries: int,
    ) -> None:
        self.name, self._sessions, self._retries = name, sessions, retries
        self._opener, self._load = opener, load

    async def setup(self, worker: Worker) -> None:
        """Open the sessions; DeviceError, DspError."""
        self._members = [Member(self._opener, self._load) for _ in range(self._sessions)]
        self._free: SimpleQueue[Member[M]] = SimpleQueue()
        try:
            for member in self._members:
                await asyncio.to_thread(member.module)
                self._free.put(member)
        except BaseException:
            await self._close()
            raise
        await worker.set_resources(**{self.name: self._sessions})
        if worker.status is Status.running:
            # Calls that no worker could make wait until one comes, or runs again.  The scheduler
            # looked for them when this one came, and then it had no sessions yet.
            worker.status = Status.paused
            worker.status = Status.running

    async def teardown(self, worker: Worker) -> None:
        """Close them."""
        await worker.set_resources(**{self.name: 0})
        await self._close()

    async def _close(self) -> None:
        for member in self._members:
            await asyncio.to_thread(member.close)

    def run(self, call: Callable[[M], T]) -> T | Raised:
        """Make a call in a session that is free.  What it raises is its result, wherever it is
        made; but if the DSP has died, that is raised, and Dask may make the call again."""
        member = self._free.get()
        try:
            return member.run(call, 0, self._retries)
        except BaseException as error:  # SystemExit, too: Dask would end the worker for it
            if member.has_died and isinstance(error, Exception):
                context_meter.digest_metric("DSP died", 1, "count")
                raise
            return Raised(_sent(error))
        finally:
            self._free.put(member)


def _sent(error: BaseException) -> BaseException:
    """An error as it goes to the program: it says where it was raised, and can be pickled."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_PACKAGE)
    ]
    notes = [*getattr(error, "__notes__", ()), f"on worker {get_worker().address}"]
    notes[-1] += ":\n" + "".join(traceback.format_list(frames)) if frames else ""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception as reason:
        notes.append(f"It was {type(error)!r}, which does not pickle: {reason}")
        error = RuntimeError("".join(traceback.format_exception_only(error)).splitlines()[0])
    error.__notes__ = notes
    return error


def make_call(
    name: str,
    number: int | None,
    function: Callable[..., T],
    arguments: tuple[object, ...],
    options: dict[str, object],
) -> T | Raised:
    """The task of a call, on a worker; item `number` of a map."""
    sessions: Sessions[object] = get_worker().plugins[name]

    def call(module: object) -> T:
        if number is None:
            return function(module, *arguments, **options)
        return naming_item(function, number, module, *arguments)

    with context_meter.meter("DSP"):
        return sessions.run(call)
