"""The lines of a session's log that its client has not read."""

from __future__ import annotations

import collections
import threading

from qda import limits
from qda.dsp.black_box import KeptLog

__all__ = ["UnreadLog"]


class UnreadLog:
    """Lines that wait for their reader, the last `limits.LOG_LINES` of them.  Thread-safe.

    `kept` has them, too, for who reads them when the process has died.
    """

    def __init__(self, kept: KeptLog | None) -> None:
        self._lines: collections.deque[bytes] = collections.deque()
        self._kept = kept
        self._lock = threading.Lock()

    def put(self, text: str) -> None:
        """Add a line; the oldest one goes if there are too many."""
        line = text.encode("utf-8", "replace")[: limits.LOG_LINE] + b"\n"
        with self._lock:
            if len(self._lines) >= limits.LOG_LINES:
                self._drop()
            self._lines.append(line)
            if self._kept is not None:
                self._kept.put(line)

    def take(self, room: int) -> list[bytes]:
        """The oldest lines, as many as fit into `room` bytes; each with its newline."""
        taken: list[bytes] = []
        with self._lock:
            while self._lines and len(self._lines[0]) <= room:
                room -= len(self._lines[0])
                taken.append(self._drop())
        return taken

    def _drop(self) -> bytes:
        line = self._lines.popleft()
        if self._kept is not None:
            self._kept.fetched(line)
        return line
