"""Reverse calls: how code on the DSP calls the host (spec/fastrpc.md 7).

The host parks threads in `next2`.  A reverse call is handed to one of them, and comes to its end
when a host thread brings the result.  There is one `Listener` for each session; it is the state
machine, and knows nothing of messages.

Every reverse call ends, with the host's result or with a status:

BAD_STATE        the session has ended, or the host has (0x8000040D)
NO_LISTENER      no thread of the host listens, and none came in time
INTERRUPTED      the thread that had the call asks for another one and brings no result for it
BAD_PARAMETER    the host's reply is not what was asked for
"""

from __future__ import annotations

import collections
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    INTERRUPTED,
    NO_LISTENER,
    StatusError,
    as_unsigned,
)
from qda.fastrpc.listener import MoreAnswer, MoreRequest, NextAnswer, NextRequest
from qda.fastrpc.nested import pack_request, unpack_reply
from qda.fastrpc.scalars import Scalars

__all__ = ["Listener", "Reply"]

PATIENCE = 2.0
"""Seconds that a call waits for a thread of a host that has announced one (clients.md 4: the
listener is a race with the program), or that was there before."""

ROOM_FOR_POSTS = 64
"""Calls that nobody waits for: when so many are under way, `post` refuses."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a reverse call has ended: the host's result, unsigned, and the out-buffers if it is 0.

    `failure` says why, when it is not the host's own result.
    """

    status: int
    outs: Sequence[bytes] = ()
    failure: str = ""


@dataclass(eq=False, slots=True)
class _Call:
    handle: int
    scalars: Scalars
    stream: bytes
    sizes: Sequence[int]
    done: Callable[[Reply], None] | None
    context: int = 0
    thread: int = 0
    reply: Reply | None = field(default=None)


