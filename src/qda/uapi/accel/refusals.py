"""What several commands of the accelerator are refused for."""

from __future__ import annotations

from errno import EBADF, EBUSY, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, ETIMEDOUT

from qda.uapi.drm import refusals
from qda.uapi.interface import Refused

__all__ = [
    "NO_BANK",
    "NO_SESSION",
    "SECOND",
    "SILENT",
    "call_refusals",
    "no_descriptor",
    "no_handle",
    "refusals",
]

SILENT = (ETIMEDOUT, "the DSP has not answered for 10 seconds; it may still do what was asked")
NO_SESSION = (ENODEV, "this open file has no session")
SECOND = (EBUSY, "this open file has a session already")
NO_BANK = (ENOMEM, "the open file has no context bank yet and none is free")


def call_refusals(*specific: Refused, record: bool = True) -> tuple[Refused, ...]:
    """The refusals of a command that sends a message to the DSP."""
    return refusals(
        *specific,
        (ENOMEM, "no memory for the message to the DSP"),
        (ENOSPC, "no context id is free: this would be the 256th call of the session at a time"),
        record=record,
    )


def no_handle(field: str) -> Refused:
    """A field names no object, where fields have GEM handles."""
    return ENOENT, f"{field} is above 0 and not a GEM handle of this open file"


def no_descriptor(field: str) -> tuple[Refused, ...]:
    """A field names no object, where fields have DMA-BUF descriptors."""
    return (
        (EBADF, f"{field} is above 0 and not an open descriptor of the process"),
        (ENODEV, f"{field} is not yet imported, and no context bank is free for that"),
        (EINVAL, f"{field} cannot be imported, for a reason given at PRIME_FD_TO_HANDLE"),
    )
