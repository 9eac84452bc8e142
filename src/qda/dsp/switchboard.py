"""Which reverse call is with which thread of the host: the states, without any waiting.

Code on the DSP calls the host, but no message goes there unasked.  So a host parks threads here,
and each of them takes one call, runs it, and comes back with the result (spec/fastrpc.md 7).

- A host is *silent* until it says that it will listen, or one of its threads comes: clients may
  leave the announcement out (7.2).  To a silent host no call is put through.
- A call *waits* until a parked thread *takes* it, in the order of the calls.  Then it has a
  context, a number that no other call under way has.
- A thread that comes ends the call that it names, with the result that it brings; a result for a
  call that is not under way is dropped (H15).
- A thread has one call at a time.  If it comes, or ends, and has a call for which it brings
  nothing, that call is *lost* (INTERRUPTED): nobody else is going to answer it.
- Whoever waits for a call may give it up as long as nobody has taken it (NO_LISTENER).
- When the session ends, all calls end (BAD_STATE), parked threads go home, and later ones are
  refused (6.6).

Every call gets one reply.  The two tables say it for the code, the page and the tests.
"""

from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from qda.errors import BAD_STATE, INTERRUPTED, NO_LISTENER, StatusError
from qda.fastrpc.scalars import Scalars
from qda.states import Transitions

__all__ = [
    "CALL",
    "HOST",
    "CallEvent",
    "CallState",
    "HostEvent",
    "HostState",
    "Reply",
    "ReverseCall",
    "Switchboard",
]


class HostState(enum.Enum):
    """What is known of a session's host."""

    SILENT = "it has not said that it listens, and no thread of it has come"
    LISTENING = "its threads come for calls, or will soon"
    ENDED = "the session has ended: nobody comes any more"


class HostEvent(enum.Enum):
    """What a host does."""

    ANNOUNCE = "it says that it is going to listen (`init2`)"
    COME = "a thread comes for a call (`next2`), with the result of another one or without"
    END = "its client exits, or the session ends in any other way"


HOST: Final = Transitions(
    "the host of reverse calls",
    HostState.SILENT,
    (HostState.SILENT, HostEvent.ANNOUNCE, HostState.LISTENING, "calls wait for a thread"),
    (HostState.SILENT, HostEvent.COME, HostState.LISTENING, "the thread is parked"),
    (HostState.SILENT, HostEvent.END, HostState.ENDED, "calls are refused"),
    (HostState.LISTENING, HostEvent.ANNOUNCE, HostState.LISTENING, "nothing new"),
    (HostState.LISTENING, HostEvent.COME, HostState.LISTENING, "its call ends; it is parked"),
    (HostState.LISTENING, HostEvent.END, HostState.ENDED, "parked threads go home, calls end"),
    (HostState.ENDED, HostEvent.ANNOUNCE, HostState.ENDED, "accepted, and too late"),
    (HostState.ENDED, HostEvent.END, HostState.ENDED, "nothing is left to end"),
)


class CallState(enum.Enum):
    """How far a reverse call has come."""

    WAITING = "no thread of the host has it yet"
    TAKEN = "a thread of the host runs it"
    ENDED = "it has its reply"


class CallEvent(enum.Enum):
    """What happens to a reverse call."""

    TAKE = "a parked thread takes it"
    REPLY = "a thread brings its result"
    LOSE = "its thread comes or ends without a result"
    GIVE_UP = "no thread came in time"
    END = "the session ends"


