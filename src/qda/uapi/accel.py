"""The accelerator's own commands, in the two dialects that were posted for review.

RFC is the series of February 2026 and our default, V1 that of May 2026.  They differ in names, in
the order of fields of two records, and in what an `fd` field means: a GEM handle of the open file
in RFC, a DMA-BUF descriptor of the process in V1.  Numbers and sizes are equal, so a command code
does not tell the dialects apart.  Python attributes are named alike in both.

The driver refuses a record by the legal values declared here before it runs a command.  What needs
more than the value of one field to decide is stated in the command's `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from errno import EBADF, EBUSY, EFAULT, EINTR, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, ETIMEDOUT

from qda.layout import Record
from qda.uapi import drm
from qda.uapi.accel_records import (
    FILE_LIMIT,
    GemCreate,
    GemCreateV1,
    GemMmapOffset,
    GemMmapOffsetV1,
    InitCreate,
    InitCreateV1,
    Invoke,
    InvokeElement,
    InvokeElementV1,
    InvokeV1,
    MemMap,
    MemMapV1,
    MemUnmap,
    MemUnmapV1,
    Query,
)
from qda.uapi.drm import errors
from qda.uapi.guide import example, prose
from qda.uapi.interface import Command, Constant, Interface
from qda.uapi.ioctl import Access
from qda.uapi.words import SCALARS, STATUS, map_flags, process_attributes

__all__ = [
    "FILE_LIMIT",
    "RFC",
    "V1",
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

_CONSTANTS: tuple[tuple[str, tuple[Constant, ...]], ...] = (
    (
        "Limits",
        (Constant("QDA_INIT_FILELEN_MAX", FILE_LIMIT, "Largest filelen: 4 MiB"),),
    ),
    (
        "Modules with a fixed handle",
        (
            Constant("QDA_HANDLE_REMOTECTL", 0, "Opens and closes all other modules"),
            Constant("QDA_HANDLE_INIT", 1, "Process control; for the driver only, else EPERM"),
        ),
    ),
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
    ("Process attributes", process_attributes("QDA_PROCESS_")),
    (
        "Kinds of protection domain, bits 3..0 of a message's context id",
        (
            Constant("QDA_ROOT_PD", 0, "The DSP's own system; also in all calls of a session"),
            Constant("QDA_USER_PD", 1, "A user process; set when it is created"),
            Constant("QDA_SENSORS_PD", 2, "The sensors process; not used by this interface"),
        ),
    ),
    SCALARS,
)

_RECORDS_RFC: Mapping[str, type[Record] | None] = {
    "QUERY": Query,
    "GEM_CREATE": GemCreate,
    "GEM_MMAP_OFFSET": GemMmapOffset,
    "INIT_ATTACH": None,
    "CREATE": InitCreate,
    "MAP": MemMap,
    "MUNMAP": MemUnmap,
    "INVOKE": Invoke,
}
_RECORDS_V1: Mapping[str, type[Record] | None] = {
    "QUERY": Query,
    "GEM_CREATE": GemCreateV1,
    "GEM_MMAP_OFFSET": GemMmapOffsetV1,
    "CREATE": InitCreateV1,
    "MAP": MemMapV1,
    "MUNMAP": MemUnmapV1,
    "INVOKE": InvokeV1,
}
_NAMES_RFC: Mapping[str, str] = {"CREATE": "INIT_CREATE"}
_NAMES_V1: Mapping[str, str] = {
    "CREATE": "REMOTE_SESSION_CREATE",
    "MAP": "REMOTE_MAP",
    "MUNMAP": "REMOTE_MUNMAP",
    "INVOKE": "REMOTE_INVOKE",
}


def _call_errors(*specific: tuple[int, str], record: bool = True) -> tuple[tuple[int, str], ...]:
    """The errors of a command that sends a message to the DSP."""
    return errors(
        *specific,
        (ENOMEM, "no memory for the message to the DSP"),
        (ENOSPC, "no context id is free: this would be the 256th call of the session at a time"),
        record=record,
    )


_SILENT = (
    ETIMEDOUT,
    "the DSP has not answered for 10 seconds; it may still do what was asked",
)
_NO_SESSION = (ENODEV, "this open file has no session")
_SECOND = (EBUSY, "this open file has a session already")


def _unknown(field: str, later: bool) -> tuple[tuple[int, str], ...]:
    """What becomes of an fd that names no object, in the dialect's meaning of fd."""
    if not later:
        return ((ENOENT, f"{field} is above 0 and not a GEM handle of this open file"),)
    return (
        (EBADF, f"{field} is above 0 and not an open descriptor of the process"),
        (ENODEV, f"{field} is not yet imported, and no context bank is free for that"),
        (EINVAL, f"{field} cannot be imported, for a reason given at PRIME_FD_TO_HANDLE"),
    )


