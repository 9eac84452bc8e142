"""Buffers that the packets of queues refer to, and how many references they have taken.

The DSP counts its own; either side refuses a packet that takes away more than there are.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from qda.client.buffer import Buffer
from qda.client.memory import SessionMemory
from qda.core.packets import PacketBuffer
from qda.fastrpc.queue import BufferReference, change_of

__all__ = ["Counts", "References"]


class Counts:
    """How many references a session has to each buffer, by its name.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[int] = Counter()

    def count(self, buffers: Iterable[PacketBuffer], direction: int = 1) -> bool:
        """Count those of a packet, or undo that with -1; False, and nothing was counted, if there
        are not as many as it takes away."""
        with self._lock:
            counts = self._counts.copy()
            for one in buffers:
                counts[one.fd] += direction * change_of(one.flags)
            if min(counts.values(), default=0) < 0:
                return False
            self._counts = counts
            return True


class References:
    """Between the buffers of a session and what packets of a queue say of them."""

    def __init__(self, memory: SessionMemory) -> None:
        self._memory = memory
        self._buffers: dict[int, Buffer] = {}

    def name(self, buffer: Buffer, flags: int, offset: int, size: int) -> PacketBuffer:
        """See `HostQueue.reference`."""
        name = self._memory.fd_of(buffer)
        self._buffers[name] = buffer
        return PacketBuffer(name, offset, size, flags)

    def find(self, references: bytes) -> tuple[PacketBuffer, ...]:
        """The references of a packet, with the memory of buffers that were named."""
        return tuple(
            self._found(BufferReference.unpack(references, at))
            for at in range(0, len(references), BufferReference.byte_size)
        )

    def _found(self, one: BufferReference) -> PacketBuffer:
        buffer = self._buffers.get(one.fd)
        if buffer is None:
            return PacketBuffer(one.fd, one.offset, one.size, one.flags)
        end = one.offset + one.size if one.size else len(buffer)
        memory = memoryview(buffer)[one.offset : end]
        return PacketBuffer(one.fd, one.offset, end - one.offset, one.flags, memory)
