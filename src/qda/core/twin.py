"""The core in Python: what `native/core` does, to be read, to judge it, and to take its place.

It always rings and never looks, so it needs none of the other's care for the order of memory: its
side says once and for all that it sleeps.  Either end may be the twin and the other compiled.

`Pool.invoke` declines every call.  That is no gap: the compiled one declines whatever is not simply
right, and the driver in Python (`qda.driver.invoke`) does the calls that are declined.
"""

from __future__ import annotations

import os
import select
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qda.core.layout import LANES, Arguments, Handle, Side, Woken, lane_address
from qda.core.side import Waiter, Words, memory_at, word_clear, word_set
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, NO_SUCH_CLIENT
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import POLL_WORD, POLLED, WireArgument, decode, metadata_size
from qda.fastrpc.scalars import Scalars

__all__ = ["Emitter", "Pool", "Port", "Server", "Space", "word_clear", "word_set"]

_message, _response = InvokeMessage.codec, Response.codec


class Emitter:
    """Writes the structures of a session's calls.  The twin leaves that to the client.

    Arguments that lie in no buffer are packed into slots of `slot` bytes; 0: the driver copies
    them.
    """

    def __init__(self, slot: int) -> None:
        self._slots: list[tuple[int, int]] = []

    def add(self, start: int, end: int, name: int) -> None:
        """A buffer lies at [start, end); name 0 if it has to be asked for."""

    def remove(self, start: int, name: int) -> None:
        """It does no more."""

    def lend(self, address: int, name: int) -> None:
        """A slot there, of the buffer of that name, may be used from now on."""
        self._slots.append((address, name))

    def take(self) -> tuple[int, int] | None:
        """Address and name of a slot, which nobody else uses then; None if none is free."""
        return self._slots.pop() if self._slots else None

    def finish(self, kept: object, copies: bool) -> None:
        """A call is over; `kept` keeps its memory, `copies` says whether to copy outputs."""

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


@dataclass(eq=False, slots=True)
class _Lane:
    waiter: Waiter
    number: int = 0
    context: int = 0
    taken: bool = False


class Pool:
    """The lanes of a session, on the driver's side.

    `address` is where the pool is mapped here; the others say what calls are made with.
    """

    calls = 0
    """Calls under way that `invoke` has made."""

    def __init__(self, address: int, device: int, client_id: int, tag: int) -> None:
        self._address = address
        self._lanes: dict[int, _Lane] = {}
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
        self._lanes[lane] = _Lane(Waiter(*words, sleep, wake))
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

    def _lane(self, number: int) -> _Lane:
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
        """The 16 bytes of a lane's response."""
        return bytes(self._lane(lane).waiter.other.record[: _response.size])

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
            poll = select.poll()
            poll.register(lane.waiter.sleep, select.POLLOUT)
            if any(events & select.POLLOUT for _, events in poll.poll(0)):
                os.write(lane.waiter.sleep, b"\0")

    def close(self, idle: Callable[[], object]) -> bool:
        """No more calls, and no names; True if `invoke` has none under way.

        Otherwise `idle` is called after the last.
        """
        self._closed = True
        return True


@dataclass(eq=False, slots=True)
class _Region:
    bus: int
    size: int
    address: int
    owner: object


class Space:
    """What messages to a protection domain may name: memory, and modules in C.

    The twin leaves these to the method in Python, which can call them, too.
    """

    def __init__(self) -> None:
        self._regions: list[_Region] = []

    def add(self, bus: int, size: int, address: int, owner: object) -> None:
        """From now on messages may name `size` bytes on the bus, which lie at `address` here."""
        place = bisect_right(self._regions, bus, key=lambda region: region.bus)
        self._regions.insert(place, _Region(bus, size, address, owner))

    def remove(self, owner: object) -> None:
        """They may no longer; calls under way keep the owner.  KeyError."""
        for region in self._regions:
            if region.owner is owner:
                self._regions.remove(region)
                return
        raise KeyError("no such memory")

    def open(self, handle: int, client_id: int, entry: int, own: int | None, owner: object) -> None:
        """From now on calls of that client go to the function at `entry`, which gets the library's
        own handle first, unless that is None."""

    def close(self, handle: int) -> None:
        """They do no longer; calls under way keep the owner."""

    def reach(self, bus: int, length: int) -> tuple[memoryview, object] | None:
        """The bytes at a bus address with their owner, None unless one region holds them all."""
        place = bisect_right(self._regions, bus, key=lambda region: region.bus)
        if place:
            region = self._regions[place - 1]
            start = bus - region.bus
            if start <= region.size and length <= region.size - start:
                return memory_at(region.address + start, length), region.owner
        return None


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


Method = Callable[[int, int, int, Arguments], int]