def _commands(
    later: bool, names: Mapping[str, str], records: Mapping[str, type[Record] | None]
) -> tuple[Command, ...]:
    """The commands of a dialect: those that `records` has, called as in `names`."""
    inline = "0 or -1" if later else "0"
    other = "0 nor -1 nor a DMA-BUF" if later else "0 nor a GEM handle of this open file"
    imported = [(EINVAL, "the object was imported: map its DMA-BUF instead")] if later else []
    table: tuple[tuple[str, int, Access, str, tuple[tuple[int, str], ...]], ...] = (
        (
            "QUERY",
            0x40,
            Access.READ,
            "Ask which DSP is behind the node.  Needs no session.",
            errors(),
        ),
        (
            "GEM_CREATE",
            0x41,
            Access.BOTH,
            "Allocate a buffer object that the program and the DSP can share.  Needs no session.",
            errors(
                (ENOMEM, "no memory for an object of that size"),
                (ENOMEM, "the open file has no context bank yet and none is free"),
            ),
        ),
        (
            "GEM_MMAP_OFFSET",
            0x42,
            Access.BOTH,
            "Ask for the offset by which mmap() on the node maps a buffer object.",
            errors((ENOENT, "handle is not a GEM handle of this open file"), *imported),
        ),
        (
            "INIT_ATTACH",
            0x43,
            Access.NONE,
            "Begin a session with the DSP's own system, the root protection domain, instead of a "
            f"process of one's own.  Takes no structure; the third argument is 0.  {STATUS}",
            _call_errors(_SILENT, _SECOND, record=False),
        ),
        (
            "CREATE",
            0x44,
            Access.BOTH,
            "Begin a session with a process of its own on the DSP, a user protection domain.  Its "
            "name is that of the calling thread; 4 MiB of memory are set aside for it until the "
            f"file is closed.  After a failure nothing is left behind.  {STATUS}",
            _call_errors(
                _SILENT,
                (ENOMEM, "no memory for the process"),
                (ENOMEM, "the open file has no context bank yet and none is free"),
                (EFAULT, f"filefd is {inline}, and file is not filelen readable bytes"),
                (EFAULT, "filefd names an object, and file is not 0 and lies in no mapping"),
                _SECOND,
                (EINVAL, f"filelen is not 0, and filefd is neither {other}"),
                (
                    EINVAL,
                    "filelen is more than the object has from file on, or file + filelen "
                    "wraps around",
                ),
                (EINVAL, "filefd names an object, and file lies in a mapping of something else"),
            ),
        ),
        (
            "MAP",
            0x45,
            Access.BOTH,
            "Map an object into the DSP process until MUNMAP or close(), with a reference on it "
            f"as long.  Not needed for objects that only calls name.  {STATUS}",
            _call_errors(
                _SILENT,
                _NO_SESSION,
                *_unknown("fd", later),
                (
                    EINVAL,
                    "fd is 0 or below, unless request is LEGACY and flags is 4, 8, 0x1000 or "
                    "0x3000",
                ),
                (EINVAL, "offset (LEGACY: 0) + size is beyond the end of the object"),
            ),
        ),
        (
            "MUNMAP",
            0x46,
            Access.BOTH,
            f"Undo a mapping, and drop its reference on the object.  {STATUS}",
            _call_errors(
                _SILENT,
                _NO_SESSION,
                (EINVAL, "no mapping of this open file has that vaddrout and size (LEGACY)"),
                (
                    EINVAL,
                    "no mapping of this open file has that fd and, unless it is 0, that "
                    "vaddr (ATTR)",
                ),
            ),
        ),
        (
            "INVOKE",
            0x47,
            Access.BOTH,
            f"Call a method of a module and wait for its result.  {STATUS}  Output buffers are "
            "filled whatever the status is.  Without a session the DSP does not know "
            "the caller, and says so by its status.",
            _call_errors(
                (
                    EINTR,
                    "a signal handler without SA_RESTART ran during the wait; the same "
                    "request (handle, sc, args), made again by the same thread, goes on waiting "
                    "and is not sent twice",
                ),
                *_unknown("fd of an element", later),
                (ENOMEM, "the inline buffers together are too large for one message"),
                (EFAULT, "args is not QDA_SCALARS_LENGTH(sc) readable elements"),
                (
                    EFAULT,
                    "ptr of an inline buffer is not length readable (input) or writable "
                    "(output) bytes of the process; an address of the kernel never is",
                ),
                (EFAULT, "fd of a buffer names an object, and ptr lies in no mapping at all"),
                (EINVAL, "fd of a buffer is below -1"),
                (EINVAL, "length of a buffer is above 2^31 - 1"),
                (
                    EINVAL,
                    "ptr + length of a buffer wraps around or is beyond the end of the "
                    "memory that a process can have",
                ),
                (EINVAL, "an inline buffer overlaps a buffer that fd says is in an object"),
                (
                    EINVAL,
                    "fd of a buffer names an object, and the mapping at ptr is of something else",
                ),
                (
                    EINVAL,
                    "a buffer in an object, or the part that a handle argument names, goes "
                    "beyond the end of the object",
                ),
            ),
        ),
    )
    return tuple(
        Command(
            key, f"DRM_IOCTL_QDA_{names.get(key, key)}", number, access, records[key], text, refused
        )
        for key, number, access, text, refused in table
        if key in records
    )


def _dialect(
    name: str,
    title: str,
    commands: tuple[Command, ...],
    element: type[Record],
) -> Interface:
    spellings = {command.key: command.spelling for command in commands}
    made = Interface(
        name,
        title,
        commands,
        (element,),
        _CONSTANTS,
        prose(name == "v1", spellings, element.spelling),
        companion=drm.CORE,
    )
    return replace(made, example=example(made))


RFC = _dialect(
    "rfc",
    "Qualcomm DSP Accelerator (QDA), device interface of the RFC series, February 2026",
    _commands(False, _NAMES_RFC, _RECORDS_RFC),
    InvokeElement,
)
V1 = _dialect(
    "v1",
    "Qualcomm DSP Accelerator (QDA), device interface of the v1 series, May 2026",
    _commands(True, _NAMES_V1, _RECORDS_V1),
    InvokeElementV1,
)
