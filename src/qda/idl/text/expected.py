"""What to say of a token that does not fit: what would be right, and what is likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lark import Token

from qda.errors import did_you_mean
from qda.idl.text.lexer import KEYWORDS, PUNCTUATION

__all__ = ["expected", "hint"]

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


def expected(kinds: Iterable[str]) -> str:
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


def hint(token: Token, before: Token | None, kinds: Iterable[str]) -> str:
    """Say what is likely behind a wrong token instead of some kinds, or nothing."""
    if token.type in ("OUT", "INOUT"):
        return f'; write "{"rout" if token.type == "OUT" else "inrout"}"'
    if token.type == "IDENTIFIER":
        wanted = [word for word in KEYWORDS if word.upper() in set(kinds)]
        meant = did_you_mean(token, wanted, '"')
        if meant:
            return f"; {meant}"
    if before is None:
        return ""
    if before.type == "IDENTIFIER" and token == "<":
        meant = did_you_mean(before, ["sequence"], '"')
        return f"; {meant}" if meant else ""
    if before.type == "IDENTIFIER" and token == "[":
        return "; of variable length it is a sequence, otherwise declare a typedef of the array"
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
