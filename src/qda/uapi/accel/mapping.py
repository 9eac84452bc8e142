"""Commands of the accelerator that map buffer objects into the DSP process for many calls."""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL

from qda.layout import ANY, OUT, ZERO, Record, at_least, differs, one_of, s32, u32, u64
from qda.uapi.accel.refusals import NO_SESSION, SILENT, call_refusals, no_descriptor, no_handle
from qda.uapi.interface import Command, Constant, Constants, instead
from qda.uapi.ioctl import Access
from qda.uapi.words import STATUS, map_flags

__all__ = [
    "FLAGS",
    "MAP",
    "MAP_HANDLE",
    "MAP_V1",
    "MUNMAP",
    "MUNMAP_HANDLE",
    "MUNMAP_V1",
    "MemMap",
    "MemMapHandle",
    "MemMapV1",
    "MemUnmap",
    "MemUnmapHandle",
    "MemUnmapV1",
]

FLAGS: tuple[Constants, ...] = (
    (
        "Requests to map and unmap",
        (
            Constant("QDA_MAP_REQUEST_LEGACY", 1, "Map by flags, hint and pages alone"),
            Constant("QDA_MAP_REQUEST_ATTR", 2, "Map with fd and offset known to the DSP"),
            Constant("QDA_MUNMAP_REQUEST_LEGACY", 1, "Unmap by vaddrout and size"),
            Constant("QDA_MUNMAP_REQUEST_ATTR", 2, "Unmap by fd and vaddr"),
        ),
    ),
    ("Flags of QDA_MAP_REQUEST_ATTR", map_flags("QDA_MEM_MAP_")),
    (
        "Flags of QDA_MAP_REQUEST_LEGACY",
        (
            Constant("QDA_MMAP_HEAP", 4, "Heap of the DSP process", True),
            Constant("QDA_MMAP_DMA_BUFFER", 6, "A buffer object", True),
            Constant("QDA_MMAP_REMOTE_HEAP", 8, "Remote heap of the DSP", True),
            Constant("QDA_MMAP_ADD_PAGES", 0x1000, "More pages for the process's heap", True),
            Constant("QDA_MMAP_ADD_PAGES_LLC", 0x3000, "The same, through the LLC cache", True),
        ),
    ),
)

_REQUESTS = one_of(1, 2, words="1 (LEGACY) or 2 (ATTR)")


# 0x45, MAP.


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

    @property
    def told(self) -> int:
        """By which number code on the DSP finds the object."""
        return self.fd


MAP = Command(
    "MAP",
    "DRM_IOCTL_QDA_MAP",
    0x45,
    Access.BOTH,
    MemMap,
    "Map an object into the DSP process until MUNMAP or close(), with a reference on it "
    f"as long.  Not needed for objects that only calls name.  {STATUS}",
    call_refusals(
        SILENT,
        NO_SESSION,
        no_handle("fd"),
        (
            EINVAL,
            "fd is 0 or below, unless request is LEGACY and flags is 4, 8, 0x1000 or 0x3000",
        ),
        (EINVAL, "offset (LEGACY: 0) + size is beyond the end of the object"),
    ),
    sections="""\
## Mappings

An object is in one of three states for the DSP process:

- absent: it was created or imported, but no call and no mapping has it now. An access by code on
the DSP fails and ends the call with status 0x80000483.
- mapped for a call: an element names it. This needs no preparation, and lasts until the call has
been answered. Addresses that the method has seen are not valid in a later call.
- mapped until further notice: {MAP} was called. Its vaddrout is valid for all code of
the DSP process until {MUNMAP} or close(), also as a number inside other data. The object
cannot be freed meanwhile, even if its handle is closed.

Use the first way for arguments of calls, and a mapping when code on the DSP keeps an address, gets
it inside other data, or looks it up by fd (QDA_MAP_REQUEST_ATTR).

Three kinds of address appear, and none is ever taken for another: addresses of the calling process
(file, args, ptr of a buffer), addresses on the DSP (vaddrin, vaddrout, vaddr), and offsets in an
object (offset, ptr of a handle argument). An address of the kernel is never accepted.""",
)


