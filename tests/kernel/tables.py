"""The SMMU's tables as a kernel writes them, in a guest's memory."""

from __future__ import annotations

import struct

from qda.kernel.guest import GuestMemory
from qda.kernel.smmu import Smmu

__all__ = ["BASE", "CONTEXT", "STREAM", "STREAMS", "TABLES", "Tables", "at"]

BASE = 0x4000_0000
STREAMS, CONTEXT, TABLES = BASE, BASE + 0x8000, BASE + 0x10000
STREAM = 0x500


class Tables:
    """A stream table of two levels, one context, and page tables of three levels (39 bits)."""

    def __init__(self, memory: GuestMemory) -> None:
        self.memory = memory
        self.free = TABLES
        self.registers = (STREAMS, 1 << 16 | 8 << 6 | 16)
        self.root = self.table()
        second = BASE + 0x4000
        self.write(STREAMS + 8 * (STREAM >> 8), second | 9)
        self.write(second + 64 * (STREAM + 3 & 255), CONTEXT | 5 << 1 | 1)
        self.write(CONTEXT, 1 << 31 | 64 - 39)
        self.write(CONTEXT + 8, self.root)
        self.bus = Smmu(memory, lambda: self.registers, STREAM)

    def write(self, physical: int, word: int) -> None:
        struct.pack_into("<Q", self.memory.view, physical - BASE, word)

    def word(self, physical: int) -> int:
        return int(struct.unpack_from("<Q", self.memory.view, physical - BASE)[0])

    def table(self) -> int:
        self.free += 4096
        return self.free - 4096

    def map(self, place: int, physical: int, *, block: bool = False) -> None:
        table = self.root
        for shift in (30, 21):
            entry = table + 8 * (place >> shift & 511)
            if block and shift == 21:
                return self.write(entry, physical | 1)
            if not self.word(entry):
                self.write(entry, self.table() | 3)
            table = self.word(entry) & ~0xFFF
        self.write(table + 8 * (place >> 12 & 511), physical | 3)
        return None


def at(place: int, stream: int = 3) -> int:
    return stream << 32 | place
