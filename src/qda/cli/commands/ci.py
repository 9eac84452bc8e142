"""`qda ci`: recipes for CI services."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from qda.cli.output import write
from qda.cli.recipe import language_of, recipe
from qda.errors import UsageError

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class Service(enum.StrEnum):
    """The services."""

    GITHUB = "github"
    GITLAB = "gitlab"


class Language(enum.StrEnum):
    """In what a project is written."""

    C = "c"
    PYTHON = "python"


@app.command("ci")
def ci(
    service: Annotated[Service, typer.Argument(help="For which service.")],
    language: Annotated[
        Language | None,
        typer.Option(help="In what the project is; by default what lies in this folder says it."),
    ] = None,
) -> None:
    """Print a recipe with which a CI service runs a project's tests on a virtual DSP."""
    found = language or language_of(Path())
    if found is None:
        raise UsageError(
            f"in {Path().absolute()} lies neither a Makefile nor anything in Python: go to the "
            "project's folder, or say --language c or --language python"
        )
    write(recipe(service, found))
