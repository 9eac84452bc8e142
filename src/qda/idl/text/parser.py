"""From tokens to the tree of `qda.idl.text.syntax`: the grammar, and what to say when it is broken.

Declarations are parsed one at a time.  When one is broken, the statement around the error is
taken out and the rest is tried again, so that one run reports what is wrong in each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

from lark import Lark, Token, Transformer, UnexpectedToken, v_args
from lark.lexer import Lexer

from qda.idl.diagnostics import Diagnostic
from qda.idl.text import syntax
from qda.idl.text.lexer import FIXED_INTEGERS, KEYWORDS, PUNCTUATION, tokenize
from qda.idl.text.preprocessor import Text

__all__ = ["Tree", "parse_text"]

MOST_ERRORS: Final = 50
"""Errors after which the rest of a text is not looked at."""


@dataclass
class Tree:
    """A parsed text; `documentation` is by the `start_pos` of tokens."""

    declarations: list[syntax.DeclarationSyntax] = field(default_factory=list)
    documentation: dict[int, str] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes tree nodes of what the grammar's rules matched."""

    def start(self, declaration: Any) -> Any:
        return declaration

    def module(self, word: Token, name: Token, *declarations: Any) -> syntax.ModuleSyntax:
        return syntax.ModuleSyntax(word, name, declarations)

    def native(self, word: Token, name: Token) -> syntax.NativeSyntax:
        return syntax.NativeSyntax(word, name)

    def modifiers(self, *words: Token) -> tuple[Token, ...]:
        return words

    def base(self, name: syntax.Scoped | None = None) -> syntax.Scoped | None:
        return name

    def exports(self, *exports: Any) -> tuple[Any, ...]:
        return exports

    def forward(
        self, modifiers: tuple[Token, ...], word: Token, name: Token
    ) -> syntax.InterfaceSyntax:
        return self.interface(modifiers, word, name, None, None)

    def interface(
        self,
        modifiers: tuple[Token, ...],
        word: Token,
        name: Token,
        base: syntax.Scoped | None,
        exports: tuple[Any, ...] | None,
    ) -> syntax.InterfaceSyntax:
        first = modifiers[0] if modifiers else word
        words = tuple(str(one) for one in modifiers)
        return syntax.InterfaceSyntax(first, name, words, base, exports)

    def attribute(self, first: Token, *rest: Any) -> syntax.AttributeSyntax:
        *_, kind, name = rest
        return syntax.AttributeSyntax(first, kind, name, first.type == "READONLY")

    def annotation(self, bracket: Token, name: Token) -> tuple[Token, Token]:
        return bracket, name

    def operation(self, *parts: Any) -> syntax.OperationSyntax:
        *before, returns, name, parameters = parts
        asynchronous = bool(before) and isinstance(before[0], Token)
        annotation = before[-1] if before and isinstance(before[-1], tuple) else None
        if isinstance(returns, Token):
            returns = syntax.Builtin(returns, "void")
        first = before[0] if asynchronous else annotation[0] if annotation else returns.token
        return syntax.OperationSyntax(first, asynchronous, annotation, returns, name, parameters)

    def parameters(self, *parameters: syntax.ParameterSyntax) -> tuple[Any, ...]:
        return parameters

    def parameter(self, direction: Token, kind: Any, name: Token) -> syntax.ParameterSyntax:
        return syntax.ParameterSyntax(direction, kind, name)

    def direction(self, word: Token) -> Token:
        return word

    def typedef(self, word: Token, kind: Any, declarators: Any) -> syntax.TypedefSyntax:
        return syntax.TypedefSyntax(word, kind, declarators)

    def declarators(self, *declarators: syntax.Declarator) -> tuple[Any, ...]:
        return declarators

    def declarator(self, name: Token, *dimensions: Any) -> syntax.Declarator:
        return syntax.Declarator(name, dimensions)

    def dimension(self, bracket: Token, size: Any) -> Any:
        del bracket
        return size

    def struct(self, word: Token, name: Token, members: Any) -> syntax.StructSyntax:
        return syntax.StructSyntax(word, name, members)

    def members(self, *members: syntax.MemberSyntax) -> tuple[Any, ...]:
        return members

    def member(self, kind: Any, declarators: Any) -> syntax.MemberSyntax:
        return syntax.MemberSyntax(kind.token, kind, declarators)

    def enum(self, word: Token, name: Token, members: Any) -> syntax.EnumSyntax:
        return syntax.EnumSyntax(word, name, members)

    def enumerators(self, *names: Token) -> tuple[Token, ...]:
        return names

    def union(self, word: Token, name: Token, _: Token, kind: Any, cases: Any) -> Any:
        return syntax.UnionSyntax(word, name, kind, cases)

    def cases(self, *cases: syntax.CaseSyntax) -> tuple[Any, ...]:
        return cases

    def case(self, label: Any, kind: Any, declarator: Any) -> syntax.CaseSyntax:
        return syntax.CaseSyntax(label[0], label[1], kind, declarator)

    def label(self, word: Token, value: Any = None) -> tuple[Token, Any]:
        return word, value

    def integer(self, *words: Token) -> syntax.Builtin:
        return syntax.Builtin(words[0], " ".join(words))

    plain = plain_switch = text = integer

    def any_interface(self, word: Token) -> syntax.AnyInterface:
        return syntax.AnyInterface(word)

    def sequence(self, word: Token, element: Any, bound: Any = None) -> syntax.SequenceOf:
        return syntax.SequenceOf(word, element, bound)

    def bound(self, bound: Any) -> Any:
        return bound

    def string(self, word: Token, bound: Any = None) -> syntax.StringOf:
        return syntax.StringOf(word, bound)

    def dma(self, word: Token, bound: Any = None) -> syntax.Dma:
        return syntax.Dma(word, bound)

    def scoped(self, *words: Token) -> syntax.Scoped:
        parts = tuple(one for one in words if one.type != "DOUBLE_COLON")
        return syntax.Scoped(words[0], parts, words[0].type == "DOUBLE_COLON")

    def const(self, word: Token, kind: Any, name: Token, value: Any) -> syntax.ConstSyntax:
        return syntax.ConstSyntax(word, kind, name, value)

    def binary(self, left: Any, operator: Token, right: Any) -> syntax.Binary:
        return syntax.Binary(operator, left, right)

    def unary(self, operator: Token, operand: Any) -> syntax.Unary:
        return syntax.Unary(operator, operand)

    def reference(self, name: syntax.Scoped) -> syntax.Reference:
        return syntax.Reference(name.token, name)

    def literal(self, token: Token) -> syntax.Literal:
        return syntax.Literal(token)


