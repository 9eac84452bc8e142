"""`qda serve`: virtual devices for any number of programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qda.cli import programs
from qda.cli.options import with_options
from qda.cli.program_options import ProgramCommand, ProgramOptions

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("serve", cls=ProgramCommand)
@with_options
def serve(
    socket: Annotated[Path, typer.Option(metavar="PATH", help="Where the server's socket goes.")],
    options: ProgramOptions,
) -> None:
    """Serve virtual devices to programs, which the printed variables let in, until SIGTERM."""
    programs.serve(socket, options, sys.stdout)
