"""Lanes: what carries calls between the driver and a protection domain.

A lane is a pair of bells (`qda.core`) and message memory, both in the session's pool; a longer
message gets memory of its own, which the lane keeps for its next call unless there is much of it.
"""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass
from typing import Protocol

from qda import limits
from qda.core import BLOCK, Pool
from qda.core.layout import TOLD, Times
from qda.driver.banks import ContextBank
from qda.driver.objects import BufferObject
from qda.driver.peer import Peer
from qda.driver.sharing import Uses
from qda.interrupts import Section
from qda.linux import address_of, map_shared
from qda.memory import align

__all__ = ["Block", "Lane", "Lanes", "Memory"]

_WHOLE = 1 << 20
"""Own message memory has multiples of this size."""


class _Mapped:
    """Shared memory that the driver has mapped, for itself alone: a forked child does not have it.

    Python's own mapping of a file would keep another descriptor.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = address_of(self._map)
        map_shared(self.address, size, descriptor, 0).release()
        self._map.madvise(mmap.MADV_DONTFORK)
        self.view = memoryview(self._map)

    def close(self) -> None:
        """Unmap.  Nobody may use the memory any more."""
        self.view.release()
        self._map.close()


@dataclass(frozen=True, slots=True)
class Memory:
    """Message memory, mapped, with its addresses in this process and on the bus."""

    view: memoryview
    process_address: int
    device_address: int
    size: int

    def part(self, start: int, size: int) -> Memory:
        """`size` bytes of it."""
        return Memory(
            self.view[start : start + size],
            self.process_address + start,
            self.device_address + start,
            size,
        )


class Block:
    """Memory of the driver itself, mapped, for messages.  OSError ENOMEM."""

    def __init__(self, size: int, bank: ContextBank) -> None:
        self._uses = Uses()
        try:
            with Uses() as made:
                self._attachment = bank.attach(BufferObject.create(size, made), self._uses)
            self._mapped = _Mapped(self.descriptor, size)
        except BaseException:
            self._uses.release()
            raise
        mapped = self._mapped
        self.memory = Memory(mapped.view, mapped.address, self._attachment.address, size)

    @property
    def descriptor(self) -> int:
        """A descriptor of the memory, which stays the block's."""
        return self._attachment.buffer.descriptor

    def show(self, peer: Peer) -> None:
        """Let a protection domain see it.  OSError ENODEV; Died."""
        peer.announce(self._attachment)

    def disown(self) -> None:
        """In a forked child: close the descriptor."""
        self._attachment.buffer.disown()

    def close(self) -> None:
        """Unmap it and take it away from the DSP.  Idempotent."""
        self._mapped.close()
        self._uses.release()


@dataclass(eq=False, slots=True)
class Lane:
    """A lane of the pool by its number, with its message memory: a slot of the pool, and at times a
    block of its own, with the length of the longest message that was in it.

    `user` is the call that has the lane, None if it is free.
    """

    pool: Pool
    number: int
    slot: Memory
    own: Block | None = None
    longest: int = 0
    user: Traveller | None = None

    def send(self, message: bytes) -> None:
        """Send a message.  That the other side is gone shows when its answer is waited for."""
        self.pool.send(self.number, message)

    @property
    def sent(self) -> int:
        """How many messages have been sent on it."""
        return self.pool.sent(self.number)

    def wait(self, also: int = -1, timeout: int = -1) -> int:
        """Wait for the answer to what was sent last; see `Awaited`."""
        return self.pool.wait(self.number, also, timeout)

    def answer(self) -> bytes:
        """The response, once it is there, and behind it the times."""
        return self.pool.answer(self.number)

    def times(self) -> tuple[int, int, int, int]:
        """What the DSP has told of the method, if it was asked: begin, end, process, thread.  They
        may be of an earlier call."""
        told = Times.unpack(self.answer(), TOLD)
        return told.begun, told.ended, told.process, told.thread

    def memory_at(self, address: int) -> Memory:
        """Its message memory that begins there on the bus."""
        own = self.own
        return own.memory if own is not None and own.memory.device_address == address else self.slot

    def lengthen(self, size: int) -> None:
        """Let the core make messages of up to `size` bytes, too, while the lane has memory for
        them: no longer ones than the driver has let pass."""
        if self.own is not None and size > self.longest:
            memory, self.longest = self.own.memory, size
            self.pool.lengthen(self.number, memory.process_address, memory.device_address, size)

    def trim(self, keep: int) -> None:
        """Give up the block if it has more than `keep` bytes."""
        own = self.own
        if own is not None and own.memory.size > keep:
            self.pool.lengthen(self.number, 0, 0, 0)
            self.longest = 0
            own.close()
            self.own = None


