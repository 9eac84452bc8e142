"""Names that C derives: what would be there twice is refused, with its place and the reason."""

from __future__ import annotations

import pytest

from qda.idl import IdlError, parse
from qda.idl.c import header
from qda.idl.c.clashes import clashes

ROOT = '#include "remote.idl"\n'


@pytest.mark.parametrize(
    ("text", "twice", "column"),
    [
        ("struct s { string name; long nameLen; };", "nameLen", 30),
        ("struct s { sequence<long> x; sequence<long> xLen; };", "xLen", 45),
        ("struct s { long aLen; wstring a; };", "aLen", 31),
        ("typedef sequence<long> t; struct s { t a; octet aLen; };", "aLen", 49),
        ("struct i_f { long a; }; interface i { long f(in i_f x); };", "i_f", 44),
        ("interface i { long f(); }; struct i_f { long a; };", "i_f", 28),
        ("interface a { long b_c(); }; interface a_b { long c(); };", "a_b_c", 51),
        ("const long i_N = 3; interface i { const long N = 4; long f(); };", "i_N", 35),
        ("const long i_f = 3; interface i { long f(); };", "i_f", 40),
        ("interface i { long skel_invoke(); };", "i_skel_invoke", 1),
        ("interface i { long skel_invoke_uri(); };", "i_skel_invoke_uri", 1),
        ("enum i_f { a, b }; interface i { long f(); };", "i_f", 39),
        ("interface a { enum c { red }; }; interface b { enum d { red }; };", "red", 48),
        ("interface i { struct p { long a; }; long f(); }; struct i_p { long a; };", "i_p", 50),
        (ROOT + "interface i : remote_handle64 { long skel_handle_invoke(); };", "invoke", 1),
        (ROOT + "const long i_URI = 1; interface i : remote_handle64 { long f(); };", "i_URI", 23),
        ("const long a = 1; interface i { long f(in long a); };", "macro", 48),
        ("const long a = 1; struct s { long a; };", "macro", 35),
        ("interface i { long f(inrout string a, in long aLen); };", "aLen", 20),
    ],
)
def test_a_name_that_c_has_twice_is_refused(text: str, twice: str, column: int) -> None:
    """By `qda idl check` and where C is written (idl.md 5.1 to 5.3)."""
    document = parse(text, name="i.idl")
    found = clashes(document)
    assert found
    assert twice in found[0].message
    assert "choose another name" in found[0].message
    assert found[0].location.column == column
    with pytest.raises(IdlError, match=twice):
        header(document)


@pytest.mark.parametrize(
    "text",
    [
        "struct s { string name; long length; }; struct t { string name; };",
        "interface a; interface a { long f(); }; interface b { long f(); };",
        "interface a { long f(); }; interface b : a { long g(); };",
        "module m { const long N = 1; }; const long N = 2;",
        ROOT
        + '#include "AEEStdDef.idl"\ninterface i : remote_handle64 { AEEResult go(in long a); };',
    ],
)
def test_names_that_only_look_alike_are_good(text: str) -> None:
    """Also those of included files, which have headers of their own."""
    document = parse(text, name="i.idl")
    assert not clashes(document)
    assert header(document)


def test_the_types_that_everybody_includes_are_on_board() -> None:
    """As `remote.idl` is; a file of that name in the include path comes first."""
    text = '#include "AEEStdDef.idl"\ninterface i { AEEResult f(); };'
    method = parse(text, name="i.idl").interface("i").methods[0]
    assert str(method) == "AEEResult f()"
    assert method.returns is not None
    assert method.returns.resolved.size == 4