class MemMapV1(MemMap, spelling="drm_qda_mem_map"):
    """Map a buffer object into the address space of the DSP process, until it is unmapped."""

    reserved: int = differs(spelling="pad")
    fd: int = differs(unit="DMA-BUF descriptor")


MAP_V1 = replace(
    MAP,
    spelling="DRM_IOCTL_QDA_REMOTE_MAP",
    record=MemMapV1,
    refused=instead(MAP.refused, {no_handle("fd"): no_descriptor("fd")}),
)


class MemMapHandle(
    MemMapV1,
    without=("reserved",),
    layout=(
        *("request", "flags", "fd", "attrs", "offset", "dsp_handle"),
        *("vaddrin", "size", "vaddrout"),
    ),
):
    """Map a buffer object into the address space of the DSP process, until it is unmapped."""

    fd: int = differs(
        scalar=u32,
        spelling="handle",
        text="Object to map; only LEGACY with flags 4, 8, 0x1000 or 0x3000 may have 0, and the "
        "DSP then provides memory of its own",
        unit="GEM handle",
        legal=ANY,
        breach=0,
    )
    dsp_handle: int = s32(
        "By which number code on the DSP finds the object: what the program calls it, such as the "
        "descriptor that it was imported by; LEGACY: not looked at",
    )

    @property
    def told(self) -> int:
        """See `MemMap.told`."""
        return self.dsp_handle


MAP_HANDLE = replace(
    MAP_V1,
    record=MemMapHandle,
    refused=(
        *[
            (number, when.replace("fd is 0 or below", "handle is 0"))
            for number, when in MAP.refused
            if (number, when) != no_handle("fd")
        ],
        no_handle("handle"),
    ),
)


# 0x46, MUNMAP.


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


MUNMAP = Command(
    "MUNMAP",
    "DRM_IOCTL_QDA_MUNMAP",
    0x46,
    Access.BOTH,
    MemUnmap,
    f"Undo a mapping, and drop its reference on the object.  {STATUS}",
    call_refusals(
        SILENT,
        NO_SESSION,
        (EINVAL, "no mapping of this open file has that vaddrout and size (LEGACY)"),
        (
            EINVAL,
            "no mapping of this open file has that fd and, unless it is 0, that vaddr (ATTR)",
        ),
    ),
)


class MemUnmapV1(MemUnmap, spelling="drm_qda_mem_unmap"):
    """Undo a mapping, with the request that made it."""

    fd: int = differs(
        text="ATTR: the fd that was mapped, by its number; LEGACY: not looked at",
        unit="DMA-BUF descriptor",
    )


MUNMAP_V1 = replace(MUNMAP, spelling="DRM_IOCTL_QDA_REMOTE_MUNMAP", record=MemUnmapV1)


class MemUnmapHandle(
    MemUnmapV1, layout=("request", "fd", "dsp_handle", "pad", "vaddr", "vaddrout", "size")
):
    """Undo a mapping, with the request that made it."""

    request: int = differs(
        text="How the mapping is named: QDA_MUNMAP_REQUEST_LEGACY (1) by vaddrout and size, "
        "QDA_MUNMAP_REQUEST_ATTR (2) by handle and vaddr",
    )
    fd: int = differs(
        scalar=u32,
        spelling="handle",
        text="ATTR: the handle that was mapped; LEGACY: not looked at",
        unit="GEM handle",
    )
    dsp_handle: int = s32("Not looked at: the DSP is told what it was told of the mapping")
    pad: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)
    vaddr: int = differs(
        text="ATTR: the vaddrout that the mapping returned, or 0 to find it by handle alone; "
        "LEGACY: not looked at",
    )


MUNMAP_HANDLE = replace(
    MUNMAP_V1,
    record=MemUnmapHandle,
    refused=tuple(
        (number, when.replace("that fd and", "that handle and")) for number, when in MUNMAP.refused
    ),
)
