"""`qda uapi`: the device interface as a header and as a page."""

from __future__ import annotations

import typer

from qda.cli.options import Dialect, DialectOption
from qda.cli.output import write
from qda.uapi import DIALECTS
from qda.uapi.header import header
from qda.uapi.reference import reference

__all__ = ["app"]

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Print the device interface.")


@app.command("header")
def print_header(dialect: DialectOption = Dialect.RFC) -> None:
    """Print the C header, for programs that use the device without a library."""
    write(header(DIALECTS[dialect]))


@app.command("reference")
def print_reference(dialect: DialectOption = Dialect.RFC) -> None:
    """Print the documentation page, in Markdown."""
    write(reference(DIALECTS[dialect]))
