"""Results for people: sheets of words, shown on a terminal or written as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.bounds import Bound
from benchmarks.calls import EVERYONE
from benchmarks.cases import CASES, GROUPS, words_of
from benchmarks.contenders import Sort
from benchmarks.placement import Column
from benchmarks.results import Result, Row

__all__ = ["Sheet", "number", "sheets_of", "show"]

TITLES = {
    Column.ONE: "Microseconds of a call, all processes on one CPU",
    Column.TWO: "Microseconds of a call, the program on one CPU and all others on another",
    Column.FREE: "Microseconds of a call, unpinned, the worst of several runs",
}
VERDICTS = {True: "yes", False: "no", None: "not measured"}
CALLS = {case.row for case in CASES}


class Sheet(NamedTuple):
    """One table: all but the first `left` columns are numbers."""

    title: str
    headings: list[str]
    lines: list[list[str]]
    left: int = 1

    def as_table(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, title_justify="left", box=box.SIMPLE)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if number < self.left else "right")
        for line in self.lines:
            table.add_row(*line)
        return table

    def as_markdown(self) -> str:
        """For a page."""
        marks = ["---" if number < self.left else "--:" for number in range(len(self.headings))]
        lines = [self.headings, marks, *self.lines]
        return f"{self.title}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def sheets_of(result: Result, bounds: list[Bound]) -> list[Sheet]:
    """All tables of a result: what is judged, calls by placement, everything else."""
    sheets = [_judged(bounds), *_calls(result), *_others(result)]
    return [sheet for sheet in sheets if sheet.lines]


def _judged(bounds: list[Bound]) -> Sheet:
    lines = [
        [
            bound.what,
            "" if bound.figure is None else f"{number(bound.figure)} {_unit(bound.unit)}".strip(),
            f"{bound.sense} {bound.bound:g}",
            VERDICTS[bound.met],
            bound.where,
        ]
        for bound in bounds
    ]
    headings = ["what must hold", "figure", "bound", "met", "worst in"]
    return Sheet("What must hold", headings, lines, left=5)


def _calls(result: Result) -> Iterator[Sheet]:
    names = [one.name for one in EVERYONE if any(row.contender == one.name for row in result.rows)]
    sorts = {one.name: one.sort for one in EVERYONE}
    for column in Column:
        values = {
            (row.row, row.contender): row.value
            for row in result.rows
            if row.row in CALLS and row.column == column
        }
        lines = [
            [
                words_of(case.row),
                *(number(values[case.row, n]) if (case.row, n) in values else "" for n in names),
            ]
            for case in CASES
            if any(row == case.row for row, _ in values)
        ]
        heads = [f"{n} (floor)" if sorts[n] is Sort.FLOOR else n for n in names]
        yield Sheet(TITLES[column], ["call", *heads], lines)


def _others(result: Result) -> Iterator[Sheet]:
    for group, words in GROUPS.items():
        rows = [row for row in result.of_group(group) if row.row not in CALLS]
        lines = [
            [words_of(row.row), row.contender, row.column, number(row.value), _unit(row.unit)]
            for row in _in_order(rows)
        ]
        title = words[0].upper() + words[1:]
        yield Sheet(title, ["row", "contender", "placement", "value", "unit"], lines, left=3)


def _in_order(rows: list[Row]) -> list[Row]:
    """Rows of one placement together, as they were measured."""
    columns = list(dict.fromkeys(row.column for row in rows))
    return sorted(rows, key=lambda row: columns.index(row.column))


def number(value: float) -> str:
    """A number of three digits or all of them, whichever is more."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _unit(unit: str) -> str:
    return {"us": "µs", "x": "", "ratio": ""}.get(unit, unit)


def show(result: Result, bounds: list[Bound], console: Console) -> None:
    """Print everything for people."""
    for sheet in sheets_of(result, bounds):
        console.print(sheet.as_table())
    for name, why in result.left_out.items():
        console.print(f"Left out: {name}, because {why}.")
    for group, error in result.failed.items():
        console.print(f"Failed: {group}, {error}")
