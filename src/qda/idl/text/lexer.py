"""Tokens of a preprocessed text, and the documentation comments between them.

A documentation comment belongs to the next token (`/** */`, `/*! */`, `///`, `//!`) or, with `<`
behind its opening, to the last name before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from lark import Token

from qda import limits
from qda.idl.diagnostics import Diagnostic
from qda.idl.text.preprocessor import Text

__all__ = ["FIXED_INTEGERS", "KEYWORDS", "PUNCTUATION", "Tokens", "tokenize"]

FIXED_INTEGERS: Final = frozenset(
    f"{sign}int{bits}{suffix}"
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
    for suffix in ("", "_t")
)
"""The integers whose names say their width."""

KEYWORDS: Final = frozenset(
    [
        "typedef",
        "struct",
        "union",
        "switch",
        "default",
        "case",
        "enum",
        "notnil",
        "sequence",
        "interface",
        "string",
        "wstring",
        "float",
        "double",
        "short",
        "long",
        "unsigned",
        "char",
        "wchar",
        "boolean",
        "octet",
        "const",
        "module",
        "readonly",
        "attribute",
        "void",
        "in",
        "rout",
        "inrout",
        "out",
        "inout",
        "TRUE",
        "FALSE",
        "local",
        "native",
        "async",
    ]
)
"""Words that cannot be names, `FIXED_INTEGERS` besides."""

_SOFT: Final = {"dmahandle": "DMAHANDLE", "ext_params": "EXT_PARAMS"}
"""Keywords by position only."""

PUNCTUATION: Final = {
    "|": "OR",
    "^": "XOR",
    "&": "AND",
    "<<": "SHIFT_LEFT",
    ">>": "SHIFT_RIGHT",
    "+": "PLUS",
    "-": "MINUS",
    "*": "TIMES",
    "/": "DIVIDED",
    "%": "MODULO",
    "~": "NOT",
    "(": "_OPEN",
    ")": "_CLOSE",
    "{": "_BEGIN",
    "}": "_END",
    "[": "OPEN_BRACKET",
    "]": "_CLOSE_BRACKET",
    "<": "_LESS",
    ">": "_GREATER",
    "::": "DOUBLE_COLON",
    ",": "_COMMA",
    ";": "_SEMICOLON",
    ":": "_COLON",
    "=": "_EQUALS",
}
"""Token types of operators and punctuation; those that say no more than themselves have a `_`."""

_TYPES: Final[dict[str, str]] = {
    **{word: word.upper() for word in KEYWORDS},
    **dict.fromkeys(FIXED_INTEGERS, "FIXED_INTEGER"),
    **_SOFT,
}

_ESCAPE: Final = r"\\(?:[ntvbrfa\\?'\"]|x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4})"
_TOKEN: Final = re.compile(
    rf"""
      (?P<space> [ \t\n\f\v]+ )
    | (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<STRING_LITERAL> L?"(?:[^"\\]|{_ESCAPE})*" )
    | (?P<CHARACTER> L?'(?:[^'\\\n]|{_ESCAPE})' )
    | (?P<word> [A-Za-z_][A-Za-z0-9_]* )
    | (?P<REAL> [0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)? | [0-9]+\.?[eE][+-]?[0-9]+ | [0-9]+\. )
    | (?P<INTEGER> 0[xX][0-9A-Fa-f]+ | [0-9]+ )
    | (?P<sign> :: | << | >> | [][|^&+\-*/%~(){{}}<>,;:=] )
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED: Final = re.compile(rf"""L?(["'])(?:(?!\1)[^\\]|{_ESCAPE})*""")
_DOCUMENTATION: Final = re.compile(r"(?:/\*[*!](?![*/])|//[/!](?!/))(?P<behind><?)")


@dataclass
class Tokens:
    """The tokens of a text, and what was written about them by their `start_pos`."""

    tokens: list[Token] = field(default_factory=list)
    documentation: dict[int, str] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)


