"""`qda doctor`: what is missing here, and the command that mends it."""

from __future__ import annotations

import dataclasses
from itertools import groupby
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from qda.cli.doctor import Finding, Place, Verdict, examine
from qda.cli.options import JsonOption
from qda.cli.output import show, steps, write_json

__all__ = ["app"]

app = typer.Typer(add_completion=False)

_MARKS = {
    Verdict.GOOD: "[green]good[/]",
    Verdict.NOTE: "[yellow]note[/]",
    Verdict.FAULT: "[red]FAULT[/]",
}


@app.command("doctor")
def doctor(
    brief: Annotated[
        bool, typer.Option("--brief", help="Show only what is not as it should be.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what is missing here, and the command that mends it; ends with 1 if there is a fault.

    A note is about what not everybody needs.
    """
    with steps() as progress:
        task = progress.add_task("looking ...")
        found: list[Finding] = []
        for finding in examine(Place()):
            found.append(finding)
            progress.update(task, description=f"looking: {finding.name} is {finding.verdict} ...")
    if as_json:
        write_json([dataclasses.asdict(finding) for finding in found])
    else:
        _show([finding for finding in found if finding.verdict is not Verdict.GOOD or not brief])
        _show_remedies(found)
    if any(finding.verdict is Verdict.FAULT for finding in found):
        raise typer.Exit(1)


def _show(found: list[Finding]) -> None:
    for subject, group in groupby(found, lambda finding: finding.subject):
        table = Table(title=subject, title_justify="left", show_header=False)
        for finding in group:
            table.add_row(finding.name, _MARKS[finding.verdict], escape(finding.found))
        show(table)


def _show_remedies(found: list[Finding]) -> None:
    """Each on lines of its own, outside of the tables, so that it can be copied."""
    for verdict, title in ((Verdict.FAULT, "Faults"), (Verdict.NOTE, "For who needs it")):
        several = [finding for finding in found if finding.verdict is verdict]
        if several:
            show(f"\n{title}:")
        for finding in several:
            show(f"  {escape(finding.name)}: {escape(finding.found)}")
            print(f"    {finding.remedy}")  # noqa: T201  # no line breaks
    if not any(finding.verdict is Verdict.FAULT for finding in found):
        show("\nNothing is wrong.")
