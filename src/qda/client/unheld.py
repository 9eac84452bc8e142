"""What a program has dropped without closing it is given back, with a ResourceWarning.

Who drops it may be anywhere: the collector runs in the middle of other things, also inside the
device with its locks.  So a thread of its own gives back, and who needs room waits for it.
"""

from __future__ import annotations

import _thread
import gc
import os
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from errno import EBUSY, ENOMEM
from typing import TypeVar

from qda.errors import MAP_FAILED, DeviceError, DspError, QdaError
from qda.interrupts import deadline

__all__ = ["in_room", "leave", "settle", "with_room"]

T = TypeVar("T")


class _Left:
    """What is to be given back, by the process that had it."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.given = threading.Lock()
        self.back: deque[Callable[[], object]] = deque()


_left = _Left()


def _here() -> _Left:
    """This process's: what its parent has dropped is the parent's."""
    global _left
    if _left.process != os.getpid():
        _left = _Left()
    return _left


def leave(dropped: object, give_back: Callable[[], object]) -> None:
    """Have something given back that nobody holds any more, and say so."""
    if sys.is_finalizing():
        return
    _here().back.append(give_back)
    with suppress(RuntimeError):  # no thread can be started: then the next open gives back
        # Not threading's: that would take locks, which whoever was interrupted may have.
        _thread.start_new_thread(settle, ())
    # Not with the object as its source: whoever records the warning would hold it.
    warnings.warn(f"unclosed {dropped!r}", ResourceWarning, stacklevel=3)


def settle() -> None:
    """Give back what has been left; on return all of it is, whoever does it.

    What does not end is not waited for longer than limits.PATIENCE.
    """
    left = _here()
    if deadline().acquire(left.given):
        try:
            while left.back:
                with suppress(IndexError, QdaError, OSError):
                    left.back.popleft()()
        finally:
            left.given.release()


def in_room(begin: Callable[[], T]) -> T:
    """What `begin` returns.  If there is no room for it, it begins again after what the program
    holds no longer has been looked for, and given back."""
    try:
        return begin()
    except (DeviceError, DspError) as error:
        if not _lacks_room(error):
            raise
    gc.collect()
    settle()
    return begin()


def _lacks_room(error: DeviceError | DspError) -> bool:
    if isinstance(error, DspError):
        return error.status == MAP_FAILED
    return error.errno in (ENOMEM, EBUSY)


def with_room(begin: Callable[[], T], why: Callable[[], str]) -> T:
    """The same for what many may have; if there is no room then, the DeviceError has the words of
    `why`."""
    settle()
    try:
        return in_room(begin)
    except DeviceError as error:
        words = why() if _lacks_room(error) else ""
        if not words or error.errno is None:
            raise
        raise DeviceError(error.operation, error.domain, error.errno, words) from error
