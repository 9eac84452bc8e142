"""Pools: several sessions with a DSP work on one job."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

import numpy as np
import pytest

import qda
from qda import limits
from qda.client.unheld import settle
from tests.pool.conftest import Working, working
from tests.system import System, census, open_session
from tests.waiting import until

Opener = Callable[[], qda.Session]
Workers = qda.Pool[Working]


@pytest.fixture(scope="module")
def pool(machine: System) -> Iterator[Workers]:
    """One for the tests that leave it as it is."""
    with qda.Pool(2, Working, opener=lambda: open_session(machine)) as made:
        yield made


def test_results_are_those_of_a_loop_and_in_its_order(pool: Workers) -> None:
    """Whichever of the sessions is the first to be done; with one iterable, and with two."""
    assert list(pool.map(working.square, range(50))) == [x * x for x in range(50)]
    pictures = [np.full(100, shade, np.uint8) for shade in range(9)]
    drawn = pool.map(working.lines, pictures, [100] * 9)
    assert [one.tolist() for one in drawn] == [[255 - shade] * 100 for shade in range(9)]


def test_what_is_submitted_is_a_function_of_the_remote_object(
    pool: Workers,
) -> None:
    """A method of the interface is one; so is anything that makes several calls."""
    assert pool.submit(working.square, 7).result() == 49
    assert pool.submit(working.square, x=3).result() == 9
    assert pool.submit(lambda remote, x: remote.square(remote.square(x)), 3).result() == 81


def test_sessions_work_beside_each_other(pool: Workers) -> None:
    """Two calls are under way at once: each waits for the other."""
    both = threading.Barrier(2)

    def call(remote: Working) -> int:
        both.wait(30)
        return remote.die(False)

    first, second = (one.result() for one in [pool.submit(call) for _ in range(2)])
    assert first != second  # processes of the DSP


def test_a_coroutine_awaits_what_is_submitted(pool: Workers) -> None:
    async def both() -> list[int]:
        calls = [asyncio.wrap_future(pool.submit(working.square, x)) for x in (3, 4)]
        found: list[int] = await asyncio.gather(*calls)
        return found

    assert asyncio.run(both()) == [9, 16]


def test_an_error_says_which_item_it_was(pool: Workers) -> None:
    """In its place; the pool goes on."""
    results = pool.map(lambda remote, x: remote.fail(x) if x == 3 else x, range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(qda.DspError, match="ValueError: not 3") as caught:
        next(results)
    assert "in item 3: (3,)" in caught.value.__notes__
    assert list(pool.map(working.square, [2])) == [4]


def test_a_bar_shows_how_far_a_map_is(pool: Workers, capsys: pytest.CaptureFixture[str]) -> None:
    """At standard error, with the method's name or the text that is given."""
    assert list(pool.map(working.square, range(7), progress=True)) == [x * x for x in range(7)]
    assert list(pool.map(working.square, iter([1]), progress="one thing")) == [1]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "square" in printed.err and "7/7" in printed.err
    assert "one thing" in printed.err and "1/?" in printed.err


