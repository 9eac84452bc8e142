"""The memory mappings of this process, as `/proc/self/maps` lists them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

__all__ = ["Area", "areas_here"]

_PROTECTIONS = ((0, "r", mmap.PROT_READ), (1, "w", mmap.PROT_WRITE), (2, "x", mmap.PROT_EXEC))


class Area(NamedTuple):
    """[start, end), with a protection as mmap has it, from `offset` of the file `identity`."""

    start: int
    end: int
    protection: int
    offset: int
    identity: tuple[int, int, int]


def areas_here() -> list[Area]:
    """All mappings, by their addresses."""
    found = []
    for line in Path("/proc/self/maps").read_text("ascii", "replace").splitlines():
        span, access, offset, device, inode = line.split(maxsplit=5)[:5]
        start, end = (int(part, 16) for part in span.split("-"))
        major, minor = (int(part, 16) for part in device.split(":"))
        protection = sum(bit for at, letter, bit in _PROTECTIONS if access[at] == letter)
        found.append(Area(start, end, protection, int(offset, 16), (major, minor, int(inode))))
    return found
