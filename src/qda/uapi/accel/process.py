"""Commands of the accelerator that begin a session: with the root domain, or a new process."""

from __future__ import annotations

from dataclasses import replace
from errno import EFAULT, EINVAL, ENOMEM

from qda.layout import ANY, Record, at_least, between, differs, s32, u32, u64
from qda.uapi.accel.refusals import NO_BANK, SECOND, SILENT, call_refusals
from qda.uapi.interface import Command, Constant, Constants, instead
from qda.uapi.ioctl import Access
from qda.uapi.words import STATUS, process_attributes

__all__ = [
    "ATTRIBUTES",
    "CREATE",
    "CREATE_HANDLE",
    "CREATE_V1",
    "DOMAINS",
    "FILE_LIMIT",
    "INIT_ATTACH",
    "INIT_ATTACH_HANDLE",
    "LIMITS",
    "InitCreate",
    "InitCreateHandle",
    "InitCreateV1",
]


# 0x43, INIT_ATTACH.

INIT_ATTACH: Command[Record] = Command(
    "INIT_ATTACH",
    "DRM_IOCTL_QDA_INIT_ATTACH",
    0x43,
    Access.NONE,
    None,
    "Begin a session with the DSP's own system, the root protection domain, instead of a "
    f"process of one's own.  Takes no structure; the third argument is 0.  {STATUS}",
    call_refusals(SILENT, SECOND, record=False),
)

_HOLE = (EINVAL, "the device has no session with the DSP's own system: 0x43 is a hole there")

INIT_ATTACH_HANDLE = replace(INIT_ATTACH, refused=(*INIT_ATTACH.refused, _HOLE))


# 0x44, CREATE.

FILE_LIMIT = 4 << 20
"""Bytes of a program image at most."""

LIMITS: Constants = (
    "Limits",
    (Constant("QDA_INIT_FILELEN_MAX", FILE_LIMIT, "Largest filelen: 4 MiB"),),
)
ATTRIBUTES: Constants = ("Process attributes", process_attributes("QDA_PROCESS_"))
DOMAINS: Constants = (
    "Kinds of protection domain, bits 3..0 of a message's context id",
    (
        Constant("QDA_ROOT_PD", 0, "The DSP's own system; also in all calls of a session"),
        Constant("QDA_USER_PD", 1, "A user process; set when it is created"),
        Constant("QDA_SENSORS_PD", 2, "The sensors process; not used by this interface"),
    ),
)


class InitCreate(Record, spelling="qda_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filelen: int = u32(
        "Length of the program image (the shell) for the process, with the signature if there is "
        "one; 0 lets the DSP use its own",
        unit="bytes",
        legal=between(0, FILE_LIMIT, words="0 to 4194304 (QDA_INIT_FILELEN_MAX)"),
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


_INLINE = (EFAULT, "filefd is 0, and file is not filelen readable bytes")
_NO_OBJECT = (
    EINVAL,
    "filelen is not 0, and filefd is neither 0 nor a GEM handle of this open file",
)
_STEP = "{CREATE} creates a user process on the DSP, once for each open file."

CREATE = Command(
    "CREATE",
    "DRM_IOCTL_QDA_INIT_CREATE",
    0x44,
    Access.BOTH,
    InitCreate,
    "Begin a session with a process of its own on the DSP, a user protection domain.  Its "
    "name is that of the calling thread; 4 MiB of memory are set aside for it until the "
    f"file is closed.  After a failure nothing is left behind.  {STATUS}",
    call_refusals(
        SILENT,
        (ENOMEM, "no memory for the process"),
        NO_BANK,
        _INLINE,
        (EFAULT, "filefd names an object, and file is not 0 and lies in no mapping"),
        SECOND,
        _NO_OBJECT,
        (
            EINVAL,
            "filelen is more than the object has from file on, or file + filelen wraps around",
        ),
        (EINVAL, "filefd names an object, and file lies in a mapping of something else"),
    ),
    step=f"{_STEP} For a session with the DSP's own system (root protection domain) use "
    "{INIT_ATTACH} in its place.",
)


class InitCreateV1(InitCreate, spelling="drm_qda_init_create"):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filefd: int = differs(
        text="Buffer object that holds the image; 0 or -1 if the image is in ordinary memory at "
        "file, or if filelen is 0",
        unit="DMA-BUF descriptor",
    )


CREATE_V1 = replace(
    CREATE,
    spelling="DRM_IOCTL_QDA_REMOTE_SESSION_CREATE",
    record=InitCreateV1,
    refused=instead(
        CREATE.refused,
        {
            _INLINE: [(EFAULT, "filefd is 0 or -1, and file is not filelen readable bytes")],
            _NO_OBJECT: [
                (EINVAL, "filelen is not 0, and filefd is neither 0 nor -1 nor a DMA-BUF"),
            ],
        },
    ),
    step=f"{_STEP} There is no session with the DSP's own system; command 0x43 stays unused.",
)


class InitCreateHandle(InitCreateV1):
    """Create the session of this open file: a user process (protection domain) on the DSP."""

    filefd: int = differs(
        scalar=u32,
        spelling="filehandle",
        text="Buffer object that holds the image; 0 if the image is in ordinary memory at file, "
        "or if filelen is 0",
        unit="GEM handle",
        legal=ANY,
        breach=0,
    )


CREATE_HANDLE = replace(
    CREATE_V1,
    record=InitCreateHandle,
    refused=tuple(
        (number, when.replace("filefd", "filehandle"))
        for number, when in instead(
            CREATE.refused,
            {
                _NO_OBJECT: [
                    (EINVAL, "filelen is not 0, and filefd is neither 0 nor one of this open file"),
                ],
            },
        )
    ),
    step=CREATE.step,
)
