"""Ctrl-C at a chosen place: no luck is needed to find the instruction that tears something."""

from __future__ import annotations

import dis
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import qda

__all__ = ["Striker"]

PACKAGE = str(Path(qda.__file__).parent)

AFTER = {"RESUME", "CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RETURN_VALUE"}
"""Instructions at whose end the interpreter looks for signals, and a few more."""


class Striker:
    """Sends SIGINT to this thread at the `count`th place of ours at which Python runs handlers;
    each instruction counts once.  Python loses what is raised in a finalizer, so it goes on to the
    next place that is in none.  `has_struck` says whether there were so many, `where` which one
    it was.
    """

    def __init__(self, count: int) -> None:
        self._left = count
        self.where = ""
        self._seen: set[tuple[CodeType, int]] = set()
        self._before: dict[int, str] = {}

    @property
    def has_struck(self) -> bool:
        return bool(self.where)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """A block in which it strikes."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._before[id(frame)] = ""
            if frame.f_back is not None and not frame.f_code.co_name.startswith("__"):
                # Python calls Python without a look when that returns.
                self._before[id(frame.f_back)] = ""
        elif event == "opcode":
            self._reach(frame)
        return self._trace

    def _reach(self, frame: FrameType) -> None:
        before = self._before.get(id(frame), "")
        here = self._before[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        place = frame.f_code, frame.f_lasti
        # No handler runs where an exception is about to be caught.
        if before not in AFTER or here == "PUSH_EXC_INFO" or place in self._seen or self.where:
            return
        self._seen.add(place)
        self._left -= 1
        if self._left <= 0 and not _in_a_finalizer(frame):
            self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno} after {before}"
            signal.raise_signal(signal.SIGINT)


def _in_a_finalizer(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
