"""The handles of modules that need not be opened (spec/fastrpc.md 1.3).

A handle is a u32 that the side chooses which serves it.  Those here are agreed on beforehand.
"""

from __future__ import annotations

import enum
from typing import Final

__all__ = ["FIRST_OPENED", "LAST_FIXED", "Fixed"]

FIRST_OPENED: Final = 0x201
"""Smallest handle that opening a module may return: to C clients lower ones mean other things."""

LAST_FIXED: Final = 20
"""Largest handle that is kept for such modules: their calls, which may be parked for ever, know no
poll mode (spec/versions.md 6)."""


class Fixed(enum.IntEnum):
    """Modules of every protection domain, by handle.  At the host only REMOTECTL is fixed.

    Modules with a 1 in their name have the methods of those without, with numbers two higher.
    """

    REMOTECTL = 0
    """The module manager: opens and closes all others."""
    INIT = 1
    """Process control; for the driver only."""
    UTILITIES = 2
    """Capabilities; for the driver only."""
    ADSP_LISTENER = 3
    """Reverse calls."""
    CURRENT_PROCESS1 = 4
    """The process on itself."""
    ADSPMSGD1 = 5
    """A buffer for the log."""
    ADSP_PERF = 6
    """Counters."""
    ADSP_LISTENER1 = 7
    REMOTECTL1 = 8
    ADSP_PERF1 = 9
