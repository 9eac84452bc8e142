"""The structures of the older FastRPC driver's commands (spec/fastrpc.md 5.2, 5.3)."""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL, EOVERFLOW

from qda.layout import OUT, ZERO, Record, between, octets, one_of, s32, u32, u64
from qda.uapi.accel_records import InitCreate, InvokeElementV1, InvokeV1

__all__ = [
    "LEGACY_FILE_LIMIT",
    "AllocDmaBuffer",
    "Capability",
    "CreateLegacy",
    "CreateStatic",
    "InvokeElementLegacy",
    "InvokeLegacy",
    "MapFd",
    "MapNew",
    "UnmapFd",
    "UnmapNew",
]

LEGACY_FILE_LIMIT = 2 << 20
_NAME_LIMIT = 128
_ATTRIBUTES = 256  # those of the DSP; higher numbers concern the host

_LARGEST = (1 << 64) - 4096


class AllocDmaBuffer(Record, spelling="fastrpc_alloc_dma_buf"):
    """Allocate shared memory."""

    fd: int = s32(
        "DMA-BUF of the memory, for mmap() at offset 0 and for the commands below; not closed at "
        "exec, and the caller's to close",
        direction=OUT,
        unit="file descriptor",
    )
    flags: int = u32("Not looked at; write 0", unit="bits")
    size: int = u64(
        "Size of the memory, which is rounded up to a multiple of 4096; its bytes start as 0",
        unit="bytes",
        legal=replace(between(1, _LARGEST), words="1 to 2^64 - 4096"),
        breach=EINVAL,
    )


class InvokeElementLegacy(InvokeElementV1, spelling="fastrpc_invoke_args"):
    """One argument of a call; its place in the array alone says of which kind it is."""


class InvokeLegacy(InvokeV1, spelling="fastrpc_invoke"):
    """Call a method of a module on the DSP and wait for its result."""

    arguments: int = u64(
        "Address of the elements in the calling process; not looked at if all four counts are 0",
        spelling="args",
        unit="address",
        points_to="an array of struct fastrpc_invoke_args, one element for each unit of the four "
        "counts in sc (QDA_SCALARS_LENGTH(sc) elements of 24 bytes): input buffers, then output "
        "buffers, then input handles, then output handles; read only, never written",
    )


class CreateLegacy(InitCreate, spelling="fastrpc_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filelen: int = u32(
        "Length of the program image (the shell) for the process, with the signature if there is "
        "one; 0 lets the DSP use its own",
        unit="bytes",
        legal=replace(between(0, LEGACY_FILE_LIMIT), words="0 to 2097152 (2 MiB)"),
        breach=EINVAL,
    )
    filefd: int = s32(
        "Shared memory that holds the image; 0 if the image is in ordinary memory at file; not "
        "looked at if filelen is 0",
        unit="DMA-BUF descriptor",
    )


class MapNew(Record, spelling="fastrpc_req_mmap"):
    """Give the DSP process new memory, which only the DSP uses."""

    fd: int = s32("Not looked at: the driver allocates the memory; write -1")
    flags: int = u32(
        "What the memory is for: 0x1000 adds to the heap of the process, 8 to the remote heap",
        legal=replace(one_of(0x1000, 8), words="0x1000 or 8"),
        breach=EINVAL,
    )
    vaddrin: int = u64("Reserved; write 0", unit="DSP address", legal=ZERO, breach=EINVAL)
    size: int = u64(
        "Size of the memory",
        unit="bytes",
        legal=replace(between(1, _LARGEST), words="1 to 2^64 - 4096"),
        breach=EINVAL,
    )
    vaddrout: int = u64(
        "Where the memory begins on the DSP; written only if the result is 0",
        direction=OUT,
        unit="DSP address",
    )


class UnmapNew(Record, spelling="fastrpc_req_munmap"):
    """Take back what FASTRPC_IOCTL_MMAP gave."""

    vaddrout: int = u64(
        "The vaddrout that the mapping returned, an input in spite of its name", unit="DSP address"
    )
    size: int = u64("The size that was given when the mapping was made", unit="bytes")


class CreateStatic(Record, spelling="fastrpc_ioctl_init_create_static"):
    """Begin a session with a static process, one that is part of the DSP's own image."""

    namelen: int = u32(
        "Length of the name with its NUL",
        unit="bytes",
        legal=replace(between(0, _NAME_LIMIT), words=f"0 to {_NAME_LIMIT}"),
        breach=EINVAL,
    )
    memlen: int = u32(
        "Size of the DSP's remote heap; looked at by the first such command after the DSP has "
        "started, which allocates it",
        unit="bytes",
    )
    name: int = u64(
        "Address of the name of the process, such as audiopd",
        unit="address",
        points_to="namelen bytes, read during the call",
    )


class MapFd(Record, spelling="fastrpc_mem_map"):
    """Map shared memory into the address space of the DSP process, until it is unmapped."""

    version: int = s32("Not looked at; write 0")
    fd: int = s32("Memory to map", unit="DMA-BUF descriptor")
    offset: int = s32(
        "First byte of the memory to be mapped",
        unit="bytes",
        legal=replace(between(0, (1 << 31) - 1), words="0 to 2^31 - 1"),
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


class Capability(Record, spelling="fastrpc_ioctl_capability"):
    """Ask what the DSP can do."""

    domain: int = u32("Not looked at: the node says which DSP is asked")
    attribute_id: int = u32(
        "Which property: 1 to 255 are the DSP's, 0 is not known to the driver and answered with 0",
        legal=replace(between(0, _ATTRIBUTES - 1), words="0 to 255"),
        breach=EOVERFLOW,
    )
    capability: int = u32("Value of the property, 0 if the DSP does not have it", direction=OUT)
    reserved: bytes = octets(4, "Not looked at; write 0", u32)
