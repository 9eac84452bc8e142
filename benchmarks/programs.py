"""Programs in C on the preload library: `python -m benchmarks.programs [--quick] [--json]`.

A program calls a skeleton, both in C, on lanes and through the device server, and asks which DSP
that is, which the server alone answers; beside an echo through two pipes, also in C: in turn,
because only ratios of one run mean something, and in each placement (`benchmarks.placement`).
Another one makes an object for the arguments of each call, as a library of August 2026 does, in
dialect handle: that is `scratch`, with its steps.  A command that reads and lists many files, and
uses no node, is run in turn with and without the library.  What `qda run` takes by itself is in
`benchmarks.starts`.
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

from benchmarks.options import Bounds, as_json, parser, run, show_bounds
from benchmarks.placement import Column, columns, on_cpu
from benchmarks.starts import judge_starts, measure_starts
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.idl.c import INCLUDE
from qda.shim.launch import environment
from qda.shim.server import DeviceServer
from qda.uapi import DIALECTS
from qda.uapi.header import header
from qda.virtual import Machine, load_profile

__all__ = ["main"]

SOURCES = Path(__file__).with_name("c")

WAYS = {"lanes": True, "server": False}
"""How calls go, and whether the server lends lanes."""

ECHO = "pipe"

FILE_HEAVY = (
    'for i in $(seq "$0"); do ls -lR /usr/include /usr/lib/python3 >/dev/null 2>&1; done; :'
)
"""Stat, open and readdir by the ten thousand; the argument is how often."""

LONG_ENOUGH = 0.2
"""Seconds that the file-heavy command takes at least."""

Key = tuple[str, str, str]
"""Case, way, and placement."""


PROGRAMS = {"calls": "rfc", "scratch": "handle"}
"""The programs, and the dialect that each speaks."""


def build(folder: Path) -> dict[str, Path]:
    """Compile the skeleton, and the programs that call it."""
    library = folder / "libtouch_skel.so"
    skeleton: list[str | Path] = ["-shared", "-fPIC", "-I", INCLUDE, "-o", library]
    subprocess.run(["gcc", "-O2", SOURCES / "touch_skel.c", *skeleton], check=True)
    for program, dialect in PROGRAMS.items():
        headers = folder / dialect
        headers.mkdir()
        (headers / "qda_accel.h").write_text(header(DIALECTS[dialect]))
        source = (SOURCES / program).with_suffix(".c")
        command: list[str | Path] = ["gcc", "-O2", "-I", headers, source, "-o", folder / program]
        subprocess.run(command, check=True)
    return {program: folder / program for program in PROGRAMS}


def file_heavy(repeats: int, variables: Mapping[str, str]) -> float:
    """Seconds of a command that works on many files."""
    start = time.perf_counter()
    subprocess.run(["sh", "-c", FILE_HEAVY, str(repeats)], env=dict(variables), check=True)
    return time.perf_counter() - start


def measure(rounds: int, calls: int, progress: Progress) -> dict[str, Any]:
    """Run everything; returns what `--json` prints."""
    times: dict[Key, list[float]] = defaultdict(list)
    files: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qda-bench-")))
        os.environ[FOLDERS_VARIABLE] = str(folder)
        machine = Machine(load_profile("generic"))
        stack.callback(machine.close)
        programs, plain = build(folder), os.environ
        found: dict[tuple[str, str], dict[str, str]] = {}
        for program, dialect in PROGRAMS.items():
            for way, lanes in WAYS.items():
                at = folder / f"{way}.{dialect}"
                server = DeviceServer(machine, at, dialect=dialect, lanes=lanes)
                stack.callback(server.close)
                found[program, way] = environment(server.socket)

        cpus = sorted(os.sched_getaffinity(0))
        for column in columns():
            where = _place(column, cpus)
            for _ in progress.track(range(rounds), description=f"calls, {column}"):
                for (program, way), variables in found.items():
                    command: list[str | Path] = [programs[program], str(calls), *where]
                    for case, microseconds in _calls(command, variables):
                        times[case, way, column].append(microseconds)
        os.sched_setaffinity(0, set(cpus))
        file_heavy(1, plain)  # the first one fills the caches
        repeats = 1 + int(1.5 * LONG_ENOUGH / file_heavy(1, plain))
        for _ in progress.track(range(max(5, 2 * rounds)), description="files"):
            files["plain"].append(file_heavy(repeats, plain))
            files["preloaded"].append(file_heavy(repeats, found["calls", "lanes"]))
        starts = measure_starts(folder, rounds, progress)
    return _result(times, files, starts)


def _place(column: Column, cpus: list[int]) -> list[str]:
    """Put the server and the DSP where a placement says; the arguments that place the program."""
    if column is Column.FREE:
        return []
    on_cpu(cpus[-1])
    own = cpus[-1] if column is Column.ONE else cpus[-2]
    return [str(own), str(cpus[-1])]


def _calls(command: list[str | Path], variables: Mapping[str, str]) -> list[tuple[str, float]]:
    ran = subprocess.run(
        command, env=dict(variables), check=True, stdout=subprocess.PIPE, text=True
    )
    lines = (line.split() for line in ran.stdout.splitlines())
    return [(case, float(microseconds)) for case, microseconds in lines]


def _result(
    times: dict[Key, list[float]], files: dict[str, list[float]], starts: dict[str, list[float]]
) -> dict[str, Any]:
    median = {key: statistics.median(samples) for key, samples in times.items()}

    def of_echo(case: str, column: Column) -> float:
        return median[case, "lanes", column] / median[ECHO, "lanes", column]

    one, two = Column.ONE, Column.TWO
    bounds: Bounds = [
        ("one CPU: empty call / echo", of_echo("empty", one), "at most 1.5"),
        ("one CPU: 32 bytes in and out / echo", of_echo("32B", one), "at most 2.5"),
        (
            "one CPU: 1 MiB by buffer / empty call",
            median["1MiB", "lanes", one] / median["empty", "lanes", one],
            "at most 1.1",
        ),
        (
            "one CPU: 64 MiB / 4 KiB by buffer",
            median["64MiB", "lanes", one] / median["4KiB", "lanes", one],
            "at most 1.5",
        ),
        (
            "one CPU: 32 bytes in an object of their own / query by the server",
            median["scratch", "lanes", one] / median["query", "server", one],
            "at most 10",
        ),
        ("one CPU: query by the server, us", median["query", "server", one], "at most 30"),
        (
            "files without a node, preloaded / plain",
            # Of neighbours: the machine is not equally fast all the time.
            statistics.median(map(truediv, files["preloaded"], files["plain"])),
            "at most 1.1",
        ),
    ]
    if two in columns():
        bounds.append(("two CPUs: empty call / echo", of_echo("empty", two), "at most 0.2"))
    bounds += judge_starts({case: statistics.median(samples) for case, samples in starts.items()})
    rows = [
        {
            "case": case,
            "way": way,
            "column": column,
            "median_us": median[case, way, column],
            "p99_us": float(np.percentile(samples, 99)),
            "samples": len(samples),
        }
        for (case, way, column), samples in times.items()
    ]
    return {
        "calls": rows,
        "files_seconds": {case: statistics.median(samples) for case, samples in files.items()},
        "bounds": as_json(bounds),
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print the result for people."""
    table = Table(title="Median µs of a call, C to C through the preload library, there and back")
    table.add_column("case")
    for column in columns():
        for way in WAYS:
            table.add_column(f"{column}\n{way}", justify="right")
    found = {(row["case"], row["way"], row["column"]): row for row in result["calls"]}
    for case in dict.fromkeys(row["case"] for row in result["calls"]):
        shown = [found[case, way, column]["median_us"] for column in columns() for way in WAYS]
        table.add_row(case, *(f"{microseconds:,.1f}" for microseconds in shown))
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
