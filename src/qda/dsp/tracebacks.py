"""Exceptions of skeletons in words: as their authors would see them, were there no DSP.

The frames that are shown are the program's.  Those of this package lead to a method, or stand below
it where what it has given was refused, and say nothing to who has written it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import dropwhile
from traceback import FrameSummary, StackSummary, TracebackException
from typing import Final

from qda.errors import QdaError, UsageError

__all__ = ["NO_DEBUGGER", "is_made", "shown", "told", "without_debugger"]

NO_DEBUGGER: Final = (
    "nobody can be at the debugger of a DSP that is a process of its own: open the session with "
    "`qda.open(..., debug=True)`, and the DSP is threads of the program"
)

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_COMMANDS = os.path.join(_PACKAGE, "cli") + os.sep
"""What is not ours here: the skeleton of the demonstration."""

_MADE = "<Python of ", "<call of ", "<serve of "
"""Names of code that was made from interfaces."""


def told(error: BaseException) -> str:
    """An exception with its traceback; what we refuse ourselves is a line without one."""
    whole = TracebackException.from_exception(error)
    inner = whole.stack[-1:]
    _keep_the_program(whole)
    if isinstance(error, QdaError) and inner and _is_ours(inner[0]):
        whole.__cause__ = whole.__context__ = None  # the same in other words
        if not whole.stack:
            return f"{type(error).__name__}: {error}"
    lines = "".join(whole.format()).rstrip()
    # Not by its class: nobody else needs the debugger's module.
    return f"{lines}: {NO_DEBUGGER}" if type(error).__name__ == "BdbQuit" else lines


def _keep_the_program(whole: TracebackException) -> None:
    """Leave the program's frames, in what led to the exception too."""
    kept = [frame for frame in whole.stack if not _is_ours(frame)]
    whole.stack = StackSummary.from_list(kept)
    for other in (whole.__cause__, whole.__context__, *(whole.exceptions or ())):
        if other is not None:
            _keep_the_program(other)


def _is_ours(frame: FrameSummary) -> bool:
    name = frame.filename
    ours = name.startswith(_PACKAGE) and not name.startswith(_COMMANDS)
    return ours or is_made(name)


def is_made(file: str) -> bool:
    """Whether code of that file name was made from an interface."""
    return file.startswith(_MADE)


def shown(stack: Iterable[FrameSummary]) -> str:
    """What the program has of a stack below the first frame of ours, as a traceback."""
    below = dropwhile(lambda frame: not _is_ours(frame), stack)
    kept = [frame for frame in below if not _is_ours(frame)]
    lines = StackSummary.from_list(kept).format()
    return "".join(["Traceback (most recent call last):\n", *lines]).rstrip()


def without_debugger() -> None:
    """Let `breakpoint()` say what to do, unless PYTHONBREAKPOINT says something else."""

    def refuse(*given: object, **named: object) -> object:
        if os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*given, **named)
        raise UsageError(f"breakpoint(): {NO_DEBUGGER}")

    sys.breakpointhook = refuse
