"""Reads `bad_files.txt`: a broken text for each rule, and what is to be said about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

_ENTRY: Final = re.compile(
    r"^== ([^\n]+)\n(.*?)\n-- (\d+):(\d+) ([^\n]+)$", re.DOTALL | re.MULTILINE
)
_TABLE: Final = Path(__file__).with_name("bad_files.txt")


class Bad(NamedTuple):
    rule: str
    text: str
    line: int
    column: int
    message: str


def bad_files() -> list[Bad]:
    found = []
    for entry in _TABLE.read_text(encoding="utf-8").split("\n\n==")[1:]:
        match = _ENTRY.match(f"=={entry.rstrip()}")
        assert match is not None, entry
        rule, text, line, column, message = match.groups()
        found.append(Bad(rule, text, int(line), int(column), message))
    return found
