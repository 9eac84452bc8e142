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
_SECTIONS = {"rfc": "rfc_v1", "v1": "later", "legacy": "legacy", "legacy-7.3": "legacy"}

_SET_OPTION = {"value": 0xC020520C, "hex": "0xc020520c", "dir": 3, "type": 82, "nr": 12, "size": 32}
_MORE: dict[str, dict[str, Any]] = {
    "legacy-7.3": {
        "ioctls": {"FASTRPC_IOCTL_SET_OPTION": _SET_OPTION},
        "uapi": {
            "fastrpc_ioctl_set_option": {
                "size": 32,
                "align": 4,
                "fields": {
                    "request_id": [0, 4, "u32"],
                    "value": [4, 4, "u32"],
                    "reserved": [8, 24, "s32[6]"],
                },
            }
        },
    }
}
"""What is younger than the golden data (spec/versions.md 6)."""

dialects = pytest.mark.parametrize("dialect", sorted(uapi.DIALECTS))
"""The test is for every dialect."""


def facts(dialect: str) -> dict[str, Any]:
    """The section of the golden data that is a dialect's, and what is younger."""
    section: dict[str, Any] = _FACTS[_SECTIONS[dialect]]
    more = _MORE.get(dialect, {})
    return {part: {**known, **more.get(part, {})} for part, known in section.items()}
