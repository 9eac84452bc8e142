"""Opening and closing a handle64 skeleton: methods 0 and 1, which the loader calls.

An interface may carry a version, `const string IDL_VERSION`.  Then the caller's URI has to name one
that is not newer (spec/idl.md 7).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qda.errors import VERSION_MISMATCH
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import OPEN
from qda.idl.wire.records import MarshalError

__all__ = ["VERSION_MISMATCH", "check_version", "opened_uri"]

_VERSION = re.compile(r"_idlver=([^&]*)")
_GREATEST_PART = 999


def opened_uri(scalars: Scalars, ins: Sequence[bytes | memoryview]) -> str:
    """Check a request to open a skeleton; returns the URI.  MarshalError for another shape."""
    if scalars != OPEN or len(ins[0]) < 4:
        raise MarshalError(f"{scalars} does not open a skeleton")
    count = int.from_bytes(ins[0][:4], "little")
    text = bytes(ins[1][:count])
    if not count or len(text) < count or text[-1]:
        raise MarshalError("the URI has no end mark")
    return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def check_version(uri: str, version: str) -> None:
    """MarshalError VERSION_MISMATCH if a caller's URI asks for a newer version than there is."""
    found = _VERSION.search(uri)
    asked = _parts(found.group(1)) if found else None
    offered = _parts(version)
    if asked is None or offered is None or asked > offered:
        said = found.group(1) if found else "none"
        raise MarshalError(
            f"the caller was made for version {said}, this is {version}", VERSION_MISMATCH
        )


def _parts(text: str) -> list[int] | None:
    """Major, minor, patch; None for a text that is no version.  Missing parts are 0."""
    if re.search(r"[^0-9.]", text) or re.fullmatch(r"[^.]*\.[^.]*\.[^.]*\..+", text):
        return None
    parts = [int(part) for part in text.split(".") if part]
    if len(parts) > 3 or any(part > _GREATEST_PART for part in parts):
        return None
    return parts + [0] * (3 - len(parts))
