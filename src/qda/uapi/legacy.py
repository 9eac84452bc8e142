"""The older FastRPC driver's commands, as they are on `/dev/fastrpc-*` of today's kernels.

The numbers and layouts are those of linux `include/uapi/misc/fastrpc.h` (spec/fastrpc.md 5.2), and
so are the C names: a program compiles the same with either header.  Unlike the accelerator's, these
commands are found by their complete code, and structures have one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import (
    EBUSY,
    ECONNREFUSED,
    EFAULT,
    EINTR,
    EINVAL,
    EMFILE,
    ENOMEM,
    ENOSPC,
    ENOTTY,
    EOPNOTSUPP,
    EPIPE,
    ETIMEDOUT,
)

from qda.layout import Record, u32
from qda.uapi import dma_heap
from qda.uapi.guide_legacy import EXAMPLE, PROSE
from qda.uapi.interface import Command, Constant, Interface
from qda.uapi.ioctl import Access
from qda.uapi.legacy_records import (
    AllocDmaBuffer,
    Capability,
    CreateLegacy,
    CreateStatic,
    InvokeElementLegacy,
    InvokeLegacy,
    MapFd,
    MapNew,
    UnmapFd,
    UnmapNew,
)
from qda.uapi.words import SCALARS, STATUS, map_flags, process_attributes

__all__ = ["BY_CODE", "LEGACY"]

_CONSTANTS: tuple[tuple[str, tuple[Constant, ...]], ...] = (
    (
        "Modules with a fixed handle",
        (
            Constant("QDA_HANDLE_REMOTECTL", 0, "Opens and closes all other modules"),
            Constant("QDA_HANDLE_INIT", 1, "Process control; for the driver only, else EPERM"),
            Constant("QDA_HANDLE_UTILITIES", 2, "Capabilities"),
        ),
    ),
    ("Flags of FASTRPC_IOCTL_MEM_MAP", map_flags("FASTRPC_MAP_")),
    (
        "Flags of FASTRPC_IOCTL_MMAP",
        (
            Constant("QDA_MMAP_REMOTE_HEAP", 8, "Remote heap of the DSP", True),
            Constant("QDA_MMAP_ADD_PAGES", 0x1000, "More pages for the process's heap", True),
        ),
    ),
    ("Process attributes", process_attributes("FASTRPC_MODE_")),
    SCALARS,
)

_BAD_RECORD = (EFAULT, "the structure is not in readable and writable memory of the caller")
_GONE = (EPIPE, "the DSP is gone")
_SILENT = (ETIMEDOUT, "the DSP has not answered for 10 seconds; it may still do what was asked")
_MESSAGE = (
    (ENOMEM, "no memory for the message to the DSP"),
    (ENOSPC, "no context id is free: this would be the 256th call of the session at a time"),
)
_SECOND = (EBUSY, "this open file has a session already")
_FOREIGN = (EINVAL, "fd is not a DMA-BUF, or cannot be mapped for the DSP")
_PLAIN_NODE = (
    ECONNREFUSED,
    "the node is not the -secure one, the DSP is a secure one, and attrs lacks "
    "FASTRPC_MODE_UNSIGNED_MODULE or the DSP has no unsigned processes",
)


def _errors(*specific: tuple[int, str], record: bool = True) -> tuple[tuple[int, str], ...]:
    """The errors of a command by number: `specific` ones, and those of all commands."""
    common = [_GONE, *([_BAD_RECORD] if record else [])]
    return tuple(sorted((*specific, *common), key=lambda pair: pair[0]))


def _command(
    key: str,
    number: int,
    record: type[Record] | None,
    text: str,
    refused: tuple[tuple[int, str], ...],
    name: str = "",
) -> Command:
    access = Access.BOTH if record else Access.NONE
    return Command(key, f"FASTRPC_IOCTL_{name or key}", number, access, record, text, refused, "R")


_COMMANDS = (
    _command(
        "ALLOC_DMA_BUFF",
        0x01,
        AllocDmaBuffer,
        "Allocate memory that the program and the DSP can share.  Needs no session, and the "
        "descriptor may be used in the sessions of other open files, of other DSPs too.",
        _errors((ENOMEM, "no memory of that size"), (EMFILE, "the process has no free descriptor")),
    ),
    Command(
        "FREE_DMA_BUFF",
        "FASTRPC_IOCTL_FREE_DMA_BUFF",
        0x02,
        Access.BOTH,
        None,
        "Not implemented, and never was: close the descriptor.",
        ((ENOTTY, "always"),),
        "R",
        u32,
    ),
    _command(
        "INVOKE",
        0x03,
        InvokeLegacy,
        f"Call a method of a module and wait for its result.  {STATUS}  Output buffers are filled "
        "whatever the status is.  Without a session the DSP does not know the caller, and says so "
        "by its status.",
        _errors(
            *_MESSAGE,
            (
                EINTR,
                "a signal handler without SA_RESTART ran during the wait; the same request "
                "(handle, sc, args), made again by the same thread, goes on waiting and is not "
                "sent twice",
            ),
            (ENOMEM, "the inline buffers together are too large for one message"),
            (EFAULT, "args is not QDA_SCALARS_LENGTH(sc) readable elements"),
            (
                EFAULT,
                "ptr of an inline buffer is not length readable (input) or writable (output) "
                "bytes of the process; an address of the kernel never is",
            ),
            (EFAULT, "fd of a buffer names memory, and ptr lies in no mapping at all"),
            (EINVAL, "fd of an element is above 0 and not a DMA-BUF that the DSP can share"),
            (EINVAL, "fd of a buffer is below -1"),
            (EINVAL, "length of a buffer is above 2^31 - 1"),
            (
                EINVAL,
                "ptr + length of a buffer wraps around or is beyond the end of the memory that a "
                "process can have",
            ),
            (EINVAL, "an inline buffer overlaps a buffer that fd says is shared"),
            (EINVAL, "fd of a buffer names memory, and the mapping at ptr is of something else"),
            (
                EINVAL,
                "a shared buffer, or the part that a handle argument names, goes beyond the end "
                "of its memory",
            ),
        ),
    ),
    _command(
        "INIT_ATTACH",
        0x04,
        None,
        "Begin a session with the DSP's own system, the root protection domain, instead of a "
        "process of one's own.  Takes no structure; the third argument is not looked at.  "
        f"{STATUS}",
        _errors(*_MESSAGE, _SILENT, _SECOND, record=False),
    ),
    _command(
        "CREATE",
        0x05,
        CreateLegacy,
        "Begin a session with a process of its own on the DSP, a user protection domain.  Its "
        "name is that of the calling thread; memory of 2 MiB, or four times the image if that is "
        f"more, is set aside for it until the file is closed.  {STATUS}",
        _errors(
            *_MESSAGE,
            _SILENT,
            _SECOND,
            _PLAIN_NODE,
            (ENOMEM, "no memory for the process"),
            (EFAULT, "filefd is 0, and file is not filelen readable bytes"),
            (EFAULT, "filefd names memory, and file is not 0 and lies in no mapping"),
            (EINVAL, "filelen is not 0, and filefd is neither 0 nor a DMA-BUF"),
            (EINVAL, "filelen is more than the memory has from file on, or file + filelen wraps"),
            (EINVAL, "filefd names memory, and file lies in a mapping of something else"),
        ),
        "INIT_CREATE",
    ),
    _command(
        "MAP_NEW",
        0x06,
        MapNew,
        f"Give the DSP process new memory, until MUNMAP or close().  {STATUS}",
        _errors(*_MESSAGE, _SILENT, (ENOMEM, "no memory of that size")),
        "MMAP",
    ),
    _command(
        "UNMAP_NEW",
        0x07,
        UnmapNew,
        f"Take back memory that MMAP gave.  {STATUS}",
        _errors(
            *_MESSAGE,
            _SILENT,
            (EINVAL, "MMAP of this open file has returned no such vaddrout for that size"),
        ),
        "MUNMAP",
    ),
    _command(
        "INIT_ATTACH_SNS",
        0x08,
        None,
        "Begin a session with the DSP's sensors process.  Takes no structure; the third argument "
        f"is not looked at.  {STATUS}",
        _errors(*_MESSAGE, _SILENT, _SECOND, record=False),
    ),
    _command(
        "INIT_CREATE_STATIC",
        0x09,
        CreateStatic,
        f"Begin a session with a static process, such as that for audio.  {STATUS}",
        _errors(
            *_MESSAGE,
            _SILENT,
            _SECOND,
            (ENOMEM, "no memory for the remote heap"),
            (EFAULT, "name is not namelen readable bytes"),
        ),
    ),
    _command(
        "MEM_MAP",
        0x0A,
        MapFd,
        "Map shared memory into the DSP process until MEM_UNMAP or close(), with a reference on "
        f"it as long.  Not needed for memory that only calls name.  {STATUS}",
        _errors(
            *_MESSAGE,
            _SILENT,
            _FOREIGN,
            (EINVAL, "offset + length goes beyond the end of the memory"),
        ),
    ),
    _command(
        "MEM_UNMAP",
        0x0B,
        UnmapFd,
        f"Undo MEM_MAP, and drop its reference on the memory.  {STATUS}",
        _errors(
            *_MESSAGE,
            _SILENT,
            (EINVAL, "no MEM_MAP of this open file has that vaddr and, unless it is below 0, fd"),
        ),
    ),
    _command(
        "GET_DSP_INFO",
        0x0D,
        Capability,
        "Ask the DSP for one of its properties.  Needs no session.",
        _errors(*_MESSAGE, _SILENT, (EOPNOTSUPP, "the DSP does not answer such questions")),
    ),
)

LEGACY = Interface(
    "legacy",
    "FastRPC, device interface of the driver in today's kernels (/dev/fastrpc-*)",
    _COMMANDS,
    (InvokeElementLegacy,),
    _CONSTANTS,
    PROSE,
    EXAMPLE,
    dma_heap.HEAP,
)
BY_CODE: Mapping[int, Command] = {command.code: command for command in LEGACY.commands}
