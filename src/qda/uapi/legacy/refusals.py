"""What the commands of the older driver have in common: their type, and what refuses them."""

from __future__ import annotations

from errno import EBUSY, ECONNREFUSED, EFAULT, EINVAL, ENOMEM, ENOSPC, EPIPE, ETIMEDOUT
from typing import TypeVar

from qda.layout import Record
from qda.uapi.interface import Command, Refused
from qda.uapi.ioctl import Access

__all__ = ["FOREIGN", "MESSAGE", "PLAIN_NODE", "SECOND", "SILENT", "TYPE", "command", "refusals"]

R = TypeVar("R", bound=Record)

TYPE = "R"
"""The type letter in the codes."""

_BAD_RECORD = (EFAULT, "the structure is not in readable and writable memory of the caller")
_GONE = (EPIPE, "the DSP is gone")
SILENT = (ETIMEDOUT, "the DSP has not answered for 10 seconds; it may still do what was asked")
MESSAGE = (
    (ENOMEM, "no memory for the message to the DSP"),
    (ENOSPC, "no context id is free: this would be the 256th call of the session at a time"),
)
SECOND = (EBUSY, "this open file has a session already")
FOREIGN = (EINVAL, "fd is not a DMA-BUF, or cannot be mapped for the DSP")
PLAIN_NODE = (
    ECONNREFUSED,
    "the node is not the -secure one, the DSP is a secure one, and attrs lacks "
    "FASTRPC_MODE_UNSIGNED_MODULE or the DSP has no unsigned processes",
)


def refusals(*specific: Refused, record: bool = True) -> tuple[Refused, ...]:
    """What a command is refused for: `specific` reasons and the common ones."""
    common = [_GONE, *([_BAD_RECORD] if record else [])]
    return (*specific, *common)


def command(
    key: str,
    number: int,
    record: type[R] | None,
    text: str,
    refused: tuple[Refused, ...],
    *,
    name: str = "",
    step: str = "",
    sections: str = "",
) -> Command[R]:
    """A command of this interface, with the C name FASTRPC_IOCTL_`name`, by default the key's."""
    access = Access.BOTH if record else Access.NONE
    spelling = f"FASTRPC_IOCTL_{name or key}"
    return Command(
        key,
        spelling,
        number,
        access,
        record,
        text,
        refused,
        type=TYPE,
        step=step,
        sections=sections,
    )
