"""Many at once: threads on one session, and sessions in as many processes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext

from rich.progress import Progress

import qda
from benchmarks.clocks import Pace
from benchmarks.floors import PIPE
from benchmarks.ours import QDA, Touch, parked_call
from benchmarks.placement import Column, columns, placed
from benchmarks.results import Result
from benchmarks.worker import Worker, worker

__all__ = ["A_CPU_EACH", "COUNTS", "PARKED", "measure_sessions", "measure_threads"]

COUNTS = (1, 2, 4, 8)
PARKED = " beside a parked call"
A_CPU_EACH = "a CPU each"
"""Session by session, with all of its processes, on one CPU."""

Rates = dict[str, list[float]]


def measure_threads(pace: Pace, result: Result, progress: Progress) -> None:
    """Empty calls a second that so many threads make together on one session."""
    placements = [(column, run) for column in columns() for run in range(_runs(column, pace))]
    free: Rates = {}
    for column, _ in progress.track(placements, description="threads"):
        with (
            qda.open("cdsp", device="virtual") as session,
            session.load(Touch) as module,
            placed(column),
        ):
            rounds = pace.rounds_of_a_run if column is Column.FREE else pace.rounds
            rates = _threads(session, module, rounds, pace.seconds)
        for row, values in rates.items():
            if column is Column.FREE:
                free.setdefault(row, []).append(statistics.median(values))
            else:
                result.median(row, column, QDA, values, "calls/s")
    for row, values in free.items():
        result.worst(row, QDA, values, "calls/s")


def _runs(column: Column, pace: Pace) -> int:
    return pace.runs if column is Column.FREE else 1


def _threads(session: qda.Session, module: qda.RemoteModule, rounds: int, seconds: float) -> Rates:
    rates: Rates = {f"threads/{count}{way}": [] for count in COUNTS for way in ("", PARKED)}
    _rate(module, 8, seconds)  # the first calls start the DSP's threads
    for _ in range(rounds):
        for way in ("", PARKED):
            with parked_call(session, module.uri) if way else nullcontext():
                for count in COUNTS:
                    rates[f"threads/{count}{way}"].append(_rate(module, count, seconds))
    return rates


def _rate(module: qda.RemoteModule, threads: int, seconds: float) -> float:
    """Calls a second of so many threads in so many seconds."""
    end = 0.0

    def work() -> int:
        calls = 0
        while not calls or time.perf_counter() < end:
            module.invoke(2)
            calls += 1
        return calls

    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        end = start + seconds
        workers = [pool.submit(work) for _ in range(threads)]
        calls = sum(one.result() for one in workers)
        return calls / (time.perf_counter() - start)


def measure_sessions(pace: Pace, result: Result, progress: Progress) -> None:
    """Empty calls a second that so many processes make together, each on a session or pipe pair of
    its own."""
    cpus = sorted(os.sched_getaffinity(0))
    pinned: list[int | None] = [cpus[number % len(cpus)] for number in range(COUNTS[-1])]
    free: list[int | None] = [None for _ in pinned]
    for column, where in ((A_CPU_EACH, pinned), (Column.FREE.value, free)):
        rounds = pace.rounds if where is pinned else pace.runs
        rates = _sessions(where, rounds, max(0.05, 5 * pace.seconds), progress, column)
        for (row, name), values in rates.items():
            if where is pinned:
                result.median(row, column, name, values, "calls/s")
            else:
                result.worst(row, name, values, "calls/s")


def _sessions(
    cpus: Sequence[int | None], rounds: int, seconds: float, progress: Progress, words: str
) -> dict[tuple[str, str], list[float]]:
    rates: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        workers: dict[str, list[Worker]] = {QDA: [], PIPE: []}
        opening = [(name, cpu) for cpu in cpus for name in workers]
        for name, cpu in progress.track(opening, description=f"sessions, {words}, open"):
            workers[name].append(stack.enter_context(worker(name, cpu=cpu)))
        for _ in progress.track(range(rounds), description=f"sessions, {words}"):
            for count in COUNTS:
                for name, crowd in workers.items():
                    rate = _together(crowd[:count], seconds)
                    rates.setdefault((f"sessions/{count}", name), []).append(rate)
    return rates


def _together(crowd: Sequence[Worker], seconds: float) -> float:
    for one in crowd:
        one.begin("empty", seconds)
    return sum([one.calls_per_second() for one in crowd])
