"""Interface files of a command line: reading, checking, saying what is wrong, writing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qda.errors import UsageError
from qda.idl import Diagnostic, Document, IdlError, Severity, parse
from qda.idl.model import Declaration, Interface, Module
from qda.idl.text.preprocessor import read_regular

__all__ = ["Preprocessor", "Source", "in_words", "read_exactly", "replace_file", "undefined"]


def in_words(diagnostic: Diagnostic) -> str:
    """A finding as the reference compiler shows it (idl.md 4.6), with the line and a caret."""
    place = diagnostic.location
    warning = "warning: " if diagnostic.severity is Severity.WARNING else ""
    lines = [f'"{place.file}" (line {place.line}, column {place.column}):']
    lines.append(f"{warning}{diagnostic.message}")
    # Its own form has the source and the caret below the first line.
    lines += str(diagnostic).split("\n")[1:]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Preprocessor:
    """A program that preprocesses, in the place of ours (-p and -pa)."""

    program: str
    arguments: Sequence[str] = ()

    def run(self, file: str, include_dirs: Sequence[str], defines: Sequence[str]) -> str:
        """Return what the program makes of a file.  UsageError if it cannot be run, or fails."""
        command = [self.program, *self.arguments]
        command += [f"-I{one}" for one in include_dirs] + [f"-D{one}" for one in defines]
        try:
            done = subprocess.run([*command, file], capture_output=True, text=True, check=False)
        except OSError as error:
            raise UsageError(f"-p {self.program}: cannot run it: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.strip() or f"exit status {done.returncode}"
            raise UsageError(f"-p {self.program} failed on {file}:\n{said}")
        return done.stdout


@dataclass(frozen=True)
class Source:
    """An interface file, and what it says; a document or errors, and perhaps warnings."""

    file: str
    document: Document | None
    errors: tuple[Diagnostic, ...] = ()

    @classmethod
    def read(
        cls,
        file: str,
        include_dirs: Sequence[str],
        defines: Sequence[str],
        preprocessor: Preprocessor | None = None,
    ) -> Source:
        """Read a file and all that it includes."""
        try:
            if preprocessor is None:
                document = parse(Path(file), include_dirs=include_dirs, defines=defines)
            else:
                text = preprocessor.run(file, include_dirs, defines)
                document = parse(text, name=file)
        except IdlError as error:
            return cls(file, None, error.diagnostics)
        return cls(file, document)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """Errors, or else warnings."""
        return self.errors or (self.document.warnings if self.document else ())


def _interfaces(declarations: Iterable[Declaration]) -> Iterator[Interface]:
    for one in declarations:
        if isinstance(one, Interface):
            yield one
        elif isinstance(one, Module):
            yield from _interfaces(one.declarations)


def undefined(document: Document) -> Iterator[Diagnostic]:
    """Yield a warning for each interface that is declared, but never defined (-Wu)."""
    found = list(_interfaces(document.declarations))
    defined = {one.full_name for one in found if not one.is_forward}
    for one in found:
        if one.is_forward and one.full_name not in defined:
            message = f'interface "{one.full_name}" is declared, but never defined'
            yield Diagnostic(one.location, message, severity=Severity.WARNING)


def read_exactly(file: str) -> str:
    """Return a file's text, "-" for standard input; bytes that are no UTF-8 survive writing."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else read_regular(file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    return data.decode("utf-8", errors="surrogateescape")


def replace_file(file: Path, text: str) -> None:
    """Write a file as a whole: whatever happens, there is the old one or the new one.

    A file that exists keeps its permissions, and a link stays one.  UsageError if it cannot be
    written.
    """
    file = file.resolve()
    try:
        mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o666 & ~_umask()
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(text.encode("utf-8", errors="surrogateescape"))
            os.chmod(name, mode)
            os.replace(name, file)
        except BaseException:  # also Ctrl-C: nothing is left behind
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error


def _umask() -> int:
    """Return the mask of new files, which can be read by setting it only."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
