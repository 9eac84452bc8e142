"""The table of limits: it has all of them, each with its reason, and code takes them from it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

import qda
from qda import limits
from qda.cli import codes

EVERY = [limit for subject in limits.SUBJECTS for limit in subject.limits]
PACKAGE = Path(qda.__file__).parent


def test_the_table_is_what_the_module_says() -> None:
    """Each name once, with the value that code sees, and no number outside the table."""
    units = {"KIB", "MIB", "GIB"}
    said = {
        name: value for name, value in vars(limits).items() if re.fullmatch("[A-Z][A-Z_]*", name)
    }
    del said["SUBJECTS"]
    assert {limit.name: limit.value for limit in EVERY} == {
        name: value for name, value in said.items() if name not in units
    }
    assert max(Counter(limit.name for limit in EVERY).values()) == 1
    assert [name for name in said if name not in units] == [limit.name for limit in EVERY]


def test_every_limit_is_somebodys() -> None:
    """A limit that no code asks for is none."""
    sources = "".join(
        file.read_text() for file in PACKAGE.rglob("*.py") if file.name != "limits.py"
    )
    used = set(re.findall(r"\blimits\.([A-Z_]+)\b", sources))
    assert {limit.name for limit in EVERY} == used


@pytest.mark.parametrize("limit", EVERY, ids=lambda limit: limit.name)
def test_a_limit_has_a_unit_a_reason_and_an_end(limit: limits.Limit) -> None:
    """Cells of a table, without a full stop; codes in them are known to `qda explain`."""
    assert limit.value > 0
    for text in (limit.unit, limit.why, limit.beyond):
        assert text
        assert not text.endswith(".") or text == "..."
        assert "|" not in text
        for code in re.findall(r"\b(?:AEE_)?E[A-Z0-9]{3,}\b", text):
            assert codes.explain(code), code
