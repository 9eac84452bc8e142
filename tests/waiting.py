"""Waiting for what another thread or process does on its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["BOUND", "until"]

T = TypeVar("T")

BOUND = 60.0
"""Seconds after which what has not come will not: far more than the slowest machine needs."""

_PAUSE = 0.001


def until(condition: Callable[[], T], seconds: float = BOUND) -> T:
    """Wait until a condition is true; returns what it has given.  AssertionError if it never is.

    It is asked again and again, so it may also do what brings the end nearer.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: the last answer was {found!r}"
        time.sleep(_PAUSE)
    return found