class _Lexer:
    """Goes through a text once."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._content = text.content
        self._result = Tokens()
        self._open: list[str] = []
        self._waiting: list[str] = []
        self._in_lines = False
        self._named = {False: -1, True: -1}  # by whether it stands in brackets
        self._line, self._line_start = 1, 0

    def run(self) -> Tokens:
        content, result, position = self._content, self._result, 0
        while position < len(content) and len(result.errors) < limits.IDL_ERRORS:
            if len(result.tokens) >= limits.IDL_TOKENS:
                self._error(position, f"more than {limits.IDL_TOKENS} words and signs")
                break
            match = _TOKEN.match(content, position)
            if match is None:
                position = self._unknown(position)
                continue
            kind, written = match.lastgroup, match[0]
            position = match.end()
            if kind == "word":
                self._word(written, match.start())
            elif kind == "sign":
                self._sign(written, match.start())
            elif kind == "comment":
                self._comment(written)
            elif kind != "space":
                assert kind is not None
                self._add(kind, written, match.start())
            if kind in ("space", "comment", "STRING_LITERAL") and "\n" in written:
                self._line += written.count("\n")
                self._line_start = match.start() + written.rfind("\n") + 1
        return result

    def _add(self, kind: str, written: str, start: int) -> None:
        if self._waiting:
            said = "\n\n".join(one.strip() for one in self._waiting if one.strip())
            if said:
                self._result.documentation[start] = said
            self._waiting.clear()
        column = start - self._line_start + 1
        self._result.tokens.append(
            Token(
                kind,
                written,
                start,
                self._line,
                column,
                self._line,
                column + len(written),
                start + len(written),
            )
        )

    def _word(self, written: str, start: int) -> None:
        kind = _TYPES.get(written, "IDENTIFIER")
        if kind == "IDENTIFIER":
            self._named[bool(self._open) and self._open[-1] != "{"] = start
        self._add(kind, written, start)

    def _sign(self, written: str, start: int) -> None:
        if written == ">>" and self._open[-2:] == ["<", "<"]:
            self._sign(">", start)
            self._sign(">", start + 1)
            return
        if written in "({[<":
            if len(self._open) >= limits.IDL_BRACKETS:
                self._error(start, f"more than {limits.IDL_BRACKETS} brackets are open here")
            self._open.append(written)
            if written != "{":
                self._named[True] = -1
        elif written in ")}]>" and self._open:
            self._open.pop()
        elif written in ";" and self._open and self._open[-1] != "{":
            # A bracket that was never closed ends with its statement.
            while self._open and self._open[-1] != "{":
                self._open.pop()
        self._add(PUNCTUATION[written], written, start)

    def _comment(self, written: str) -> None:
        match = _DOCUMENTATION.match(written)
        if match is None or written == "/**/":
            return
        said = _plain(written[match.end() :].removesuffix("*/"))
        if not match["behind"]:
            # Lines of `///` are one comment, in which an empty one ends a paragraph.
            in_lines = written.startswith("//")
            if in_lines and self._in_lines and self._waiting:
                self._waiting[-1] += f"\n{said}"
            else:
                self._waiting.append(said)
            self._in_lines = in_lines
            return
        if not said:
            return
        inside = bool(self._open) and self._open[-1] != "{"
        name = self._named[inside]
        if name >= 0:
            known = self._result.documentation.get(name)
            self._result.documentation[name] = f"{known}\n{said}" if known else said

    def _error(self, position: int, message: str) -> None:
        column = position - self._line_start + 1
        place = self._text.locate(self._line, column)
        self._result.errors.append(Diagnostic(place, message, self._text.source(self._line)))

    def _unknown(self, position: int) -> int:
        """Report what is no token, and return where to go on."""
        content, letter = self._content, self._content[position]
        quoted = _QUOTED.match(content, position)
        if quoted is not None:
            self._bad_quotation(quoted)
            # Go on behind the quotation's end, if it has one in this line.
            end = content.find(quoted[1], quoted.end())
            newline = content.find("\n", quoted.end())
            newline = len(content) if newline < 0 else newline
            stop = end + 1 if 0 <= end < newline else newline
            crossed = content.count("\n", position, stop)
            if crossed:
                self._line += crossed
                self._line_start = content.rfind("\n", 0, stop) + 1
            self._add("INVALID", content[position:stop], position)
            return stop
        if content.startswith("/*", position):
            self._error(position, "comment without end: expected */")
            return len(content)
        if letter == "\ufeff":
            self._error(position, "byte order mark: save the file without one")
        elif letter.isalpha():
            self._error(position, f'"{letter}": names have letters of ASCII, digits and _ only')
        else:
            shown = letter if letter.isprintable() else f"\\x{ord(letter):02x}"
            self._error(position, f'"{shown}" has no meaning here')
        self._add("INVALID", letter, position)
        return position + 1

    def _bad_quotation(self, quoted: re.Match[str]) -> None:
        content, end = self._content, quoted.end()
        character = quoted[1] == "'"
        opened = quoted.start(1) + 1
        if end < len(content) and content[end] == "\\":
            known = r"\n \t \v \b \r \f \a \\ \? \' \" \x41 \101, and \u0041 in wide strings"
            self._quoted_error(quoted, end + 1, f"unknown escape: expected one of {known}")
        elif not character:
            self._quoted_error(quoted, quoted.start(), 'string without end: expected "')
        elif content.startswith("'", opened):
            self._quoted_error(quoted, opened, "expected a character before '")
        else:
            inside = re.compile(rf"(?:{_ESCAPE}|.)?").match(content, opened)
            assert inside is not None  # it may be empty
            self._quoted_error(quoted, inside.end(), "expected ' after one character")

    def _quoted_error(self, quoted: re.Match[str], position: int, message: str) -> None:
        """Report an error inside of a quotation, which may run over lines."""
        line, start = self._line, self._line_start
        crossed = self._content.count("\n", quoted.start(), position)
        if crossed:
            self._line += crossed
            self._line_start = self._content.rfind("\n", 0, position) + 1
        self._error(position, message)
        self._line, self._line_start = line, start


def _plain(comment: str) -> str:
    """Return a comment's text without the stars at the beginning of its lines."""
    lines = [re.sub(r"^[ \t]*\*(?: |$)?", "", line) for line in comment.split("\n")]
    lines[0] = comment.split("\n")[0].strip()
    margin = min((len(one) - len(one.lstrip()) for one in lines[1:] if one.strip()), default=0)
    return "\n".join([lines[0], *(one[margin:].rstrip() for one in lines[1:])]).strip()


def tokenize(text: Text) -> Tokens:
    """Return the tokens of a text; what is no token stands in `errors`."""
    return _Lexer(text).run()