def test_large_arguments_are_shared_and_not_copied(
    machine: System, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a message holds a mebibyte, and no more."""
    device = machine.devices["cdsp"]
    monkeypatch.setattr(device, "limits", dataclasses.replace(device.limits, message=1 << 20))
    picture = np.arange(3 << 20).astype(np.uint8)
    with qda.Pool(1, Working, opener=opener) as pool:
        for drawn in pool.map(working.lines, [picture] * 3, [len(picture)] * 3):
            assert np.array_equal(drawn, 255 - picture)
    with (
        opener() as session,
        session.load(Working) as remote,
        pytest.raises(qda.DeviceError, match="ENOMEM"),
    ):
        remote.lines(picture, len(picture))


def test_more_sessions_than_the_dsp_has_room_for_are_refused(
    machine: System, opener: Opener, pool: Workers
) -> None:
    """With the one that could not be opened; those before it are closed."""
    before = census(machine)
    with pytest.raises(qda.DeviceError, match="ENOMEM") as caught:
        qda.Pool(20, Working, opener=opener)
    assert caught.value.__notes__ == ["for session 11 of the 20 of a pool"]
    assert census(machine) == before


def test_the_end_of_a_block_waits_for_all_that_was_submitted(
    machine: System, opener: Opener
) -> None:
    """Then the sessions are closed, and nothing is submitted any more."""
    before = census(machine)
    with qda.Pool(2, Working, opener=opener) as pool:
        made = [pool.submit(working.square, x) for x in range(40)]
    assert [one.result(0) for one in made] == [x * x for x in range(40)]
    assert census(machine) == before
    pool.close()
    with pytest.raises(qda.UsageError, match="the pool is closed"):
        pool.submit(working.square, 1)


def test_ctrl_c_waits_for_nothing_and_leaves_nothing(machine: System, opener: Opener) -> None:
    """Calls that would go on for ever end with their sessions, and the rest is cancelled."""
    before = census(machine)
    main = threading.main_thread().ident
    assert main is not None
    made: list[Future[None]] = []

    def work() -> None:
        with qda.Pool(2, Working, opener=opener) as pool:
            made.extend(pool.submit(working.wait) for _ in range(5))
            until(lambda: machine.devices["cdsp"].census().calls == 2)
            signal.pthread_kill(main, signal.SIGINT)
            wait(made)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert census(machine) == before
    assert [one.cancelled() for one in made] == [False, False, True, True, True]
    for one in made[:2]:
        with pytest.raises(qda.Refusal):  # the DSP's, or the device's, whoever is first
            one.result(0)


def test_a_pool_that_is_dropped_is_closed(machine: System, opener: Opener) -> None:
    """With a warning, as all that owns something."""
    before = census(machine)
    with pytest.warns(ResourceWarning, match="unclosed <Pool of 2 sessions>"):
        qda.Pool(2, Working, opener=opener)
    settle()
    assert census(machine) == before


def test_a_forked_child_is_told_whose_the_pool_is(pool: Workers) -> None:
    """It has none of the threads, for which it would wait for ever."""
    child = os.fork()
    if not child:
        signal.alarm(30)
        asked: list[Callable[[], object]] = [
            lambda: pool.submit(working.square, 3),
            lambda: pool.map(working.square, [3]),
        ]
        for ask in asked:
            with pytest.raises(qda.UsageError, match=f"belongs to process {os.getppid()}"):
                ask()
        pool.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert pool.submit(working.square, 3).result() == 9


def test_memory_of_results_that_nobody_takes_is_bounded(pool: Workers) -> None:
    """Items are asked for as results are taken."""
    asked: list[int] = []

    def items() -> Iterator[int]:
        for x in range(1000):
            asked.append(x)
            yield x

    results = pool.map(working.square, items())
    assert len(asked) == 2 * limits.POOL_AHEAD
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(asked) == 2 * limits.POOL_AHEAD + 3
    results = pool.map(working.square, items(), buffersize=1)
    assert next(results) == 0
    assert asked[-2:] == [0, 1]


def nothing() -> Any:
    """Opens no session."""


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: qda.Pool("2", Working), "sessions '2': a number"),  # type: ignore[call-overload]
        (lambda: qda.Pool(0, Working), "sessions 0: at least 1"),
        (lambda: qda.Pool(1, Working, retries=-1), "retries -1: at least 0"),
        (lambda: qda.Pool(1, Working, opener="cdsp"), "opener 'cdsp': a function"),  # type: ignore[call-overload]
        (lambda: qda.Pool(1, Working, opener=nothing), "given None, which is no session"),
    ],
)
def test_what_makes_no_pool_is_quoted(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises((qda.UsageError, qda.UsageTypeError), match=words):
        wrong()


def test_what_cannot_be_run_is_quoted(pool: Workers) -> None:
    with pytest.raises(qda.UsageTypeError, match="'square' is no function: `pool"):
        pool.submit("square", 3)  # type: ignore[arg-type]
    with pytest.raises(qda.UsageTypeError, match="None is no function: `pool"):
        pool.map(None, [3])  # type: ignore[arg-type]
    with pytest.raises(qda.UsageError, match="buffersize 0: at least 1"):
        pool.map(working.square, [1], buffersize=0)
    with pytest.raises(qda.UsageError, match="there are no items"):
        pool.map(working.square)
    with pytest.raises(qda.UsageTypeError, match="belongs to one process"):
        pickle.dumps(pool)
