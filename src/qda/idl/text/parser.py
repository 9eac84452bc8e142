"""From tokens to the tree of `qda.idl.text.syntax`, with an error for each part that is broken.

Declarations are parsed one at a time.  When one is broken, the statement around the error is
taken out and the rest is tried again, so that one run reports what is wrong in each of them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Protocol

from lark import Lark, Token, UnexpectedToken
from lark.lexer import Lexer

from qda import limits
from qda.idl.diagnostics import Diagnostic
from qda.idl.text import syntax
from qda.idl.text.builder import Builder
from qda.idl.text.expected import expected, hint
from qda.idl.text.lexer import FIXED_INTEGERS, KEYWORDS, tokenize
from qda.idl.text.preprocessor import Text
from qda.idl.text.tables import kept_tables

__all__ = ["Tree", "parse_text"]


@dataclass
class Tree:
    """A parsed text; `documentation` is by the `start_pos` of tokens."""

    declarations: list[syntax.DeclarationSyntax] = field(default_factory=list)
    documentation: dict[int, str] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)


class _NoLexer(Lexer):
    """Lark wants a lexer; tokens come from ours."""

    def __init__(self, configuration: object) -> None:
        del configuration

    def lex(self, data: Iterable[Token]) -> Iterator[Token]:  # type: ignore[override]
        return iter(data)


@cache
def _grammar() -> Lark:
    text = (resources.files(__package__) / "grammar.lark").read_text()
    return Lark(text, parser="lalr", lexer=_NoLexer, transformer=Builder(), cache=kept_tables())


class _Interactive(Protocol):
    """A parse that is given one token after the other; Lark does not say its types."""

    def feed_token(self, token: Token) -> None: ...
    def feed_eof(self) -> syntax.DeclarationSyntax: ...
    def accepts(self) -> set[str]: ...
    def choices(self) -> Container[str]: ...


def _is_reserved(token: Token) -> bool:
    return token in KEYWORDS or token in FIXED_INTEGERS


class _Parser:
    """Parses the declarations of a text."""

    def __init__(self, text: Text) -> None:
        self._text = text
        lexed = tokenize(text)
        self._tokens = lexed.tokens
        self.tree = Tree(documentation=lexed.documentation, errors=lexed.errors)

    def run(self) -> Tree:
        start, depth = 0, 0
        for position, token in enumerate(self._tokens):
            if token.type == "_BEGIN":
                depth += 1
            elif token.type == "_END":
                depth -= 1
            elif token.type == "_SEMICOLON" and depth <= 0:
                self._declaration(self._tokens[start : position + 1])
                start, depth = position + 1, 0
            if len(self.tree.errors) >= limits.IDL_ERRORS:
                return self.tree
        if start < len(self._tokens):
            self._declaration(self._tokens[start:])
        return self.tree

    def _declaration(self, tokens: list[Token]) -> None:
        """Parse one declaration; after an error look for more without the broken statement."""
        after_hole: Token | None = None
        good = True
        while tokens and len(self.tree.errors) < limits.IDL_ERRORS:
            interactive: _Interactive = _grammar().parse_interactive()
            position = self._feed(interactive, tokens)
            if position is None:
                if good:
                    self.tree.declarations.append(interactive.feed_eof())
                return
            good = False
            wrong = tokens[position] if position < len(tokens) else None
            if wrong is None:
                if after_hole is None:
                    self._report_end(interactive, tokens[-1])
                return
            if wrong is after_hole:
                return
            if wrong.type != "INVALID":
                before = tokens[position - 1] if position else None
                self._report(interactive, wrong, before)
            start, end = _statement(tokens, position)
            if start == 0:
                return
            after_hole = tokens[end] if end < len(tokens) else None
            tokens = tokens[:start] + tokens[end:]

    @staticmethod
    def _feed(interactive: _Interactive, tokens: list[Token]) -> int | None:
        """Feed all tokens; the number of the one that does not fit, or None."""
        position = 0
        feed = interactive.feed_token
        try:
            for token in tokens:
                feed(token)
                position += 1
        except UnexpectedToken:
            return position
        return None if "$END" in interactive.choices() else position

    def _report(self, interactive: _Interactive, wrong: Token, before: Token | None) -> None:
        accepted = interactive.accepts()
        written = str(wrong) if len(wrong) < 40 else f"{wrong[:36]} ..."
        shown = f"unexpected {written}" if '"' in written else f'unexpected "{written}"'
        wants_name = "IDENTIFIER" in accepted and not accepted & {"SHORT", "INTEGER"}
        if _is_reserved(wrong) and wants_name:
            shown += ", which is a reserved word"
        message = f"{shown}: expected {expected(accepted)}{hint(wrong, before, accepted)}"
        line, column = wrong.line or 1, wrong.column or 1
        place = self._text.locate(line, column)
        self.tree.errors.append(Diagnostic(place, message, self._text.source(line)))

    def _report_end(self, interactive: _Interactive, last: Token) -> None:
        line, column = last.end_line or 1, last.end_column or 1
        message = f"unexpected end of file: expected {expected(interactive.accepts())}"
        place = self._text.locate(line, column)
        self.tree.errors.append(Diagnostic(place, message, self._text.source(line)))


def _statement(tokens: list[Token], position: int) -> tuple[int, int]:
    """Return the range of the statement around a token: what ends with a semicolon, or a body."""
    start, depth = position, 0
    while start > 0:
        kind = tokens[start - 1].type
        if depth == 0 and kind in ("_SEMICOLON", "_BEGIN"):
            break
        depth += (kind == "_END") - (kind == "_BEGIN")
        start -= 1
    end, depth = position, 0
    while end < len(tokens):
        kind = tokens[end].type
        if depth == 0 and kind == "_END":
            break
        depth += (kind == "_BEGIN") - (kind == "_END")
        end += 1
        if depth == 0 and kind == "_SEMICOLON":
            break
    return start, end


def parse_text(text: Text) -> Tree:
    """Parse a preprocessed text.  Errors stand in the tree, and spare what they concern."""
    return _Parser(text).run()
