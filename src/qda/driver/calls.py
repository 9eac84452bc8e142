"""The calls that are under way on a session, and in whose hands each of them is.

    with session.call(key) as call:         # reserves number and lane
        ...                                 # make the message
        session.send(call, message)
        result = session.wait(call, client)

Whatever ends the block ends the caller's part in the call.  The states are in `qda.driver.call`;
here is what a step does to the table of calls and to what a call holds.

Ctrl-C may come between any two instructions, and again while the block is left.  So nothing depends
on a line being reached: a `Keeper` lives as long as the block, and when it dies before its call
has been left, the session finds the call, in the state in which it is.  What is given back can be
given back again, and a message and the note that it has left are one instruction.
"""

from __future__ import annotations

import errno
import logging
import threading
from types import TracebackType
from weakref import ref

from qda import limits
from qda.core import Woken
from qda.driver.call import Call, Event, Key, State
from qda.driver.lanes import Lanes
from qda.driver.leases import Leases
from qda.driver.peer import Peer
from qda.fastrpc.message import Response
from qda.interrupts import Section, deadline

__all__ = ["Calls", "Keeper", "heard"]

_log = logging.getLogger("qda.driver")
_response = Response.codec

# A member of an enumeration is looked up by name each time, a name of the module is not.
_RESERVED, _SENT, _OVER = State.RESERVED, State.SENT, State.OVER
_CALLERS = frozenset({_RESERVED, _SENT, State.RETURNED})
_LEAVE = Event.LEAVE


class Keeper:
    """A caller that has a call: as long as this lives, the call is its own."""

    __slots__ = ("__weakref__", "_calls", "call")

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self.call = call

    def __enter__(self) -> Call:
        call = self.call
        if call.state is _RESERVED:
            try:
                self._calls.begin(call, self)
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return call

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._calls.leave(self.call)
        else:
            with Section():
                self._calls.leave(self.call, isinstance(error, InterruptedError))


