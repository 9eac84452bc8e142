"""Where the time of a call goes, step by step: `python -m benchmarks.steps [--write]`.

A clock says how long; to know why, count.  Of a few calls it counts the system calls of program and
DSP (strace), the functions in Python that are entered, by room, and the instructions, by the object
they lie in and for our own objects by function (callgrind); and how the time on CPUs divides.  All
but the last do not depend on what else the machine does.

Instructions and functions are counted with the DSP as threads of the program: the code is the same.
What is missing on this machine is left out, with a word.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks.native import build
from benchmarks.options import parser, run
from benchmarks.page import PAGE, replace_part
from benchmarks.report import Sheet, number

__all__ = ["in_log", "in_profile", "main"]

ROWS = ("empty", "inline/32 B", "ends/4 KiB", "typed/array")
FEWEST = 0.05
"""What is counted less often in a call is not of the call."""
MOST_LINES = 16

Counts = dict[str, float]


def repeat(row: str, calls: int, *options: str, under: tuple[str | Path, ...] = ()) -> str:
    """Make so many calls in a new process, under a tool; returns what it prints."""
    command = [*under, sys.executable, "-m", "benchmarks.repeat", row, str(calls), *options]
    # NumPy's own threads look for work while they wait, and would be counted too.
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables)
    return done.stdout


def difference(count: Callable[[int], Counter[str]], calls: int) -> Counter[str]:
    """What so many calls have more than none, whatever starting and ending take."""
    few, many = count(calls), count(2 * calls)
    return Counter({what: many[what] - few[what] for what in many})


def per_call(counted: Counter[str], calls: int) -> Counts:
    """The share of one call, most first."""
    return {what: number / calls for what, number in counted.most_common() if number > 0}


def system_calls(row: str, calls: int) -> Counts:
    """System calls of program and DSP, by name."""

    def count(calls: int) -> Counter[str]:
        with TemporaryDirectory(prefix="qda-bench-") as folder:
            log = Path(folder, "log")
            repeat(row, calls, under=("strace", "-f", "-qq", "-o", log))
            return in_log(log.read_text())

    return per_call(difference(count, calls), calls)


def in_log(log: str) -> Counter[str]:
    """The first thread that speaks is the program; what it does not do is the DSP's."""
    found: Counter[str] = Counter()
    begun = re.compile(r"(\d+) +(\w+)\(")
    first = ""
    for line in log.splitlines():
        match = begun.match(line)
        if match:
            first = first or match[1]
            found[f"{'program' if match[1] == first else 'DSP'}: {match[2]}"] += 1
    return found


def instructions(row: str, calls: int) -> Counts:
    """Instructions outside the kernel, in thousands, by object, and by function in ours."""

    def count(calls: int) -> Counter[str]:
        with TemporaryDirectory(prefix="qda-bench-") as folder:
            out = Path(folder, "out")
            tool = ("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}")
            repeat(row, calls, "--threads", under=tool)
            return in_profile(out.read_text())

    counted = difference(count, calls)
    return {what: number / 1000 for what, number in per_call(counted, calls).items()}


def in_profile(text: str) -> Counter[str]:
    """The instructions of a callgrind profile.  Names are written out once, then numbered; the line
    after `calls=` is what the callee did, which is counted where it did it."""
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    place, function, is_callee = "", "", False
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key in ("ob", "fn"):
            label, _, name = value.partition(" ")
            name = names.setdefault(key + label, name) if name else names[key + label]
            place, function = (name, function) if key == "ob" else (place, name)
        elif key in ("cob", "cfn"):
            label, _, name = value.partition(" ")
            if name:
                names.setdefault(key[1:] + label, name)
        elif key == "calls":
            is_callee = True
        elif re.match(r"[\d+*-]", line):
            if not is_callee:
                found[_label(place, function)] += int(line.split()[1])
            is_callee = False
    return found


def _label(place: str, function: str) -> str:
    path = Path(place)
    return f"{path.name}: {function}" if "qda" in path.parts[:-1] else path.name


def functions(row: str, calls: int) -> Counts:
    """Functions in Python that are entered, by room."""
    counted: Counts = json.loads(repeat(row, calls, "--threads", "--functions"))
    return dict(sorted(counted.items(), key=lambda one: -one[1]))


def times(row: str, calls: int) -> Counts:
    """Microseconds on one CPU."""
    counted: Counts = json.loads(repeat(row, calls, "--time"))
    return counted


KINDS: dict[str, tuple[str, Callable[[str, int], Counts], str, int]] = {
    "time": ("Microseconds on one CPU, by side", times, sys.executable, 10_000),
    "functions": ("Functions in Python that are entered, by room", functions, sys.executable, 300),
    "system_calls": ("System calls", system_calls, "strace", 200),
    "instructions": ("Thousands of instructions, by object", instructions, "valgrind", 200),
}
"""What is counted: its title, how, the tool that is needed, and in how many calls."""


def measure(rows: tuple[str, ...], kinds: list[str], quick: bool, progress: Progress) -> Any:
    """Count everything; returns what `--json` prints."""
    found: dict[str, dict[str, Counts]] = {}
    left_out: dict[str, str] = {}
    task = progress.add_task("steps", total=len(kinds) * len(rows))
    with build():
        for kind in kinds:
            _, count, tool, calls = KINDS[kind]
            if shutil.which(tool) is None:
                left_out[kind] = f"{tool} is not installed"
                continue
            found[kind] = {}
            for row in rows:
                found[kind][row] = count(row, calls // 10 if quick else calls)
                progress.advance(task)
    return {"counts": found, "left_out": left_out}


def sheets(result: dict[str, Any]) -> Iterator[Sheet]:
    """A table for each kind, a column for each case; what is rarest is left out."""
    for kind, by_row in result["counts"].items():
        most: Counter[str] = Counter()
        for counts in by_row.values():
            for what, value in counts.items():
                most[what] = max(most[what], value)
        lines = [
            [what, *(number(counts[what]) if what in counts else "" for counts in by_row.values())]
            for what, value in most.most_common(MOST_LINES)
            if value >= FEWEST
        ]
        if kind != "time":
            sums = [number(sum(counts.values())) for counts in by_row.values()]
            lines.append(["all", *sums])
        yield Sheet(KINDS[kind][0], ["what", *by_row], lines)


def show(result: dict[str, Any], console: Console) -> None:
    """Print everything for people."""
    for sheet in sheets(result):
        console.print(sheet.as_table())
    for kind, why in result["left_out"].items():
        console.print(f"Left out: {kind}, because {why}.")


def main(arguments: list[str] | None = None) -> int:
    """Count and print; 130 after Ctrl-C."""
    options = parser("benchmarks.steps", __doc__)
    options.add_argument("--only", choices=list(KINDS), help="count only this")
    options.add_argument("--write", action="store_true", help="write the tables into the page")
    chosen = options.parse_args(arguments)
    kinds = [chosen.only] if chosen.only else list(KINDS)
    rows = ROWS[:1] if chosen.quick else ROWS

    def work(progress: Progress) -> Any:
        result = measure(rows, kinds, chosen.quick, progress)
        if chosen.write:
            replace_part("steps", "\n".join(one.as_markdown() for one in sheets(result)), PAGE)
        return result

    return run(chosen.json, work, show)


if __name__ == "__main__":
    sys.exit(main())
