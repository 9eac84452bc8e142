"""What a run must show: named figures, each with its bound, so that one run judges all of them.

A figure of several placements or sizes is the worst of them, and says which one it is.  What was
not measured in this run has no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cases import ARGUMENTS, words_of
from benchmarks.crowds import A_CPU_EACH, COUNTS, PARKED
from benchmarks.floors import MEMORY, PIPE, SEMAPHORES
from benchmarks.looking import RATIO
from benchmarks.ours import QDA
from benchmarks.peers import PEERS
from benchmarks.placement import Column
from benchmarks.resources import LOADED
from benchmarks.results import Result

__all__ = ["Bound", "bounds_of", "fitted"]

ONE, TWO, FREE = Column.ONE, Column.TWO, Column.FREE
MOST, LEAST = "at most", "at least"

Found = tuple[float, str]
"""A figure, and where it was found."""


class Bound(NamedTuple):
    """One figure.  `met` is None if it was not measured."""

    key: str
    what: str
    sense: str
    bound: float
    unit: str
    figure: float | None
    where: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the figure keeps to the bound."""
        if self.figure is None:
            return None
        return self.figure <= self.bound if self.sense == MOST else self.figure >= self.bound

    def for_programs(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**self._asdict(), "met": self.met}


class _Judge:
    """Figures from the rows of one result."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def ratio(
        self, row: str, column: str, to: str = PIPE, of: str = QDA, to_row: str = ""
    ) -> float | None:
        """One value by another of the same placement."""
        above = self._result.value(row, column, of)
        below = self._result.value(to_row or row, column, to)
        return above / below if above is not None and below else None

    def value(self, row: str, column: str = "") -> Found | None:
        value = self._result.value(row, column, QDA)
        return None if value is None else (value, "")

    def to_pipe(self, row: str, column: str) -> Found | None:
        """A call by the echo of nothing through os.pipe."""
        ratio = self.ratio(row, column, to_row="empty")
        return None if ratio is None else (ratio, "")

    def with_work(self) -> Iterator[Found]:
        for row in self._rows("work"):
            yield from _found(self.ratio(row, FREE), words_of(row))

    def looking(self) -> Iterator[Found]:
        for row in self._rows("looking"):
            yield from _found(self._result.value(row, FREE, RATIO), words_of(row))

    def ahead(self) -> Iterator[Found]:
        """Each row of ours by that of each peer; who cannot share brings the bytes there and back,
        and is not charged for reading and writing them."""
        for row in self._result.rows:
            if row.contender == QDA and row.unit == "us":
                for peer in PEERS:
                    to_row = row.row.replace("every/", "ends/")
                    ratio = self.ratio(row.row, row.column, peer.name, to_row=to_row)
                    yield from _found(ratio, f"{words_of(row.row)}, {row.column}, {peer.name}")

    def beside_grpc(self) -> Iterator[Found]:
        for column in Column:
            ratio = self.ratio("ends/1 MiB", column, QDA, of="gRPC")
            yield from _found(ratio, column)

    def every_byte(self, to: str) -> Iterator[Found]:
        for column in Column:
            yield from _found(self.ratio("every/1 MiB", column, to), column)

    def arguments(self, language: str) -> tuple[float, float] | None:
        """Microseconds of an argument, and how far the times are from a line."""
        rows = [f"arguments/{language}/{count}" for count in ARGUMENTS]
        times = [self._result.value(row, ONE, QDA) for row in rows]
        known = [time for time in times if time is not None]
        return fitted(ARGUMENTS, known) if len(known) == len(rows) else None

    def threads(self) -> Iterator[Found]:
        singles = [self._result.value("threads/1", column, QDA) for column in Column]
        best = max((one for one in singles if one is not None), default=0)
        for column in Column:
            eight = self._result.value("threads/8", column, QDA)
            if eight is not None:
                yield eight / best, column

    def threads_placed(self) -> Iterator[Found]:
        for column in Column:
            for ratio in self._run_by_run("threads/8", "threads/1", column):
                yield ratio, column

    def parked(self) -> Iterator[Found]:
        for column in Column:
            for count in COUNTS:
                row = f"threads/{count}"
                for ratio in self._run_by_run(row, row + PARKED, column):
                    yield ratio, f"{count} threads, {column}"

    def _run_by_run(self, above: str, below: str, column: str) -> Iterator[float]:
        """Ratios of one run each: the scheduler places processes anew in the next."""
        runs = (self._result.runs(row, column, QDA) for row in (above, below))
        return (one / other for one, other in zip(*runs, strict=False))

    def two_sessions(self) -> Iterator[Found]:
        ratio = self.ratio("sessions/2", A_CPU_EACH, QDA, to_row="sessions/1")
        yield from _found(ratio, A_CPU_EACH)

    def eight_sessions(self) -> Iterator[Found]:
        for column in (A_CPU_EACH, FREE.value):
            yield from _found(self.ratio("sessions/8", column), column)

    def loaded(self) -> Iterator[Found]:
        for row in self._rows("loaded"):
            yield from _found(self.ratio(row, ONE, QDA, of=LOADED), words_of(row))

    def _rows(self, group: str) -> list[str]:
        return list(dict.fromkeys(row.row for row in self._result.of_group(group)))


def _found(figure: float | None, where: str) -> Iterator[Found]:
    if figure is not None:
        yield figure, where


def fitted(counts: Iterable[int], times: Iterable[float]) -> tuple[float, float]:
    """The slope of the line through these times, and how far the farthest is from it, as a share
    of what the line rises."""
    x, y = np.array(list(counts), float), np.array(list(times), float)
    slope, start = np.polyfit(x, y, 1)
    rise = abs(slope) * (x.max() - x.min())
    return float(slope), float(np.abs(y - (slope * x + start)).max() / rise) if rise else 0.0


def bounds_of(result: Result) -> list[Bound]:
    """All figures, from the shortest calls to what sessions cost."""
    judge = _Judge(result)
    c, python = judge.arguments("C"), judge.arguments("Python")
    found: list[Bound] = []

    def one(key: str, what: str, sense: str, bound: float, unit: str, of: Found | None) -> None:
        figure, where = of if of is not None else (None, "")
        found.append(Bound(key, what, sense, bound, unit, figure, where))

    def times(key: str, what: str, sense: str, bound: float, of: Found | None) -> None:
        one(key, what, sense, bound, "x", of)

    def worst(found: Iterator[Found]) -> Found | None:
        return max(found, default=None)

    def least(found: Iterator[Found]) -> Found | None:
        return min(found, default=None)

    pipe = judge.to_pipe
    times("one-empty", "one CPU, empty / os.pipe", MOST, 1.5, pipe("empty", ONE))
    times("one-32", "one CPU, 32 B inline / os.pipe", MOST, 2, pipe("inline/32 B", ONE))
    times("one-typed", "one CPU, typed empty / os.pipe", MOST, 2, pipe("typed/empty", ONE))
    times("one-array", "one CPU, typed array / os.pipe", MOST, 3, pipe("typed/array", ONE))
    times("two-empty", "two CPUs, empty / os.pipe", MOST, 0.1, pipe("empty", TWO))
    times("looking", "unpinned, looking / not looking", LEAST, 0.9, least(judge.looking()))
    times("work", "unpinned, with work / os.pipe", MOST, 1, worst(judge.with_work()))
    times("peers", "time / that of an RPC peer", MOST, 1, worst(judge.ahead()))
    times("grpc", "gRPC / ours, ends of 1 MiB", LEAST, 200, least(judge.beside_grpc()))
    times("every", "every byte of 1 MiB / in place", MOST, 1.2, worst(judge.every_byte(MEMORY)))
    shared = worst(judge.every_byte(SEMAPHORES))
    times("every-shared", "every byte of 1 MiB / by semaphores", MOST, 1.2, shared)
    for key, words, most, line in (("c", "C", 0.3, c), ("python", "Python", 0.5, python)):
        slope, off = ((line[0], ""), (line[1], "")) if line else (None, None)
        one(f"arguments-{key}", f"an argument into {words}", MOST, most, "us", slope)
        times(f"linear-{key}", f"off the line, arguments into {words}", MOST, 0.1, off)
    times("threads", "8 threads / best of one", LEAST, 0.9, least(judge.threads()))
    placed = least(judge.threads_placed())
    times("threads-placed", "8 threads / one, as placed", LEAST, 0.9, placed)
    times("parked", "alone / beside a parked call", MOST, 1.1, worst(judge.parked()))
    times("sessions-2", "2 sessions / one", LEAST, 1.7, least(judge.two_sessions()))
    times("sessions-8", "8 sessions / 8 pipe pairs", LEAST, 1, least(judge.eight_sessions()))
    one("idle", "idle session", MOST, 0.1, "% of a CPU", judge.value("idle/session"))
    one("memory-first", "first session", MOST, 30, "MiB", judge.value("memory/first session"))
    further = judge.value("memory/further session")
    one("memory-further", "each further session", MOST, 5, "MiB", further)
    opening = judge.value("opening/further session")
    one("opening", "a session opens, after the first", MOST, 8, "ms", opening)
    crowd = judge.value("opening/8 processes at once, further session, slowest")
    one("opening-8", "8 processes at once, after their first", MOST, 40, "ms", crowd)
    one("fresh", "first call of an interpreter", MOST, 300, "ms", judge.value("fresh/first call"))
    times("loaded", "beside buffers and mappings / without", MOST, 1.1, worst(judge.loaded()))
    return found
