"""Where processes run: on one CPU, we and the others apart, or wherever the scheduler puts them.

An echo between two processes on one CPU costs two context switches.  On two CPUs each wake-up may
have to rouse an idle one, which on a virtual machine takes ten times as long.  Which of the two
happens changes from moment to moment, so a ratio of two short calls needs both in one placement.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager as Block
from contextlib import contextmanager, nullcontext, suppress
from enum import StrEnum
from pathlib import Path

__all__ = ["Column", "columns", "on_cpu", "one_cpu", "placed", "process_tree"]


class Column(StrEnum):
    """A placement; the value is its name in results."""

    ONE = "one CPU"
    TWO = "two CPUs"
    FREE = "unpinned"


def columns() -> list[Column]:
    """The placements that this machine has."""
    return list(Column) if len(os.sched_getaffinity(0)) > 1 else [Column.ONE, Column.FREE]


def placed(column: Column) -> Block[None]:
    """Keep this process and its descendants in a placement during the block.

    `TWO` is all threads of this process on one CPU, all descendants on another.  OSError on a
    kernel that does not list the children of a process.
    """
    if column is Column.FREE:
        return nullcontext()
    return one_cpu() if column is Column.ONE else _two_cpus()


@contextmanager
def one_cpu() -> Iterator[None]:
    """Keep all threads of this process and of its descendants on one CPU during the block."""
    before = os.sched_getaffinity(0)
    on_cpu(max(before))
    try:
        yield
    finally:
        _allow(process_tree(os.getpid()), before)


@contextmanager
def _two_cpus() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    theirs, ours = sorted(before)[-2:]
    own, *others = process_tree(os.getpid())
    try:
        _allow([own], {ours})
        _allow(others, {theirs})
        yield
    finally:
        _allow(process_tree(os.getpid()), before)


def on_cpu(cpu: int) -> None:
    """Keep this process and its descendants on that CPU from now on."""
    _allow(process_tree(os.getpid()), {cpu})


def process_tree(root: int) -> list[int]:
    """A process and all its descendants, itself first.  OSError if the kernel lists no children."""
    Path("/proc/thread-self/children").read_text()
    return list(_descendants(root))


def _allow(processes: list[int], cpus: set[int]) -> None:
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # one that has ended
            for task in Path(f"/proc/{process}/task").iterdir():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task.name), cpus)


def _descendants(process: int) -> Iterator[int]:
    yield process
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    yield from _descendants(int(child))
