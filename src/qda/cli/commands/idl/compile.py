"""`qda idl compile`: C and Python from interface files, with the options of Qualcomm's compiler."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from qda.cli.commands.idl.files import Includes, documents_of, say
from qda.cli.options import with_options
from qda.cli.sources import Preprocessor, Source, read_exactly, undefined
from qda.errors import UsageError
from qda.idl import Diagnostic, Document, IdlError, Severity
from qda.idl.text.preprocessor import preprocess

if TYPE_CHECKING:  # back ends are loaded when there is something to write
    from qda.idl.c import Options

__all__ = ["Compiler", "compile_files"]

COMPATIBLE: str = "1.0.51"
"""The version of the compiler whose options these are, and whose C ours works with."""

_ATTACHED = re.compile(r"-([oIDipm])=(.+)", re.DOTALL)


class Compiler(TyperCommand):
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


@dataclass(frozen=True)
class _Inputs:
    """Which files are read, and what goes over them first."""

    preprocess_only: Annotated[
        bool,
        typer.Option("--preprocess-only", help="Print what the preprocessor makes of the files."),
    ] = False
    warn_undefined: Annotated[
        bool,
        typer.Option("--warn-undefined", "-Wu", help="Warn of interfaces that are only declared."),
    ] = False
    cpp: Annotated[
        str, typer.Option("--cpp", "-p", metavar="PROGRAM", help="Preprocess with this program.")
    ] = ""
    cpp_arguments: Annotated[
        list[str], typer.Option("--arg-cpp", "-pa", metavar="ARG", help="An argument for it.")
    ] = field(default_factory=list)
    idl_files: Annotated[
        list[str],
        typer.Option("--idl-files", metavar="LIST", help="A file that names files, one a line."),
    ] = field(default_factory=list)
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", callback=_refuse_recursion, hidden=True)
    ] = False

    @property
    def listed(self) -> list[str]:
        """The files that lists name."""
        lines = [line.strip() for one in self.idl_files for line in read_exactly(one).splitlines()]
        return [line for line in lines if line]

    @property
    def preprocessor(self) -> Preprocessor | None:
        """The program that preprocesses, if it is not our own."""
        return Preprocessor(self.cpp, self.cpp_arguments) if self.cpp else None


@dataclass(frozen=True)
class _Outputs:
    """What is written, and where."""

    output: Annotated[
        Path,
        typer.Option(
            "--output-path",
            "-o",
            metavar="DIR",
            help="Where files go; made if it is missing.",
        ),
    ] = Path()
    python: Annotated[bool, typer.Option("--python", help="Make a Python module.")] = False
    map_dll: Annotated[
        bool, typer.Option("--map-dll", "-mdll", help="Make C: a header, stubs and skeletons.")
    ] = False
    language: Annotated[
        str, typer.Option("-m", metavar="LANG", help="As -mdll: C is called dll.", hidden=True)
    ] = ""
    header_only: Annotated[
        bool, typer.Option("--header-only", "-ho", help="Make no stubs and skeletons.")
    ] = False
    remoting_only: Annotated[
        bool, typer.Option("--remoting-only", "-ro", help="Make no header.")
    ] = False
    standard_types: Annotated[
        bool, typer.Option("--standard-types", "-st", help="Use the types of stdint.h.")
    ] = False
    indent: Annotated[
        int, typer.Option("--indent", "-i", metavar="WIDTH", min=0, help="Blanks of a level in C.")
    ] = 3
    parse_only: Annotated[
        bool, typer.Option("--parse-only", "-s", help="Check the files, write nothing.")
    ] = False

    def check(self) -> None:
        """UsageError, before anything is read, if this cannot be done."""
        if self.language not in ("", "dll"):
            raise UsageError(f'-m {self.language}: there is "dll" only, which is C')

    def make_folder(self) -> None:
        """Make the folder, if it is not there.  UsageError if it cannot be."""
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise UsageError(f"-o {self.output}: this is a file, and no folder") from error
        except OSError as error:
            raise UsageError(f"-o {self.output}: cannot make it: {error.strerror}") from error

    @property
    def c_options(self) -> Options | None:
        """How C is written, or None if it is not: it is what is made if nothing is asked for."""
        if self.parse_only or not (self.map_dll or self.language or not self.python):
            return None
        from qda.idl.c import Options

        return Options(
            standard_types=self.standard_types,
            indent=self.indent,
            header_only=self.header_only,
            no_header=self.remoting_only,
        )


@dataclass(frozen=True)
class _Questions:
    """What is answered instead of compiling."""

    include_dir: Annotated[
        bool,
        typer.Option(
            "--include-dir",
            callback=_print_include_dir,
            is_eager=True,
            help="Print where the headers are that the C needs: remote.h, HAP_farf.h and others.",
        ),
    ] = False
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-v", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False


@with_options
def compile_files(
    outputs: _Outputs,
    includes: Includes,
    inputs: _Inputs,
    questions: _Questions,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Interface files.")
    ] = None,
) -> None:
    """Make C, or a Python module with --python, of interface files.

    Every option can also be written as qaic has it: -o=DIR, -IDIR, -pa=ARG.  All files are
    checked before the first one is written.
    """
    del questions  # answered by their callbacks
    outputs.check()
    names = [*(files or []), *inputs.listed]
    if not names:
        raise UsageError("no interface files are given")
    defines = [one.partition("=")[0] for one in includes.defines]
    if inputs.preprocess_only:
        _preprocess(names, includes.include_dirs, defines, inputs.preprocessor)
        return
    c_options = outputs.c_options
    sources = [
        Source.read(one, includes.include_dirs, defines, inputs.preprocessor) for one in names
    ]
    documents = documents_of(sources)
    if inputs.warn_undefined:
        say(finding for document in documents for finding in undefined(document))
    if not outputs.parse_only:
        outputs.make_folder()
        try:
            _write(documents, outputs.output, c_options, outputs.python)
        except OSError as error:
            raise UsageError(
                f"-o {outputs.output}: cannot write there: {error.strerror}"
            ) from error


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
            say(errors)
            raise typer.Exit(1)
        for file in sorted(made.iterdir()):
            file.replace(folder / file.name)


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
        say(text.diagnostics)
        if any(one.severity is Severity.ERROR for one in text.diagnostics):
            raise typer.Exit(1)
        sys.stdout.write(f"{text.content}\n")
