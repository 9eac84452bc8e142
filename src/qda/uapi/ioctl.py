"""The code of an ioctl: what its 32 bits say of a command, made and taken apart.

Bits 31 and 30 say which way the caller's structure goes, the next 14 its size in bytes, the next 8
the type, a letter, and the low 8 the number (linux `include/uapi/asm-generic/ioctl.h`).
"""

from __future__ import annotations

import enum

__all__ = ["Access", "ioctl_code", "ioctl_copies", "ioctl_number", "ioctl_size", "ioctl_type"]


class Access(enum.IntFlag):
    """Which way the caller's structure goes, seen from the caller: WRITE is to the driver."""

    NONE = 0
    WRITE = 1
    READ = 2
    BOTH = 3


def ioctl_code(access: Access, size: int, kind: str, number: int) -> int:
    """The code of a command: direction, size of its structure in bytes, type letter, number."""
    return access << 30 | size << 16 | ord(kind) << 8 | number


def ioctl_number(code: int) -> int:
    """The command number of an ioctl code, its low byte."""
    return code & 0xFF


def ioctl_type(code: int) -> str:
    """The type of an ioctl code, a letter."""
    return chr(code >> 8 & 0xFF)


def ioctl_size(code: int) -> int:
    """The size in bytes that an ioctl code announces for the caller's structure."""
    return code >> 16 & 0x3FFF


def ioctl_copies(code: int, access: int = Access.BOTH.value) -> tuple[int, int]:
    """How many bytes of the caller's structure an ioctl code lets the driver read, and write.

    `access` are the directions that the driver has for the command, where it looks at them.
    """
    size, both = ioctl_size(code), code >> 30 & access
    return size if both & 1 else 0, size if both & 2 else 0
