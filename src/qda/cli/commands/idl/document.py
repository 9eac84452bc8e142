"""`qda idl doc`: a page about an interface file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qda.cli.commands.idl.files import Includes, documents_of
from qda.cli.options import with_options
from qda.cli.output import write_exactly
from qda.cli.sources import Source, replace_file
from qda.idl.style.document import document_markdown

__all__ = ["write_page"]


@with_options
def write_page(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An interface file.")],
    includes: Includes,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
) -> None:
    """Print a page of documentation for an interface file, in Markdown."""
    (document,) = documents_of([Source.read(file, includes.include_dirs, includes.defines)])
    page = document_markdown(document)
    if output is None:
        write_exactly(page)
    else:
        replace_file(output, page)
