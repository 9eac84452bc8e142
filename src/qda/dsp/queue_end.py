"""A queue of packets as a skeleton has it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NoReturn, Self

from qda.core import Queue
from qda.core.packets import Packet, PacketBuffer, PacketQueue
from qda.dsp.memory import AddressSpace
from qda.errors import BAD_ITEM, BAD_PARAMETER, StatusError, on_dsp
from qda.fastrpc.queue import BufferFlag, BufferReference, change_of

__all__ = ["DspQueue", "OnPacket"]

OnPacket = Callable[["DspQueue", Packet], object]


class DspQueue(PacketQueue):
    """A queue as a skeleton has it: `self.dsp.queue(id)`.

    It reads requests and writes responses.  `close`, or the end of a `with` block, gives it up; the
    host cannot close it before.  What waits in it when its client goes raises StatusError.
    """

    def __init__(
        self,
        queue: Queue,
        space: AddressSpace,
        client_id: int,
        log: logging.Logger,
        on_packet: OnPacket | None,
    ) -> None:
        super().__init__(queue, f"queue {queue.id():#x}")
        self._space, self._client_id = space, client_id
        if on_packet is not None:
            self._call_back(on_packet, log)

    def close(self) -> None:
        """Give the queue up, and wait for a callback that runs.  Idempotent."""
        if not self._closed and not self._is_foreign:
            self._closed = True
            self._queue.give_back()
            self._join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self, words: str, status: int) -> NoReturn:
        raise StatusError(on_dsp(status), words)

    # What packets refer to.

    def _refer(self, buffers: Sequence[PacketBuffer]) -> bytes:
        self._count(buffers, BAD_PARAMETER)
        return super()._refer(buffers)

    def _unrefer(self, buffers: Sequence[PacketBuffer]) -> None:
        for one in buffers:
            self._space.bus.refer(self._client_id, one.fd, -change_of(one.flags))

    def _resolve(self, references: bytes) -> tuple[PacketBuffer, ...]:
        size = BufferReference.byte_size
        named = [BufferReference.unpack(references, at) for at in range(0, len(references), size)]
        found = [PacketBuffer(one.fd, one.offset, one.size, one.flags) for one in named]
        return tuple(self._count(found, BAD_ITEM))

    def _count(self, buffers: Sequence[PacketBuffer], wrong: int) -> list[PacketBuffer]:
        """Count the references of a packet, all or none; returns its buffers with their memory."""
        counted: list[PacketBuffer] = []
        try:
            for one in buffers:
                counted.append(self._found(one, wrong))
        except BaseException:
            self._unrefer(counted)
            raise
        return counted

    def _found(self, one: PacketBuffer, wrong: int) -> PacketBuffer:
        both = BufferFlag.REF | BufferFlag.DEREF
        if one.flags & both == both:
            raise StatusError(BAD_PARAMETER, f"fd {one.fd}: one more reference, and one less")
        status, address, length = self._space.bus.refer(
            self._client_id, one.fd, change_of(one.flags)
        )
        if status:
            raise StatusError(on_dsp(status), f"fd {one.fd} is not mapped so often")
        size = one.size or length
        if one.offset + size > length:
            self._unrefer([one])
            raise StatusError(wrong, f"fd {one.fd}: {one.size} bytes from {one.offset} of {length}")
        memory = self._space.view(self._client_id, address + one.offset, size)
        return PacketBuffer(one.fd, one.offset, size, one.flags, memory)
