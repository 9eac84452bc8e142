"""Buffers that the packets of queues refer to, and how many references they have taken.

The DSP counts its own; either side refuses a packet that takes away more than there are.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter
from collections.abc import Iterable

from qda.client.buffer import Buffer
from qda.client.memory import SessionMemory
from qda.core.packets import PacketBuffer
from qda.errors import UsageError, UsageTypeError, quoted
from qda.fastrpc.queue import BufferFlag, BufferReference, change_of

__all__ = ["Counts", "References"]

_numbers = itertools.count(1)
_FLAGS = ~sum(BufferFlag)
_BOTH = BufferFlag.REF | BufferFlag.DEREF


class Counts:
    """How many references a session has to each buffer, by its name.  Thread-safe.

    `owner` says which session it is, unlike any other, also of another process.
    """

    def __init__(self) -> None:
        self.owner = f"session {next(_numbers)} of process {os.getpid()}"
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

    def __init__(self, memory: SessionMemory, owner: str) -> None:
        self._memory, self._owner = memory, owner
        self._buffers: dict[int, Buffer] = {}

    def name(self, buffer: Buffer, flags: int, offset: int, size: int) -> PacketBuffer:
        """See `HostQueue.reference`."""
        name = self._memory.fd_of(buffer)
        for what, number in (("flags", flags), ("offset", offset), ("size", size)):
            if not isinstance(number, int):
                raise UsageTypeError(f"{what} {quoted(number)}: an integer")
        if flags & _FLAGS or flags & _BOTH == _BOTH:
            raise UsageError(f"flags {flags:#x}: of BufferFlag, and not both REF and DEREF")
        if offset < 0 or size < 0 or offset + max(size, 1) > len(buffer):
            raise UsageError(f"{size} bytes from {offset}: {buffer!r} has {len(buffer)}")
        self._buffers[name] = buffer
        part = len(buffer) - offset if offset and not size else size
        return PacketBuffer(name, offset, part, flags, owner=self._owner)

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
