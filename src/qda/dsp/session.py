"""A client's session as the process on the DSP sees it: its life, its calls, its log.

- A session is *opened* by the processor, with the endpoints of its calls.
- It is *started* when the driver says what it is for: a user protection domain is created for it,
  or it attaches to the root protection domain, which may be said more than once.
- Its client may *leave* by exit, or by an exception that it asks for.  From then on its calls are
  refused, but for the process's own module (handle 4) and the driver's (handle 1) (spec 6.6, 10).
  Calls that still run are not answered for their methods: these go on using the endpoint and the
  message, which an answer would free for the next call.
- The driver *releases* it (spec 3.4): then also those are answered, with BAD_STATE.
- When its control endpoint ends, it is *gone*, whether anybody has said so or not: programs are
  killed.  What it had is *forgotten* as soon as none of its methods runs any more.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from qda import limits
from qda.core import Server
from qda.dsp.black_box import KeptLog
from qda.dsp.driver_signals import DriverSignals
from qda.dsp.hostlog import HostLog
from qda.dsp.reverse_calls import ReverseCalls
from qda.dsp.unread_log import CallLog, Line, UnreadLog
from qda.errors import BAD_STATE, StatusError, as_signed
from qda.fastrpc.handles import Fixed
from qda.fastrpc.hostlog import Level
from qda.rpmsg import Endpoint
from qda.states import Transitions

__all__ = ["LIFE", "ClientFault", "Life", "LifeEvent", "Served", "Session", "SessionLog"]


class Life(enum.Enum):
    """How far a session has come."""

    OPENED = "its endpoints are here"
    STARTED = "its process was made for it, or it has attached to one"
    LEFT = "its client has called exit"
    RELEASED = "the driver has ended it"
    GONE = "its control endpoint has ended, and a call of it still runs"
    FORGOTTEN = "nothing of it is left"


class LifeEvent(enum.Enum):
    """What happens to a session."""

    CREATE = "the driver says that the process is made for it"
    ATTACH = "the driver says that it attaches to the process"
    EXIT = "its client makes no more calls"
    RELEASE = "the driver ends it"
    GO = "its control endpoint ends"
    FORGET = "no call of it runs any more"


LIFE: Final = Transitions(
    "a session on the DSP",
    Life.OPENED,
    (Life.OPENED, LifeEvent.CREATE, Life.STARTED, "its client may open modules"),
    (Life.OPENED, LifeEvent.ATTACH, Life.STARTED, "the same"),
    (Life.OPENED, LifeEvent.EXIT, Life.LEFT, "reverse calls end"),
    (Life.OPENED, LifeEvent.RELEASE, Life.RELEASED, "as when it was started"),
    (Life.OPENED, LifeEvent.GO, Life.GONE, "as when it was started"),
    (Life.STARTED, LifeEvent.ATTACH, Life.STARTED, "nothing new"),
    (Life.STARTED, LifeEvent.EXIT, Life.LEFT, "reverse calls end; the host gets the last messages"),
    (Life.STARTED, LifeEvent.RELEASE, Life.RELEASED, "reverse calls end, all calls are answered"),
    (Life.STARTED, LifeEvent.GO, Life.GONE, "reverse calls end"),
    (Life.LEFT, LifeEvent.ATTACH, Life.LEFT, "accepted, and too late"),
    (Life.LEFT, LifeEvent.EXIT, Life.LEFT, "nothing new"),
    (Life.LEFT, LifeEvent.RELEASE, Life.RELEASED, "all calls are answered"),
    (Life.LEFT, LifeEvent.GO, Life.GONE, "nothing is left to end"),
    (Life.RELEASED, LifeEvent.EXIT, Life.RELEASED, "nothing new"),
    (Life.RELEASED, LifeEvent.RELEASE, Life.RELEASED, "nothing new"),
    (Life.RELEASED, LifeEvent.GO, Life.GONE, "nothing is left to end"),
    (Life.GONE, LifeEvent.EXIT, Life.GONE, "nothing is left to end"),
    (Life.GONE, LifeEvent.RELEASE, Life.GONE, "all calls are answered, to nobody"),
    (Life.GONE, LifeEvent.FORGET, Life.FORGOTTEN, "modules are closed, memory is taken away"),
    (Life.FORGOTTEN, LifeEvent.RELEASE, Life.FORGOTTEN, "nothing is left to destroy"),
)

_AFTER_EXIT: Final = frozenset({Fixed.CURRENT_PROCESS1, Fixed.INIT})

_ANSWERED: Final[dict[Life, frozenset[Fixed] | None]] = {
    Life.OPENED: None,
    Life.STARTED: None,
    Life.LEFT: _AFTER_EXIT,
    Life.RELEASED: _AFTER_EXIT,
    Life.GONE: frozenset(),
    Life.FORGOTTEN: frozenset(),
}
"""The handles that answer in a state, None for all of them (spec 6.6, 10)."""


class ClientFault(StatusError):
    """A client has asked to end as by a fault in its process."""


class Session:
    """A client's session.  Thread-safe.  `polled` says that its messages have poll words;
    `signals` are those of a driver that has them."""

    polled = False
    signals: DriverSignals | None = None

    def __init__(self, client_id: int, control: Endpoint, kept: KeptLog | None = None) -> None:
        self.client_id, self.control = client_id, control
        self.state = LIFE.start
        self._answered = _ANSWERED[self.state]
        self.reverse_calls = ReverseCalls()
        self._lock = threading.Lock()
        self._lanes: list[Server] = []
        self._log = UnreadLog(kept)
        self._host_log = HostLog(self.reverse_calls)
        self._ends: list[Callable[[], None]] = []
        self._stopping = threading.Lock()
        self._is_over = False

    # Its life.

    def step(self, event: LifeEvent) -> None:
        """Something happens to it.  StatusError BAD_STATE if it may not."""
        with self._lock:
            if not LIFE.legal(self.state, event):
                words = f"the session cannot {event.name.lower()}: {self.state.value}"
                raise StatusError(BAD_STATE, words)
            self._enter(event)

    def stop(self, event: LifeEvent) -> None:
        """Its client makes no more calls, whatever the reason: what waits for the client ends.

        When this returns it has ended, also if another thread has begun with it."""
        self.step(event)
        with self._stopping:
            self.reverse_calls.end()
            while self._ends:
                self._ends.pop()()

    def ends(self, what: Callable[[], None]) -> None:
        """Have something done when its client makes no more calls."""
        self._ends.append(what)

    def answers(self, handle: int) -> bool:
        """Whether a call of that handle is allowed now."""
        return self._answered is None or handle in self._answered

    # Its calls.

    def add(self, lane: Server) -> None:
        """A lane begins to serve its calls."""
        with self._lock:
            self._lanes.append(lane)
            if self._answered is not None:
                lane.watch()

    def watch(self) -> None:
        """No lane serves a call any more without asking whether it may."""
        for lane in self._lanes:
            lane.watch()

    def finish(self) -> bool:
        """A call of a watched lane runs no more; whether the session is to be forgotten with it."""
        with self._lock:
            return self._forget()

    def answer_all(self, but: Server | None) -> None:
        """Answer what runs with BAD_STATE, except the call of one's own lane."""
        with self._lock:
            lanes = [lane for lane in self._lanes if lane is not but]
        for lane in lanes:
            lane.answer(as_signed(BAD_STATE))

    def go(self) -> bool:
        """Its control endpoint has ended; whether the session is to be forgotten at once."""
        self.stop(LifeEvent.GO)
        with self._lock:
            self._is_over = True
            return self._forget()

    def _forget(self) -> bool:
        """Whether none of its methods runs any more, it having gone, and nothing else uses its
        memory: queues do until they have been ended, and a call that waits in them ends first."""
        if not self._is_over or self.state is not Life.GONE:
            return False
        if any(lane.runs() for lane in self._lanes):
            return False
        self._enter(LifeEvent.FORGET)
        return True

    def _enter(self, event: LifeEvent) -> None:
        self.state = LIFE.after(self.state, event)
        self._answered = _ANSWERED[self.state]
        if self._answered is not None:
            self.watch()

    # Its log.

    def announce(self, complete: bool) -> None:
        """Its host is going to listen, `complete` if at handle 7: it gets what was logged."""
        self.reverse_calls.announce(complete)
        self._host_log.send()

    def write_log(self, record: logging.LogRecord, text: str, call: CallLog | None) -> None:
        """Put a record of a call, if it is one, into the log, and send it to the host."""
        thread = call.begin() if call is not None else 0
        level, place = Level.from_python(record.levelno), os.path.basename(record.pathname)
        name = record.levelname + " "  # which the host has in its record
        for row in text.splitlines():
            line = self._log.put(row, thread)
            if call is not None:
                call.lines.append(line)
            words, name = row.removeprefix(name), ""
            self._host_log.put(line, level, place, record.lineno, words)
        self._host_log.send()

    def call_over(self, call: CallLog, thread: int, result: int) -> None:
        """A call of a thread of the client ends that has failed, or has logged something."""
        self._log.over(call, thread, result != 0)

    def take_log(self, room: int, wanted: Callable[[Line], bool]) -> bytes:
        """Wanted lines that the client has not read yet, as many as fit, each with its newline."""
        lines = self._log.take(room, wanted)
        self._host_log.forget(lines)
        return b"".join(line.data for line in lines)

    def flush_log(self) -> None:
        """Give a host that listens the time to take what was logged."""
        self._host_log.flush(limits.LAST_WORDS)


class Served:
    """What a thread serves: a lane with its session, the host's thread that calls, and what its
    call has logged."""

    __slots__ = ("lane", "log", "session", "thread")

    def __init__(
        self,
        session: Session | None = None,
        lane: Server | None = None,
        log: CallLog | None = None,
    ) -> None:
        self.session, self.lane, self.log = session, lane, log
        self.thread = 0


class SessionLog(logging.Handler):
    """Puts records into the log of the session that `find` finds, if there is one, with what the
    call that runs in this thread has logged."""

    def __init__(self, find: Callable[[], tuple[Session | None, CallLog | None]]) -> None:
        super().__init__()
        self._find = find
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        session, call = self._find()
        if session is not None:
            session.write_log(record, self.format(record), call)
