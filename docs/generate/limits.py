"""The page of limits, from their table."""

from __future__ import annotations

from collections.abc import Iterator

from qda.limits import SUBJECTS, Limit

__all__ = ["page"]

_HEAD = (
    "# Limits\n\n"
    "What can be many, long or late in this project has a limit. This page is printed from their "
    "table, `qda.limits`, by `make docs`. AEE_ and E names are explained by `qda explain`.\n"
)


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    for subject in SUBJECTS:
        yield f"## {subject.title}\n"
        yield "| limit | value | of | reason | beyond it |"
        yield "|---|---:|---|---|---|"
        for one in subject.limits:
            cells = (f"`{one.name}`", _number(one), one.unit, one.why, one.beyond)
            yield f"| {' | '.join(cells)} |"
        if subject is not SUBJECTS[-1]:
            yield ""


def _number(limit: Limit) -> str:
    """The value as people say it: 64 KiB, not 65536."""
    value = limit.value
    for power, word in ((30, "Gi"), (20, "Mi"), (10, "Ki")):
        if isinstance(value, int) and value >= 8 << 10 and value % (1 << power) == 0:
            return f"{value >> power} {word}"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
