"""The lines of a session's log that its client has not read, each with the call that it is of.

A line belongs to the call in whose thread it was logged.  If that call fails its lines are for the
error, which the client's thread asks for next; all others wait for whoever reads the whole log.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable

from qda import limits
from qda.dsp.black_box import KeptLog

__all__ = ["CallLog", "Line", "UnreadLog"]


class Line:
    """A line with its newline, and the client's thread whose call it is of, 0 for none."""

    __slots__ = ("data", "has_failed", "is_over", "thread")

    def __init__(self, data: bytes, thread: int) -> None:
        self.data, self.thread = data, thread
        self.is_over = self.has_failed = False

    def is_anyones(self) -> bool:
        """Whether it is there at all."""
        return True

    def is_of_error(self, thread: int) -> bool:
        """Whether it is of the last call of a thread of the client that has failed."""
        return self.has_failed and self.thread == thread

    def is_settled(self) -> bool:
        """Whether it is for no error: of a call that has succeeded, or of none."""
        return not self.has_failed and (self.is_over or not self.thread)

    def kept(self) -> bytes:
        """As the black box keeps it, with the thread as long as its call runs."""
        return b"%d %s" % (0 if self.is_over else self.thread, self.data)


class CallLog:
    """What the call has logged that runs on a lane.

    `note` has the end of that call told, and says of which thread of the client it is.  `refused`:
    the call succeeds, and its answer says that something has failed.
    """

    def __init__(self, note: Callable[[], int]) -> None:
        self._note = note
        self.lines: collections.deque[Line] = collections.deque(maxlen=limits.LOG_LINES)
        self.refused = False

    def begin(self) -> int:
        """A line is about to be logged; returns the client's thread."""
        return self._note()

    def refuse(self) -> None:
        """Something has failed, whatever the result of the call."""
        self._note()
        self.refused = True


class UnreadLog:
    """Lines that wait for their reader, the last `limits.LOG_LINES` of them.  Thread-safe.

    `kept` has them, too, for who reads them when the process has died.
    """

    def __init__(self, kept: KeptLog | None) -> None:
        self._lines: collections.deque[Line] = collections.deque(maxlen=limits.LOG_LINES)
        self._kept = kept
        self._lock = threading.RLock()  # a finalizer may log, within any statement

    def put(self, text: str, thread: int) -> Line:
        """Add a line; the oldest one goes if there are too many."""
        line = Line(text.encode("utf-8", "replace")[: limits.LOG_LINE] + b"\n", thread)
        with self._lock:
            self._lines.append(line)
            if self._kept is not None:
                self._kept.put(line.kept())
        return line

    def over(self, call: CallLog, thread: int, failed: bool) -> None:
        """A call of that thread ends: if it has failed, its lines are what the thread may ask for,
        and those of an earlier one are not."""
        failed = failed or call.refused
        with self._lock:
            if failed:
                for line in list(self._lines):
                    line.has_failed &= line.thread != thread
            if call.lines and self._kept is not None:
                self._kept.over(thread)
            while call.lines:
                line = call.lines.popleft()
                line.is_over, line.has_failed = True, failed
            call.refused = False

    def take(self, room: int, wanted: Callable[[Line], bool]) -> list[Line]:
        """The oldest wanted lines, as many as fit into `room` bytes."""
        with self._lock:
            taken, left = [], []
            for line in list(self._lines):
                is_wanted = wanted(line)
                if is_wanted and len(line.data) <= room:
                    room -= len(line.data)
                    taken.append(line)
                else:
                    room = room if not is_wanted else 0  # what follows is not older
                    left.append(line)
            if taken:
                self._lines.clear()
                self._lines.extend(left)
                if self._kept is not None:
                    self._kept.keep(line.kept() for line in left)
        return taken
