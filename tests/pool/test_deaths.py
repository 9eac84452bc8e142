"""Deaths in the middle of a pool's work: of a process on the DSP, and of the whole DSP."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

import qda
from tests.pool.conftest import Working, working
from tests.system import System, census

Opener = Callable[[], qda.Session]
ITEMS = range(8)


class Doomed:
    """A function whose calls kill something the first time that they come to some items."""

    def __init__(self, items: tuple[int, ...], kill: Callable[[Working], object]) -> None:
        self.left = set(items)
        self.made: list[int] = []
        self._kill = kill

    def __call__(self, remote: Working, x: int) -> int:
        self.made.append(x)
        if x in self.left:
            self.left.remove(x)
            self._kill(remote)
        return working.square(remote, x)  # type: ignore[no-any-return]


def die(remote: Working) -> None:
    working.die(remote, True)


@pytest.mark.filterwarnings("error:unclosed:ResourceWarning")
def test_processes_that_die_lose_nothing(opener: Opener) -> None:
    """At the first item, at the last, in between: the results are those of a loop.  Nor is anybody
    told of a module that the pool had."""
    with qda.Pool(2, Working, opener=opener, retries=1) as pool:
        function = Doomed((0, 3, 7), die)
        assert list(pool.map(function, ITEMS)) == [x * x for x in ITEMS]
        assert sorted(function.made) == sorted([*ITEMS, 0, 3, 7])


def test_a_dsp_that_dies_loses_nothing(machine: System, opener: Opener) -> None:
    """All sessions die with it: each is opened again."""

    def kill(_: Working) -> None:
        for pid in machine.pids:
            os.kill(pid, signal.SIGKILL)

    with qda.Pool(2, Working, opener=opener, retries=3) as pool:
        assert list(pool.map(Doomed((4,), kill), ITEMS)) == [x * x for x in ITEMS]


def test_a_call_that_may_not_be_made_again_fails(machine: System, opener: Opener) -> None:
    """Once; the next one has a new session.  What was told is in the error."""
    with qda.Pool(1, Working, opener=opener) as pool:
        before = census(machine)
        function = Doomed((2,), die)
        results = pool.map(function, ITEMS)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(qda.DspError, match="was killed by SIGKILL") as caught:
            next(results)
        assert "`retries=1` says so" in caught.value.__notes__[-1]
        assert function.made.count(2) == 1
        assert pool.submit(working.square, 5).result() == 25
        assert census(machine) == before


def test_a_call_that_always_kills_is_given_up(opener: Opener) -> None:
    """After as many tries as there may be."""
    with qda.Pool(1, Working, opener=opener, retries=2) as pool:
        with pytest.raises(qda.DspError) as caught:
            pool.submit(working.die, True).result()
        assert "the call was made 3 times" in caught.value.__notes__[-1]


def test_a_death_that_a_function_keeps_to_itself_is_noticed(opener: Opener) -> None:
    """What it calls next has a session that works."""

    def quiet(remote: Working) -> str:
        try:
            die(remote)
        except qda.DspError:
            return "died"
        return "lived"

    with qda.Pool(1, Working, opener=opener) as pool:
        assert pool.submit(quiet).result() == "died"
        assert pool.submit(working.square, 5).result() == 25


def test_an_error_of_a_method_is_no_death(opener: Opener) -> None:
    """It is the call's result, however often that may be made."""
    made: list[int] = []

    def fail(remote: Working) -> None:
        made.append(1)
        working.fail(remote, 1)

    with (
        qda.Pool(1, Working, opener=opener, retries=5) as pool,
        pytest.raises(qda.DspError, match="not 1"),
    ):
        pool.submit(fail).result()
    assert made == [1]
