"""Any text gives a document or an IdlError; every valid document is read as it was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.idl import Document, IdlError, parse
from qda.idl.primitives import PRIMITIVES
from qda.idl.text.lexer import FIXED_INTEGERS, KEYWORDS, PUNCTUATION

WORDS = sorted(
    {
        *KEYWORDS,
        *FIXED_INTEGERS,
        *PUNCTUATION,
        *("dmahandle", "ext_params", "a", "b", "s", "T", "0", "1", "0x1F", "08", "1.5", "'c'"),
        *('"text"', 'L"w"', "\n", "/**", "*/", "//", "///<", "\\", '"', "'", "#", "\n#include"),
        *("\n#ifdef a\n", "\n#else\n", "\n#endif\n", "\n#line 3\n", "\n#define a\n", "\ufeff"),
        *('"remote.idl"\n', "interface x {", "};", "struct s {", "long m(", ");", "AEEResult"),
    }
)


def read(text: str) -> Document | None:
    try:
        return parse(text, name="a.idl", read=lambda _: None)
    except IdlError as error:
        found = error
    assert found.diagnostics
    assert str(found)
    for one in found.diagnostics:
        assert one.location.line >= 1
        assert one.location.column >= 1
    return None


@given(st.text(max_size=200))
def test_arbitrary_text_never_crashes(text: str) -> None:
    read(text)


@given(st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join))
def test_arbitrary_tokens_never_crash(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    "text",
    [
        "const long A = " + "(" * 5000 + "1" + ")" * 5000 + ";",
        "const long A = " + "- " * 5000 + "1;",
        "typedef " + "sequence<" * 5000 + "long" + ">" * 5000 + " t;",
        "".join(f"typedef {f't{n - 1}' if n else 'long'} t{n};" for n in range(500)),
        "struct s0 { long a; };"
        + "".join(f"struct s{n} {{ s{n - 1} a, b; }};" for n in range(1, 60)),
        "struct s0 { string a; };"
        + "".join(f"struct s{n} {{ s{n - 1} a, b; }};" for n in range(1, 60)),
        "const long A = " + "9" * 5000 + ";",
        "const long long A = 1 << 4096 << 4096;",
        "typedef long t[2147483647];",
        "module m { " * 5000,
    ],
)
def test_what_is_too_deep_or_too_large_is_an_error(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("text", ["const long A = 0" + "+1" * 5000 + ";", ";\n" * 500, "#" * 500])
def test_long_chains_are_no_problem(text: str) -> None:
    read(text)


# --- valid documents ---------------------------------------------------------------------------

Types = st.recursive(
    st.sampled_from([*sorted(PRIMITIVES), "string", "wstring", "dmahandle"]),
    lambda inner: inner.map(lambda element: f"sequence<{element}>"),
    max_leaves=3,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[tuple[str, list[tuple[str, str]]]]]:
    """A text, and its methods as (name, [(direction, type as shown)])."""
    lines: list[str] = []
    known: list[str] = []
    for number in range(draw(st.integers(0, 4))):
        shape = draw(st.sampled_from(["struct", "enum", "typedef", "array"]))
        kind = draw(st.one_of(Types, st.sampled_from(known))) if known else draw(Types)
        if shape == "struct":
            lines.append(f"struct d{number} {{ {kind} a, b; long c[{number + 1}]; }};")
        elif shape == "enum":
            lines.append(f"enum d{number} {{ P{number}, Q{number} }};")
        elif shape == "typedef":
            lines.append(f"typedef {kind} d{number};")
        else:
            lines.append(f"typedef {kind} d{number}[{number + 1}];")
        known.append(f"d{number}")
    methods = []
    for number in range(draw(st.integers(0, 5))):
        one = st.tuples(
            st.sampled_from(["in", "rout", "inrout"]),
            st.one_of(Types, st.sampled_from(known)) if known else Types,
        )
        methods.append((f"m{number}", draw(st.lists(one, max_size=4))))
    body = [
        f"long {name}({', '.join(f'{way} {kind} p{n}' for n, (way, kind) in enumerate(parts))});"
        for name, parts in methods
    ]
    blank = draw(st.sampled_from([" ", "\n", "\t", " /* c */ ", " // c\n"]))
    return blank.join([*lines, "interface x {", *body, "};"]), methods


@given(documents())
def test_every_valid_document_is_read_as_it_was_meant(
    given_: tuple[str, list[tuple[str, list[tuple[str, str]]]]],
) -> None:
    text, methods = given_
    found = parse(text, name="a.idl").interfaces[0]
    assert [one.index for one in found.methods] == list(range(len(methods)))
    assert [
        (one.name, [(part.direction.value, str(part.type)) for part in one.parameters])
        for one in found.methods
    ] == methods
