"""What the DSP makes for a program that does not wait for it any more is given back.

The handler of Ctrl-C raises in a wait; the DSP may answer all the same, a moment or an hour later,
and what it has made then would have no owner.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from qda.errors import QdaError
from qda.interrupts import FOREVER, Section
from qda.pending import beside

__all__ = ["made_or_undone"]

T = TypeVar("T")


def made_or_undone(make: Callable[[], T], undo: Callable[[T], object], name: str) -> T:
    """What `make` returns.  If a handler of signals raises meanwhile, `undo` gets it, whenever that
    is.  To be called in a section, whose end is the caller's concern."""
    if threading.current_thread() is not threading.main_thread():
        return make()  # no handler runs here
    with Section():
        try:
            pending = beside(make, name)
        except RuntimeError:  # there can be no thread more
            return make()
        try:
            FOREVER.until(pending.wait)
        except BaseException:
            pending.let_go(lambda made: _undone(undo, made))
            raise
        return pending.result()


def _undone(undo: Callable[[T], object], made: T) -> None:
    with suppress(QdaError, OSError):  # it has gone with its session
        undo(made)
