"""`qda profiles`: the systems that can be virtual."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from qda.cli.output import show
from qda.cli.words import ranges
from qda.virtual import load_profile, profile_names

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("profiles")
def profiles() -> None:
    """List the systems that can be virtual."""
    table = Table()
    for title in ("profile", "system", "DSPs"):
        table.add_column(title)
    for name in profile_names():
        profile = load_profile(name)
        dsps = [f"{dsp.name}: stream ids {ranges(dsp.stream_ids)}" for dsp in profile.dsps]
        table.add_row(name, escape(profile.title), "\n".join(dsps))
    show(table)
