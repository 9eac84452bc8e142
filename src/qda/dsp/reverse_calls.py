"""Reverse calls: how code on the DSP calls the host (spec/fastrpc.md 7).

The host parks threads in `next2`.  A reverse call is handed to one of them, and comes to its end
when a host thread brings the result.  There is one `ReverseCalls` for each session: it locks and
waits, and reads and writes the streams; what happens to a call is decided by `Switchboard`.

Every reverse call ends, with the host's result or with a status:

BAD_STATE        the session has ended, or the host has (0x8000040D)
NO_LISTENER      no thread of the host listens, and none came in time
INTERRUPTED      the thread that had the call asks for another one and brings no result for it
BAD_PARAMETER    the host's reply is not what was asked for
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from qda import limits
from qda.dsp.switchboard import HostState, Reply, ReverseCall, Switchboard
from qda.errors import BAD_PARAMETER, HostError, StatusError, as_unsigned
from qda.fastrpc.listener import MoreAnswer, MoreRequest, NextAnswer, NextRequest
from qda.fastrpc.nested import pack_request, unpack_reply
from qda.fastrpc.scalars import Scalars

__all__ = ["Reply", "ReverseCalls"]


class ReverseCalls:
    """The reverse calls of one session.  Thread-safe."""

    def __init__(self) -> None:
        self._board = Switchboard()
        self._lock = threading.Lock()
        self._requested = threading.Condition(self._lock)
        """Parked threads wait for a request."""
        self._changed = threading.Condition(self._lock)
        """Calls wait for their reply, and for somebody who listens."""
        self._posts = 0
        self._complete = False
        self._later: deque[Callable[[], None]] = deque()

    @property
    def is_announced(self) -> bool:
        """Whether the host has said that it listens."""
        return self._board.host is not HostState.SILENT

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
            self._board.announce()
            self._complete = self._complete or complete
            self._changed.notify_all()

    def next(
        self, thread: int, request: NextRequest, reply: memoryview, room: memoryview
    ) -> NextAnswer:
        """Take the result of a call and wait for another one, whose stream is written to `room`.

        `thread` is the host's.  StatusError BAD_STATE when the session ends (6.6).
        """
        with self._lock:
            ended = self._board.come(
                thread, request.context, lambda call: _reply_of(call, request, reply)
            )
            self._changed.notify_all()
        _tell(ended)
        with self._lock:
            try:
                self._requested.wait_for(
                    lambda: self._board.has_waiting or self._board.host is HostState.ENDED
                )
                call = self._board.take(thread)
            finally:
                self._board.unpark()
        _fill(room, call.stream)
        return NextAnswer(
            context=call.context,
            handle=call.handle,
            scalars=call.scalars.word,
            length=len(call.stream),
        )

    def more(self, request: MoreRequest, room: memoryview) -> MoreAnswer:
        """Write the rest of a request's stream to `room`.  StatusError BAD_PARAMETER."""
        with self._lock:
            call = self._board.find(request.context)
        if call is None or request.offset > len(call.stream):
            raise StatusError(
                BAD_PARAMETER, f"no byte {request.offset} in a request of call {request.context}"
            )
        _fill(room, memoryview(call.stream)[request.offset :])
        return MoreAnswer(length=len(call.stream))

    def thread_left(self, thread: int) -> None:
        """A thread of the host has ended: a call that it has taken will not be answered."""
        with self._lock:
            ended = self._board.leave(thread)
            self._changed.notify_all()
        _tell(ended)

    def end(self) -> None:
        """The session ends: parked threads go home, calls end with BAD_STATE.  Idempotent."""
        with self._lock:
            ended = self._board.end()
            self._requested.notify_all()
            self._changed.notify_all()
        _tell(ended)

    # The DSP's side.

    def later(self, give_back: Callable[[], None]) -> None:
        """Note what is to be given back to the host.  The collector finds such things, in any
        thread, also in one that the host waits for: there the host must not be called."""
        self._later.append(give_back)

    def settle(self) -> None:
        """Give back what has been noted."""
        while self._later:
            with suppress(IndexError, HostError, StatusError):
                self._later.popleft()()

    def wait_for_host(self, patience: float) -> bool:
        """Wait until a host has announced itself, at most `patience` seconds; whether one has."""
        with self._lock:
            self._changed.wait_for(lambda: self._board.host is not HostState.SILENT, patience)
            return self._board.host is HostState.LISTENING

    def call(
        self,
        handle: int,
        scalars: Scalars,
        ins: Sequence[bytes | memoryview],
        sizes: Sequence[int],
    ) -> Reply:
        """Call a method of the host, and wait for the result.

        It waits as long as a thread of the host is there, and limits.HOST_PATIENCE for one if a
        listener was announced.  The reply has the statuses of this module's text.
        """
        call = _call(handle, scalars, ins, sizes, None)
        with self._lock:
            refusal = self._board.refusal()
            if refusal is not None:
                return refusal
            self._board.put(call)
            self._requested.notify()
            while call.reply is None:
                if self._board.has_threads:
                    self._changed.wait()
                elif not self._changed.wait_for(
                    lambda: call.reply is not None or self._board.has_threads, limits.HOST_PATIENCE
                ):
                    self._board.give_up(call, f"no host thread came in {limits.HOST_PATIENCE} s")
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
        call = _call(handle, scalars, ins, sizes, self._posted(done))
        with self._lock:
            if self._posts >= limits.POSTS or self._board.refusal() is not None:
                return False
            self._posts += 1
            self._board.put(call)
            self._requested.notify()
        return True

    def _posted(self, done: Callable[[Reply], None]) -> Callable[[Reply], None]:
        def finished(reply: Reply) -> None:
            with self._lock:
                self._posts -= 1
            done(reply)

        return finished


def _call(
    handle: int,
    scalars: Scalars,
    ins: Sequence[bytes | memoryview],
    sizes: Sequence[int],
    done: Callable[[Reply], None] | None,
) -> ReverseCall:
    try:
        return ReverseCall(handle, scalars, pack_request(ins, sizes), sizes, done)
    except ValueError as error:
        raise StatusError(BAD_PARAMETER, f"reverse call: {error}") from error


def _reply_of(call: ReverseCall, request: NextRequest, reply: memoryview) -> Reply:
    if request.result:
        return Reply(as_unsigned(request.result))
    try:
        outs = unpack_reply(reply[: request.reply_length], call.sizes)
    except (ValueError, struct.error) as error:
        return Reply(BAD_PARAMETER, failure=f"the host's reply: {error}")
    return Reply(0, [bytes(out) for out in outs])


def _tell(ended: Iterable[ReverseCall]) -> None:
    """Without the lock: who is told may post another call."""
    for call in ended:
        if call.done is not None and call.reply is not None:
            call.done(call.reply)


def _fill(room: memoryview, stream: bytes | memoryview) -> None:
    size = min(len(room), len(stream))
    room[:size] = stream[:size]
