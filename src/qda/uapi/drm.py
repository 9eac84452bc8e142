"""Commands of the DRM core that a client of the accelerator needs: driver name, close, PRIME.

They work the same on every DRM and accel node; numbers below 0x40 are the core's, those from 0x40
up are the driver's (linux `include/uapi/drm/drm.h`, `drivers/gpu/drm/drm_ioctl.c`).
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EBADF, EFAULT, EINVAL, EMFILE, ENODEV, ENOENT, ENOMEM

from qda.layout import INOUT, OUT, Record, s32, u32, u64
from qda.uapi.interface import Command, Companion, Constant, Refused
from qda.uapi.ioctl import Access

__all__ = [
    "CONSTANTS",
    "CORE",
    "GEM_CLOSE",
    "PRIME_FD_TO_HANDLE",
    "PRIME_HANDLE_TO_FD",
    "TYPE",
    "VERSION",
    "GemClose",
    "PrimeHandle",
    "Version",
    "refusals",
]

TYPE = "d"
"""The type of all its codes."""


def refusals(*specific: Refused, record: bool = True) -> tuple[Refused, ...]:
    """What a command is refused for: `specific` reasons and the common ones.

    `record` says whether the command has a structure, which may lie in bad memory.
    """
    common = [(ENODEV, "the DSP is gone or the device is being removed")]
    if record:
        common += [(EFAULT, "the structure is not in readable and writable memory of the caller")]
    return (*specific, *common)


class Version(Record, spelling="drm_version"):
    """Name and version of the driver behind a node, as of a 64-bit process."""

    version_major: int = s32("Major version of the driver", direction=OUT)
    version_minor: int = s32("Minor version of the driver", direction=OUT)
    version_patchlevel: int = s32("Patch level of the driver", direction=OUT)
    name_len: int = u64(
        "Room at name; afterwards the full length of the driver's name, which may be more",
        direction=INOUT,
        unit="bytes",
    )
    name: int = u64(
        "Address of a buffer for the driver's name, or 0 to ask for the length only",
        unit="address",
        points_to="name_len bytes to be filled with the name, without an end mark",
    )
    date_len: int = u64(
        "Room at date; afterwards the full length of the date", direction=INOUT, unit="bytes"
    )
    date: int = u64(
        "Address of a buffer for the driver's date, or 0 to ask for the length only",
        unit="address",
        points_to="date_len bytes to be filled with the date, without an end mark",
    )
    desc_len: int = u64(
        "Room at desc; afterwards the full length of the description",
        direction=INOUT,
        unit="bytes",
    )
    desc: int = u64(
        "Address of a buffer for the driver's description, or 0 to ask for the length only",
        unit="address",
        points_to="desc_len bytes to be filled with the description, without an end mark",
    )


VERSION = Command(
    "VERSION",
    "DRM_IOCTL_VERSION",
    0x00,
    Access.BOTH,
    Version,
    'Ask for the driver of a node; it is a DSP of this interface if the name is "qda".  '
    "Call once with all lengths 0 for the lengths, then with buffers.",
    refusals(
        (EFAULT, "name, date or desc is not writable for the length given"),
    ),
)


class GemClose(Record, spelling="drm_gem_close"):
    """Give up a GEM handle."""

    handle: int = u32("Handle to give up; no longer valid afterwards", unit="GEM handle")
    pad: int = u32("Not looked at; write 0")


GEM_CLOSE = Command(
    "GEM_CLOSE",
    "DRM_IOCTL_GEM_CLOSE",
    0x09,
    Access.WRITE,
    GemClose,
    "Give up a handle.  The object lives on while it is mapped, exported, in use by a call, "
    "or mapped on the DSP.  An object that was imported several times has one handle and is "
    "closed once.",
    refusals(
        (EINVAL, "handle is not one of this open file"),
    ),
)


class PrimeHandle(Record, spelling="drm_prime_handle"):
    """A buffer object under its two names: GEM handle and DMA-BUF descriptor."""

    handle: int = u32(
        "Handle of the object: given to HANDLE_TO_FD, returned by FD_TO_HANDLE",
        direction=INOUT,
        unit="GEM handle",
    )
    flags: int = u32(
        "DRM_CLOEXEC and DRM_RDWR in any combination for HANDLE_TO_FD; not looked at by "
        "FD_TO_HANDLE",
        unit="bits",
    )
    fd: int = s32(
        "DMA-BUF of the object: returned by HANDLE_TO_FD, given to FD_TO_HANDLE",
        direction=INOUT,
        unit="file descriptor",
    )


PRIME_HANDLE_TO_FD = Command(
    "PRIME_HANDLE_TO_FD",
    "DRM_IOCTL_PRIME_HANDLE_TO_FD",
    0x2D,
    Access.BOTH,
    PrimeHandle,
    "Export an object: make a DMA-BUF descriptor of it, for mmap() at offset 0 or for another "
    "driver or process.",
    refusals(
        (ENOENT, "handle is not one of this open file"),
        (EINVAL, "flags has bits other than DRM_CLOEXEC and DRM_RDWR"),
        (EMFILE, "the process has no free descriptor"),
    ),
)

PRIME_FD_TO_HANDLE = Command(
    "PRIME_FD_TO_HANDLE",
    "DRM_IOCTL_PRIME_FD_TO_HANDLE",
    0x2E,
    Access.BOTH,
    PrimeHandle,
    "Import an object: give a DMA-BUF a handle in this open file and map it for the context "
    "bank of the file.  Importing the same DMA-BUF again returns the same handle.",
    refusals(
        (EBADF, "fd is not an open descriptor"),
        (ENOMEM, "no memory for the handle or for the mapping"),
        (ENODEV, "the open file has no context bank yet and none is free"),
        (
            EINVAL,
            "fd is not a DMA-BUF, or its memory can still shrink, cannot be written, or is in "
            "several segments",
        ),
    ),
)

CONSTANTS: tuple[Constant, ...] = (
    Constant("DRM_RDWR", 0x2, "PRIME_HANDLE_TO_FD: the DMA-BUF can be mapped for writing", True),
    Constant("DRM_COMMAND_BASE", 0x40, "The first command number of the driver", True),
    Constant("DRM_CLOEXEC", 0x80000, "PRIME_HANDLE_TO_FD: close the descriptor at exec", True),
)

# How drm.h declares what is a plain 64-bit integer here.  The printed header follows drm.h, so
# that a program compiles the same with either of them.
_C_TYPES: Mapping[type[Record], Mapping[str, str]] = {
    Version: {
        "version_major": "int",
        "version_minor": "int",
        "version_patchlevel": "int",
        "name_len": "__kernel_size_t",
        "name": "char *",
        "date_len": "__kernel_size_t",
        "date": "char *",
        "desc_len": "__kernel_size_t",
        "desc": "char *",
    },
}

CORE = Companion(
    "DRM core",
    "_DRM_H_",
    ("drm/drm.h", "drm.h", "libdrm/drm.h"),
    (VERSION, GEM_CLOSE, PRIME_HANDLE_TO_FD, PRIME_FD_TO_HANDLE),
    CONSTANTS,
    _C_TYPES,
    same_node=True,
)
