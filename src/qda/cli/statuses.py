"""Exit statuses of the command that are not 0, 1 or 2."""

from __future__ import annotations

__all__ = ["INTERRUPTED"]

INTERRUPTED = 130
"""After Ctrl-C, as shells give it: 128 + SIGINT."""