class Server:
    """Serves the lane whose words lie at `address`.

    `client_id` is bound to the lane: what a message says of it must be the same.  `driver` says
    that handle 1 may come on it, `polled` that messages have a poll word.
    """

    def __init__(
        self,
        space: Space,
        address: int,
        sleep: int,
        wake: int,
        client_id: int,
        driver: bool,
        patience: int,
        polled: bool,
    ) -> None:
        self._space = space
        words = Words(address + Side.byte_size), Words(address)
        self._waiter = Waiter(*words, sleep, wake)
        self._client_id, self._driver = client_id, driver
        self._polled, self._poll_word = polled, memoryview(b"")
        self._number, self._context = 0, 0
        self._answered = True
        self._running, self._watched = False, False
        self._tid, self._noted = 0, False

    def serve(
        self, method: Method, over: Callable[[int, int], None], ended: Callable[[], None]
    ) -> None:
        """Serve calls until nobody can ring any more.

        Those that are not for a module in C go to method(handle, scalars, tid, arguments), which
        returns the result, signed; `arguments` is a status, an int, if they could not be found.
        Before the answer of one that has failed, or is noted, over(tid, result) is called.
        """
        while self._waiter.wait(self._number + 1, None) is Woken.RUNG:
            self._number += 1
            self._running, self._answered, self._noted = True, False, False
            message = InvokeMessage.unpack(bytes(self._waiter.other.record))
            self._context, self._tid = message.context, message.tid
            pinned: list[object] = []
            arguments: Arguments
            try:
                arguments = self._arguments(message, pinned)
            except _Refused as refused:
                arguments = refused.status
            result = method(message.handle, message.scalars, message.tid, arguments)
            if result or self._noted:
                over(message.tid, result)
            self.answer(result)
            self._poll_word = memoryview(b"")
            del arguments, pinned  # the call is over: what was withdrawn meanwhile may go
            self._running = False
            if self._watched:
                ended()

    def answer(self, result: int) -> None:
        """Answer the call under way; nothing if it is answered."""
        if not self._answered:
            self._answered = True
            if self._poll_word:
                self._poll_word[:] = POLLED.to_bytes(POLL_WORD, "little")
            self._waiter.mine.record[: _response.size] = _response.pack(self._context, result)
            self._waiter.ring(self._number)

    def watch(self) -> None:
        """From now on all calls go to the method, and `ended` is called after each."""
        self._watched = True

    def runs(self) -> bool:
        """Whether a call is under way."""
        return self._running

    def note(self) -> int:
        """Have the end of the call under way in this thread told; returns the caller's thread."""
        self._noted = True
        return self._tid

    def handles(self) -> list[Handle]:
        """The handle arguments of the call that runs in C in this thread."""
        return []

    def _arguments(self, message: InvokeMessage, pinned: list[object]) -> list[memoryview | Handle]:
        control = message.handle == Fixed.INIT
        if (control and not self._driver) or message.client_id != (
            0 if control else self._client_id
        ):
            raise _Refused(NO_SUCH_CLIENT)
        scalars = Scalars.decode(message.scalars)
        count = scalars.length
        needed = metadata_size(count)
        if self._polled and message.size >= needed + POLL_WORD:
            reached = self._space.reach(message.address + needed, POLL_WORD)
            if reached is not None:
                self._poll_word = reached[0]
                pinned.append(reached[1])
        if not count:
            return []
        if message.size < needed:
            raise _Refused(BAD_PARAMETER)
        metadata = bytes(self._reach(message.address, needed, pinned))
        found: list[memoryview | Handle] = []
        for index, wire in enumerate(decode(count, metadata)):
            if index >= scalars.buffers:
                found.append(self._handle(wire, pinned))
                continue
            view = self._buffer(wire, pinned)
            found.append(view.toreadonly() if index < scalars.in_buffers else view)
        return found

    def _reach(self, bus: int, length: int, pinned: list[object]) -> memoryview:
        reached = self._space.reach(bus, length)
        if reached is None:
            raise _Refused(BAD_ADDRESS)
        pinned.append(reached[1])
        return reached[0]

    def _buffer(self, wire: WireArgument, pinned: list[object]) -> memoryview:
        if not wire.pages:
            return memoryview(bytearray())
        if wire.page is None:
            raise _Refused(BAD_PARAMETER)
        return self._reach(wire.address & (1 << 64) - 1, wire.length, pinned)

    def _handle(self, wire: WireArgument, pinned: list[object]) -> Handle:
        named = wire.handle
        view = None
        if wire.page is not None and wire.page[1]:
            address, size = wire.page
            if named.offset + named.length > size:
                raise _Refused(BAD_ADDRESS)
            view = self._reach(address + named.offset & (1 << 64) - 1, named.length, pinned)
        return named.fd, named.offset, named.length, wire.words[0], view
