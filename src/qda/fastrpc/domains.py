"""Names and numbers of the DSPs of an SoC, and of the kinds of process that run on them."""

from __future__ import annotations

import enum

__all__ = ["COMPUTE", "DOMAINS", "ProtectionDomain", "domain_id"]

DOMAINS = ("adsp", "mdsp", "sdsp", "cdsp", "cdsp1", "gdsp0", "gdsp1")
"""DSP names; the index is the domain id (spec/fastrpc.md 1.7)."""

COMPUTE = ("cdsp", "cdsp1", "gdsp0", "gdsp1")
"""The DSPs that unsigned processes may use (spec/fastrpc.md 5.1)."""


class ProtectionDomain(enum.IntEnum):
    """Kind of process on the DSP, as it stands in the low bits of a context id (2.8)."""

    ROOT = 0
    USER = 1
    SENSORS = 2


def domain_id(name: str) -> int:
    """The id of a DSP, 0 to 6.  ValueError if there is no DSP of that name."""
    return DOMAINS.index(name)
