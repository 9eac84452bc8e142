"""Message RAM: the FIFOs of an edge, and the table at its end that says where they are.

Source: Linux, drivers/rpmsg/qcom_glink_rpm.c.
"""

from __future__ import annotations

import struct

from qda.glink import INDEXES, Fifo

__all__ = ["fifos"]

_TABLE = 256
_MAGIC, _TO_REMOTE, _FROM_REMOTE = 0x67727430, 0x61703272, 0x72326170
_LENGTH = 0x4000
_SECOND = _LENGTH + 256


def fifos(memory: memoryview) -> tuple[Fifo, Fifo]:
    """Make message RAM of zeros what the kernel looks for; the FIFO that the DSP reads, and the one
    that it writes."""
    memory[:] = bytes(len(memory))
    words = (_MAGIC, 2, _TO_REMOTE, 0, _LENGTH, _FROM_REMOTE, _SECOND, _LENGTH)
    struct.pack_into("<8I", memory, len(memory) - _TABLE, *words)
    parts = (memory[at : at + INDEXES + _LENGTH] for at in (0, _SECOND))
    reads, writes = (Fifo(part) for part in parts)
    return reads, writes