class Listener:
    """The reverse calls of one session.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = threading.Condition(self._lock)
        """Parked threads wait for a request."""
        self._changed = threading.Condition(self._lock)
        """Calls wait for their reply, and for somebody who listens."""
        self._queue: collections.deque[_Call] = collections.deque()
        self._taken: dict[int, _Call] = {}
        self._parked = 0
        self._posts = 0
        self._contexts = 0
        self._announced = self._complete = self._ended = False

    @property
    def is_announced(self) -> bool:
        """Whether the host has said that it listens."""
        return self._announced

    @property
    def is_complete(self) -> bool:
        """Whether the host may be asked for what it perhaps does not know.

        Clients that listen at handle 3 only end when they meet an unknown method (7.3).
        """
        return self._complete

    # The host's side.

    def announce(self, complete: bool) -> None:
        """A host is going to listen; `complete` if it does so at handle 7."""
        with self._lock:
            self._announced = True
            self._complete = self._complete or complete
            self._changed.notify_all()

    def next(
        self, thread: int, request: NextRequest, reply: memoryview, room: memoryview
    ) -> NextAnswer:
        """Take the result of a call and wait for another one, whose stream is written to `room`.

        `thread` is the host's.  StatusError BAD_STATE when the session ends (6.6).
        """
        with self._lock:
            self._announced = True
            ended = self._bring(thread, request, reply)
            self._parked += 1
            self._changed.notify_all()
        for call in ended:  # without the lock: it may post another call
            _finish(call)
        with self._lock:
            try:
                self._requested.wait_for(lambda: self._queue or self._ended)
                if self._ended:
                    raise StatusError(BAD_STATE, "the session has ended")
                call = self._queue.popleft()
                call.context, call.thread = self._next_context(), thread
                self._taken[call.context] = call
            finally:
                self._parked -= 1
        _fill(room, call.stream)
        return NextAnswer(
            context=call.context,
            handle=call.handle,
            scalars=call.scalars.word,
            length=len(call.stream),
        )

    def _bring(self, thread: int, request: NextRequest, reply: memoryview) -> list[_Call]:
        """The calls that end because a thread comes back: its own, whether it has a result or
        not.  A result for a call that is not under way is dropped (H15)."""
        found = self._taken.pop(request.context, None)
        if found is not None:
            found.reply = _reply_of(found, request, reply)
        lost = [call for call in self._taken.values() if call.thread == thread]
        for call in lost:
            del self._taken[call.context]
            call.reply = Reply(INTERRUPTED, failure="the host's thread has left the call")
        return ([found] if found is not None else []) + lost

    def more(self, request: MoreRequest, room: memoryview) -> MoreAnswer:
        """Write the rest of a request's stream to `room`.  StatusError BAD_PARAMETER."""
        with self._lock:
            call = self._taken.get(request.context)
        if call is None or request.offset > len(call.stream):
            raise StatusError(
                BAD_PARAMETER, f"no byte {request.offset} in a request of call {request.context}"
            )
        _fill(room, memoryview(call.stream)[request.offset :])
        return MoreAnswer(length=len(call.stream))

    def thread_left(self, thread: int) -> None:
        """A thread of the host has ended: a call that it has taken will not be answered."""
        with self._lock:
            ended = self._bring(thread, NextRequest(), memoryview(b""))
            self._changed.notify_all()
        for call in ended:
            _finish(call)

    def end(self) -> None:
        """The session ends: parked threads go home, calls end with BAD_STATE.  Idempotent."""
        with self._lock:
            self._ended = True
            ended = [*self._queue, *self._taken.values()]
            self._queue.clear()
            self._taken.clear()
            for call in ended:
                call.reply = Reply(BAD_STATE, failure="the session has ended")
            self._requested.notify_all()
            self._changed.notify_all()
        for call in ended:
            _finish(call)

    # The DSP's side.

    def wait_for_host(self, patience: float) -> bool:
        """Wait until a host has announced itself, at most `patience` seconds; whether one has."""
        with self._lock:
            self._changed.wait_for(lambda: self._announced or self._ended, patience)
            return self._announced and not self._ended

    def call(
        self,
        handle: int,
        scalars: Scalars,
        ins: Sequence[bytes | memoryview],
        sizes: Sequence[int],
    ) -> Reply:
        """Call a method of the host, and wait for the result.

        It waits as long as a thread of the host is there, and PATIENCE for one if a listener was
        announced.  The reply has the statuses of this module's text.
        """
        call = _call(handle, scalars, ins, sizes, None)
        with self._lock:
            refusal = self._refusal()
            if refusal is not None:
                return refusal
            self._queue.append(call)
            self._requested.notify()
            while call.reply is None:
                if self._parked or self._taken:
                    self._changed.wait()
                elif not self._changed.wait_for(
                    lambda: call.reply is not None or self._parked or self._taken, PATIENCE
                ):
                    self._queue.remove(call)
                    return Reply(NO_LISTENER, failure=f"no host thread came in {PATIENCE} s")
        return call.reply

    def post(
        self,
        handle: int,
        scalars: Scalars,
        ins: Sequence[bytes | memoryview],
        sizes: Sequence[int],
        done: Callable[[Reply], None],
    ) -> bool:
        """Call a method of the host without waiting; `done` gets the reply, in some thread.

        False if too many such calls are under way, or nobody has announced to listen.
        """
        call = _call(handle, scalars, ins, sizes, done)
        with self._lock:
            if self._posts >= ROOM_FOR_POSTS or self._refusal() is not None:
                return False
            self._posts += 1
            call.done = self._posted(done)
            self._queue.append(call)
            self._requested.notify()
        return True

    def _posted(self, done: Callable[[Reply], None]) -> Callable[[Reply], None]:
        def finished(reply: Reply) -> None:
            with self._lock:
                self._posts -= 1
            done(reply)

        return finished

    def _refusal(self) -> Reply | None:
        if self._ended:
            return Reply(BAD_STATE, failure="the session has ended")
        if not self._announced:
            return Reply(
                NO_LISTENER,
                failure="the session has no listener: in Python, call session.serve_host() first",
            )
        return None

    def _next_context(self) -> int:
        """A number that no call under way has.  0 means none (7.3)."""
        while True:
            self._contexts = self._contexts % 0x7FFF_FFFF + 1
            if self._contexts not in self._taken:
                return self._contexts


def _call(
    handle: int,
    scalars: Scalars,
    ins: Sequence[bytes | memoryview],
    sizes: Sequence[int],
    done: Callable[[Reply], None] | None,
) -> _Call:
    try:
        return _Call(handle, scalars, pack_request(ins, sizes), sizes, done)
    except ValueError as error:
        raise StatusError(BAD_PARAMETER, f"reverse call: {error}") from error


def _reply_of(call: _Call, request: NextRequest, reply: memoryview) -> Reply:
    if request.result:
        return Reply(as_unsigned(request.result))
    try:
        outs = unpack_reply(reply[: request.reply_length], call.sizes)
    except (ValueError, struct.error) as error:
        return Reply(BAD_PARAMETER, failure=f"the host's reply: {error}")
    return Reply(0, [bytes(out) for out in outs])


def _finish(call: _Call) -> None:
    if call.done is not None and call.reply is not None:
        call.done(call.reply)


def _fill(room: memoryview, stream: bytes | memoryview) -> None:
    size = min(len(room), len(stream))
    room[:size] = stream[:size]
