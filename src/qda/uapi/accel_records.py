"""The structures of the accelerator's commands, in both dialects (see `qda.uapi.accel`).

A class whose name ends in V1 is the dialect of May 2026; where it is missing, the dialects share
the record.  Attribute names are the same in both.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL, EPERM

from qda.layout import (
    OUT,
    ZERO,
    Legal,
    Record,
    at_least,
    between,
    differs,
    octets,
    one_of,
    s32,
    u32,
    u64,
)

__all__ = [
    "FILE_LIMIT",
    "GemCreate",
    "GemCreateV1",
    "GemMmapOffset",
    "GemMmapOffsetV1",
    "InitCreate",
    "InitCreateV1",
    "Invoke",
    "InvokeElement",
    "InvokeElementV1",
    "InvokeV1",
    "MemMap",
    "MemMapV1",
    "MemUnmap",
    "MemUnmapV1",
    "Query",
]

FILE_LIMIT = 4 << 20
_LONGEST = (1 << 31) - 1
_LARGEST = (1 << 64) - 4096

_REQUESTS = replace(one_of(1, 2), words="1 (LEGACY) or 2 (ATTR)")


class Query(Record, spelling="drm_qda_query"):
    """Answer to the question which DSP is behind a node."""

    dsp_name: bytes = octets(
        16,
        'Name of the DSP ("adsp", "cdsp", "gdsp0", ...), followed by zero bytes up to the end',
        direction=OUT,
        unit="characters",
    )


class GemCreate(Record, spelling="drm_qda_gem_create"):
    """Allocate a buffer object."""

    handle: int = u32(
        "Handle of the new object: a small integer from 1, valid in this open file only, until "
        "DRM_IOCTL_GEM_CLOSE or close()",
        direction=OUT,
        unit="GEM handle",
    )
    pad: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)
    size: int = u64(
        "Size of the object, which is rounded up to a multiple of 4096; its bytes start as 0",
        unit="bytes",
        legal=replace(between(1, _LARGEST), words="1 to 2^64 - 4096"),
        breach=EINVAL,
    )


class GemCreateV1(GemCreate, layout=("size", "handle", "pad")):
    """Allocate a buffer object."""


class GemMmapOffset(Record, spelling="drm_qda_gem_mmap_offset"):
    """Ask where mmap() finds a buffer object."""

    handle: int = u32("Handle of the object", unit="GEM handle")
    pad: int = u32("Reserved; write 0, although this version does not look at it")
    offset: int = u64(
        "Offset to give to mmap() on this node; it names the object and is no address",
        direction=OUT,
        unit="bytes",
    )


class GemMmapOffsetV1(GemMmapOffset, layout=("offset", "handle", "pad")):
    """Ask where mmap() finds a buffer object."""

    pad: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)


class InitCreate(Record, spelling="qda_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filelen: int = u32(
        "Length of the program image (the shell) for the process, with the signature if there is "
        "one; 0 lets the DSP use its own",
        unit="bytes",
        legal=replace(between(0, FILE_LIMIT), words="0 to 4194304 (QDA_INIT_FILELEN_MAX)"),
        breach=EINVAL,
    )
    filefd: int = s32(
        "Buffer object that holds the image; 0 if the image is in ordinary memory at file; -1 or "
        "0 if filelen is 0",
        unit="GEM handle",
        legal=at_least(-1),
        breach=EINVAL,
    )
    attrs: int = u32(
        "Process attributes: any of QDA_PROCESS_*, while other bits reach the DSP unchanged; 0 "
        "sends the DSP's method CREATE (6), anything else CREATE_ATTR (7)",
        unit="bits",
    )
    siglen: int = u32(
        "Length of the test signature, which is the last part of the image; 0 without one",
        unit="bytes",
    )
    file: int = u64(
        "Address of the image in the calling process; 0 is also possible if filefd names an "
        "object, and then means its first byte",
        unit="address",
        points_to="filelen bytes, read during the call",
    )


class InitCreateV1(InitCreate, spelling="drm_qda_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filefd: int = s32(
        "Buffer object that holds the image; 0 or -1 if the image is in ordinary memory at file, "
        "or if filelen is 0",
        unit="DMA-BUF descriptor",
        legal=at_least(-1),
        breach=EINVAL,
    )


class MemMap(Record, spelling="qda_mem_map"):
    """Map a buffer object into the address space of the DSP process, until it is unmapped."""

    request: int = u32(
        "How to map: QDA_MAP_REQUEST_ATTR (2) tells the DSP the object's fd and the offset, so "
        "that its code can find the mapping by fd, and takes QDA_MEM_MAP_* in flags; "
        "QDA_MAP_REQUEST_LEGACY (1) tells it neither and takes QDA_MMAP_*",
        legal=_REQUESTS,
        breach=EINVAL,
    )
    flags: int = u32(
        "Kind of mapping, QDA_MEM_MAP_* or QDA_MMAP_* by request; passed on to the DSP", unit="bits"
    )
    fd: int = s32(
        "Object to map; only LEGACY with flags 4, 8, 0x1000 or 0x3000 may have 0 or -1, and the "
        "DSP then provides memory of its own",
        unit="GEM handle",
        legal=at_least(-1),
        breach=EINVAL,
    )
    attrs: int = u32("Not looked at; write 0", unit="bits")
    offset: int = u32(
        "First byte of the object to be mapped; write 0 with LEGACY, which does not send it",
        unit="bytes",
    )
    reserved: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)
    vaddrin: int = u64(
        "Wanted address on the DSP, a hint that it need not follow; 0 for none", unit="DSP address"
    )
    size: int = u64(
        "How many bytes from offset are needed; checked against the object, while the mapping "
        "runs to the end of the object; not sent to the DSP",
        unit="bytes",
    )
    vaddrout: int = u64(
        "Where code on the DSP finds byte offset of the object: below 4 GiB and not 0, of no "
        "meaning in the calling process; written only if the result is 0",
        direction=OUT,
        unit="DSP address",
    )


class MemMapV1(MemMap, spelling="drm_qda_mem_map"):
    """Map a buffer object into the address space of the DSP process, until it is unmapped."""

    reserved: int = differs(spelling="pad")
    fd: int = s32(
        "Object to map; only LEGACY with flags 4, 8, 0x1000 or 0x3000 may have 0 or -1, and the "
        "DSP then provides memory of its own",
        unit="DMA-BUF descriptor",
        legal=at_least(-1),
        breach=EINVAL,
    )


class MemUnmap(Record, spelling="qda_mem_unmap"):
    """Undo a mapping, with the request that made it."""

    request: int = u32(
        "How the mapping is named: QDA_MUNMAP_REQUEST_LEGACY (1) by vaddrout and size, "
        "QDA_MUNMAP_REQUEST_ATTR (2) by fd and vaddr",
        legal=_REQUESTS,
        breach=EINVAL,
    )
    fd: int = s32("ATTR: the fd that was mapped; LEGACY: not looked at", unit="GEM handle")
    vaddr: int = u64(
        "ATTR: the vaddrout that the mapping returned, or 0 to find it by fd alone; LEGACY: not "
        "looked at",
        unit="DSP address",
    )
    vaddrout: int = u64(
        "LEGACY: the vaddrout that the mapping returned, an input in spite of its name; ATTR: not "
        "looked at",
        unit="DSP address",
    )
    size: int = u64("The size that was given when the mapping was made", unit="bytes")


class MemUnmapV1(MemUnmap, spelling="drm_qda_mem_unmap"):
    """Undo a mapping, with the request that made it."""

    fd: int = s32(
        "ATTR: the fd that was mapped, by its number; LEGACY: not looked at",
        unit="DMA-BUF descriptor",
    )


_ELEMENT = "fastrpc_invoke_args"
_ELEMENT_V1 = "drm_qda_fastrpc_invoke_args"


def _elements(spelling: str) -> str:
    """What INVOKE's pointer points to."""
    return (
        f"an array of struct {spelling}, one element for each unit of the four counts in sc "
        "(QDA_SCALARS_LENGTH(sc) elements of 24 bytes): input buffers, then output buffers, then "
        "input handles, then output handles; read only, never written"
    )


