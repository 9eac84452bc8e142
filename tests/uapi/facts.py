"""What a C compiler says of the original headers, by the name of the dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qda import uapi

__all__ = ["dialects", "facts"]

_FACTS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "packing" / "uapi.json").read_text("ascii")
)
_SECTIONS = {"rfc": "rfc_v1", "v1": "later", "legacy": "legacy"}

dialects = pytest.mark.parametrize("dialect", sorted(uapi.DIALECTS))
"""The test is for every dialect."""


def facts(dialect: str) -> dict[str, Any]:
    """The section of the golden data that is a dialect's."""
    section: dict[str, Any] = _FACTS[_SECTIONS[dialect]]
    return section
