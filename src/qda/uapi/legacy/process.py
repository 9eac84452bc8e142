"""Commands of the older driver that begin a session, with one of four kinds of process."""

from __future__ import annotations

from errno import EFAULT, EINVAL, ENOMEM

from qda.layout import ANY, Record, between, differs, u32, u64
from qda.uapi.accel import InitCreate
from qda.uapi.interface import Command, Constants
from qda.uapi.legacy.refusals import MESSAGE, PLAIN_NODE, SECOND, SILENT, command, refusals
from qda.uapi.words import STATUS, process_attributes

__all__ = [
    "ATTRIBUTES",
    "CREATE",
    "FILE_LIMIT",
    "INIT_ATTACH",
    "INIT_ATTACH_SNS",
    "INIT_CREATE_STATIC",
    "CreateLegacy",
    "CreateStatic",
]

FILE_LIMIT = 2 << 20
"""Bytes of a program image at most."""

NAME_LIMIT = 128
"""Bytes of a static process's name at most, with its NUL."""

ATTRIBUTES: Constants = ("Process attributes", process_attributes("FASTRPC_MODE_"))


# 0x04, INIT_ATTACH.

INIT_ATTACH: Command[Record] = command(
    "INIT_ATTACH",
    0x04,
    None,
    "Begin a session with the DSP's own system, the root protection domain, instead of a "
    "process of one's own.  Takes no structure; the third argument is not looked at.  "
    f"{STATUS}",
    refusals(*MESSAGE, SILENT, SECOND, record=False),
)


# 0x05, CREATE.


class CreateLegacy(InitCreate, spelling="fastrpc_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filelen: int = u32(
        "Length of the program image (the shell) for the process, with the signature if there is "
        "one; 0 lets the DSP use its own",
        unit="bytes",
        legal=between(0, FILE_LIMIT, words="0 to 2097152 (2 MiB)"),
        breach=EINVAL,
    )
    filefd: int = differs(
        text="Shared memory that holds the image; 0 if the image is in ordinary memory at file; "
        "not looked at if filelen is 0",
        unit="DMA-BUF descriptor",
        legal=ANY,
        breach=0,
    )


CREATE = command(
    "CREATE",
    0x05,
    CreateLegacy,
    "Begin a session with a process of its own on the DSP, a user protection domain.  Its "
    "name is that of the calling thread; memory of 2 MiB, or four times the image if that is "
    f"more, is set aside for it until the file is closed.  {STATUS}",
    refusals(
        *MESSAGE,
        SILENT,
        SECOND,
        PLAIN_NODE,
        (ENOMEM, "no memory for the process"),
        (EFAULT, "filefd is 0, and file is not filelen readable bytes"),
        (EFAULT, "filefd names memory, and file is not 0 and lies in no mapping"),
        (EINVAL, "filelen is not 0, and filefd is neither 0 nor a DMA-BUF"),
        (EINVAL, "filelen is more than the memory has from file on, or file + filelen wraps"),
        (EINVAL, "filefd names memory, and file lies in a mapping of something else"),
    ),
    name="INIT_CREATE",
    step="""\
{CREATE} creates a user process on the DSP, once for each open file. In its
place there are {INIT_ATTACH} for the DSP's own system (root protection domain), and
{INIT_ATTACH_SNS} and {INIT_CREATE_STATIC} for processes that every such DSP
has. INIT_CREATE sends the DSP's method CREATE (6) if attrs is 0, else CREATE_ATTR (7).""",
)


# 0x08, INIT_ATTACH_SNS.

INIT_ATTACH_SNS: Command[Record] = command(
    "INIT_ATTACH_SNS",
    0x08,
    None,
    "Begin a session with the DSP's sensors process.  Takes no structure; the third argument "
    f"is not looked at.  {STATUS}",
    refusals(*MESSAGE, SILENT, SECOND, record=False),
)


# 0x09, INIT_CREATE_STATIC.


class CreateStatic(Record, spelling="fastrpc_ioctl_init_create_static"):
    """Begin a session with a static process, one that is part of the DSP's own image: all who name
    it share it, and it stays when they go."""

    namelen: int = u32(
        "Length of the name with its NUL",
        unit="bytes",
        legal=between(0, NAME_LIMIT, words=f"0 to {NAME_LIMIT}"),
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


INIT_CREATE_STATIC = command(
    "INIT_CREATE_STATIC",
    0x09,
    CreateStatic,
    f"Begin a session with a static process, such as that for audio.  {STATUS}",
    refusals(
        *MESSAGE,
        SILENT,
        SECOND,
        (ENOMEM, "no memory for the remote heap"),
        (EFAULT, "name is not namelen readable bytes"),
    ),
)
