"""`qda idl`: code from interface files, and tools for their texts.

Without a command it takes what Qualcomm's compiler takes: `qda idl -mdll -o out -I inc file.idl`.
An interface file ends in `.idl`, so none is taken for a command.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from qda.cli.sources import (
    Preprocessor,
    Source,
    in_words,
    read_exactly,
    replace_file,
    undefined,
)
from qda.errors import UsageError
from qda.idl import Diagnostic, Document, IdlError, Severity
from qda.idl.style.document import document_markdown
from qda.idl.style.format import format_text
from qda.idl.text.preprocessor import preprocess

if TYPE_CHECKING:  # back ends are loaded when there is something to write
    from qda.idl.c import Options

__all__ = ["app"]

COMPATIBLE: str = "1.0.51"
"""The version of the compiler whose options these are, and whose C ours works with."""

_ATTACHED = re.compile(r"-([oIDipm])=(.+)", re.DOTALL)


class _Commands(TyperGroup):
    """What begins with no command is for the compiler."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["compile", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    help="Make code from interface files; check, format and document them. "
    "`qda idl [OPTIONS] FILES...` is `qda idl compile`, with the options of Qualcomm's qaic.",
)

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Interface files.")]
IncludeDirs = Annotated[
    list[str],
    typer.Option("--include-path", "-I", metavar="DIR", help="Search it for included files."),
]
Defines = Annotated[
    list[str],
    typer.Option("--define", "-D", metavar="NAME", help="Define a name, for #ifdef."),
]


def _say(findings: Iterable[Diagnostic]) -> None:
    """Print findings, each once, on standard error."""
    for one in dict.fromkeys(findings):
        sys.stderr.write(in_words(one))


def _checked(sources: Sequence[Source]) -> list[Document]:
    """Return the documents; exit with status 1 if there is an error in one of the files."""
    _say(finding for source in sources for finding in source.findings)
    documents = [one.document for one in sources if one.document is not None]
    if len(documents) < len(sources):
        raise typer.Exit(1)
    return documents


# --- compile -------------------------------------------------------------------------------------


class _Compiler(typer.core.TyperCommand):
    """Takes `-o=DIR` as well as `-oDIR` and `-o DIR`, as the original does."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        plain: list[str] = []
        for arg in args:
            match = _ATTACHED.fullmatch(arg)
            plain += [f"-{match[1]}", match[2]] if match else [arg]
        return super().parse_args(ctx, plain)


def _print_version(wanted: bool) -> None:
    if wanted:
        words = f"qda {metadata.version('qda-accel')}, interface language of qaic {COMPATIBLE}\n"
        sys.stdout.write(words)
        raise typer.Exit


def _print_include_dir(wanted: bool) -> None:
    if wanted:
        from qda.idl.c import INCLUDE

        sys.stdout.write(f"{INCLUDE}\n")
        raise typer.Exit


def _refuse_recursion(wanted: bool) -> None:
    if wanted:
        raise UsageError(
            "-r is not supported: an included file has its own header and code; "
            "give it on the command line too"
        )


@app.command("compile", cls=_Compiler, context_settings={"help_option_names": ["-h", "--help"]})
def compile_files(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Interface files.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output-path", "-o", metavar="DIR", help="Where files go.")
    ] = Path(),
    include_dirs: IncludeDirs = [],  # noqa: B006
    defines: Defines = [],  # noqa: B006
    python: Annotated[bool, typer.Option("--python", help="Make a Python module.")] = False,
    map_dll: Annotated[
        bool, typer.Option("--map-dll", "-mdll", help="Make C: a header, stubs and skeletons.")
    ] = False,
    language: Annotated[
        str, typer.Option("-m", metavar="LANG", help="As -mdll: C is called dll.", hidden=True)
    ] = "",
    header_only: Annotated[
        bool, typer.Option("--header-only", "-ho", help="Make no stubs and skeletons.")
    ] = False,
    remoting_only: Annotated[
        bool, typer.Option("--remoting-only", "-ro", help="Make no header.")
    ] = False,
    standard_types: Annotated[
        bool, typer.Option("--standard-types", "-st", help="Use the types of stdint.h.")
    ] = False,
    indent: Annotated[
        int, typer.Option("--indent", "-i", metavar="WIDTH", min=0, help="Blanks of a level in C.")
    ] = 3,
    parse_only: Annotated[
        bool, typer.Option("--parse-only", "-s", help="Check the files, write nothing.")
    ] = False,
    preprocess_only: Annotated[
        bool,
        typer.Option("--preprocess-only", help="Print what the preprocessor makes of the files."),
    ] = False,
    warn_undefined: Annotated[
        bool,
        typer.Option("--warn-undefined", "-Wu", help="Warn of interfaces that are only declared."),
    ] = False,
    cpp: Annotated[
        str, typer.Option("--cpp", "-p", metavar="PROGRAM", help="Preprocess with this program.")
    ] = "",
    cpp_arguments: Annotated[
        list[str], typer.Option("--arg-cpp", "-pa", metavar="ARG", help="An argument for it.")
    ] = [],  # noqa: B006
    idl_files: Annotated[
        list[str],
        typer.Option("--idl-files", metavar="LIST", help="A file that names files, one a line."),
    ] = [],  # noqa: B006
    recursive: Annotated[
        bool,
        typer.Option("--recursive", "-r", callback=_refuse_recursion, hidden=True),
    ] = False,
    include_dir: Annotated[
        bool,
        typer.Option(
            "--include-dir",
            callback=_print_include_dir,
            is_eager=True,
            help="Print where the headers are that the C needs: remote.h, HAP_farf.h and others.",
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Make C, or a Python module with --python, of interface files.

    Every option can also be written as qaic has it: -o=DIR, -IDIR, -pa=ARG.  All files are
    checked before the first one is written.
    """
    del recursive, version
    if language not in ("", "dll"):
        raise UsageError(f'-m {language}: there is "dll" only, which is C')
    files = [*(files or []), *(line for one in idl_files for line in _listed(one))]
    if not files:
        raise UsageError("no interface files are given")
    names = [one.partition("=")[0] for one in defines]
    preprocessor = Preprocessor(cpp, cpp_arguments) if cpp else None
    if preprocess_only:
        _preprocess(files, include_dirs, names, preprocessor)
        return
    if not parse_only and not output.is_dir():
        raise UsageError(f"-o {output}: there is no such directory")
    c_options = None
    if not parse_only and (map_dll or language or not python):
        from qda.idl.c import Options

        c_options = Options(
            standard_types=standard_types,
            indent=indent,
            header_only=header_only,
            no_header=remoting_only,
        )
    sources = [Source.read(one, include_dirs, names, preprocessor) for one in files]
    documents = _checked(sources)
    if warn_undefined:
        _say(finding for document in documents for finding in undefined(document))
    if parse_only:
        return
    _write(documents, output, c_options, python)


