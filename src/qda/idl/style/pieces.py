"""All that stands in one file, in order: tokens, comments, directives, regions that are skipped.

The parser forgets what the formatter must keep.  Here nothing is forgotten but white space, and
of that is known where lines ended and where lines were empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from qda.idl.text.lexer import tokenize
from qda.idl.text.preprocessor import Range, Text, Use

__all__ = ["Comment", "Directive", "Piece", "Region", "Word", "pieces_of"]

_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Placed:
    """`starts_line`: a line ended before it.  `after_blank`: there is an empty line before it."""

    text: str
    starts_line: bool
    after_blank: bool


@dataclass(frozen=True, slots=True)
class Word(_Placed):
    """A token; `kind` is its type in the grammar, `documentation` what was written about it."""

    kind: str
    documentation: str


@dataclass(frozen=True, slots=True)
class Comment(_Placed):
    """A comment; `column` counts from 0."""

    column: int

    @property
    def ends_line(self) -> bool:
        """Whether nothing can follow it in its line."""
        return self.text.startswith("//")

    @property
    def is_behind(self) -> bool:
        """Whether it is documentation of what stands before it."""
        return self.text[2:4] in ("*<", "!<", "/<")


@dataclass(frozen=True, slots=True)
class Directive(_Placed):
    """A directive: one line, or more with a backslash at their ends."""


@dataclass(frozen=True, slots=True)
class Region(_Placed):
    """What a condition skips: whole lines, as they stand."""


Piece = Word | Comment | Directive | Region


def pieces_of(content: str, ranges: list[Range], file: str) -> Iterator[Piece]:
    """Yield what stands in a file.

    `content` has `\\n` as line ends; `ranges` are those that the preprocessor found in it.
    """
    end, consumed = 0, True
    for start, stop, kind, documentation in sorted(_spans(content, ranges, file)):
        text = content[start:stop]
        lines = content.count("\n", end, start) + consumed
        starts_line, after_blank = lines > 0, lines > 1 and end > 0
        if kind == _COMMENT_SPAN:
            column = start - content.rfind("\n", 0, start) - 1
            yield Comment(text, starts_line, after_blank, column)
        elif kind == _DIRECTIVE_SPAN:
            yield Directive(text.strip(" \t\f"), starts_line, after_blank)
        elif kind == _REGION_SPAN:
            yield Region(text.removesuffix("\n"), starts_line, after_blank)
        else:
            yield Word(text, starts_line, after_blank, kind, documentation)
        # Whole lines are followed by the next line, whether their end belongs to them or not.
        consumed = kind in (_DIRECTIVE_SPAN, _REGION_SPAN)
        end = stop + (consumed and not text.endswith("\n"))


_COMMENT_SPAN, _DIRECTIVE_SPAN, _REGION_SPAN = "comment", "directive", "region"


def _spans(content: str, ranges: list[Range], file: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield (start, end, kind, documentation) of everything, in no order."""
    region = None
    for one in ranges:
        # A skipped directive stands between skipped lines: together they are one region.
        if one.use is Use.SKIPPED:
            region = (one.start if region is None else region[0], one.end)
        elif region is not None:
            yield *region, _REGION_SPAN, ""
            region = None
        if one.use is Use.DIRECTIVE:
            yield one.start, one.end, _DIRECTIVE_SPAN, ""
    if region is not None:
        yield *region, _REGION_SPAN, ""
    visible = _visible(content, ranges)
    lines = visible.split("\n")
    lexed = tokenize(Text(lines, [(file, number) for number in range(1, len(lines) + 1)]))
    end = 0
    for token in lexed.tokens:
        start, stop = token.start_pos or 0, token.end_pos or 0
        yield from _comments(visible, end, start)
        yield start, stop, token.type, lexed.documentation.get(start, "")
        end = stop
    yield from _comments(visible, end, len(visible))


def _visible(content: str, ranges: list[Range]) -> str:
    """Return the text with blanks for all that is no text, so that offsets stay what they are."""
    visible, end = [], 0
    for one in ranges:
        if one.use is Use.TEXT:
            visible += [
                re.sub(r"[^\n]", " ", content[end : one.start]),
                content[one.start : one.end],
            ]
            end = one.end
    return "".join([*visible, re.sub(r"[^\n]", " ", content[end:])])


def _comments(visible: str, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    for match in _COMMENT.finditer(visible, start, end):
        written = match[0].rstrip() if match[0].startswith("//") else match[0]
        yield match.start(), match.start() + len(written), _COMMENT_SPAN, ""
