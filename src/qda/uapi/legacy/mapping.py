"""Commands of the older driver that give the DSP process memory, or map what the program has."""

from __future__ import annotations

from errno import EINVAL, ENOMEM

from qda.layout import OUT, ZERO, Record, octets, one_of, s32, u32, u64
from qda.uapi.interface import Constant, Constants
from qda.uapi.legacy.refusals import FOREIGN, MESSAGE, SILENT, command, refusals
from qda.uapi.words import LENGTH, SIZE, STATUS, map_flags

__all__ = [
    "FLAGS",
    "MAP_NEW",
    "MEM_MAP",
    "MEM_UNMAP",
    "UNMAP_NEW",
    "MapFd",
    "MapNew",
    "UnmapFd",
    "UnmapNew",
]

FLAGS: tuple[Constants, ...] = (
    ("Flags of FASTRPC_IOCTL_MEM_MAP", map_flags("FASTRPC_MAP_")),
    (
        "Flags of FASTRPC_IOCTL_MMAP",
        (
            Constant("QDA_MMAP_REMOTE_HEAP", 8, "Remote heap of the DSP", True),
            Constant("QDA_MMAP_ADD_PAGES", 0x1000, "More pages for the process's heap", True),
        ),
    ),
)


# 0x06, MAP_NEW.


class MapNew(Record, spelling="fastrpc_req_mmap"):
    """Give the DSP process new memory, which only the DSP uses."""

    fd: int = s32("Not looked at: the driver allocates the memory; write -1")
    flags: int = u32(
        "What the memory is for: 0x1000 adds to the heap of the process, 8 to the remote heap",
        legal=one_of(0x1000, 8, words="0x1000 or 8"),
        breach=EINVAL,
    )
    vaddrin: int = u64("Reserved; write 0", unit="DSP address", legal=ZERO, breach=EINVAL)
    size: int = u64(
        "Size of the memory",
        unit="bytes",
        legal=SIZE,
        breach=EINVAL,
    )
    vaddrout: int = u64(
        "Where the memory begins on the DSP; written only if the result is 0",
        direction=OUT,
        unit="DSP address",
    )


MAP_NEW = command(
    "MAP_NEW",
    0x06,
    MapNew,
    f"Give the DSP process new memory, until MUNMAP or close().  {STATUS}",
    refusals(*MESSAGE, SILENT, (ENOMEM, "no memory of that size")),
    name="MMAP",
)


# 0x07, UNMAP_NEW.


class UnmapNew(Record, spelling="fastrpc_req_munmap"):
    """Take back what FASTRPC_IOCTL_MMAP gave."""

    vaddrout: int = u64(
        "The vaddrout that the mapping returned, an input in spite of its name", unit="DSP address"
    )
    size: int = u64("The size that was given when the mapping was made", unit="bytes")


UNMAP_NEW = command(
    "UNMAP_NEW",
    0x07,
    UnmapNew,
    f"Take back memory that MMAP gave.  {STATUS}",
    refusals(
        *MESSAGE,
        SILENT,
        (EINVAL, "MMAP of this open file has returned no such vaddrout for that size"),
    ),
    name="MUNMAP",
)


# 0x0a, MEM_MAP.


class MapFd(Record, spelling="fastrpc_mem_map"):
    """Map shared memory into the address space of the DSP process, until it is unmapped."""

    version: int = s32("Not looked at; write 0")
    fd: int = s32("Memory to map", unit="DMA-BUF descriptor")
    offset: int = s32(
        "First byte of the memory to be mapped",
        unit="bytes",
        legal=LENGTH,
        breach=EINVAL,
    )
    flags: int = u32("Kind of mapping, FASTRPC_MAP_*; passed on to the DSP", unit="bits")
    vaddrin: int = u64(
        "Wanted address on the DSP, a hint that it need not follow; 0 for none", unit="DSP address"
    )
    length: int = u64(
        "How many bytes from offset are needed; checked against the memory, while the mapping "
        "runs to its end; not sent to the DSP",
        unit="bytes",
    )
    vaddrout: int = u64(
        "Where code on the DSP finds byte offset of the memory: below 4 GiB and not 0, of no "
        "meaning in the calling process; written only if the result is 0",
        direction=OUT,
        unit="DSP address",
    )
    attrs: int = s32("Not looked at; write 0", unit="bits")
    reserved: bytes = octets(4, "Not looked at; write 0", s32)


MEM_MAP = command(
    "MEM_MAP",
    0x0A,
    MapFd,
    "Map shared memory into the DSP process until MEM_UNMAP or close(), with a reference on "
    f"it as long.  Not needed for memory that only calls name.  {STATUS}",
    refusals(
        *MESSAGE,
        SILENT,
        FOREIGN,
        (EINVAL, "offset + length goes beyond the end of the memory"),
    ),
    sections="""\
## Mappings

Shared memory is in one of three states for the DSP process:

- absent: no call and no mapping has it now. An access by code on the DSP fails and ends the call
with status 0x80000483.
- mapped for a call: an element names it. This needs no preparation, and lasts until the call has
been answered. Addresses that the method has seen are not valid in a later call.
- mapped until further notice: {MEM_MAP} was called. Its vaddrout is valid for all code
of the DSP process until {MEM_UNMAP} or close(), also as a number inside other data. The
memory cannot be freed meanwhile, even if its descriptor is closed.

Use the first way for arguments of calls, and a mapping when code on the DSP keeps an address, gets
it inside other data, or looks it up by fd. Memory that many calls name is mapped for each of them
anew; a mapping that lasts saves that.

Three kinds of address appear, and none is ever taken for another: addresses of the calling process
(file, args, ptr of a buffer), addresses on the DSP (vaddrin, vaddrout, vaddr), and offsets in
shared memory (offset, ptr of a handle argument). An address of the kernel is never accepted.""",
)


# 0x0b, MEM_UNMAP.


class UnmapFd(Record, spelling="fastrpc_mem_unmap"):
    """Undo FASTRPC_IOCTL_MEM_MAP."""

    version: int = s32(
        "Not looked at; write 0.  The name is spelt so in the original", spelling="vesion"
    )
    fd: int = s32(
        "The fd that was mapped, by its number; below 0 to find the mapping by vaddr alone",
        unit="DMA-BUF descriptor",
    )
    vaddr: int = u64("The vaddrout that the mapping returned", unit="DSP address")
    length: int = u64("Not looked at", unit="bytes")
    reserved: bytes = octets(5, "Not looked at; write 0", s32)


MEM_UNMAP = command(
    "MEM_UNMAP",
    0x0B,
    UnmapFd,
    f"Undo MEM_MAP, and drop its reference on the memory.  {STATUS}",
    refusals(
        *MESSAGE,
        SILENT,
        (EINVAL, "no MEM_MAP of this open file has that vaddr and, unless it is below 0, fd"),
    ),
)