class _NoLexer(Lexer):
    """Lark wants a lexer; tokens come from ours."""

    def __init__(self, configuration: object) -> None:
        del configuration

    def lex(self, data: Iterable[Token]) -> Iterator[Token]:  # type: ignore[override]
        return iter(data)


@cache
def _grammar() -> Lark:
    text = (resources.files(__package__) / "grammar.lark").read_text()
    return Lark(text, parser="lalr", lexer=_NoLexer, transformer=_Builder())


# --- what was expected -----------------------------------------------------------------------

_WORDS: Final[dict[str, str]] = {
    **{kind: f'"{sign}"' for sign, kind in PUNCTUATION.items()},
    **{word.upper(): f'"{word}"' for word in KEYWORDS},
    "CHARACTER": "a character",
    "DMAHANDLE": '"dmahandle"',
    "EXT_PARAMS": '"ext_params"',
    "IDENTIFIER": "a name",
    "INTEGER": "an integer",
    "REAL": "a number",
    "STRING_LITERAL": "a string",
}

_INTEGERS: Final = frozenset({"UNSIGNED", "SHORT", "LONG", "FIXED_INTEGER"})
_VALUE: Final = frozenset(
    [
        "INTEGER",
        "REAL",
        "CHARACTER",
        "STRING_LITERAL",
        "TRUE",
        "FALSE",
        "MINUS",
        "NOT",
        "_OPEN",
        "IDENTIFIER",
        "DOUBLE_COLON",
        "EXT_PARAMS",
    ]
)
_CONST_TYPE: Final = _INTEGERS | frozenset(
    ["FLOAT", "DOUBLE", "CHAR", "WCHAR", "BOOLEAN", "OCTET", "STRING", "WSTRING"]
)
_NAMED: Final = frozenset({"IDENTIFIER", "DOUBLE_COLON", "EXT_PARAMS"})
_TYPE: Final = _CONST_TYPE | _NAMED | {"SEQUENCE", "DMAHANDLE", "INTERFACE"}
_DECLARATION: Final = frozenset(
    [
        "TYPEDEF",
        "STRUCT",
        "UNION",
        "ENUM",
        "NATIVE",
        "CONST",
        "INTERFACE",
        "MODULE",
        "LOCAL",
        "EXT_PARAMS",
    ]
)
_EXPORT: Final = frozenset(
    ["READONLY", "ATTRIBUTE", "ASYNC", "VOID", "OPEN_BRACKET", "TYPEDEF", "CONST"]
)
_OPERATORS: Final = frozenset(
    ["OR", "XOR", "AND", "SHIFT_LEFT", "SHIFT_RIGHT", "PLUS", "MINUS", "TIMES", "DIVIDED", "MODULO"]
)
_GROUPS: Final[tuple[tuple[frozenset[str], str], ...]] = (
    (_TYPE | _EXPORT | {"STRUCT", "UNION", "ENUM", "NATIVE"}, "a method or a declaration"),
    (_TYPE | {"STRUCT", "UNION", "ENUM"}, "a type"),
    (_TYPE, "a type"),
    (frozenset(_CONST_TYPE | _NAMED), "a type that constants can have"),
    (_INTEGERS | {"CHAR", "WCHAR", "BOOLEAN"} | _NAMED, "an integer or enum type"),
    (_DECLARATION, "a declaration"),
    (_VALUE, "a value"),
    (frozenset({"IDENTIFIER", "EXT_PARAMS", "DMAHANDLE"}), "a name"),
    (frozenset({"IDENTIFIER", "EXT_PARAMS"}), "a name"),
)
"""Sets of tokens that are said in one word, the largest first."""


