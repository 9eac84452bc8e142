"""Half a CPU: what a contender does when the kernel lets all its processes run half of the time.

Who burns the allowance by looking has none left to answer with.  This needs the right to make
control groups, of version 1 or 2.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.progress import Progress

from benchmarks.clocks import Pace
from benchmarks.contenders import LeftOut
from benchmarks.floors import MEMORY
from benchmarks.placement import Column, process_tree
from benchmarks.results import Result
from benchmarks.worker import Worker, worker

__all__ = ["measure_quota"]

PERIOD, QUOTA = 100_000, 50_000
"""Microseconds."""

MOUNTS = Path("/proc/self/mountinfo")


@contextmanager
def _group() -> Iterator[Path]:
    """A control group whose processes together have half a CPU.  LeftOut."""
    parent, version = _hierarchy()
    group = parent / f"qda-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise LeftOut(f"no right to make control groups: {error}") from error
    try:
        try:
            if version == 1:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD))
                (group / "cpu.cfs_quota_us").write_text(str(QUOTA))
            else:
                (group / "cpu.max").write_text(f"{QUOTA} {PERIOD}")
        except OSError as error:
            raise LeftOut(f"control groups have no quota here: {error}") from error
        yield group
    finally:
        _remove(group)


def _hierarchy() -> tuple[Path, int]:
    """Where groups with a CPU quota are made, and the version of the interface.  LeftOut."""
    for line in MOUNTS.read_text().splitlines():
        place, options = line.split()[4], line.split()[-1]
        kind = line.partition(" - ")[2].split()[0]
        if kind == "cgroup" and "cpu" in options.split(","):
            return Path(place), 1
        if kind == "cgroup2" and "cpu" in Path(place, "cgroup.controllers").read_text().split():
            with suppress(OSError):  # it may be on already, and the quota says if it is not
                Path(place, "cgroup.subtree_control").write_text("+cpu")
            return Path(place), 2
    raise LeftOut("there are no control groups with a quota")


def _remove(group: Path) -> None:
    """Remove a group once its processes, which were told to end, have ended."""
    for _ in range(500):
        try:
            group.rmdir()
            return
        except OSError:
            time.sleep(0.01)
    group.rmdir()


def measure_quota(names: Sequence[str], pace: Pace, result: Result, progress: Progress) -> None:
    """Microseconds of an empty call: the time there was, by the calls that were made in it."""
    seconds = max(0.3, 50 * pace.seconds)  # several periods
    times: dict[str, list[float]] = {}
    names = [name for name in names if name != MEMORY]  # which makes no calls
    try:
        with ExitStack() as stack:
            group = stack.enter_context(_group())
            workers: dict[str, Worker] = {}
            for name in progress.track(names, description="quota, open"):
                with suppress(LeftOut):
                    workers[name] = stack.enter_context(worker(name))
                    for process in process_tree(workers[name].pid):
                        (group / "cgroup.procs").write_text(str(process))
            for _ in progress.track(range(pace.runs), description="quota"):
                for name, one in workers.items():
                    times.setdefault(name, []).append(1e6 / one.rate("empty", seconds))
    except LeftOut as error:
        result.left_out["quota"] = str(error)
        return
    for name, values in times.items():
        result.median("quota/50 %", Column.FREE, name, values, "us")
