"""What sessions cost besides calls: idle time, memory, time to open, and many buffers."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.progress import Progress

from benchmarks.clocks import Pace
from benchmarks.ours import QDA
from benchmarks.placement import Column, process_tree
from benchmarks.processes import answer, python, receive, send
from benchmarks.results import Result, Row
from benchmarks.worker import worker

__all__ = ["LOADED", "RESOURCES"]

HOLDER = "benchmarks.holder"
CALL = ("call", 0)
AT_ONCE = 8
FURTHER = 4
"""Sessions of one program after its first."""
BUFFERS, MAPPINGS = 10_000, 1_000
DESCRIPTORS_EACH, SPARE = 2, 100
"""Descriptors that a buffer takes, and as many buffers fewer, so that others have some too."""
LOADED = f"{QDA}, loaded"
"""The session that has them; a tenth of them in a quick run."""


def _idle(pace: Pace, result: Result, progress: Progress) -> None:
    """Per cent of a CPU in all processes of a session, the program included."""
    seconds = 0.5 if pace.is_rough else 10.0
    with python(HOLDER) as holder:
        answer(holder, ("open", 1))
        answer(holder, CALL)
        before = _nanoseconds(holder.pid)
        for _ in progress.track(range(10), description="idle"):
            time.sleep(seconds / 10)
        after = _nanoseconds(holder.pid)
    used = sum(had - before.get(thread, 0) for thread, had in after.items())
    result.add(Row("idle/session", "", QDA, used / seconds / 1e7, "% of a CPU"))


def _nanoseconds(root: int) -> dict[str, int]:
    """Time on CPUs that each thread of all processes has had, by its number."""
    had = {}
    for process in process_tree(root):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                had[task.name] = int((task / "schedstat").read_text().split()[0])
    return had


def _memory(pace: Pace, result: Result, progress: Progress) -> None:
    """Memory that sessions add to a program that has imported the package: proportional set size,
    in which a page of several processes counts for each with its share."""
    first, further = [], []
    for _ in progress.track(range(min(3, pace.rounds)), description="memory"):
        with python(HOLDER) as holder:
            sizes = [_mebibytes(holder)]
            for count in (1, FURTHER):
                answer(holder, ("open", count))
                answer(holder, CALL)
                sizes.append(_mebibytes(holder))
        first.append(sizes[1] - sizes[0])
        further.append((sizes[2] - sizes[1]) / FURTHER)
    result.median("memory/first session", "", QDA, first, "MiB")
    result.median("memory/further session", "", QDA, further, "MiB")


def _mebibytes(holder: subprocess.Popen[str]) -> float:
    kibibytes = 0
    for process in process_tree(holder.pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    kibibytes += int(line.split()[1])
    return kibibytes / 1024


def _opening(pace: Pace, result: Result, progress: Progress) -> None:
    """Milliseconds until a session is open: in one program, and in several at once."""
    rounds = min(5, pace.rounds)
    first, further = [], []
    first_at_once, further_at_once = [], []
    for _ in progress.track(range(rounds), description="opening"):
        with ExitStack() as stack:
            holders = [stack.enter_context(python(HOLDER)) for _ in range(AT_ONCE)]
            first_at_once.append(_slowest(holders))
            further_at_once.append(_slowest(holders))
        with python(HOLDER) as holder:
            first += answer(holder, ("open", 1))
            answer(holder, CALL)
            further += answer(holder, ("open", FURTHER))
    result.median("opening/first session", "", QDA, first, "ms")
    result.median("opening/further session", "", QDA, further, "ms")
    at_once = f"opening/{AT_ONCE} processes at once,"
    result.median(f"{at_once} first session, slowest", "", QDA, first_at_once, "ms")
    result.median(f"{at_once} further session, slowest", "", QDA, further_at_once, "ms")


def _slowest(holders: list[subprocess.Popen[str]]) -> float:
    for holder in holders:
        send(holder, ("open", 1))
    slowest = max([float(receive(holder)[0]) for holder in holders])
    for holder in holders:
        answer(holder, CALL)
    return slowest


def _fresh(pace: Pace, result: Result, progress: Progress) -> None:
    """Milliseconds from exec to the first answer; the first time, which fills caches, is left
    out."""
    times = []
    for number in progress.track(range(pace.rounds + 1), description="fresh"):
        start = time.perf_counter()
        with python("benchmarks.first_call"):
            took = (time.perf_counter() - start) * 1000
        if number:
            times.append(took)
    result.median("fresh/first call", "", QDA, times, "ms")


def _loaded(pace: Pace, result: Result, progress: Progress) -> None:
    """A call of a session with many buffers and mappings, beside one of a session with none."""
    seconds, share = max(0.02, pace.seconds), 10 if pace.is_rough else 1
    cpu = max(os.sched_getaffinity(0))
    times: dict[tuple[str, str], list[float]] = {}
    with ExitStack() as stack:
        limit = stack.enter_context(_descriptors())
        buffers = min(BUFFERS // share, limit // DESCRIPTORS_EACH - SPARE)
        mappings = MAPPINGS // share
        alone = stack.enter_context(worker(QDA, cpu=cpu))
        loaded = stack.enter_context(worker(QDA, cpu=cpu, buffers=buffers, mappings=mappings))
        for _ in progress.track(range(pace.rounds), description="loaded"):
            for name, one in ((QDA, alone), (LOADED, loaded)):
                for row in ("empty", "inline/32 B", "ends/4 KiB"):
                    median = one.median(row, seconds)
                    times.setdefault((f"loaded/{row.partition('/')[0]}", name), []).append(median)
    for (row, name), values in times.items():
        result.add(Row(row, Column.ONE, name, statistics.median(values), samples=len(values)))
    for what, count in (("buffers", buffers), ("mappings", mappings), ("RLIMIT_NOFILE", limit)):
        result.add(Row(f"loaded/{what}", "", LOADED, count, "", samples=0))


@contextmanager
def _descriptors() -> Iterator[int]:
    """Let processes that are started in the block have many descriptors; gives how many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(DESCRIPTORS_EACH * (BUFFERS + SPARE), before[0])
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, before[1])))
    except ValueError:  # more than an unprivileged user may have
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


RESOURCES: dict[str, Callable[[Pace, Result, Progress], None]] = {
    "idle": _idle,
    "memory": _memory,
    "opening": _opening,
    "fresh": _fresh,
    "loaded": _loaded,
}
"""How each group of these rows is measured."""
