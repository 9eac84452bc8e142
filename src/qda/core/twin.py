"""The core in Python: what `native/core` does, to be read, to judge it, and to take its place.

It always rings and never looks, so it needs none of the other's care for the order of memory: its
side says once and for all that it sleeps.  Either end may be the twin and the other compiled.

`Pool.invoke` declines every call.  That is no gap: the compiled one declines whatever is not simply
right, and the driver in Python (`qda.driver.invoke`) does the calls that are declined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qda.core.guarded import Guarded, Lane
from qda.core.layout import LANES, Side, lane_address
from qda.core.side import Waiter, Words, rouse, word_clear, word_set
from qda.core.twin_dsp import Server, Space
from qda.fastrpc.message import InvokeMessage

__all__ = ["Emitter", "Pool", "Port", "Server", "Space", "trace", "word_clear", "word_set"]

_message = InvokeMessage.codec


_times_wanted = False


def trace(ring: bytearray | None) -> None:
    """From now on note the core's own calls in a ring, and ask the DSP for times; None: no more.

    The twin has no calls of its own.
    """
    global _times_wanted
    _times_wanted = ring is not None


class Emitter:
    """Writes the structures of a session's calls.  The twin leaves that to the client.

    Arguments that lie in no buffer are packed into slots of `slot` bytes; 0: the driver copies
    them.
    """

    def __init__(self, slot: int) -> None:
        self._slots: list[tuple[int, int]] = []
        self._closed = False

    def add(self, start: int, end: int, name: int) -> None:
        """A buffer lies at [start, end); name 0 if it has to be asked for."""

    def remove(self, start: int, name: int) -> None:
        """It does no more."""

    def lend(self, address: int, name: int) -> None:
        """A slot there, of the buffer of that name, may be used from now on."""
        if not self._closed:
            self._slots.append((address, name))

    def take(self) -> tuple[int, int] | None:
        """Address and name of a slot, which nobody else uses then; None if none is free."""
        return self._slots.pop() if self._slots else None

    def finish(self, kept: object, copies: bool) -> bool:
        """A call is over; `kept` keeps its memory, `copies` says whether to copy outputs.  False if
        their slot is gone."""
        return True

    def close(self) -> None:
        """The memory of all slots is about to go; nothing is packed any more."""
        self._closed = True
        self._slots.clear()

    def request(
        self, handle: int, method: int, ins: Sequence[object], outs: Sequence[object]
    ) -> tuple[bytearray, object] | None:
        """The structure of INVOKE with its elements behind it, and what keeps the memory of the
        arguments; None if they are not all plain memory."""
        return None


class Port:
    """A process that calls, and its memory.  The twin takes no calls from it."""

    def __init__(self, pid: int, limit: int, maps: int) -> None:
        self.pid = pid


class Pool(Guarded):
    """The lanes of a session, on the driver's side.

    `address` is where the pool is mapped here; the others say what calls are made with.
    """

    calls = 0
    """Calls under way that `invoke` has made."""

    def __init__(
        self, address: int, device: int, client_id: int, tag: int, domain: int = 0
    ) -> None:
        self._address = address
        super().__init__()
        self._closed, self._dead = False, False

    def open(self, lane: int, sleep: int, wake: int, patience: int) -> None:
        """Have a lane to use, with the pipe it sleeps on and the one that wakes the DSP.

        `patience` is for how many microseconds to look before sleeping.  ValueError for a number
        that there cannot be, or is there.
        """
        if not 1 <= lane <= LANES or lane in self._lanes:
            raise ValueError(f"lane {lane}: 1 to {LANES}, each once")
        mine = lane_address(self._address, lane)
        words = Words(mine), Words(mine + Side.byte_size)
        self._lanes[lane] = Lane(Waiter(*words, sleep, wake))
        self._lanes[lane].waiter.guard = self._guard
        self._lanes[lane].waiter.dead = self._dead  # asked last: `kill` may not have met this lane

    def claim(self, lane: int) -> bool:
        """Take a lane if it is free; whether it was."""
        found = self._lane(lane)
        if found.taken or self._closed:
            return False
        found.taken = True
        return True

    def give_back(self, lane: int) -> None:
        """Free a lane that was claimed; nothing for any other."""
        self._lane(lane).taken = False

    def recount(self, lane: int) -> bool:
        """Go on counting where others have, who sent on a claimed lane; False if a request of
        theirs has not been answered: then the DSP is told of it again.

        True where nobody answers any more: the lane may be gone, too."""
        found = self._lane(lane)
        if found.waiter.dead:
            return True
        asked = found.waiter.mine.bell
        if asked != found.waiter.other.bell:
            found.waiter.ring(asked)
            return False
        found.number = asked
        return True

    def lengthen(self, lane: int, address: int, device: int, size: int) -> None:
        """From now on `invoke` puts messages that do not fit the slot of a claimed lane there, up
        to `size` bytes; 0: nowhere."""
        self._lane(lane)

    def _lane(self, number: int) -> Lane:
        try:
            return self._lanes[number]
        except KeyError:
            raise ValueError(f"lane {number}: there is none of this number") from None

    def send(self, lane: int, message: bytes) -> None:
        """Put a message into a lane, and ring."""
        if len(message) != _message.size:
            raise ValueError(f"a message of {len(message)} bytes: it has {_message.size}")
        found = self._lane(lane)
        found.context = InvokeMessage.unpack(message).context
        found.number += 1
        found.waiter.mine.timed = _times_wanted
        found.waiter.mine.record[:] = message
        found.waiter.ring(found.number)

    def poll(self, microseconds: int) -> None:
        """Look for so long before sleeping, in calls of opened modules.  The twin never looks."""

    def sent(self, lane: int) -> int:
        """How many messages have been sent on a lane, `invoke`'s included; of 32 bits."""
        return self._lane(lane).number & 0xFFFFFFFF

    def wait(self, lane: int, also: int = -1, timeout: int = -1) -> int:
        """Wait for the answer to what was sent; says why the wait has ended."""
        found = self._lane(lane)
        return found.waiter.wait(found.number, found.context, also, timeout)

    def answer(self, lane: int) -> bytes:
        """The record of a lane's response: its 16 bytes, and the times that the DSP has told."""
        return bytes(self._lane(lane).waiter.other.record)

    def add(
        self, name: int, device: int, size: int, inode: int, major: int, minor: int, owner: object
    ) -> None:
        """An object that calls may name; its owner is kept until they have ended."""

    def remove(self, name: int) -> object:
        """The name of an object is given back; returns its owner, None if there was none."""
        return None

    def invoke(self, port: Port, request: bytearray) -> int | None:
        """The result of a call of this thread, whose structure is at hand.

        None if it has to go the long way, and nothing was sent; False if nobody answers any more.
        OSError EFAULT if an output cannot be written.
        """
        return None

    def kill(self) -> None:
        """Nobody will answer any more: all who wait are woken."""
        self._dead = True
        for lane in list(self._lanes.values()):  # another thread may open one
            lane.waiter.dead = True
            rouse(lane.waiter.sleep)

    def close(self, idle: Callable[[], object]) -> bool:
        """No more calls, and no names; True if `invoke` has none under way.

        Otherwise `idle` is called after the last.
        """
        self._closed = True
        return True
