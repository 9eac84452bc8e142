"""Orphans: what a protection domain has forked, and leaves when it dies.

A process may leave its group and its session, but not its ancestors: with `adopt_orphans`
(`qda.linux`) what it leaves becomes the processor's own child.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Set
from pathlib import Path

__all__ = ["end_orphans"]


def end_orphans(but: Set[int]) -> None:
    """Kill all children of this process, which has one thread, `but` some, and then what those
    leave; wait until they are gone."""
    while orphans := set(_children()) - but:
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _children() -> list[int]:
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_ours(pid)]
    return [int(pid) for pid in listed.split()]


def _is_ours(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return int(status.rpartition(b")")[2].split()[1]) == os.getpid()
