"""The one style of interface files: `format_text` writes a text as everybody writes it.

Four spaces for each level, one statement, member or enumerator a line, long parameter lists with
one parameter a line, at most one empty line.  Comments, directives and what conditions skip stay
where they are between the tokens; the lines of a comment move together, and comments behind
consecutive lines stand below each other.

Before a text is given out, it is read again: nothing may be different but white space.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from qda.errors import QdaError
from qda.idl.diagnostics import IdlError, Severity
from qda.idl.model import Document
from qda.idl.style.lines import WIDTH, Line, lines_of
from qda.idl.style.pieces import Comment, Piece, Word, pieces_of
from qda.idl.style.units import Unit, units_of
from qda.idl.text.compile import parse
from qda.idl.text.parser import parse_text
from qda.idl.text.preprocessor import Reader, preprocess, read_file

__all__ = ["FormatError", "format_text"]

_MISSING: Final = "cannot find "


class FormatError(QdaError):
    """The formatted text would not say what the text says: a defect, and nothing was changed."""


def format_text(
    text: str,
    name: str = "interface.idl",
    *,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    defines: Iterable[str] = (),
    read: Reader = read_file,
) -> str:
    """Return a text in the one style.  IdlError if its syntax is wrong.

    `name`, `include_dirs`, `defines` and `read` are those of `parse`: they decide which regions
    conditions skip, and those stay as they are.  A file that is included need not be found.
    FormatError, and never a damaged text, if the result does not mean the same.
    """
    worker = _Formatter(name, [os.fspath(one) for one in include_dirs], list(defines), read)
    content = text.replace("\r\n", "\n").replace("\r", "\n")
    before = worker.pieces(content)
    formatted = "".join(f"{line}\n" for line in _written(list(units_of(before))))
    worker.compare(content, before, formatted)
    return formatted


@dataclass(frozen=True)
class _Formatter:
    """How a text is read, before and after."""

    name: str
    include_dirs: list[str]
    defines: list[str]
    read: Reader

    def pieces(self, content: str) -> list[Piece]:
        """What stands in a text.  IdlError if its syntax is wrong."""
        text = preprocess(content, self.name, self.include_dirs, self.defines, self.read)
        errors = [one for one in text.diagnostics if one.severity is Severity.ERROR]
        tree = parse_text(text)
        if tree.errors or not all(one.message.startswith(_MISSING) for one in errors):
            raise IdlError(dict.fromkeys([*errors, *tree.errors]))
        return list(pieces_of(content, text.ranges, self.name))

    def compare(self, content: str, before: list[Piece], formatted: str) -> None:
        """FormatError if two texts differ in more than white space."""
        try:
            after = self.pieces(formatted)
        except IdlError as error:
            raise FormatError(f"{self.name}: formatting would break the text:\n{error}") from error
        for old, new in zip(before, after, strict=False):
            if _meaning(old) != _meaning(new):
                message = f"formatting would make {new.text!r} of {old.text!r}"
                raise FormatError(f"{self.name}: {message}; the text was left alone")
        if len(before) != len(after) or self._model(content) != self._model(formatted):
            message = "formatting would change what the text means; it was left alone"
            raise FormatError(f"{self.name}: {message}")

    def _model(self, content: str) -> Document | None:
        """The model, or None of a text with errors that are none of syntax."""
        try:
            return parse(
                content,
                name=self.name,
                include_dirs=self.include_dirs,
                defines=self.defines,
                read=self.read,
            )
        except IdlError:
            return None


def _meaning(piece: Piece) -> tuple[object, ...]:
    """What must stay the same of a piece."""
    if isinstance(piece, Word):
        return Word, piece.text, piece.kind, piece.documentation
    if isinstance(piece, Comment):
        return Comment, *(line.strip() for line in piece.text.split("\n"))
    return type(piece), piece.text


# --- lines ---------------------------------------------------------------------------------------


def _written(units: list[Unit]) -> Iterator[str]:
    """Yield the lines of a file."""
    lines: list[Line] = []
    before: Unit | None = None
    for unit in units:
        first, *others = lines_of(unit)
        if before is not None and before.opens and _is_bare_end(unit) and not before.behind:
            lines[-1] = lines[-1].joined(first)
            lines += others
        else:
            blank = before is not None and unit.after_blank
            if blank and not (before and before.opens) and not unit.closes:
                lines.append(Line(""))
            lines += [first, *others]
        before = unit
    for _, group in groupby(lines, key=lambda line: (line.indent, bool(line.behind))):
        yield from _aligned(list(group))


def _is_bare_end(unit: Unit) -> bool:
    first = unit.pieces[0]
    return isinstance(first, Word) and first.kind == "_END"


def _aligned(lines: list[Line]) -> Iterator[str]:
    """Yield consecutive lines with the comments behind them below each other, if there is room."""
    column = max(line.width for line in lines)
    widest = max(len(line.behind.partition("\n")[0]) for line in lines)
    if column + 2 + widest > WIDTH:
        column = 0
    for line in lines:
        space = " " * (max(column - line.width, 0) + 2)
        yield f"{line.text}{space}{line.behind}" if line.behind else line.text
