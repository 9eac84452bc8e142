"""The log of a session's DSP, as its program gets it: what an error needs, and all that is left."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn

from qda import limits
from qda.client.loader import Loader
from qda.client.node import Node
from qda.errors import UsageTypeError
from qda.fastrpc.loader import READ_OWN_LOG, READ_SETTLED_LOG

__all__ = ["DspLog"]

_LEVELS = logging.getLevelNamesMapping()
"""Levels by the words with which lines of the DSP's log begin."""


class DspLog:
    """Takes lines, each once, and gives them to the logger `qda.dsp.DOMAIN`, unless they get there
    by themselves: when `serves` is true.  Thread-safe."""

    def __init__(self, node: Node, domain: str, loader: Loader, serves: Callable[[], bool]) -> None:
        self._node, self._loader, self._serves = node, loader, serves
        self._logger = logging.getLogger(f"qda.dsp.{domain}")
        self._lock = threading.Lock()
        self._left: list[tuple[int, str]] | None = None
        self._buried = False
        self._followed: deque[str] = deque(maxlen=limits.LOG_LINES)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError("the log of a session belongs to one process: send its lines")

    def follow(self) -> None:
        """Give the logger what is there by now, but for lines that an error will have.  They are
        still there for whoever takes the log."""
        if not self._serves():
            lines = self._loader.read_log(READ_SETTLED_LOG)
            self._followed.extend(lines)
            self._pass_on(lines)

    def take(self) -> list[str]:
        """All that is left, oldest line first; if the process has died, how stands at the end."""
        lines = self._loader.read_log() + self._left_behind(None)
        words = self._node.obituary
        with self._lock:
            followed = list(self._followed)
            self._followed.clear()
            tells = words is not None and not self._buried
            self._buried = self._buried or tells
        if not self._serves():
            self._pass_on(lines)
        lines = followed + lines
        if words is not None and tells:
            lines += words.report
            self._pass_on(["CRITICAL " + words.report[0], *words.report[1:]])
        return lines

    def take_own(self) -> list[str]:
        """What the last call of this thread that has failed has logged."""
        lines = self._loader.read_log(READ_OWN_LOG) + self._left_behind(threading.get_native_id())
        if not self._serves():
            self._pass_on(lines)
        return lines

    def _left_behind(self, thread: int | None) -> list[str]:
        """Lines that a process has left when it died: all, or those of a thread's call."""
        words = self._node.obituary
        if words is None:
            return []
        with self._lock:
            left = list(words.log) if self._left is None else self._left
            self._left = [one for one in left if thread not in (None, one[0])]
            return [line for number, line in left if thread in (None, number)]

    def _pass_on(self, lines: Sequence[str]) -> None:
        """Give lines to the program's logger, at their own levels: those that go on a message have
        its.  Not where nobody listens to it: Python would print them, and an error has them."""
        if not self._logger.hasHandlers():
            return
        level = logging.INFO
        for line in lines:
            name, _, words = line.partition(" ")
            known = _LEVELS.get(name)
            level = known or level
            self._logger.log(level, "%s", words if known else line)
