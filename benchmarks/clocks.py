"""Times of calls, taken in turn: rounds in which every contender is measured for a moment.

Machines are shared and their speed changes, so only times of one run can be compared, and only if
the contenders took turns.  A figure is a median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

__all__ = ["FEWEST", "Batch", "Call", "Pace", "Samples", "for_seconds", "take_turns", "timed"]

Call = Callable[[], object]

Batch = Callable[[int], list[float]]
"""Makes so many calls; returns the microseconds of each."""

MOST = 2000
"""Calls of one contender in one round."""

LONG = 0.05
"""Seconds; a call that takes longer needs no warming."""

FEWEST = 3
"""Calls of which a median is made, however long they take."""

ENOUGH = 0.5
"""Seconds in which a contender is measured, if few calls take no longer."""


class Pace(NamedTuple):
    """How long to measure."""

    rounds: int
    """Rounds of a run."""
    seconds: float
    """That a contender has in one round."""
    runs: int
    """From new processes, where the scheduler decides: the worst of them counts."""
    is_rough: bool = False
    """Less is measured where it takes long: no figure is worth anything, but each is there."""

    @property
    def rounds_of_a_run(self) -> int:
        """Rounds where there are several runs: all of them together take no longer than twice the
        rounds of the one run that there is elsewhere."""
        return max(2, 2 * self.rounds // self.runs)


def timed(call: Call, work: int = 0) -> Batch:
    """A batch of a Python function, with so many microseconds of work before each call.  The work
    does not count."""
    clock = time.perf_counter_ns

    def batch(calls: int) -> list[float]:
        times = [0.0] * calls
        for number in range(calls):
            start = clock()
            call()
            times[number] = (clock() - start) / 1000
        return times

    def batch_with_work(calls: int) -> list[float]:
        times = [0.0] * calls
        for number in range(calls):
            end = clock() + work * 1000
            while (start := clock()) < end:
                pass
            call()
            times[number] = (clock() - start) / 1000
        return times

    return batch_with_work if work else batch


def for_seconds(batch: Batch, seconds: float, calls: int = 50) -> tuple[int, float, list[float]]:
    """Make calls, so many at a time, for so long: their number, the seconds they took, the
    microseconds of each."""
    times: list[float] = []
    start = now = time.perf_counter()
    while now < start + seconds:
        times += batch(calls)
        now = time.perf_counter()
    return len(times), now - start, times


@dataclass
class Samples:
    """Times of one contender, in microseconds."""

    contender: str
    batch: Batch
    per_round: int = 1
    times: list[float] = field(default_factory=list)

    def warm_up(self, seconds: float) -> None:
        """Call until warm; decide how many calls of a round fit into so many seconds."""
        fastest = self._seconds(1)
        if fastest > LONG:
            return
        fastest = min(fastest, *(self._seconds(1) for _ in range(3)))
        some = max(1, min(20, int(seconds / fastest)))
        fastest = min(fastest, self._seconds(some) / some)
        self.per_round = max(1, min(MOST, int(seconds / fastest)))

    def _seconds(self, calls: int) -> float:
        start = time.perf_counter()
        self.batch(calls)
        return time.perf_counter() - start

    def measure(self, fewest: int = FEWEST) -> None:
        """One round, unless enough was measured, of so many calls at least.  The first calls bring
        the data back into the caches, and do not count."""
        if len(self.times) >= fewest and sum(self.times) > ENOUGH * 1e6:
            return
        if self.per_round > 10:
            self.batch(3)
        self.times += self.batch(self.per_round)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return float(np.percentile(self.times, 99))


def take_turns(
    samples: Sequence[Samples], rounds: int, seconds: float, fewest: int = FEWEST
) -> None:
    """Measure the contenders, round by round."""
    for sample in samples:
        sample.warm_up(seconds)
    for _ in range(rounds):
        for sample in samples:
            sample.measure(fewest)
