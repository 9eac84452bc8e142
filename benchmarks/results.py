"""What a run has measured: rows, figures that are judged, and what was left out."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmarks.placement import Column

__all__ = ["Result", "Row"]


class Row(NamedTuple):
    """One measured value.  `runs` are what several runs gave; the value is the worst of them."""

    row: str
    column: str
    """A `Column`, or "" where the placement is part of the row or does not matter."""
    contender: str
    value: float
    unit: str = "us"
    p99: float | None = None
    samples: int = 1
    runs: tuple[float, ...] = ()

    @property
    def group(self) -> str:
        """What `--rows` knows it by."""
        return self.row.partition("/")[0]


@dataclass
class Result:
    """All rows, and why others are missing."""

    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Groups that came to an end with an error."""

    def add(self, row: Row) -> None:
        """Add a row."""
        self.rows.append(row)

    def worst(self, row: str, contender: str, values: list[float], unit: str = "us") -> None:
        """Add a row of several unpinned runs: of times the longest, of rates the smallest."""
        value = min(values) if unit == "calls/s" else max(values)
        self.add(
            Row(row, Column.FREE, contender, value, unit, samples=len(values), runs=tuple(values))
        )

    def median(self, row: str, column: str, contender: str, values: list[float], unit: str) -> None:
        """Add a row that is the median of some values."""
        self.add(Row(row, column, contender, statistics.median(values), unit, samples=len(values)))

    def value(self, row: str, column: str, contender: str) -> float | None:
        """What was measured there, if it was."""
        for one in self.rows:
            if (one.row, one.column, one.contender) == (row, column, contender):
                return one.value
        return None

    def runs(self, row: str, column: str, contender: str) -> tuple[float, ...]:
        """What each run gave there, in their order."""
        for one in self.rows:
            if (one.row, one.column, one.contender) == (row, column, contender):
                return one.runs or (one.value,)
        return ()

    def of_group(self, group: str) -> Iterator[Row]:
        """The rows of a group."""
        return (row for row in self.rows if row.group == group)

    def for_programs(self) -> dict[str, Any]:
        """What `--json` prints, without the bounds."""
        return {
            "rows": [{"group": row.group, **row._asdict()} for row in self.rows],
            "left_out": self.left_out,
            "failed": self.failed,
        }