class Calls:
    """The calls of a session.  Thread-safe.

    OSError ENODEV once it is closed, ENOSPC when 255 calls are under way.  While both of `untidy`
    are empty, there is no call that no caller has.
    """

    def __init__(self, peer: Peer, lanes: Lanes, leases: Leases) -> None:
        self._peer = peer
        self._lanes, self._leases = lanes, leases
        self._lock = lanes.lock
        self._idle = threading.Condition(self._lock)
        self._tidying = threading.RLock()
        self._active: set[Call] = set()
        self._loose: set[Call] = set()  # those that are in the session's hands
        self._dead: list[ref[object]] = []  # keepers that have died before their calls were left
        self.untidy = self._loose, self._dead
        self._closed = False

    def __len__(self) -> int:
        return len(self._active)

    # A caller's steps.

    def begin(self, call: Call, keeper: Keeper) -> None:
        """Reserve a context number and a lane for a call."""
        if self._loose or self._dead:
            self.tidy(call.key.tid if call.key is not None else None)
        call.keeper = ref(keeper, self._dead.append)
        with self._lock:
            if self._closed:
                raise OSError(errno.ENODEV, "the session is closed")
            if len(self._active) + self._lanes.lent_by_core >= limits.CALLS:
                raise OSError(errno.ENOSPC, f"{limits.CALLS} calls are under way on the session")
            self._active.add(call)
            carried = self._lanes.lend(call)
        while not carried:
            self._add_lane()
            with self._lock:
                carried = self._lanes.lend(call)

    def _add_lane(self) -> None:
        """One lane more: a new one, or one that a program has and does not use."""
        try:
            self._lanes.add()
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._leases.recall():
                raise

    def resume(self, key: Key) -> Keeper | None:
        """Take up the interrupted call of the same thread with the same request (R24)."""
        if not self._loose:
            return None
        with self._lock:
            for call in self._loose:
                if call.key == key and call.state is State.INTERRUPTED:
                    keeper = Keeper(self, call)
                    call.keeper = ref(keeper, self._dead.append)
                    call.take(Event.RESUME)
                    self._loose.discard(call)
                    return keeper
        return None

    def leave(self, call: Call, signalled: bool = False) -> None:
        """End the caller's part in a call.  If the DSP still works on it, the call stays with the
        session (H16); after a signal its caller may come back to it."""
        if call.state is _RESERVED and call.sent:
            call.take(Event.SEND)
        if signalled and call.state is _SENT and call.key is not None:
            call.take(Event.SIGNAL)
        elif call.state in _CALLERS:
            if call.state is _SENT and self._peer.dead:
                call.take(Event.DEATH)
            call.take(_LEAVE)
        if call.state is _OVER:
            self._end(call)
            return
        with self._lock:
            self._loose.add(call)
        call.keeper = None  # the last step: before it, the call would be found again

    def _end(self, call: Call) -> None:
        """Give back what a call that is over has reserved.  It may have been given back."""
        if call.uses.held:
            call.uses.release()
        lane = call.lane
        if lane is not None and lane.own is not None:
            self._lanes.trim(call)
        with self._lock:
            self._lanes.give_back(call)
            self._active.discard(call)
            self._loose.discard(call)
            if self._closed:
                self._idle.notify_all()
        call.keeper = None

    # The session's steps.

    def tidy(self, tid: int | None = None) -> None:
        """Go on with the calls that no caller has: end those that the DSP has done with.

        The thread `tid` goes on to another call: it will not come back to the one in
        which it was interrupted.
        """
        with self._tidying:
            for call in self._take_loose():
                if call.state is not State.INTERRUPTED:
                    self._go_on(call)
                elif call.key is not None and call.key.tid == tid:
                    call.take(Event.LEAVE)
                    self._go_on(call)

    def _take_loose(self) -> list[Call]:
        """The calls without a caller, those included whose keepers have just been found dead."""
        with self._lock:
            dead = len(self._dead)
            for call in self._active:
                if call.keeper is not None and call.keeper() is None:
                    self._loose.add(call)
            del self._dead[:dead]
            return [call for call in self._loose if not call.is_kept]

    def _go_on(self, call: Call) -> None:
        if call.state in _CALLERS or call.state is _OVER:
            self.leave(call)  # its caller has gone without a word, or in the middle of one
        if call.state is State.ABANDONED and (event := self._found(call)) is not None:
            self._hear_late(call, event)

    def _hear_late(self, call: Call, event: Event) -> None:
        """End a call that nobody waits for.  What its answer has made on the DSP has no owner."""
        with Section():
            late = call.late if event is Event.ANSWER else None
            undo = late(heard(call)) if late is not None else None
            call.take(event)
            self._end(call)
            if undo is not None:
                undo()

    def _found(self, call: Call) -> Event | None:
        """What has become of a call that nobody waits for, None if the DSP works on it."""
        assert call.lane is not None
        woken = call.lane.wait(timeout=0)
        if woken == Woken.RUNG:
            return Event.ANSWER
        return Event.DEATH if woken == Woken.DEAD else None

    # The end.

    def close(self) -> bool:
        """Begin no more calls; False if that has been said before."""
        with self._lock:
            closed, self._closed = self._closed, True
            return not closed

    def drain(self) -> int:
        """End the calls that no caller has, and wait for those of others, who have been woken.

        Returns how many have not ended in time.
        """
        with self._tidying:
            for call in self._take_loose():
                if call.state in _CALLERS:
                    self.leave(call)
                else:
                    if call.state is not _OVER:
                        call.take(Event.DEATH)
                    self._end(call)
        with self._lock:
            deadline(limits.GRACE).until(
                lambda left: self._idle.wait_for(lambda: not self._active, left)
            )
            return len(self._active)


def heard(call: Call) -> int:
    """The result of a call whose response has come.  Others are not heard of (H15)."""
    assert call.lane is not None
    _, result = _response.unpack_from(call.lane.answer())
    return int(result)
