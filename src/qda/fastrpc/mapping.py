"""The numbers by which programs say how memory is mapped on the DSP (spec/fastrpc.md 3.3, 4.3).

The driver hands the flags on, so they mean the same in every interface and on the wire.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["MADE_BY_DSP", "MapFlag", "MapKind", "MmapFlag"]


class MapKind(enum.IntEnum):
    """How a mapping is made and unmade: the `request` of MAP and MUNMAP."""

    LEGACY = 1
    """By flags, hint and pages alone, with `MmapFlag`; unmade by address and size."""
    ATTR = 2
    """With fd and offset, which the DSP knows, with `MapFlag`; unmade by fd and address."""


class MapFlag(enum.IntEnum):
    """Flags of a mapping that has a name, MEM_MAP."""

    STATIC = 0
    RESERVED = 1
    FD = 2
    FD_DELAYED = 3
    FD_NOMAP = 16


class MmapFlag(enum.IntEnum):
    """Flags of a mapping without one, MMAP; also what the DSP asks the host for."""

    HEAP = 4
    DMA_BUFFER = 6
    REMOTE_HEAP = 8
    ADD_PAGES = 0x1000
    ADD_PAGES_LLC = 0x3000


MADE_BY_DSP: Final = frozenset(
    {MmapFlag.HEAP, MmapFlag.REMOTE_HEAP, MmapFlag.ADD_PAGES, MmapFlag.ADD_PAGES_LLC}
)
"""Kinds of memory that no buffer of the program is behind."""