class Invoke(Record, spelling="qda_invoke_args"):
    """Call a method of a module on the DSP and wait for its result."""

    handle: int = u32(
        "Module to call: a handle that remotectl returned, or a fixed one such as "
        "QDA_HANDLE_REMOTECTL (0)",
        unit="module handle",
        legal=Legal("any value but 1", lambda value: value != 1, (0, 2)),
        breach=EPERM,
    )
    scalars: int = u32(
        "Shape of the call, made by QDA_SCALARS(): bits 31..29 attributes (write 0), bits 28..24 "
        "method (31: the method is the first 32-bit word of the first input buffer), bits 23..16 "
        "number of input buffers, bits 15..8 number of output buffers, bits 7..4 number of input "
        "handles, bits 3..0 number of output handles",
        spelling="sc",
        unit="bits",
    )
    arguments: int = u64(
        "Address of the elements in the calling process; not looked at if all four counts are 0",
        spelling="args",
        unit="address",
        points_to=_elements(_ELEMENT),
    )


class InvokeV1(Invoke, spelling="drm_qda_invoke_args"):
    """Call a method of a module on the DSP and wait for its result."""

    arguments: int = u64(
        "Address of the elements in the calling process; not looked at if all four counts are 0",
        spelling="args",
        unit="address",
        points_to=_elements(_ELEMENT_V1),
    )


class InvokeElement(Record, spelling=_ELEMENT):
    """One argument of a call; its place in the array alone says of which kind it is."""

    ptr: int = u64(
        "Buffer: address of its data in the calling process, not looked at if length is 0; "
        "handle: offset in the object of the part that is meant",
        unit="address or offset",
        points_to="length bytes, read before the call for an input, written after it for an output",
    )
    length: int = u64(
        "Buffer: length of the data, which may be 0; handle: length of the part of the object",
        unit="bytes",
        legal=replace(between(0, _LONGEST), words="0 to 2^31 - 1"),
    )
    fd: int = s32(
        "Buffer: 0 or -1 for data anywhere in memory, which is copied (inline), or the object in "
        "whose mapping ptr lies, which is shared and not copied; handle: the object, or "
        "0 or below for none",
        unit="GEM handle",
        legal=replace(at_least(-1), words="at least -1 for a buffer"),
    )
    attr: int = u32(
        "Buffer in an object: with 256 (FASTRPC_ATTR_NOVA) the object need not be mapped, and ptr "
        "may also lie in addresses that are only reserved for it (private, anonymous, no access); "
        "where the kernel has joined reservations, the buffer is the whole object; other bits are "
        "not looked at",
        unit="bits",
    )


class InvokeElementV1(InvokeElement, spelling=_ELEMENT_V1):
    """One argument of a call; its place in the array alone says of which kind it is."""

    fd: int = s32(
        "Buffer: 0 or -1 for data anywhere in memory, which is copied (inline), or the object in "
        "whose mapping ptr lies, which is shared and not copied; handle: the object, or "
        "0 or below for none",
        unit="DMA-BUF descriptor",
        legal=replace(at_least(-1), words="at least -1 for a buffer"),
    )
