"""Why a descriptor cannot be imported: the device only says that it is not legal."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from qda.errors import DeviceError
from qda.memory import PAGE

__all__ = ["explain_import"]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def explain_import(error: DeviceError, fd: int) -> None:
    """Let the refusal of an import say what the descriptor is, if that is why."""
    try:
        status, name = os.fstat(fd), os.readlink(f"/proc/self/fd/{fd}")
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    except (OSError, OverflowError):
        return  # nothing is open there, which the refusal says
    if error.detail or error.errno == errno.ENODEV or name.startswith("/dmabuf:"):
        return
    if flags & os.O_PATH:
        _tell(error, f"fd {fd} is only a place, {name}, opened with O_PATH", _OTHER)
    elif stat.S_ISREG(status.st_mode) and name.startswith("/memfd:"):
        lacks = _lack(fd, status.st_size, flags)
        if lacks:
            _tell(error, f"fd {fd} is a memfd {lacks[0]}", lacks[1])
    elif stat.S_ISREG(status.st_mode):
        _tell(error, f"fd {fd} is the file {name}, not a DMA-BUF", _OTHER)
    else:
        kinds = [words for is_one, words in _KINDS if is_one(status.st_mode)]
        what = f"{kinds[0]}, {name}" if kinds else name
        _tell(error, f"fd {fd} is {what}, not a DMA-BUF", _OTHER)


_OTHER = "give a descriptor that `export_fd`, a DMA heap or a memfd has; copy what is elsewhere"


def _lack(fd: int, size: int, flags: int) -> tuple[str, str] | None:
    """What a memfd lacks to be memory that a DSP can share, and what to do."""
    if not size or size % PAGE:
        return f"of {size} bytes, which are no whole pages", f"make it a multiple of {PAGE} bytes"
    seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    if not seals & fcntl.F_SEAL_SHRINK:
        return (
            "that may still shrink, so its pages could vanish under the DSP",
            "make it with MFD_ALLOW_SEALING, and seal it: "
            "fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) after ftruncate",
        )
    if seals & (fcntl.F_SEAL_WRITE | _FUTURE_WRITE) or flags & os.O_ACCMODE != os.O_RDWR:
        return "that cannot be written", "share one that is open for writing and not sealed"
    return None


_FUTURE_WRITE = 0x10  # linux include/uapi/linux/fcntl.h: F_SEAL_FUTURE_WRITE


def _tell(error: DeviceError, words: str, next_step: str) -> None:
    error.detail = error.strerror = words
    error.cause = "only a DMA-BUF, or memory that can no longer shrink, can be imported"
    error.next_step = next_step
