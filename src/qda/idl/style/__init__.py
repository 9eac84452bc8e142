"""What people read: interface files in the one style, and pages of documentation."""

from __future__ import annotations

__all__: list[str] = []
