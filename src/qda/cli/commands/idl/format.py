"""`qda idl format`: interface files in the one style."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from qda.cli.commands.idl.files import Includes, say
from qda.cli.options import with_options
from qda.cli.output import write_exactly
from qda.cli.sources import read_exactly, replace_file
from qda.idl import IdlError
from qda.idl.style.format import format_text

__all__ = ["format_files"]


@with_options
def format_files(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help='Interface files; "-": standard input.')
    ],
    includes: Includes,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; status 1 if a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change.")] = False,
) -> None:
    """Write interface files in the one style, in place.  Nothing changes but white space."""
    changed: dict[str, str] = {}
    failed = False
    for file in dict.fromkeys(files):
        text = read_exactly(file)
        name = "<standard input>" if file == "-" else file
        try:
            formatted = format_text(
                text, name, include_dirs=includes.include_dirs, defines=includes.defines
            )
        except IdlError as error:
            say(error.diagnostics)
            failed = True
            continue
        if diff:
            write_exactly(_difference(name, text, formatted))
        elif file == "-" and not check_only:
            write_exactly(formatted)
        if text != formatted:
            changed[file] = formatted
    if failed:
        raise typer.Exit(1)
    if check_only and changed:
        for file in changed:
            sys.stderr.write(f"{file} would be formatted\n")
        raise typer.Exit(1)
    if not check_only and not diff:
        for file, formatted in changed.items():
            if file != "-":
                replace_file(Path(file), formatted)


def _difference(name: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), name, f"{name} (formatted)"
    )
    without_end = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + without_end for line in lines)
