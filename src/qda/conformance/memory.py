"""Memory of this process, with addresses: good ones, bad ones, protected ones."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

__all__ = [
    "KERNEL_ADDRESSES",
    "NOWHERE",
    "Memory",
    "address_of",
    "is_mapped",
    "protect",
    "replace_by_nothing",
    "reserved",
]

NOWHERE = 0x1000
"""An address in no mapping: the system keeps the lowest pages free (vm.mmap_min_addr)."""

KERNEL_ADDRESSES = (
    0x8000_0000_0000_0000,
    0xFFFF_0000_0000_0000,
    0xFFFF_8880_0000_0000,
    0xFFFF_FFFF_8000_0000,
    0xFFFF_FFFF_FFFF_0000,
)
"""Addresses that no program can have; 64 KiB or more below the end, so that nothing wraps."""

_MAP_FIXED = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)


class Memory:
    """Ordinary memory of a given content, or so many zero bytes."""

    def __init__(self, content: bytes | int) -> None:
        data = bytes(content) if isinstance(content, int) else content
        self._array = (ctypes.c_char * max(1, len(data))).from_buffer_copy(data or b"\0")
        self._length = len(data)
        self.address = ctypes.addressof(self._array)

    def __len__(self) -> int:
        return self._length

    @property
    def content(self) -> bytes:
        return self._array.raw[: self._length]

    @property
    def word(self) -> int:
        """The content as an unsigned number."""
        return int.from_bytes(self.content, "little")


def address_of(pages: mmap.mmap) -> int:
    """Where a mapping lies."""
    return int(np.frombuffer(pages, np.uint8).__array_interface__["data"][0])


def protect(address: int, length: int, protection: int) -> None:
    """mprotect."""
    if _libc.mprotect(address, length, protection):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def replace_by_nothing(address: int, length: int) -> None:
    """Put inaccessible memory in the place of a part of a mapping, which then starts later."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
    if _libc.mmap(address, length, 0, flags, -1, 0) != address:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def reserved(length: int) -> Iterator[int]:
    """The start of addresses that are only reserved, in a mapping of their own."""
    gap = 1 << 16  # what lies on both sides is no neighbour with which the kernel would join it
    with mmap.mmap(-1, length + 2 * gap) as pages:
        start = address_of(pages) + gap
        replace_by_nothing(start, length)
        yield start


def is_mapped(address: int, length: int = 1 << 16) -> bool:
    """Whether any of the bytes is in a mapping of this process that may be accessed."""
    for line in Path("/proc/self/maps").read_text("ascii", "replace").splitlines():
        span, access = line.split(maxsplit=2)[:2]
        start, end = (int(part, 16) for part in span.split("-"))
        if start < address + length and address < end and access[:2] != "--":
            return True
    return False
