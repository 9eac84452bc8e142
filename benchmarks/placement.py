"""Where processes run: the same CPU, or wherever the scheduler puts them.

An echo between two processes on one CPU costs two context switches.  On two CPUs each wake-up may
have to rouse an idle one, which on a virtual machine takes ten times as long.  Which of the two
happens changes from moment to moment, so a ratio of two short calls needs them in one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["one_cpu"]


@contextmanager
def one_cpu() -> Iterator[None]:
    """Keep all threads of this process and of its descendants on one CPU during the block.

    OSError on a kernel that does not list the children of a process.
    """
    Path("/proc/thread-self/children").read_text()
    before = os.sched_getaffinity(0)
    _allow({max(before)})
    try:
        yield
    finally:
        _allow(before)


def _allow(cpus: set[int]) -> None:
    for task in list(_tasks(Path("/proc/self"))):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(task, cpus)


def _tasks(process: Path) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):  # a process, or a thread, that has ended
        for task in (process / "task").iterdir():
            yield int(task.name)
            with suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    yield from _tasks(Path("/proc") / child)
