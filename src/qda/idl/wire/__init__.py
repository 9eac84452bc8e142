"""Calls as bytes: how arguments become scalars, buffers and handles, and come back."""

from __future__ import annotations

__all__: list[str] = []
