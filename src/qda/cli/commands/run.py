"""`qda run`: a program that sees virtual devices."""

from __future__ import annotations

from typing import Annotated

import typer

from qda.cli import programs
from qda.cli.options import with_options
from qda.cli.program_options import ProgramCommand, ProgramOptions

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("run", cls=ProgramCommand, context_settings={"allow_interspersed_args": False})
@with_options
def run(
    program: Annotated[list[str], typer.Argument(help="A program and its arguments.")],
    options: ProgramOptions,
) -> None:
    """Run a program that sees virtual devices under /dev; ends with its exit status."""
    raise typer.Exit(programs.run(program, options))
