"""Looking before sleeping: the same calls with it and without it, where the scheduler decides.

`QDA_PATIENCE` is the microseconds for which a waiter looks; 0 is never.
"""

from __future__ import annotations

import statistics

from rich.progress import Progress

from benchmarks.clocks import Pace
from benchmarks.ours import QDA
from benchmarks.placement import Column
from benchmarks.results import Result, Row
from benchmarks.worker import worker

__all__ = ["RATIO", "measure_looking"]

ROWS = {"empty": "looking/empty", "inline/32 B": "looking/32 B"}
NAMES = ("with", "without")
RATIO = "with / without"
WITHOUT = {"QDA_PATIENCE": "0"}


def measure_looking(pace: Pace, result: Result, progress: Progress) -> None:
    """Calls a second, with new processes in each run; the ratio that counts is that of one run."""
    seconds = max(0.02, 2 * pace.seconds)
    rates: dict[tuple[str, str], list[float]] = {}
    for _ in progress.track(range(pace.runs), description="looking"):
        with worker(QDA) as looks, worker(QDA, variables=WITHOUT) as sleeps:
            for case, row in ROWS.items():
                pairs = [
                    (looks.rate(case, seconds), sleeps.rate(case, seconds))
                    for _ in range(pace.rounds)
                ]
                for number, name in enumerate(NAMES):
                    median = statistics.median(pair[number] for pair in pairs)
                    rates.setdefault((row, name), []).append(median)
    for row in ROWS.values():
        both = {name: rates[row, name] for name in NAMES}
        for name, values in both.items():
            result.worst(row, f"{QDA}, {name}", values, "calls/s")
        ratios = tuple(a / b for a, b in zip(both["with"], both["without"], strict=True))
        result.add(
            Row(row, Column.FREE, RATIO, min(ratios), "ratio", samples=len(ratios), runs=ratios)
        )
