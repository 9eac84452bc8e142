"""The time of a call: each case, in each placement, by each contender.

The contenders of a case take turns.  Where the scheduler decides, everything is begun anew for each
run, since it leaves two processes where they once are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.progress import Progress

from benchmarks.cases import CASES, Case
from benchmarks.clocks import FEWEST, Pace, Samples, take_turns
from benchmarks.contenders import Contender, LeftOut, Maker
from benchmarks.floors import FLOORS
from benchmarks.ours import OURS
from benchmarks.peers import PEERS
from benchmarks.placement import Column, columns, placed
from benchmarks.results import Result, Row

__all__ = ["EVERYONE", "contender", "measure_calls", "open_all"]

EVERYONE = (OURS, *PEERS, *FLOORS)


def contender(name: str) -> Contender:
    """The contender of that name.  KeyError."""
    return {one.name: one for one in EVERYONE}[name]


@contextmanager
def open_all(names: Sequence[str], left_out: dict[str, str]) -> Iterator[dict[str, Maker]]:
    """Open the contenders; notes who is left out, and why."""
    with ExitStack() as stack:
        makers = {}
        for name in names:
            try:
                makers[name] = stack.enter_context(contender(name).opened())
            except LeftOut as error:
                left_out[name] = str(error)
        yield makers


def measure_calls(
    groups: Sequence[str], names: Sequence[str], pace: Pace, result: Result, progress: Progress
) -> None:
    """Measure the cases of these groups."""
    cases = [case for case in CASES if case.row.partition("/")[0] in groups]
    if not cases:
        return
    pinned = [column for column in columns() if column is not Column.FREE]
    task = progress.add_task("calls", total=len(cases) * (len(pinned) + pace.runs))
    free: dict[tuple[str, str], list[Samples]] = defaultdict(list)
    for run in range(pace.runs):
        with open_all(names, result.left_out) as makers:
            for case in cases:
                for column in pinned if run == 0 else ():
                    for sample in _measure(case, column, makers, pace.rounds, pace.seconds):
                        result.add(_row(case, column, [sample]))
                    progress.advance(task)
                rounds = pace.rounds_of_a_run
                for sample in _measure(case, Column.FREE, makers, rounds, pace.seconds):
                    free[case.row, sample.contender].append(sample)
                progress.advance(task)
    for case in cases:
        for (row, _), runs in free.items():
            if row == case.row:
                result.add(_row(case, Column.FREE, runs))
    progress.remove_task(task)


def _measure(
    case: Case, column: Column, makers: dict[str, Maker], rounds: int, seconds: float
) -> list[Samples]:
    made = [(name, make(case)) for name, make in makers.items()]
    samples = [Samples(name, batch) for name, batch in made if batch is not None]
    with placed(column):
        # Of several runs each needs only one call, if calls are long.
        take_turns(samples, rounds, seconds, 1 if column is Column.FREE else FEWEST)
    return samples


def _row(case: Case, column: Column, runs: list[Samples]) -> Row:
    """The worst of the runs."""
    worst = max(runs, key=lambda samples: samples.median)
    return Row(
        case.row,
        column,
        worst.contender,
        worst.median,
        p99=max(samples.p99 for samples in runs),
        samples=sum(len(samples.times) for samples in runs),
        runs=tuple(samples.median for samples in runs),
    )