class Traveller(Protocol):
    """A call, to the lane that carries it."""

    lane: Lane | None
    before: int


class Lanes:
    """The lanes of a session.  There are as many as calls have been under way at once.

    `block` is the memory of their pool.  Whoever lends a lane, or gives one back, has `lock`.
    """

    def __init__(self, bank: ContextBank, peer: Peer, block: Block) -> None:
        self._bank, self._peer, self._block = bank, peer, block
        self._pool = peer.pool
        self.lock = threading.Lock()
        self._adding = threading.Lock()
        self._lanes: list[Lane] = []
        try:
            self.add(limits.LANES)
        except BaseException:
            self.close()  # or the block could not be unmapped
            raise

    def lend(self, call: Traveller) -> bool:
        """Lend a free lane to a call, if there is one."""
        for lane in self._lanes[: self._peer.lanes]:
            if lane.user is None:
                # The lane is the call's before it is claimed: it is given back in any case.
                call.before = lane.sent
                lane.user = call
                call.lane = lane
                if self._pool.claim(lane.number):
                    return True
                lane.user = call.lane = None
        return False

    @property
    def lent_by_core(self) -> int:
        """How many lanes carry calls of the core's own, see `Session.invoke`."""
        return self._pool.calls

    def add(self, count: int = 1) -> None:
        """Add lanes.  OSError ENOSPC if there can be no more, ENODEV; Died."""
        with self._adding:
            # They are of use as soon as the peer has them.
            for number in range(len(self._lanes) + 1, self._peer.lanes + count + 1):
                slot = self._block.memory.part(BLOCK * number, BLOCK)
                self._lanes.append(Lane(self._pool, number, slot))
            with Section():  # either both sides have the lanes, or none has
                self._peer.add_lanes(count)

    def give_back(self, call: Traveller) -> None:
        """Take back the lane of a call; nothing if it has none any more."""
        lane = call.lane
        if lane is not None and lane.user is call:
            self._pool.give_back(lane.number)
            lane.user = None

    def take_over(self, leased: Traveller) -> bool:
        """Take back a lane on which others have sent; false if the DSP still works on that."""
        lane = leased.lane
        assert lane is not None
        if lane.user is leased and not self._pool.recount(lane.number):
            return False
        self.give_back(leased)
        return True

    def message(self, call: Traveller, size: int) -> Memory:
        """Zeroed message memory for a call, at least `size` bytes.  OSError ENOMEM, ENODEV."""
        lane = call.lane
        assert lane is not None
        memory = lane.slot
        if size > BLOCK:
            if lane.own is None or lane.own.memory.size < size:
                self.trim(call, 0)
                with Section():
                    lane.own = Block(align(size, _WHOLE), self._bank)
                lane.own.show(self._peer)
            lane.lengthen(size)
            memory = lane.own.memory
        memory.view[:size] = bytes(size)
        return memory

    def trim(self, call: Traveller, keep: int = limits.KEPT_MESSAGE) -> None:
        """Give up own memory of the call's lane if there are more than `keep` bytes of it."""
        lane = call.lane
        if lane is not None and lane.user is call:
            lane.trim(keep)

    def disown(self) -> None:
        """In a forked child: close the descriptors of all message memory."""
        for block in (self._block, *(lane.own for lane in self._lanes)):
            if block is not None:
                block.disown()

    def close(self) -> None:
        """Give up all message memory.  Nobody may use it any more."""
        for lane in self._lanes:
            lane.trim(0)
            lane.slot.view.release()
        self._block.close()
