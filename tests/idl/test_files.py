"""Our interface files use the whole language: every rule and token, every kind of type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Final

import pytest
from lark import Lark, Token
from lark.lexer import Lexer

from qda.idl import Document
from qda.idl.model import Constant, Declaration, Direction, Interface, Method, Module, Typedef
from qda.idl.primitives import PRIMITIVES, Primitive
from qda.idl.style.format import format_text
from qda.idl.text.lexer import FIXED_INTEGERS, KEYWORDS, PUNCTUATION, tokenize
from qda.idl.text.preprocessor import preprocess
from qda.idl.types import (
    Array,
    DmaHandle,
    Enum,
    InterfaceType,
    Named,
    Native,
    Sequence,
    String,
    Struct,
    Type,
    Union,
)
from qda.idl.wire.calls import InterfaceCodec
from tests.idl.interface_files import DECLARED_ONLY, FILES, FOLDER, document_of

NEVER_VALID: Final = {"out", "inout", "notnil"}
"""Words that are reserved, and nothing else."""


def documents() -> list[Document]:
    return [document_of(file.name) for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_is_valid_without_warnings_and_in_the_one_style(file: Path) -> None:
    assert document_of(file.name).warnings == ()
    text = file.read_text()
    assert format_text(text, str(file), include_dirs=[FOLDER]) == text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_says_in_its_beginning_what_it_shows(file: Path) -> None:
    assert file.read_text().startswith(("//", "/*"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_interface_can_be_called_except_in_the_file_that_shows_what_cannot(
    file: Path,
) -> None:
    refused = [
        method
        for one in document_of(file.name).interfaces
        for method in one.methods
        if method.refusal
    ]
    assert bool(refused) == (file.name == DECLARED_ONLY)
    if not refused:
        for interface in document_of(file.name).interfaces:
            assert InterfaceCodec(interface).interface is interface


# --- what is written -----------------------------------------------------------------------------


class Given(Lexer):
    """Tokens come from ours."""

    def __init__(self, configuration: object) -> None:
        del configuration

    def lex(self, data: Iterable[Token]) -> Iterator[Token]:  # type: ignore[override]
        return iter(data)


GRAMMAR: Final = (resources.files("qda.idl.text") / "grammar.lark").read_text()


def statements() -> Iterator[list[Token]]:
    """The tokens of each declaration, with its semicolon."""
    for file in FILES:
        found: list[Token] = []
        depth = 0
        for token in tokenize(preprocess(file.read_text(), str(file), [str(FOLDER)])).tokens:
            found.append(token)
            depth += (token.type == "_BEGIN") - (token.type == "_END")
            if token.type == "_SEMICOLON" and depth == 0:
                yield found
                found = []
        assert found == []


def test_every_rule_of_the_grammar_is_used() -> None:
    # Without question marks no rule is left out of the tree.
    lark = Lark(GRAMMAR.replace("\n?", "\n"), parser="lalr", lexer=Given)
    wanted = {str(rule.alias or rule.origin.name) for rule in lark.rules}
    used = {
        str(tree.data) for tokens in statements() for tree in lark.parse(tokens).iter_subtrees()
    }
    assert {one for one in wanted if not one.startswith("__")} - used == set()


def test_every_word_and_sign_is_used() -> None:
    written = [token for tokens in statements() for token in tokens]
    words = {str(token) for token in written}
    assert (KEYWORDS | FIXED_INTEGERS | set(PUNCTUATION)) - words == NEVER_VALID
    kinds = {token.type for token in written}
    assert kinds >= {"INTEGER", "REAL", "CHARACTER", "STRING_LITERAL", "DMAHANDLE", "EXT_PARAMS"}
    assert {"dmahandle", "ext_params", "oneway", "signal"} <= words


def test_every_directive_is_used() -> None:
    text = "\n".join(file.read_text() for file in FILES)
    found = {match[1] for match in re.finditer(r"^ *#(\w+|(?= \d))", text, re.MULTILINE)}
    assert found >= {"include", "define", "ifdef", "ifndef", "endif", "pragma", "line", ""}
    includes = [one for found in documents() for one in found.includes]
    assert {one.angle for one in includes} == {True, False}


@pytest.mark.parametrize("comment", ["/**", "///", "///<", "/**<", "//", "/*"])
def test_every_form_of_comment_is_used(comment: str) -> None:
    assert any(f"{comment} " in " ".join(file.read_text().split("\n")) for file in FILES)


# --- what it means -------------------------------------------------------------------------------


def declarations(found: Iterable[Declaration]) -> Iterator[Declaration]:
    for one in found:
        yield one
        if isinstance(one, Module | Interface):
            yield from declarations(one.declarations)


def everything() -> list[Declaration]:
    return [one for found in documents() for one in declarations(found.declarations)]


def methods() -> list[Method]:
    return [one for one in everything() if isinstance(one, Method)]


def test_every_kind_of_declaration_is_there() -> None:
    kinds = {type(one) for one in everything()}
    assert kinds == {Constant, Enum, Interface, Method, Module, Native, Struct, Typedef, Union}


def test_every_type_of_constants_is_there_in_every_radix() -> None:
    constants = [one for one in everything() if isinstance(one, Constant)]
    kinds = {str(one.type.resolved) for one in constants}
    assert {"boolean", "char", "double", "float", "long long", "octet", "string", "wchar"} <= kinds
    assert {"wstring", "level", "unsigned long long", "int8"} <= kinds
    assert {one.radix for one in constants} == {8, 10, 16}


def test_every_primitive_is_a_parameter() -> None:
    used = {one.type for method in methods() for one in method.parameters}
    assert set(PRIMITIVES.values()) - used == set()


def category(kind: Type) -> str:
    """What a type is for marshalling."""
    inner = kind.resolved
    match inner:
        case Primitive():
            return "primitive"
        case Sequence():
            return f"sequence of {category(inner.element)}"
        case String():
            return str(inner)
        case Struct():
            return "simple struct" if inner.is_simple else "struct"
        case Array():
            return "array"
        case _:
            return type(inner).__name__.lower()


BOTH: Final = frozenset({"in", "rout"})
CATEGORIES: Final = {
    "primitive": BOTH,
    "enum": BOTH,
    "array": BOTH,
    "simple struct": BOTH,
    "string": BOTH,
    "wstring": BOTH,
    "struct": BOTH,
    "dmahandle": BOTH,
    "sequence of primitive": BOTH,
    "sequence of simple struct": BOTH,
    "sequence of string": BOTH,
    "sequence of wstring": BOTH,
    "sequence of struct": BOTH,
    "sequence of sequence of primitive": BOTH,
    "sequence of sequence of sequence of primitive": frozenset({"in"}),
    "sequence of dmahandle": frozenset({"in"}),
}


@pytest.mark.parametrize("wanted", CATEGORIES)
def test_every_kind_of_parameter_travels_both_ways(wanted: str) -> None:
    ways = {
        one.direction.value
        for method in methods()
        if not method.refusal
        for one in method.parameters
        if category(one.type) == wanted
    }
    assert ways >= CATEGORIES[wanted]


def test_everything_that_can_be_inrout_is() -> None:
    found = {
        category(one.type)
        for method in methods()
        if not method.refusal
        for one in method.parameters
        if one.direction is Direction.INROUT
    }
    assert found == {
        *("primitive", "simple struct", "string"),
        *("sequence of primitive", "sequence of simple struct"),
    }


def chain(kind: Type) -> int:
    return 1 + chain(kind.type) if isinstance(kind, Named) else 0


def test_typedefs_of_typedefs_and_structures_in_structures() -> None:
    assert max(chain(one.type) for one in everything() if isinstance(one, Typedef)) >= 3
    structs = [one for one in everything() if isinstance(one, Struct)]
    members = [member.type.resolved for one in structs for member in one.members]
    assert {category(kind) for kind in members} >= {
        *("primitive", "enum", "array", "simple struct", "struct", "string", "wstring"),
        *("dmahandle", "sequence of primitive", "sequence of struct"),
    }
    elements = {
        category(kind.element)
        for one in everything()
        for kind in ([one.type.resolved] if isinstance(one, Typedef) else members)
        if isinstance(kind, Array)
    }
    assert elements >= {"primitive", "enum", "array", "simple struct"}


def test_every_kind_of_interface_and_method_is_there() -> None:
    interfaces = [one for one in everything() if isinstance(one, Interface)]
    assert any(one.is_forward for one in interfaces)
    assert any(one.is_local for one in interfaces)
    assert any(one.is_ext_params for one in interfaces)
    assert any(one.scope for one in interfaces)
    usable = [one for one in interfaces if not one.is_local and not one.is_forward]
    assert {one.is_handle64 for one in usable} == {True, False}
    assert any(one.base and one.base.base for one in usable)
    assert any(len(one.methods) > 32 for one in usable)
    assert {one.version for one in usable} >= {None, "1.2.0"}
    assert {one.attribute for one in methods()} == {"", "oneway", "signal"}
    assert {one.asynchronous for one in methods()} == {True, False}
    assert any(one.returns is None for one in methods())
    assert any(not one.parameters for one in methods())
    assert any(
        isinstance(part.type.resolved, InterfaceType)
        for one in methods()
        for part in one.parameters
    )
    assert any(
        isinstance(part.type.resolved, DmaHandle) for one in methods() for part in one.parameters
    )
