"""`qda idl check`: what is wrong with interface files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from qda.cli.commands.idl.files import Files, Includes, say
from qda.cli.options import with_options
from qda.cli.output import write_json
from qda.cli.sources import Source
from qda.idl import Diagnostic, IdlError, Severity
from qda.idl.c import Options
from qda.idl.c.checks import check_interface
from qda.idl.c.clashes import clashes

__all__ = ["check"]


@with_options
def check(
    files: Files,
    includes: Includes,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what is wrong with interface files, or likely not meant; status 1 if there are errors."""
    sources = [Source.read(one, includes.include_dirs, includes.defines) for one in files]
    in_c = [one for source in sources if source.document for one in clashes(source.document)]
    findings = [one for source in sources for one in (*source.findings, *_without_form(source))]
    findings += in_c
    if as_json:
        write_json([_as_plain(one) for one in dict.fromkeys(findings)])
    else:
        say(findings)
    if in_c or any(source.document is None for source in sources):
        raise typer.Exit(1)


def _without_form(source: Source) -> Iterable[Diagnostic]:
    """Yield a warning for each method that no code can be made for (idl.md 4.3), or none in C."""
    for interface in source.document.interfaces if source.document else ():
        if interface.is_local:
            continue
        refused = [method for method in interface.own_methods if method.refusal]
        for method in refused:
            message = f'no code can be made for method "{method.name}": {method.refusal}'
            yield Diagnostic(method.location, message, severity=Severity.WARNING)
        try:
            check_interface(interface, Options())
        except IdlError as error:
            places = {method.location for method in refused}
            for one in error.diagnostics:
                if one.location not in places and one.location.file == interface.location.file:
                    message = f"no C can be made: {one.message}"
                    yield replace(one, message=message, severity=Severity.WARNING)


def _as_plain(finding: Diagnostic) -> dict[str, object]:
    place = finding.location
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "severity": finding.severity.value,
        "message": finding.message,
        "source": finding.source,
    }
