"""The guest's memory, which is mapped here too, and how its addresses on the bus lead to it.

A context bank's bus addresses have the stream id from bit 32 on.  Without an SMMU the rest is the
physical address; with one it is what the kernel's own page tables make of it (`qda.kernel.smmu`).
The guest is not trusted: what leads outside its memory is an `AddressFault`.
"""

from __future__ import annotations

import mmap
import os
from contextlib import suppress
from typing import NamedTuple, Protocol

__all__ = ["STREAM_SHIFT", "AddressFault", "Bus", "GuestMemory", "PhysicalBus", "Run"]

STREAM_SHIFT = 32
"""The stream id of a bus address begins at this bit."""


class AddressFault(Exception):
    """An address that leads nowhere."""


class Run(NamedTuple):
    """`size` bytes of the guest's memory that lie together, from byte `offset` of it."""

    offset: int
    size: int


class GuestMemory:
    """`size` bytes at physical address `base`, in a memfd that the machine maps as well.

    `descriptor` is the memfd, `view` our mapping.  OSError.
    """

    def __init__(self, base: int, size: int) -> None:
        self.base, self.size = base, size
        self.descriptor = os.memfd_create("qda guest", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.descriptor, size)
            self._map = mmap.mmap(self.descriptor, size)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.view = memoryview(self._map)

    def offset(self, physical: int, length: int) -> int:
        """Where memory at a physical address lies.  AddressFault unless all of it is here."""
        offset = physical - self.base
        if not 0 <= offset <= offset + length <= self.size:
            raise AddressFault(f"{length} bytes at physical {physical:#x} are no memory")
        return offset

    def part(self, physical: int, length: int) -> memoryview:
        """The bytes at a physical address.  AddressFault."""
        offset = self.offset(physical, length)
        return self.view[offset : offset + length]

    def close(self) -> None:
        """Unmap and close.  Nobody may hold a part any more, or that part is what stays."""
        self.view.release()
        with suppress(BufferError):  # a part is held: its holder has the memory
            self._map.close()
        os.close(self.descriptor)


class Bus(Protocol):
    """Leads from bus addresses to the guest's memory."""

    def runs(self, address: int, length: int) -> list[Run]:
        """Where `length` bytes at a bus address lie, in order, neighbours as one.  AddressFault."""


class PhysicalBus:
    """Without an SMMU: the lower 32 bits are a physical address."""

    def __init__(self, memory: GuestMemory) -> None:
        self._memory = memory

    def runs(self, address: int, length: int) -> list[Run]:
        """See `Bus.runs`: all bytes lie together."""
        physical = address & (1 << STREAM_SHIFT) - 1
        return [Run(self._memory.offset(physical, length), length)]


def read(memory: GuestMemory, bus: Bus, address: int, length: int) -> bytes:
    """The bytes at a bus address.  AddressFault."""
    return b"".join(memory.view[at : at + size] for at, size in bus.runs(address, length))