CALL: Final = Transitions(
    "a reverse call",
    CallState.WAITING,
    (CallState.WAITING, CallEvent.TAKE, CallState.TAKEN, "it gets its context"),
    (CallState.WAITING, CallEvent.GIVE_UP, CallState.ENDED, "NO_LISTENER"),
    (CallState.WAITING, CallEvent.END, CallState.ENDED, "BAD_STATE"),
    (CallState.TAKEN, CallEvent.REPLY, CallState.ENDED, "the host's result, or BAD_PARAMETER"),
    (CallState.TAKEN, CallEvent.LOSE, CallState.ENDED, "INTERRUPTED"),
    (CallState.TAKEN, CallEvent.END, CallState.ENDED, "BAD_STATE"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a reverse call has ended: the host's result, unsigned, and the out-buffers if it is 0.

    `failure` says why, when it is not the host's own result.
    """

    status: int
    outs: Sequence[bytes] = ()
    failure: str = ""


@dataclass(eq=False, slots=True)
class ReverseCall:
    """A call of the host: `stream` has its in-buffers, `sizes` are those of its out-buffers.

    `done` is told of the reply if nobody waits for it.
    """

    handle: int
    scalars: Scalars
    stream: bytes
    sizes: Sequence[int]
    done: Callable[[Reply], None] | None = None
    state: CallState = field(default=CallState.WAITING, init=False)
    context: int = field(default=0, init=False)
    thread: int = field(default=0, init=False)
    reply: Reply | None = field(default=None, init=False)

    def take(self, context: int, thread: int) -> None:
        """A thread of the host takes it.  IllegalStep."""
        self.state = CALL.after(self.state, CallEvent.TAKE)
        self.context, self.thread = context, thread

    def end(self, event: CallEvent, reply: Reply) -> None:
        """It ends with a reply.  IllegalStep."""
        self.state = CALL.after(self.state, event)
        self.reply = reply


_SESSION_ENDED = Reply(BAD_STATE, failure="the session has ended")
_SILENT = Reply(
    NO_LISTENER, failure="the session has no listener: in Python, call session.serve_host() first"
)
_LOST = Reply(INTERRUPTED, failure="the host's thread has left the call")


class Switchboard:
    """The reverse calls of one session, and the threads that are parked for them.

    It holds no lock and waits for nothing: `ReverseCalls` does both.  What ends is returned, for
    the caller to tell those who wait.
    """

    def __init__(self) -> None:
        self.host = HOST.start
        self.parked = 0
        self._waiting: collections.deque[ReverseCall] = collections.deque()
        self._taken: dict[int, ReverseCall] = {}
        self._contexts = 0

    @property
    def has_waiting(self) -> bool:
        """Whether a call waits for a thread."""
        return bool(self._waiting)

    @property
    def has_threads(self) -> bool:
        """Whether a thread of the host is here, or will be when it has run its call."""
        return bool(self.parked or self._taken)

    def refusal(self) -> Reply | None:
        """With what a call ends that is not even begun, None if it may begin."""
        if self.host is HostState.LISTENING:
            return None
        return _SESSION_ENDED if self.host is HostState.ENDED else _SILENT

    def put(self, call: ReverseCall) -> None:
        """Begin a call, which `refusal` allows."""
        self._waiting.append(call)

    def announce(self) -> None:
        """The host says that it is going to listen."""
        self.host = HOST.after(self.host, HostEvent.ANNOUNCE)

    def come(
        self, thread: int, context: int, read: Callable[[ReverseCall], Reply]
    ) -> list[ReverseCall]:
        """Park a thread, after the call that it names has the reply that `read` finds.

        Returns the calls that have ended.  StatusError BAD_STATE after the end of the session.
        """
        if not HOST.legal(self.host, HostEvent.COME):
            raise StatusError(BAD_STATE, _SESSION_ENDED.failure)
        self.host = HOST.after(self.host, HostEvent.COME)
        found = self._taken.pop(context, None)
        if found is not None:
            found.end(CallEvent.REPLY, read(found))
        self.parked += 1
        return ([found] if found is not None else []) + self.leave(thread)

    def take(self, thread: int) -> ReverseCall:
        """Give the first waiting call to a parked thread.  StatusError BAD_STATE at the end."""
        if self.host is HostState.ENDED:
            raise StatusError(BAD_STATE, _SESSION_ENDED.failure)
        call = self._waiting.popleft()
        call.take(self._next_context(), thread)
        self._taken[call.context] = call
        return call

    def unpark(self) -> None:
        """A parked thread has taken a call, or goes home."""
        self.parked -= 1

    def leave(self, thread: int) -> list[ReverseCall]:
        """A thread of the host brings no more results: its calls are lost.  Returns them."""
        lost = [call for call in self._taken.values() if call.thread == thread]
        for call in lost:
            del self._taken[call.context]
            call.end(CallEvent.LOSE, _LOST)
        return lost

    def give_up(self, call: ReverseCall, why: str) -> None:
        """Whoever waits for a call that nobody has taken waits no longer.  IllegalStep."""
        call.end(CallEvent.GIVE_UP, Reply(NO_LISTENER, failure=why))
        self._waiting.remove(call)

    def end(self) -> list[ReverseCall]:
        """The session ends, and all its calls.  Returns them."""
        self.host = HOST.after(self.host, HostEvent.END)
        ended = [*self._waiting, *self._taken.values()]
        self._waiting.clear()
        self._taken.clear()
        for call in ended:
            call.end(CallEvent.END, _SESSION_ENDED)
        return ended

    def find(self, context: int) -> ReverseCall | None:
        """The call that a thread of the host has under a context."""
        return self._taken.get(context)

    def _next_context(self) -> int:
        """A number that no call under way has.  0 means none (7.3)."""
        while True:
            self._contexts = self._contexts % 0x7FFF_FFFF + 1
            if self._contexts not in self._taken:
                return self._contexts