def _write(
    documents: Sequence[Document], folder: Path, options: Options | None, python: bool
) -> None:
    """Write all files, or none if there is an error, or Ctrl-C, before the last one is made."""
    errors: list[Diagnostic] = []
    with tempfile.TemporaryDirectory(prefix=".qda-idl-", dir=folder) as name:
        made = Path(name)
        for document in documents:
            try:
                if options is not None:
                    from qda.idl.c import write_files

                    write_files(document, made, options)
                if python:
                    from qda.idl.python import module_name, write_module

                    (made / f"{module_name(document.library)}.py").write_text(
                        write_module(document)
                    )
            except IdlError as error:
                errors += error.diagnostics
        if errors:
            _say(errors)
            raise typer.Exit(1)
        for file in sorted(made.iterdir()):
            file.replace(folder / file.name)


def _listed(file: str) -> list[str]:
    """Return the files that a list names."""
    return [line.strip() for line in read_exactly(file).splitlines() if line.strip()]


def _preprocess(
    files: Sequence[str],
    include_dirs: Sequence[str],
    defines: Sequence[str],
    preprocessor: Preprocessor | None,
) -> None:
    """Print preprocessed texts.  The original writes NAME.idl, perhaps over its source."""
    for file in files:
        if preprocessor is not None:
            sys.stdout.write(preprocessor.run(file, include_dirs, defines))
            continue
        text = preprocess(read_exactly(file), file, include_dirs, defines)
        _say(text.diagnostics)
        if any(one.severity is Severity.ERROR for one in text.diagnostics):
            raise typer.Exit(1)
        sys.stdout.write(f"{text.content}\n")


# --- check ---------------------------------------------------------------------------------------


@app.command()
def check(
    files: Files,
    include_dirs: IncludeDirs = [],  # noqa: B006
    defines: Defines = [],  # noqa: B006
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what is wrong with interface files, or likely not meant; status 1 if there are errors."""
    sources = [Source.read(one, include_dirs, defines) for one in files]
    findings = [one for source in sources for one in (*source.findings, *_without_form(source))]
    failed = any(source.document is None for source in sources)
    if as_json:
        plain = [_as_plain(one) for one in dict.fromkeys(findings)]
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    else:
        _say(findings)
    if failed:
        raise typer.Exit(1)


def _without_form(source: Source) -> Iterable[Diagnostic]:
    """Yield a warning for each method that no code can be made for (idl.md 4.3)."""
    for interface in source.document.interfaces if source.document else ():
        for method in interface.own_methods:
            if method.refusal and not interface.is_local:
                message = f'no code can be made for method "{method.name}": {method.refusal}'
                yield Diagnostic(method.location, message, severity=Severity.WARNING)


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


# --- format --------------------------------------------------------------------------------------


@app.command("format")
def format_files(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help='Interface files; "-": standard input.')
    ],
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; status 1 if a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what would change.")] = False,
    include_dirs: IncludeDirs = [],  # noqa: B006
    defines: Defines = [],  # noqa: B006
) -> None:
    """Write interface files in the one style, in place.  Nothing changes but white space."""
    changed: dict[str, str] = {}
    failed = False
    for file in dict.fromkeys(files):
        text = read_exactly(file)
        name = "<standard input>" if file == "-" else file
        try:
            formatted = format_text(text, name, include_dirs=include_dirs, defines=defines)
        except IdlError as error:
            _say(error.diagnostics)
            failed = True
            continue
        if diff:
            _write_exactly(_difference(name, text, formatted))
        elif file == "-" and not check_only:
            _write_exactly(formatted)
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


def _write_exactly(text: str) -> None:
    """Write text with the bytes that `read_exactly` read."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", errors="surrogateescape"))
    sys.stdout.buffer.flush()


# --- doc -----------------------------------------------------------------------------------------


@app.command("doc")
def write_page(
    file: Annotated[str, typer.Argument(metavar="FILE", help="An interface file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes.")
    ] = None,
    include_dirs: IncludeDirs = [],  # noqa: B006
    defines: Defines = [],  # noqa: B006
) -> None:
    """Print a page of documentation for an interface file, in Markdown."""
    (document,) = _checked([Source.read(file, include_dirs, defines)])
    page = document_markdown(document)
    if output is None:
        _write_exactly(page)
    else:
        replace_file(output, page)
