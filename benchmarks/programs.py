"""Programs in C on the preload library: `python -m benchmarks.programs [--quick] [--json]`.

Calls are measured beside the os.pipe echo of `benchmarks.floors`, in turn, round by round, because
only ratios of one run mean something.  A command that reads and lists many files, and uses no node,
is run in turn with and without the library.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.contenders import Echo
from benchmarks.floors import PIPE, pipe
from benchmarks.options import Bounds, as_json, parser, run, show_bounds
from benchmarks.placement import one_cpu
from qda.dsp.boot import FOLDERS_VARIABLE
from qda.shim import DeviceServer, environment
from qda.uapi import RFC
from qda.uapi.header import header
from qda.virtual import Machine, load_profile

__all__ = ["main"]

PROGRAMS = Path(__file__).with_name("c")

FILE_HEAVY = (
    'for i in $(seq "$0"); do ls -lR /usr/include /usr/lib/python3 >/dev/null 2>&1; done; :'
)
"""Stat, open and readdir by the ten thousand; the argument is how often."""

ONE_CPU = ", one CPU"
"""Of short calls most is wake-ups: elsewhere the scheduler decides what they cost."""

LONG_ENOUGH = 0.2
"""Seconds that the file-heavy command takes at least."""

Samples = dict[str, list[float]]


def build(folder: Path) -> Path:
    """Compile the program that calls."""
    (folder / "qda_accel.h").write_text(header(RFC))
    program = folder / "calls"
    command: list[str | Path] = ["gcc", "-O2", "-I", folder, PROGRAMS / "calls.c", "-o", program]
    subprocess.run(command, check=True)
    return program


def file_heavy(repeats: int, variables: Mapping[str, str]) -> float:
    """Seconds of a command that works on many files."""
    start = time.perf_counter()
    subprocess.run(["sh", "-c", FILE_HEAVY, str(repeats)], env=dict(variables), check=True)
    return time.perf_counter() - start


def measure(rounds: int, calls: int, progress: Progress) -> dict[str, Any]:
    """Run everything; returns what `--json` prints."""
    times: Samples = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qda-bench-")))
        os.environ[FOLDERS_VARIABLE] = str(PROGRAMS)
        machine = Machine(load_profile("generic"))
        stack.callback(machine.close)
        server = DeviceServer(machine, folder / "server")
        stack.callback(server.close)
        echo = stack.enter_context(pipe())
        program, plain, preloaded = build(folder), os.environ, environment(server.socket)

        def take_turns(place: str) -> None:
            for _ in progress.track(range(rounds), description=f"calls{place}"):
                start = time.perf_counter()
                for case, microseconds in _calls(program, calls, preloaded):
                    times[case + place].append(microseconds)
                times[PIPE + place] += _echoes(echo, time.perf_counter() - start)

        take_turns("")
        with one_cpu():
            take_turns(ONE_CPU)
        file_heavy(1, plain)  # the first one fills the caches
        repeats = 1 + int(1.5 * LONG_ENOUGH / file_heavy(1, plain))
        for _ in progress.track(range(max(5, 2 * rounds)), description="files"):
            times["plain"].append(file_heavy(repeats, plain))
            times["preloaded"].append(file_heavy(repeats, preloaded))
    return _result(times)


def _echoes(echo: Echo, seconds: float) -> list[float]:
    """Microseconds of echoes during so many seconds.

    Echoes and calls are given the same time, since the scheduler spreads two processes that begin
    on one CPU over two only after some hundredths of a second: from then on an echo takes longer.
    """
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        echo(b"")
        times.append((time.perf_counter() - start) * 1e6)
    return times


def _calls(program: Path, calls: int, variables: Mapping[str, str]) -> list[tuple[str, float]]:
    command: list[str | Path] = [program, str(calls)]
    ran = subprocess.run(
        command, env=dict(variables), check=True, stdout=subprocess.PIPE, text=True
    )
    lines = (line.split() for line in ran.stdout.splitlines())
    return [(case, float(microseconds)) for case, microseconds in lines]


def _result(times: Samples) -> dict[str, Any]:
    median = {case: statistics.median(samples) for case, samples in times.items()}
    bounds: Bounds = [
        ("empty call from C / os.pipe echo", median["empty"] / median[PIPE], "at most 20"),
        (
            "the same on one CPU",
            median["empty" + ONE_CPU] / median[PIPE + ONE_CPU],
            "at most 20",
        ),
        ("64 MiB / 4 KiB by buffer object", median["64MiB"] / median["4KiB"], "at most 1.5"),
        (
            "files without a node, preloaded / plain",
            # Of neighbours: the machine is not equally fast all the time.
            statistics.median(map(truediv, times["preloaded"], times["plain"])),
            "at most 1.1",
        ),
    ]
    rows = [
        {
            "case": case,
            "median_us": median[case],
            "p99_us": float(np.percentile(samples, 99)),
            "samples": len(samples),
        }
        for case, samples in times.items()
        if case not in ("plain", "preloaded")
    ]
    return {
        "calls": rows,
        "files_seconds": {case: median[case] for case in ("plain", "preloaded")},
        "bounds": as_json(bounds),
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print the result for people."""
    table = Table(title="Time of a call from C through the preload library, there and back")
    table.add_column("case")
    for heading in ("median µs", "p99 µs", "samples"):
        table.add_column(heading, justify="right")
    for row in result["calls"]:
        table.add_row(
            row["case"], f"{row['median_us']:,.0f}", f"{row['p99_us']:,.0f}", str(row["samples"])
        )
    console.print(table)
    seconds = result["files_seconds"]
    plain, preloaded = seconds["plain"], seconds["preloaded"]
    console.print(f"Files without a node: {plain:.3f} s, preloaded {preloaded:.3f} s")
    show_bounds(result, console)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 130 after Ctrl-C."""
    options = parser("benchmarks.programs", __doc__).parse_args(arguments)
    rounds, calls = (2, 100) if options.quick else (10, 500)
    return run(options.json, lambda progress: measure(rounds, calls, progress), show)


if __name__ == "__main__":
    sys.exit(main())