def _expected(kinds: Iterable[str]) -> str:
    """Say which tokens would have been right: `"," or ")"`."""
    left, words = set(kinds), []
    for group, word in _GROUPS:
        if group <= left:
            words.append(word)
            left -= group
    if left & _OPERATORS:
        words.append("an operator")
        left -= _OPERATORS
    words += sorted(_WORDS.get(kind, kind) for kind in left)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _hint(token: Token, before: Token | None) -> str:
    """Say what is likely behind a wrong token, or nothing."""
    if token.type in ("OUT", "INOUT"):
        return f'; write "{"rout" if token.type == "OUT" else "inrout"}"'
    if before is None:
        return ""
    touches = before.end_pos == token.start_pos
    if before.type in ("INTEGER", "REAL") and touches and token.type == "IDENTIFIER":
        return "; numbers have no suffix"
    if before.type == "LONG" and token.type == "DOUBLE":
        return "; there is no long double"
    if before.type == "UNSIGNED":
        return "; octet is the unsigned 8-bit type" if token.type == "CHAR" else ""
    if token == "void" and before == "(":
        return '; without parameters write "()"'
    if token == ";" and before == ";":
        return "; one semicolon is enough"
    return ""


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
            if len(self.tree.errors) >= MOST_ERRORS:
                return self.tree
        if start < len(self._tokens):
            self._declaration(self._tokens[start:])
        return self.tree

    def _declaration(self, tokens: list[Token]) -> None:
        """Parse one declaration; after an error look for more without the broken statement."""
        after_hole: Token | None = None
        good = True
        while tokens and len(self.tree.errors) < MOST_ERRORS:
            interactive = _grammar().parse_interactive()
            position = self._feed(interactive, tokens)
            if position is None:
                if good:
                    self.tree.declarations.append(self._finish(interactive))
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
    def _feed(interactive: Any, tokens: list[Token]) -> int | None:
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

    @staticmethod
    def _finish(interactive: Any) -> Any:
        return interactive.feed_eof()

    def _report(self, interactive: Any, wrong: Token, before: Token | None) -> None:
        accepted = interactive.accepts()
        written = str(wrong) if len(wrong) < 40 else f"{wrong[:36]} ..."
        shown = f"unexpected {written}" if '"' in written else f'unexpected "{written}"'
        wants_name = "IDENTIFIER" in accepted and not accepted & {"SHORT", "INTEGER"}
        if _is_reserved(wrong) and wants_name:
            shown += ", which is a reserved word"
        message = f"{shown}: expected {_expected(accepted)}{_hint(wrong, before)}"
        line, column = wrong.line or 1, wrong.column or 1
        place = self._text.locate(line, column)
        self.tree.errors.append(Diagnostic(place, message, self._text.source(line)))

    def _report_end(self, interactive: Any, last: Token) -> None:
        line, column = last.end_line or 1, last.end_column or 1
        message = f"unexpected end of file: expected {_expected(interactive.accepts())}"
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
