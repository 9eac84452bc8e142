"""The module manager's wire format: how modules on the DSP are opened and closed.

The manager answers at handle 0 (`remotectl`) and, with method ids two higher, at handle 8
(`remotectl1`).  There are two error channels: the result of the call says whether the manager
worked, `error` in the answer whether the module could be opened.  Source: spec/fastrpc.md 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u32

__all__ = [
    "FIRST_MODULE_HANDLE",
    "REMOTECTL",
    "REMOTECTL1",
    "TEXT_CAPACITY",
    "CloseAnswer",
    "CloseRequest",
    "Manager",
    "OpenAnswer",
    "OpenRequest",
    "text",
]

FIRST_MODULE_HANDLE = 0x201
"""Smallest handle that opening a module may return; lower ones mean other things (1.3)."""

TEXT_CAPACITY = 255
"""Room for an error text in bytes, as the C library asks for."""


@dataclass(frozen=True, slots=True)
class Manager:
    """One of the two entrances to the module manager."""

    handle: int
    open: Scalars
    close: Scalars
    grow_heap: Scalars
    set_param: Scalars


def _manager(handle: int, first: int) -> Manager:
    return Manager(
        handle,
        open=Scalars(first, 2, 2),
        close=Scalars(first + 1, 1, 2),
        grow_heap=Scalars(first + 2, 1, 0),
        set_param=Scalars(first + 3, 2, 0),
    )


REMOTECTL = _manager(0, 0)
REMOTECTL1 = _manager(8, 2)


class OpenRequest(Record):
    """In-buffer 0 of open; in-buffer 1 is the name with its NUL."""

    name_length: int = u32("Length of the name with its NUL", unit="bytes")
    text_capacity: int = u32("Room for an error text", unit="bytes")


class OpenAnswer(Record):
    """Out-buffer 0 of open; out-buffer 1 is the error text."""

    handle: int = u32("Handle of the module")
    error: int = s32("0, or why the module could not be opened")


class CloseRequest(Record):
    """In-buffer 0 of close."""

    handle: int = u32("Handle of the module")
    text_capacity: int = u32("Room for an error text", unit="bytes")


class CloseAnswer(Record):
    """Out-buffer 0 of close; out-buffer 1 is the error text."""

    error: int = s32("0, or why the module could not be closed")


def text(buffer: bytes | bytearray | memoryview) -> str:
    """The characters before the first NUL."""
    return bytes(buffer).partition(b"\0")[0].decode("utf-8", "replace")
