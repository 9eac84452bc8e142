"""What the formatter puts on lines: statements, heads of bodies, comments, directives.

A unit is what stands on one line if it fits: a statement with its semicolon, all before an opening
brace and the brace, an enumerator with its comma.  A comment in the line of a unit's end belongs
to it, one in the midst of a unit is a part of it, all others are units themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from qda.idl.style.pieces import Comment, Piece, Word

__all__ = ["Unit", "units_of"]

_BODIES: Final = frozenset({"STRUCT", "ENUM", "UNION", "INTERFACE", "MODULE"})


@dataclass
class Unit:
    """Pieces that belong together, how deep they stand, and the comments behind them."""

    depth: int
    pieces: list[Piece] = field(default_factory=list)
    behind: list[Comment] = field(default_factory=list)

    @property
    def after_blank(self) -> bool:
        """Whether there is an empty line before."""
        return self.pieces[0].after_blank

    @property
    def opens(self) -> bool:
        """Whether a body begins behind it."""
        return self._ends_with("_BEGIN")

    @property
    def closes(self) -> bool:
        """Whether a body ends with it."""
        return any(isinstance(one, Word) and one.kind == "_END" for one in self.pieces)

    @property
    def is_statement(self) -> bool:
        """Whether there is a token in it."""
        return any(isinstance(one, Word) for one in self.pieces)

    def _ends_with(self, kind: str) -> bool:
        last = self.pieces[-1]
        return isinstance(last, Word) and last.kind == kind


class _Grouping:
    """Goes through the pieces of a file once."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        self._units: list[Unit] = []
        self._current: list[Piece] = []
        self._bodies: list[str] = []

    def run(self) -> list[Unit]:
        for position, piece in enumerate(self._pieces):
            if isinstance(piece, Word):
                self._word(piece)
            elif self._current:
                self._current.append(piece)
            elif isinstance(piece, Comment) and not self._stands_alone(piece, position):
                # It begins the line of what follows.
                self._current.append(piece)
            else:
                self._aside(piece)
        self._finish()
        return self._units

    def _word(self, word: Word) -> None:
        if word.kind == "_END":
            self._finish()
            if self._bodies:
                self._bodies.pop()
        self._current.append(word)
        if word.kind == "_BEGIN":
            kinds = [one.kind for one in self._current if isinstance(one, Word)]
            body = next((kind for kind in reversed(kinds) if kind in _BODIES), "")
            self._finish()
            self._bodies.append(body)
        elif word.kind == "_SEMICOLON" or (word.kind == "_COMMA" and self._bodies[-1:] == ["ENUM"]):
            self._finish()

    def _finish(self) -> None:
        """End the unit.  What stands behind its last token is no part of it."""
        count = len(self._current)
        while count and not isinstance(self._current[count - 1], Word):
            count -= 1
        unit, rest = self._current[:count], self._current[count:]
        self._current = []
        if unit:
            self._units.append(Unit(len(self._bodies), unit))
        for piece in rest:
            self._aside(piece)

    def _aside(self, piece: Piece) -> None:
        """Add what is no statement: behind the last one, or for itself."""
        last = self._units[-1] if self._units else None
        if isinstance(piece, Comment) and not piece.starts_line and last and last.is_statement:
            last.behind.append(piece)
        else:
            self._units.append(Unit(len(self._bodies), [piece]))

    def _stands_alone(self, comment: Comment, position: int) -> bool:
        """Whether a comment before a unit is none of its pieces."""
        if _ends_line(comment):
            return True
        for piece in self._pieces[position + 1 :]:
            if piece.starts_line or (isinstance(piece, Comment) and _ends_line(piece)):
                return True
            if isinstance(piece, Word):
                return piece.kind == "_END"
        return True


def _ends_line(comment: Comment) -> bool:
    """Whether no statement begins behind a comment, in its line."""
    return comment.ends_line or comment.is_behind or "\n" in comment.text


def units_of(pieces: Iterable[Piece]) -> Iterator[Unit]:
    """Yield the units of a file in their order."""
    yield from _Grouping(list(pieces)).run()
