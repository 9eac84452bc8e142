"""How the formatter writes one unit: spaces between tokens, and where lines break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from qda.idl.style.pieces import Comment, Directive, Piece, Region, Word
from qda.idl.style.units import Unit

__all__ = ["WIDTH", "Line", "lines_of"]

WIDTH: Final = 100
"""Letters of a line at most, if it can be helped."""
STEP: Final = 4
"""Spaces of a level."""

_OPERATORS: Final = frozenset(
    {
        *("OR", "XOR", "AND", "SHIFT_LEFT", "SHIFT_RIGHT"),
        *("PLUS", "MINUS", "TIMES", "DIVIDED", "MODULO", "NOT"),
    }
)
_NAMES: Final = frozenset({"IDENTIFIER", "EXT_PARAMS", "DMAHANDLE"})
_BEFORE_VALUE: Final = _OPERATORS | {
    *("_OPEN", "OPEN_BRACKET", "_EQUALS", "_COMMA", "_LESS", "CASE"),
}
"""What stands before a value: `-` and `~` behind it have one operand."""
_OPENING: Final = frozenset({"_OPEN", "OPEN_BRACKET", "_LESS"})
_CLOSING: Final = frozenset({"_CLOSE", "_CLOSE_BRACKET", "_GREATER"})


@dataclass(frozen=True)
class Line:
    """A line: its text with the spaces before it, and the comment behind it."""

    text: str
    behind: str = ""

    @property
    def indent(self) -> int:
        """Spaces before the text."""
        return len(self.text) - len(self.text.lstrip(" "))

    @property
    def width(self) -> int:
        """Letters up to the comment."""
        return len(self.text.rpartition("\n")[2])

    def joined(self, other: Line) -> Line:
        """This line with another one at its end."""
        return Line(f"{self.text}{other.text.lstrip(' ')}", other.behind)


def lines_of(unit: Unit) -> list[Line]:
    """Return the lines of a unit; a line may hold the ends of lines, in comments and strings."""
    first = unit.pieces[0]
    if isinstance(first, Directive | Region):
        return [Line(first.text)]
    indent = STEP * unit.depth
    if isinstance(first, Comment) and len(unit.pieces) == 1:
        return [Line(_moved(first, indent))]
    lines = [] if _must_break(unit.pieces) else _Writer(unit.pieces, indent, wrapped=False).run()
    if not lines or lines[0].width > WIDTH:
        lines = _Writer(unit.pieces, indent, wrapped=True).run()
    behind = " ".join(_trimmed(one) for one in unit.behind)
    return [*lines[:-1], replace(lines[-1], behind=behind)]


def _trimmed(comment: Comment) -> str:
    return "\n".join(line.rstrip() for line in comment.text.split("\n"))


def _moved(comment: Comment, indent: int) -> str:
    """Return a comment that stands alone, its lines moved together.

    Documentation is what stands behind the stars of lines, or else behind the margin that they
    have in common (`qda.idl.text.lexer`): both stay as they are.
    """
    first, *others = comment.text.split("\n")
    others = [line.rstrip() for line in others]
    written = [line for line in others if line]
    if all(line.lstrip(" \t").startswith("*") for line in written):
        others = [f"{' ' * indent} {line.lstrip()}" if line else "" for line in others]
    elif not any(line.lstrip(" \t").startswith("*") for line in written[:-1]):
        body = [line for line in written if line.strip(" \t*") != "/"]
        margin = min((len(line) - len(line.lstrip(" \t")) for line in body), default=0)
        target = " " * max(0, margin + indent - comment.column)
        others = [
            f"{' ' * indent} {line.lstrip()}"
            if line.strip(" \t*") == "/"
            else f"{target}{line[margin:]}".rstrip()
            for line in others
        ]
    return "\n".join([f"{' ' * indent}{first.rstrip()}", *others])


def _ends_line(pieces: Sequence[Piece], position: int) -> bool:
    """Whether a comment within a unit is the last in its line."""
    piece = pieces[position]
    assert isinstance(piece, Comment)
    return piece.ends_line or "\n" in piece.text or pieces[position + 1].starts_line


def _must_break(pieces: Sequence[Piece]) -> bool:
    """Whether something in a unit ends a line: then it is wrapped, however short it is."""
    nested = 0
    for position, piece in enumerate(pieces):
        if isinstance(piece, Word):
            nested += (piece.kind == "_OPEN") - (piece.kind == "_CLOSE")
            continue
        if not isinstance(piece, Comment) or piece.ends_line or "\n" in piece.text:
            return True
        # Between parameters a comment stays where its line ends.
        if nested and _ends_line(pieces, position):
            return True
    return False


# --- spaces --------------------------------------------------------------------------------------


def _spaces(pieces: Sequence[Piece]) -> list[bool]:
    """Whether there is a space before each piece, if it stands in the same line as the last one."""
    result: list[bool] = []
    before: Word | None = None
    unary = is_label = False
    for position, piece in enumerate(pieces):
        if not isinstance(piece, Word):
            result.append(position > 0 and not (before and before.kind in _OPENING))
            continue
        is_label = is_label or piece.kind in ("CASE", "DEFAULT")
        if position == 0:
            result.append(False)
        elif isinstance(pieces[position - 1], Word) and before:
            result.append(_are_apart(before.kind, piece.kind, unary, is_label))
        else:
            result.append(piece.kind not in _CLOSING | {"_COMMA", "_SEMICOLON"})
        value_follows = before is None or before.kind in _BEFORE_VALUE
        unary = piece.kind in ("MINUS", "NOT") and value_follows
        before = piece
    return result


def _are_apart(before: str, kind: str, unary: bool, is_label: bool) -> bool:
    """Whether there is a space between two tokens."""
    if kind in _CLOSING or kind in ("_COMMA", "_SEMICOLON", "_LESS"):
        return False
    if before in _OPENING or before == "DOUBLE_COLON":
        return False
    if unary:
        # The reference compiler takes operators that touch for one (idl.md 3).
        return kind in _OPERATORS
    if kind == "_COLON":
        return not is_label
    if kind == "DOUBLE_COLON" or kind == "_OPEN":
        return before not in _NAMES
    if kind == "OPEN_BRACKET":
        return before not in _NAMES and before != "_CLOSE_BRACKET"
    return True


# --- lines ---------------------------------------------------------------------------------------


def _parameter_list(pieces: Sequence[Piece]) -> tuple[int, frozenset[int]]:
    """Where a unit's parameter list closes, and behind which pieces a parameter begins.

    Without parameters, -1 and nothing.
    """
    opened = -1
    brackets = 0
    begins: list[int] = []
    before: Word | None = None
    for position, piece in enumerate(pieces):
        if not isinstance(piece, Word):
            continue
        if piece.kind == "_OPEN" and not brackets and before and before.kind in _NAMES:
            opened = position
            begins = [position]
        brackets += (piece.kind in _OPENING) - (piece.kind in _CLOSING)
        if opened >= 0 and brackets == 1 and piece.kind == "_COMMA":
            begins.append(position)
        if opened >= 0 and not brackets:
            return (position, frozenset(begins)) if position > opened + 1 else (-1, frozenset())
        before = piece
    return -1, frozenset()


class _Writer:
    """Writes a unit on one line, or wrapped."""

    def __init__(self, pieces: Sequence[Piece], indent: int, wrapped: bool) -> None:
        self._pieces = pieces
        self._spaces = _spaces(pieces)
        self._indent = indent
        self._wrapped = wrapped
        self._closing, self._begins = _parameter_list(pieces)
        self._lines: list[Line] = []
        self._text = ""
        self._behind: list[str] = []
        self._level = indent
        """Where the statement, or the parameter, began."""
        self._next: int | None = indent
        """Where the next line begins; None while this one goes on."""

    def run(self) -> list[Line]:
        """Return the lines."""
        for position, piece in enumerate(self._pieces):
            if isinstance(piece, Word):
                self._word(piece, position)
            elif isinstance(piece, Comment):
                self._comment(piece, position)
            else:
                self._flush()
                self._lines.append(Line(piece.text))
                self._break()
        self._flush()
        return self._lines

    def _word(self, word: Word, position: int) -> None:
        if self._wrapped and position == self._closing:
            self._next = self._level = self._indent
        elif self._wrapped and self._closing < 0 and self._is_fold(position):
            self._break()
        self._put(word.text, self._spaces[position])
        if self._wrapped and position in self._begins:
            self._next = self._level = self._indent + STEP

    def _is_fold(self, position: int) -> bool:
        """Whether a long line without parameters goes on in the next one."""
        if not self._may_fold(position):
            return False
        width = len(self._text)
        for place in range(position, len(self._pieces)):
            piece = self._pieces[place]
            if not isinstance(piece, Word) or (place > position and self._may_fold(place)):
                break
            width += self._spaces[place] + len(piece.text)
        return width > WIDTH

    def _may_fold(self, position: int) -> bool:
        """Whether a line may end before a piece: behind a comma, or before an operator."""
        before = self._pieces[position - 1] if position else None
        word = self._pieces[position]
        if not isinstance(before, Word) or not isinstance(word, Word):
            return False
        is_operator = word.kind in _OPERATORS and before.kind not in _BEFORE_VALUE
        return self._spaces[position] and (before.kind == "_COMMA" or is_operator)

    def _comment(self, comment: Comment, position: int) -> None:
        ends = self._wrapped and (
            _ends_line(self._pieces, position) or position + 1 == self._closing
        )
        if not ends:
            self._put(comment.text, self._spaces[position])
        elif comment.starts_line or not self._text:
            self._break()
            self._flush()
            assert self._next is not None
            self._lines.append(Line(_moved(comment, self._next)))
        else:
            self._behind.append(_trimmed(comment))
            self._break()

    def _put(self, text: str, space: bool) -> None:
        if self._next is not None:
            self._flush()
            self._text = " " * self._next + text
            self._next = None
        else:
            self._text += f" {text}" if space else text

    def _break(self) -> None:
        """Go on in the next line, further in if that is in the midst of something."""
        if self._next is None:
            self._next = self._level + STEP

    def _flush(self) -> None:
        if self._text:
            self._lines.append(Line(self._text, " ".join(self._behind)))
        self._text = ""
        self._behind = []
