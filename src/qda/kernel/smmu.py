"""What an SMMU does (Arm's SMMUv3, stage 1): a stream's page tables, as the kernel writes them.

Every address is resolved anew, from the tables in the guest's memory: nothing is remembered, so
there is nothing to invalidate.  The two registers that say where the stream table lies are asked
for each time as well.  All words come from the guest, and are believed only as far as they lead to
its memory; four levels of tables are the most that there are, so every walk ends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from qda.kernel.guest import STREAM_SHIFT, AddressFault, GuestMemory, Run

__all__ = ["Smmu"]

_TABLE_ADDRESS = 0x000F_FFFF_FFFF_FFC0
_OUTPUT_ADDRESS = 0x0000_FFFF_FFFF_F000
_VALID = 1
_STAGE_1_ONLY = 0b101
_GRANULE_BITS = 12
_LEVEL_BITS = 9
_INPUT_BITS = range(25, 49)
"""How many bits of an address the tables of a 4 KiB granule may translate."""


class Smmu:
    """The bus behind an SMMU (see `qda.kernel.guest.Bus`).

    `registers` gives STRTAB_BASE and STRTAB_BASE_CFG; `first_stream` is the id of the SMMU that
    stream 0 of a bus address would have.  No context bank has that: memory that belongs to none, as
    the remote heap, is named by its physical address.
    """

    def __init__(
        self, memory: GuestMemory, registers: Callable[[], tuple[int, int]], first_stream: int
    ) -> None:
        self._memory, self._registers = memory, registers
        self._first_stream = first_stream

    def runs(self, address: int, length: int) -> list[Run]:
        """See `Bus.runs`."""
        stream, place = address >> STREAM_SHIFT, address & (1 << STREAM_SHIFT) - 1
        if not stream:
            return [Run(self._memory.offset(place, length), length)]
        if length > self._memory.size:  # one page for all of them would be no memory either
            raise AddressFault(f"{length} bytes are more than there are")
        table, bits = self._tables(self._first_stream + stream)
        runs: list[Run] = []
        while length:
            physical, room = self._walk(table, bits, place)
            size = min(room, length)
            offset = self._memory.offset(physical, size)
            if runs and runs[-1].offset + runs[-1].size == offset:
                runs[-1] = Run(runs[-1].offset, runs[-1].size + size)
            else:
                runs.append(Run(offset, size))
            place, length = place + size, length - size
        return runs

    def _words(self, physical: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self._memory.part(physical, 8 * count))

    def _tables(self, stream: int) -> tuple[int, int]:
        """The first table of a stream, and how many bits of an address it translates."""
        (entry,) = self._words(self._stream_entry(stream), 1)
        if not entry & _VALID or entry >> 1 & 7 != _STAGE_1_ONLY:
            raise AddressFault(f"stream {stream:#x} is not translated: its entry is {entry:#x}")
        context, table = self._words(entry & _TABLE_ADDRESS, 2)
        bits, granule = 64 - (context & 63), context >> 6 & 3
        if not context >> 31 & 1 or granule or bits not in _INPUT_BITS:
            raise AddressFault(f"stream {stream:#x} has a context of another kind: {context:#x}")
        return table & _OUTPUT_ADDRESS & ~0xF, bits

    def _stream_entry(self, stream: int) -> int:
        base, config = self._registers()
        base, split = base & _TABLE_ADDRESS, config >> 6 & 31
        if stream >> (config & 63):
            raise AddressFault(f"stream {stream:#x} is beyond the stream table")
        if not config >> 16 & 3:  # one table
            return base + 64 * stream
        (first,) = self._words(base + 8 * (stream >> split), 1)
        span = first & 31
        if not span or (stream & (1 << split) - 1) >> (span - 1):
            raise AddressFault(f"stream {stream:#x} has no entry in the stream table")
        return (first & _TABLE_ADDRESS) + 64 * (stream & (1 << split) - 1)

    def _walk(self, table: int, bits: int, place: int) -> tuple[int, int]:
        """The physical address of a place, and how many bytes lie together from there on."""
        if place >> bits:
            raise AddressFault(f"{place:#x} has more than {bits} bits")
        level = 4 - -(-(bits - _GRANULE_BITS) // _LEVEL_BITS)
        while True:
            shift = _GRANULE_BITS + _LEVEL_BITS * (3 - level)
            index = place >> shift & (1 << _LEVEL_BITS) - 1
            (entry,) = self._words(table + 8 * index, 1)
            if not entry & _VALID:
                raise AddressFault(f"{place:#x} is not mapped")
            if level == 3 or not entry & 2:
                if (level == 3) is not bool(entry & 2):
                    raise AddressFault(f"{place:#x}: a reserved entry, {entry:#x}")
                size = 1 << shift
                within = place & size - 1
                return (entry & _OUTPUT_ADDRESS & -size) + within, size - within
            table, level = entry & _OUTPUT_ADDRESS, level + 1
