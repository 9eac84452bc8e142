"""Our interface files, which use the whole language, and what they declare."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from qda.idl import Document, parse

__all__ = ["DECLARED_ONLY", "FILES", "FOLDER", "document_of"]

FOLDER: Final = Path(__file__).with_name("files")
FILES: Final = sorted(FOLDER.glob("*.idl"))

DECLARED_ONLY: Final = "declared.idl"
"""The file with what may be declared, but has no form on the wire."""


@cache
def document_of(name: str) -> Document:
    """One of them, by its name."""
    return parse(FOLDER / name, include_dirs=[FOLDER])
