"""From text to model: preprocessor, lexer, parser, and what the names in the tree mean."""

from __future__ import annotations

__all__: list[str] = []
