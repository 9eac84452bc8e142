"""Lanes: what carries calls between the driver and a protection domain.

A lane is an endpoint and message memory.  The memory is a slot of the session's pool; a longer
message gets memory of its own, which the lane keeps for its next call unless there is much of it.
"""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass
from typing import Protocol

from qda import limits
from qda.driver.banks import ContextBank
from qda.driver.objects import BufferObject
from qda.driver.peer import Peer
from qda.driver.sharing import Uses
from qda.fastrpc.message import CONTEXT_NUMBERS
from qda.linux import address_of
from qda.memory import align
from qda.rpmsg import Endpoint

__all__ = ["Lane", "Lanes", "Memory"]

GRANULE = 1 << 20
"""Own message memory has multiples of this size."""


class _Mapped:
    """Shared memory that the driver has mapped."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)
        self.address = address_of(self._map)

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
    """Memory of the driver itself that the protection domain knows.

    OSError ENOMEM, ENODEV; Died.
    """

    def __init__(self, size: int, bank: ContextBank, peer: Peer) -> None:
        self._uses = Uses()
        try:
            with Uses() as made:
                attachment = bank.attach(BufferObject.create(size, made), self._uses)
            self._mapped = _Mapped(attachment.buffer.descriptor, size)
            peer.announce(attachment)
        except BaseException:
            self._uses.release()
            raise
        mapped = self._mapped
        self.memory = Memory(mapped.view, mapped.address, attachment.address, size)

    def close(self) -> None:
        """Unmap it and take it away from the DSP.  Idempotent."""
        self._mapped.close()
        self._uses.release()


@dataclass(eq=False, slots=True)
class Lane:
    """An endpoint with its message memory, a slot of the pool and at times a block of its own.

    `user` is the call that has the lane, None if it is free.
    """

    endpoint: Endpoint
    slot: Memory
    own: Block | None = None
    user: Traveller | None = None


class Traveller(Protocol):
    """A call, to the lane that carries it."""

    lane: Lane | None


class Lanes:
    """The lanes of a session.  There are as many as calls have been under way at once.

    Whoever lends a lane, or frees one, has the lock of the session's calls.
    """

    def __init__(self, bank: ContextBank, peer: Peer) -> None:
        self._bank = bank
        self._peer = peer
        self._pool = Block(limits.SLOT * len(CONTEXT_NUMBERS), bank, peer)
        self._adding = threading.Lock()
        self._lanes = [self._lane(index) for index in range(len(peer.endpoints))]

    def _lane(self, index: int) -> Lane:
        return Lane(
            self._peer.endpoints[index], self._pool.memory.part(limits.SLOT * index, limits.SLOT)
        )

    def lend(self, call: Traveller) -> bool:
        """Lend a free lane to a call, if there is one."""
        for lane in self._lanes:
            if lane.user is None:
                lane.user = call
                call.lane = lane
                return True
        return False

    def add(self) -> None:
        """Add a lane.  OSError, Died."""
        with self._adding:
            index = len(self._lanes)
            if index == len(self._peer.endpoints):
                self._peer.add_endpoint()
            self._lanes.append(self._lane(index))

    def message(self, call: Traveller, size: int) -> Memory:
        """Zeroed message memory for a call, at least `size` bytes.  OSError ENOMEM, ENODEV."""
        lane = call.lane
        assert lane is not None
        memory = lane.slot
        if size > limits.SLOT:
            if lane.own is None or lane.own.memory.size < size:
                self.trim(call, 0)
                lane.own = Block(align(size, GRANULE), self._bank, self._peer)
            memory = lane.own.memory
        memory.view[:size] = bytes(size)
        return memory

    def trim(self, call: Traveller, keep: int = limits.KEPT_MESSAGE) -> None:
        """Give up own memory of the call's lane if there are more than `keep` bytes of it."""
        lane = call.lane
        if lane is not None and lane.user is call:
            _trim(lane, keep)

    def close(self) -> None:
        """Give up all message memory.  Nobody may use it any more."""
        for lane in self._lanes:
            _trim(lane, 0)
            lane.slot.view.release()
        self._pool.close()


def _trim(lane: Lane, keep: int) -> None:
    own = lane.own
    if own is not None and own.memory.size > keep:
        own.close()
        lane.own = None
