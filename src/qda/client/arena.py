"""The arena of a session: where arguments lie that lie in no buffer, in a dialect that wants it so.

There the program packs them, and nothing but handles and places in objects crosses the interface
(R5).  An arena is a buffer of the session in slots, one for each call under way; whatever does not
fit into a slot gets a buffer of its own, of which one stays for the next.  Memory is used again
once its call has been answered.  That of a call which was broken off is lost: the DSP may still
write there, until the session ends.

The core packs what is simply right; this is for the rest, by the rules of inline arguments: those
that overlap are one memory, and what the DSP does not write is 0.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from errno import EBADF
from typing import NamedTuple

from qda import limits
from qda.client.buffer import Buffer
from qda.client.plan import Plan, Planned
from qda.core import Emitter
from qda.core.side import memory_at
from qda.fastrpc.payload import Argument, Copy, lay_out
from qda.fastrpc.scalars import Scalars
from qda.memory import align

__all__ = ["Arena", "Packed"]

MIB = 1 << 20


class Packed(NamedTuple):
    """A call whose arguments have been packed: its `plan`, in which they lie in `memory`, and what
    has to be copied back after it."""

    plan: Plan
    memory: memoryview
    outputs: list[Copy]
    slot: tuple[int, int] | None
    own: Buffer | None

    def copy_back(self) -> None:
        """Copy outputs to where the program wants them."""
        for copy in self.outputs:
            end = copy.position + copy.length
            memory_at(copy.address, copy.length)[:] = self.memory[copy.position : end]


class Arena:
    """Packs calls.  Thread-safe.

    `allocate` makes buffers, and raises DeviceError.  `emitter` has the slots that are free.
    """

    def __init__(self, allocate: Callable[[int], Buffer], emitter: Emitter) -> None:
        self._allocate, self._emitter = allocate, emitter
        self._lock = threading.Lock()
        self._buffers: dict[int, Buffer] = {}
        self._closed = False
        self._spare: Buffer | None = None  # of the last call that did not fit into a slot

    def pack(self, plan: Plan) -> Packed:
        """Copy inputs that lie in no buffer, and plan the call with what then does."""
        buffers = plan.arguments[: plan.buffers]
        arguments = [
            Argument(one.address, 0 if one.buffer is not None else one.length) for one in buffers
        ]
        layout = lay_out(Scalars.decode(plan.scalars), arguments)
        if not any(position >= 0 for position in layout.positions):
            return Packed(plan, memoryview(b""), [], None, None)
        slot, buffer, start = self._room(layout.size)
        memory = memory_at(start, layout.size)
        memory[:] = bytes(layout.size)
        for copy in layout.copies_in():
            end = copy.position + copy.length
            memory[copy.position : end] = memory_at(copy.address, copy.length)
        planned = [
            Planned(start + position, one.length, buffer, start + position - buffer.address)
            if position >= 0
            else one
            for one, position in zip(buffers, layout.positions, strict=True)
        ]
        alive = [*plan.alive, buffer]
        packed = plan._replace(arguments=[*planned, *plan.arguments[plan.buffers :]], alive=alive)
        own = None if slot is not None else buffer
        return Packed(packed, memory, layout.copies_out(arguments), slot, own)

    def _room(self, size: int) -> tuple[tuple[int, int] | None, Buffer, int]:
        """Memory for a call: a slot, or nothing but a buffer, and the address."""
        if size > limits.ARENA_SLOT:
            spare, self._spare = self._spare, None
            fits = spare is not None and len(spare) >= size
            buffer = spare if fits and spare is not None else self._buffer(align(size, MIB))
            return None, buffer, buffer.address
        slot = self._emitter.take()
        while slot is None:
            self.grow()
            slot = self._emitter.take()
        try:
            return slot, self._buffers[slot[1]], slot[0]
        except KeyError:
            raise OSError(EBADF, "the session has ended meanwhile") from None

    def grow(self) -> None:
        """Add a buffer with slots."""
        with self._lock:
            if self._closed:
                raise OSError(EBADF, "the session has ended")
            buffer = self._buffer(limits.ARENA_SLOT * limits.ARENA_SLOTS)
            self._buffers[buffer.handle] = buffer
            for number in reversed(range(limits.ARENA_SLOTS)):
                self._emitter.lend(buffer.address + number * limits.ARENA_SLOT, buffer.handle)

    def _buffer(self, size: int) -> Buffer:
        buffer = self._allocate(size)
        buffer.is_attended = False
        return buffer

    def give_back(self, packed: Packed) -> None:
        """The call is over, and its slot another's."""
        if packed.slot is not None:
            self._emitter.lend(*packed.slot)
        elif packed.own is not None and len(packed.own) <= limits.KEPT_MESSAGE:
            self._spare = None if self._closed else packed.own

    def close(self) -> None:
        """Let go of the buffers: the session ends.  Calls under way keep those that they use."""
        with self._lock:
            self._closed = True
            self._emitter.close()
        self._buffers.clear()
        self._spare = None
