"""What a call costs, beside its peers and beside the floors: `python -m benchmarks.invoke`.

QDA's calls and the echoes of others are measured in turn, round by round, in one run: machines are
shared, and only ratios of one run mean something.  Each is measured with all processes on one CPU,
with the program on one and all others on another, and unpinned, where the worst of five runs
counts.  An echo brings the payload there and back; a call of ours on buffer objects shares it.

Then come threads, sessions, half a CPU, and what sessions cost in time and memory.  At the end
stand the figures that are judged, each with its bound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.bounds import bounds_of
from benchmarks.calls import EVERYONE, measure_calls
from benchmarks.cases import GROUPS
from benchmarks.clocks import Pace
from benchmarks.crowds import measure_sessions, measure_threads
from benchmarks.floors import PIPE
from benchmarks.looking import measure_looking
from benchmarks.native import build
from benchmarks.options import parser, run
from benchmarks.ours import QDA
from benchmarks.page import PAGE, machine, write
from benchmarks.quota import measure_quota
from benchmarks.report import show
from benchmarks.resources import RESOURCES
from benchmarks.results import Result

__all__ = ["main"]

THOROUGH = Pace(rounds=10, seconds=0.02, runs=5)
Step = Callable[[Pace, Result, Progress], None]

QUICK = Pace(rounds=2, seconds=0.002, runs=1, is_rough=True)


def measure(
    groups: Sequence[str], names: Sequence[str], pace: Pace, result: Result, progress: Progress
) -> None:
    """Measure these groups of rows."""
    steps: dict[str, Step] = {
        "threads": measure_threads,
        "sessions": measure_sessions,
        "quota": lambda *given: measure_quota(names, *given),
        "looking": measure_looking,
        **RESOURCES,
    }
    with build() as has_compiler:
        if not has_compiler:
            result.left_out["what is in C"] = "there is no C compiler"
        measure_calls(groups, names, pace, result, progress)
        for group, step in steps.items():
            if group in groups:
                try:
                    step(pace, result, progress)
                except (RuntimeError, OSError) as error:  # the others are worth having
                    result.failed[group] = f"{type(error).__name__}: {error}"


def _groups(text: str) -> list[str]:
    chosen = text.split(",")
    for group in chosen:
        if group not in GROUPS:
            raise argparse.ArgumentTypeError(f"{group!r}: one of {', '.join(GROUPS)}")
    return [group for group in GROUPS if group in chosen]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a group of rows failed, 130 after Ctrl-C.  Nothing is left behind."""
    options = parser("benchmarks.invoke", __doc__)
    options.add_argument(
        "--only",
        choices=[one.name for one in EVERYONE],
        help=f"this contender alone, beside {QDA} and {PIPE}",
    )
    options.add_argument(
        "--rows",
        type=_groups,
        default=list(GROUPS),
        metavar="GROUP,...",
        help="these groups of rows: " + "; ".join(f"{k} ({v})" for k, v in GROUPS.items()),
    )
    options.add_argument(
        "--write",
        nargs="?",
        type=Path,
        const=PAGE,
        metavar="PAGE",
        help="write tables and picture into a page with the marks for them, docs/performance.md",
    )
    chosen = options.parse_args(arguments)
    names = [
        one.name for one in EVERYONE if chosen.only in (None, one.name) or one.name in (QDA, PIPE)
    ]
    pace, result = (QUICK if chosen.quick else THOROUGH), Result()

    def work(progress: Progress) -> dict[str, Any]:
        measure(chosen.rows, names, pace, result, progress)
        bounds = bounds_of(result)
        if chosen.write is not None:
            write(result, bounds, chosen.write, chosen.write.with_suffix(".svg"))
        return {
            "machine": machine(),
            "pace": pace._asdict(),
            **result.for_programs(),
            "bounds": [bound.for_programs() for bound in bounds],
        }

    status = run(chosen.json, work, lambda _, console: show(result, bounds_of(result), console))
    return status or int(bool(result.failed))


if __name__ == "__main__":
    sys.exit(main())
