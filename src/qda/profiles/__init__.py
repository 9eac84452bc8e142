"""Which DSPs and nodes a system has, as data: known before any driver or DSP is loaded."""

from __future__ import annotations

__all__: list[str] = []
