"""`qda new`: a project to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from qda.cli import new_project
from qda.cli.output import write

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("new")
def new(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="The name of the project, which is its folder.")
    ],
) -> None:
    """Make a project: interface, skeletons in C and Python, program, tests, CI recipe."""
    files = new_project.create(name)
    shown = "".join(f"  {path}\n" for path in files)
    where = shlex.quote(str(name))
    write(f"{name} has {len(files)} files:\n{shown}Try it: cd {where} && make check\n")
