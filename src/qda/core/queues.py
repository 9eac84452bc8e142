"""Queues in Python: what `native/core/hub.c` and `packets.c` do, to be read, to judge them, and to
take their place.

A thread that finds nothing to read, or no room, says so in its ring's state, looks again, and
sleeps.  Who publishes looks for that afterwards: the lock that it takes between the two is the
barrier without which one could miss the other.  The first sleep is short, as the other side may
have no such barrier.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from qda import limits
from qda.core.side import memory_at
from qda.errors import (
    BAD_ITEM,
    BAD_PARAMETER,
    EXPIRED,
    INTERRUPTED,
    RPC_FAILED,
    WOULD_BLOCK,
    StatusError,
    plain,
)
from qda.fastrpc.queue import COUNTERS, Figure, PacketFlag, PacketHead, Places, QueueHeader, Ring

__all__ = ["QUEUE_FUNCTIONS", "Queue", "QueueHub"]

QUEUE_FUNCTIONS: dict[str, int] = {}
"""Where the functions of dspqueue.h are, by name; here C on the DSP has none."""

T = TypeVar("T")

_FIRST_SLEEP: Final = 1e-3
_SERIAL = next(field.offset for field in QueueHeader.fields if field.name == "serial")
_WOULD_BLOCK = plain(WOULD_BLOCK)


class QueueHub:
    """The queues of a client, on one side.

    On the DSP `space` is what packets refer to, as that client.
    """

    def __init__(self, space: object = None, client_id: int = 0) -> None:
        self.is_dsp = space is not None
        self._owner: object = None
        self.queues: dict[int, Queue] = {}
        self.lock = threading.Lock()
        self._changed = threading.Condition()
        self._told = self._cancelled = self._ended = False

    def share(self, counters: int, owner: object) -> None:
        """The block of counters that all queues share lies there, in memory of `owner`.  ValueError
        if there is one."""
        if self._owner is not None:
            raise ValueError("there are counters already")
        self._owner = owner
        words = memory_at(counters, COUNTERS).cast("I")
        parts = [words[at : at + limits.QUEUES] for at in range(0, len(words), limits.QUEUES)]
        requests, request_room, responses, response_room = parts
        if self.is_dsp:
            self.written, self.taken = responses, request_room
            self.arrived, self.freed = requests, response_room
        else:
            self.written, self.taken = requests, response_room
            self.arrived, self.freed = responses, request_room

    @property
    def has_counters(self) -> bool:
        """Whether there is the block that queues share."""
        return self._owner is not None

    def entry(self) -> tuple[int, int]:
        """Where the function is that serves the calls with signals, and its handle; here none."""
        return 0, 0

    def look(self) -> None:
        """The other side has told that something has changed."""
        with self.lock:
            queues = list(self.queues.values())
        for queue in queues:
            queue.wake()

    def tell(self) -> None:
        """Have the other side told, who listens."""
        with self._changed:
            self._told = True
            self._changed.notify_all()

    def listen(self) -> bool | None:
        """Wait until the other side is to be told something; False if it was cancelled, None if the
        session has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._told or self._cancelled)
            self._told = False
            return None if self._ended else not self._cancelled

    def cancel(self) -> None:
        """Cancel that, for good."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def end(self) -> None:
        """The session ends, and so does that."""
        self._ended = True
        self.cancel()


_ids = threading.Lock()
_last_id = [0x1000]


def _new_id() -> int:
    with _ids:
        _last_id[0] += 1
        return _last_id[0]


@dataclass
class _State:
    """What changes in a queue, the same for who has made it and who has claimed it.

    `tenure` is how often it was left: who has left it finds another number than its own.
    """

    ended: int = 0
    users: int = 0
    sequence: int = 0
    waited: int = 0
    misses: int = 0
    tenure: int = 0
    claimed: bool = False


class Queue:
    """A queue in memory at `base`, which `owner` keeps.

    `ins` and `outs` are what this side reads and writes, as found to lie there.  Methods return
    plain statuses; a `timeout` is in microseconds, 0 to wait not at all, below 0 for ever.
    ValueError for a slot that is taken.
    """

    def __init__(
        self,
        hub: QueueHub,
        slot: int,
        base: int,
        ins: Places,
        outs: Places,
        wait_counts: bool,
        owner: object,
    ) -> None:
        if not 0 <= slot < limits.QUEUES or not hub.has_counters:
            raise ValueError(f"slot {slot} is taken, or none")
        self._hub, self._slot, self._owner = hub, slot, owner
        self._wait_counts = wait_counts
        end = max(one.ring + one.room for one in (ins, outs))
        end = max(end, *(at + 12 for one in (ins, outs) for at in one[2:]))
        memory = memory_at(base, end)
        self._in = Ring(memory, ins, False, hub.taken[slot : slot + 1])
        self._out = Ring(memory, outs, True, hub.written[slot : slot + 1])
        hub.taken[slot] = hub.written[slot] = 0
        self._serial_now = memory[_SERIAL : _SERIAL + 4].cast("I")
        self._serial = self._serial_now[0]
        self._changed = threading.Condition()
        self._state = _State()
        self._tenure = 0
        self._id = _new_id()
        with hub.lock:
            if slot in hub.queues:
                raise ValueError(f"slot {slot} is taken, or none")
            hub.queues[slot] = self

    def begin(self) -> None:
        """The other side has set its counters to zero: what was seen of them before means nothing.
        This one looks at rings, and not at counters."""

    # Whose it is.

    def id(self) -> int:
        """The number by which code on the DSP imports it."""
        return self._id

    def claim(self) -> Self | None:
        """The queue for oneself, until `give_back`; None if somebody has it."""
        with self._changed:
            if self._state.claimed:
                return None
            self._state.claimed = True
            claimed = copy(self)
            claimed._tenure = self._state.tenure
            return claimed

    def give_back(self) -> None:
        """Somebody else may have it; what waits in it is interrupted."""
        with self._changed:
            self._state.tenure += 1
            self._empty()
            self._state.claimed = False

    def is_claimed(self) -> bool:
        """Whether somebody has it."""
        return self._state.claimed

    def end(self, status: int) -> None:
        """From when this returns its memory is not touched; whatever is asked, or waits, has that
        status."""
        with self._changed:
            if not self._state.ended:
                self._state.ended = status
                with self._hub.lock:
                    del self._hub.queues[self._slot]
            self._empty()

    def _empty(self) -> None:
        self._changed.notify_all()
        self._changed.wait_for(lambda: not self._state.users)

    def wake(self) -> None:
        """Look again, who waits."""
        with self._changed:
            self._changed.notify_all()

    # Packets.

    def expect(self, writes: bool, change: int) -> None:
        """So many more threads wait for room, or for a packet, which do so elsewhere."""
        with self._changed:
            if not self._state.ended:
                (self._out if writes else self._in).wait(change)

    def write(self, flags: int, buffers: bytes, message: bytes, timeout: int) -> tuple[int, bool]:
        """Write a packet; status, and whether the other side is to be told."""

        def attempt() -> bool:
            self._out.write(flags, self._state.sequence, buffers, message)
            self._state.sequence += 1
            return True

        status, _, tell = self._insist(self._out, attempt, timeout)
        return status, tell

    def read(self, timeout: int) -> tuple[int, bool, int, bytes, bytes]:
        """Read a packet; status, whether the other side is to be told, flags, buffers, message."""

        def attempt() -> tuple[int, bytes, bytes]:
            head = self._in.peek()
            while head.flags & PacketFlag.WAKEUP:
                self._expect(head)
                head = self._in.peek()
            return head.flags, *self._in.take(head)

        status, found, tell = self._insist(self._in, attempt, timeout)
        return status, tell, *(found or (0, b"", b""))

    def peek(self, timeout: int) -> tuple[int, int, int, int]:
        """Look at a packet; status, flags, number of buffers, bytes of the message."""
        status, head, _ = self._insist(self._in, self._in.peek, timeout, tells=False)
        return status, *(head or PacketHead(0, 0, 0, 0))[:3]

    def await_packets(self, seen: int, timeout: int) -> tuple[int, int]:
        """Wait until the other side has written another number of packets than `seen`; status, and
        that number."""

        def attempt() -> tuple[int]:
            if self._in.told == seen:
                raise StatusError(_WOULD_BLOCK, "no packet more")
            return (self._in.told,)

        status, found, _ = self._insist(self._in, attempt, timeout, tells=False)
        return status, seen if found is None else found[0]

    def _insist(
        self, ring: Ring, attempt: Callable[[], T], timeout: int, *, tells: bool = True
    ) -> tuple[int, T | None, bool]:
        """Try, say that one waits, try again; then sleep and try, until it is done or too late."""
        end = time.monotonic() + timeout / 1e6
        waits, sleep = False, _FIRST_SLEEP
        found: T | None = None
        with self._changed:
            self._state.users += 1
            try:
                while True:
                    status = self._status()
                    if not status:
                        status, found = _try(attempt)
                    if status != _WOULD_BLOCK or not timeout:
                        break
                    if not waits:
                        waits = True
                        ring.wait(1)
                        continue
                    left = end - time.monotonic() if timeout > 0 else limits.PATIENCE
                    if left <= 0:
                        status = plain(EXPIRED)
                        break
                    self._changed.wait(min(left, sleep))
                    sleep = limits.PATIENCE
            finally:
                if waits:
                    ring.wait(-1)
                self._state.users -= 1
                self._changed.notify_all()
        tell = tells and not status and self._tell(ring)
        return status, found, tell

    def _status(self) -> int:
        if self._state.ended:
            return self._state.ended
        if self._state.tenure != self._tenure:
            return plain(INTERRUPTED)
        return 0 if self._serial_now[0] == self._serial else plain(RPC_FAILED)

    def _tell(self, ring: Ring) -> bool:
        """Whether the other side is to be told; on the DSP, it is."""
        if self._state.ended:
            return False
        with self._changed:  # the barrier
            tell = not self._wait_counts or ring.is_awaited
        if tell and self._hub.is_dsp:
            self._hub.tell()
        return tell

    def _expect(self, head: PacketHead) -> None:
        """Take the word that a packet comes soon, and look out for that."""
        if head.buffers:
            raise StatusError(plain(RPC_FAILED), "an early wake-up has no buffers")
        if head.message not in (0, 4):
            raise StatusError(plain(BAD_ITEM), "an early wake-up says a time, or nothing")
        message = self._in.take(head)[1]
        if self._in.is_awaited and self._hub.is_dsp:
            self._hub.tell()
        announced = int.from_bytes(message, "little") or limits.WAKEUP_WAIT
        start = time.monotonic()
        end = start + min(announced, limits.WAKEUP_LONGEST) / 1e6
        while not self._in.used and time.monotonic() < end:
            time.sleep(0)
        self._state.waited += int((time.monotonic() - start) * 1e6)
        self._state.misses += not self._in.used

    def figure(self, number: int) -> tuple[int, int]:
        """What a queue tells of itself: status and number."""
        with self._changed:
            if self._state.ended:
                return self._state.ended, 0
            known: dict[int, Callable[[], int]] = {
                Figure.READ_PACKETS: lambda: self._in.told - self._in.packets & 0xFFFFFFFF,
                Figure.READ_BYTES: lambda: self._in.used,
                Figure.WRITE_PACKETS: lambda: self._out.packets - self._out.told & 0xFFFFFFFF,
                Figure.WRITE_BYTES: lambda: self._out.used,
                Figure.WAKEUP_TIME: lambda: self._state.waited,
                Figure.WAKEUP_MISSES: lambda: self._state.misses,
                Figure.SIGNALLING: lambda: 100 * self._wait_counts,
            }
            if number not in known:
                return plain(BAD_PARAMETER), 0
            value = known[number]()
            if number == Figure.WAKEUP_TIME:
                self._state.waited = 0
            if number == Figure.WAKEUP_MISSES:
                self._state.misses = 0
            return 0, value


def _try(attempt: Callable[[], T]) -> tuple[int, T | None]:
    try:
        return 0, attempt()
    except StatusError as error:
        return error.status, None
