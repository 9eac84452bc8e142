"""How long `qda run` takes by itself: until a program that uses no node has run, and until a
program has opened the first one.

The package is copied for this, as it is installed: what finds an editable one takes time too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.progress import Progress

import qda
from benchmarks.options import Bounds

__all__ = ["judge_starts", "measure_starts"]

COMPILED, SOURCES, OPEN = "run true", "run true, no bytecode", "first open of a node"
BOUNDS = {COMPILED: 0.15, SOURCES: 0.3, OPEN: 0.2}
"""Seconds."""

OPENS = "date +%s%N; : < /dev/accel/accel1; date +%s%N"
"""For a shell: nanoseconds before and after."""


def measure_starts(folder: Path, rounds: int, progress: Progress) -> dict[str, list[float]]:
    """Seconds of each, as often as there are rounds; `folder` is for the copies."""
    times: dict[str, list[float]] = {COMPILED: [], SOURCES: [], OPEN: []}
    compiled, sources = (_copy(folder / name) for name in ("compiled", "sources"))
    _run(compiled, "sh", "-c", OPENS, PYTHONDONTWRITEBYTECODE="")  # which writes bytecode
    for _ in progress.track(range(rounds), description="starts"):
        for case, copy in ((COMPILED, compiled), (SOURCES, sources)):
            start = time.perf_counter()
            _run(copy, "true", PYTHONDONTWRITEBYTECODE="1")
            times[case].append(time.perf_counter() - start)
        before, after = _run(compiled, "sh", "-c", OPENS, PYTHONDONTWRITEBYTECODE="1").split()
        times[OPEN].append((int(after) - int(before)) / 1e9)
    return times


def _copy(folder: Path) -> str:
    """The package without bytecode; returns the program that is `qda` from there."""
    package = Path(qda.__file__).parent
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, folder / package.name, ignore=without)
    return f"import sys; sys.path.insert(0, {str(folder)!r}); from qda.cli import main; main()"


def _run(program: str, *command: str, **variables: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program, "run", "--", *command],
        env={**os.environ, **variables},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return ran.stdout


def judge_starts(medians: dict[str, float]) -> Bounds:
    """What each may take."""
    return [(f"qda {case}, s", medians[case], f"at most {bound}") for case, bound in BOUNDS.items()]
