"""Calls that are awaited: by tasks, with time-outs, let go of, more than there may be at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import qda
from benchmarks.awaited import Squares, storm
from qda import limits
from qda.pending import _places as places_of
from tests.system import System, census, open_session
from tests.waiting import until

TEXT = """#include "remote.idl"
interface gate : remote_handle64 {
    long pass(in long x, rout long y);
    async long later(in long x);
};
"""
gate: Any = qda.idl.load(TEXT, name="gate.idl")
go_on = threading.Event()
arrived = threading.Semaphore(0)


class Gate(gate.Skeleton):  # type: ignore[misc]
    """Debugged: it shares the program's events."""

    def pass_(self, x: int) -> int:
        arrived.release()
        go_on.wait(60)
        if x < 0:
            raise ValueError(x)
        return x

    def later(self, x: int) -> None:
        assert x == 2


@pytest.fixture
def remote() -> Iterator[Any]:
    """A closed gate on a DSP of this process."""
    global arrived
    arrived = threading.Semaphore(0)
    go_on.clear()
    with qda.open("cdsp", device="virtual", debug=True) as session:
        yield session.load(Gate)
        go_on.set()
        until(all_places_are_free)


def all_places_are_free() -> bool:
    return places_of(os.getpid()).free == limits.STARTED


async def arrive() -> None:
    """Until the DSP has one call more."""
    await asyncio.to_thread(arrived.acquire, timeout=60)


def test_a_task_group_awaits_calls(remote: Any) -> None:
    """Of typed methods, of those that are `async` in the IDL, and of anything else that waits."""
    go_on.set()

    async def one(pending: Any) -> Any:
        return await pending

    async def main() -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(qda.start(remote.pass_, 1))),
                group.create_task(one(remote.later(2))),
                group.create_task(one(qda.start(remote._module.invoke, 2, [b"\3\0\0\0"], [4]))),
            ]
        return [task.result() for task in tasks]

    assert asyncio.run(main()) == [1, None, [b"\3\0\0\0"]]


def test_an_error_is_raised_where_the_call_is_awaited(remote: Any) -> None:
    """And ends the group, as any."""
    go_on.set()

    async def main() -> None:
        with pytest.raises(qda.DspError, match="ValueError: -1"):
            await qda.start(remote.pass_, -1)

    asyncio.run(main())


def test_a_call_that_is_let_go_of_goes_on(remote: Any) -> None:
    """After a cancellation or a time-out the loop does not wait for it; it keeps its place until it
    is answered, and an error of it is nobody's."""

    async def main() -> None:
        waiting = asyncio.ensure_future(qda.start(remote.pass_, -1))
        await arrive()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await qda.start(remote.pass_, 2)
        await arrive()
        assert places_of(os.getpid()).free == limits.STARTED - 2

    asyncio.run(main())
    go_on.set()
    until(all_places_are_free)


def test_calls_wait_for_a_place_and_the_loop_does_not(remote: Any) -> None:
    """More calls than a session may have at a time: none ends with ENOSPC, they take turns."""
    calls = limits.CALLS + limits.STARTED

    async def main() -> list[Any]:
        pending = [qda.start(remote.pass_, number) for number in range(calls)]
        for _ in range(limits.STARTED):
            await arrive()
        assert not arrived.acquire(blocking=False)
        go_on.set()
        return list(await asyncio.gather(*pending))

    assert asyncio.run(main()) == list(range(calls))


def test_a_call_that_has_not_begun_is_taken_back(remote: Any) -> None:
    """Nobody makes it, and it does not stand in the line either."""

    async def main() -> list[int]:
        begun = [qda.start(remote.pass_, number) for number in range(limits.STARTED)]
        for _ in begun:
            await arrive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await qda.start(remote.pass_, -1)
        assert not places_of(os.getpid())._line
        go_on.set()
        return list(await asyncio.gather(*begun))

    assert len(asyncio.run(main())) == limits.STARTED
    until(all_places_are_free)
    assert not arrived.acquire(blocking=False)


def test_a_started_call_that_times_out_itself_keeps_its_place(remote: Any) -> None:
    """Until it is answered: however many time out, there is a number left for other calls."""
    with pytest.raises(qda.CallTimeout):
        qda.start(lambda: remote.pass_(1, timeout=0)).result(60)
    assert arrived.acquire(timeout=60)
    assert places_of(os.getpid()).free == limits.STARTED - 1


def test_many_calls_of_many_tasks_leave_nothing(machine: System) -> None:
    """A third of them are cancelled or timed out: the others are right, and what exists afterwards
    is what did before.  `python -m benchmarks.awaited` does it with more."""
    open_session(machine).close()
    before = census(machine)
    with open_session(machine) as session, session.load(Squares) as remote:
        ends = asyncio.run(storm(remote, 300, 50))
        until(all_places_are_free)
        assert machine.devices["cdsp"].census().calls == 0
    assert census(machine) == before
    assert ends["right"] >= 200 and not ends["wrong"]
    assert sum(ends.values()) == 300
