"""The stream of events: from the threads to which something happens, to those who show it.

Who makes a call must not wait for its trace.  So an event is put as what makes it, to be decoded
and shown by a thread of the stream's own when nothing has come for a moment: that thread and a call
that is under way would take each other's time.  As long as events come, it looks for that ever more
rarely: each time it wakes, the kernel may part a program and its server, which do best on one CPU.
What waits is limited; beyond that, who makes a call shows some of it first.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from qda import limits
from qda.errors import UsageError
from qda.tracing.events import Event

__all__ = ["Made", "Sink", "Stream", "decoded"]

Made = Callable[[], Iterable[Event]]
"""Makes events of what was kept when something happened."""

Sink = Callable[[Event], None]
"""Shows events, one after the other."""

_log = logging.getLogger("qda.tracing")


def decoded(made: Made) -> Sequence[Event]:
    """The events of what was kept; none, and a line in the log, if they cannot be made."""
    try:
        return tuple(made())
    except Exception:
        _log.exception("an event of the trace cannot be decoded")
        return ()


class Stream:
    """Takes events from any thread until `close`, and gives them to all `sinks` in that order.

    What comes later is dropped.  A sink that cannot write any more, OSError or UsageError, is given
    nothing more.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._broken: UsageError | None = None
        self._waiting: collections.deque[Made] = collections.deque()
        self._shown = threading.Lock()
        self._came = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._show_later, daemon=True, name="trace")
        self._thread.start()

    def tell(self, event: Event) -> None:
        """Something has happened."""
        self.put(lambda: (event,))

    def put(self, made: Made) -> None:
        """Something has happened that is to be decoded later."""
        if self._closing.is_set():
            return
        self._waiting.append(made)
        if not self._came.is_set():
            self._came.set()
        if len(self._waiting) > limits.TRACED_EVENTS:
            for _ in range(2):  # more than has come, and no call waits for all the others
                self._show_next()

    def _show_later(self) -> None:
        while self._came.wait() and not self._closing.is_set():
            moment = limits.TRACE_QUIET
            while self._came.is_set() and not self._closing.is_set():
                self._came.clear()
                self._closing.wait(moment)
                moment = min(2 * moment, limits.TRACE_LATE)
            while self._waiting and not self._came.is_set():
                self._show_next()
                time.sleep(0)  # whoever has something better to do comes first

    def _show_next(self) -> None:
        with self._shown:
            if not self._waiting:
                return
            for event in decoded(self._waiting.popleft()):
                for sink in tuple(self._sinks):
                    self._give(event, sink)

    def _give(self, event: Event, sink: Sink) -> None:
        try:
            sink(event)
        except (OSError, UsageError) as error:  # a full disk, or nobody reads it any more
            self._sinks.remove(sink)
            if isinstance(error, UsageError):
                self._broken = error
        except Exception:
            _log.exception("an event of the trace cannot be shown")

    def close(self) -> None:
        """Show what is left; no more comes.  UsageError of a sink that could not write all of it.
        Idempotent."""
        self._closing.set()
        self._came.set()
        self._thread.join()
        while self._waiting:
            self._show_next()
        if self._broken is not None:
            raise self._broken
