"""What all commands for interface files are told, and how they say what they find."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer

from qda.cli.sources import Source, in_words
from qda.idl import Diagnostic, Document

__all__ = ["Files", "Includes", "documents_of", "say"]

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Interface files.")]


@dataclass(frozen=True)
class Includes:
    """What the directives of files lead to."""

    include_dirs: Annotated[
        list[str],
        typer.Option("--include-path", "-I", metavar="DIR", help="Search it for included files."),
    ] = field(default_factory=list)
    defines: Annotated[
        list[str],
        typer.Option("--define", "-D", metavar="NAME", help="Define a name, for #ifdef."),
    ] = field(default_factory=list)


def say(findings: Iterable[Diagnostic]) -> None:
    """Print findings, each once, on standard error."""
    for one in dict.fromkeys(findings):
        sys.stderr.write(in_words(one))


def documents_of(sources: Sequence[Source]) -> list[Document]:
    """Return the documents; exit with status 1 if there is an error in one of the files."""
    say(finding for source in sources for finding in source.findings)
    documents = [one.document for one in sources if one.document is not None]
    if len(documents) < len(sources):
        raise typer.Exit(1)
    return documents
