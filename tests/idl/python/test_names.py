"""Whatever an interface names its things, it can be loaded, and what `check` accepts loads."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from qda.errors import UsageError
from qda.idl import IdlError, Skeleton, load, parse
from qda.idl.c.clashes import clashes
from qda.idl.python import write_module


@pytest.mark.parametrize(
    "declared",
    [
        "const long runtime = 3;",
        "struct IDL { long a; };",
        "struct dataclass { long a; }; struct other { long b; };",
        "const long NamedTuple = 1; struct np { long a; }; struct Any { long a; };",
        "enum e { value, name, mro, _x, __y, None };",
        "enum e { _value_, _name_, _missing_, _ignore_, _idl_source };",
        "struct s { long mro; string mro_; long __idl_source__; };",
    ],
)
@pytest.mark.parametrize(
    "method",
    [
        "long f(rout long a, rout long b, in sequence<long> c)",
        "long f(inrout string a, in long a_capacity)",
        "long f(in long f_capacity, inrout string f)",
        "long f(in long self, in long self_)",
        "long f(in long class, in long class_, rout long result)",
        "long f(rout long class, rout long class_)",
        "long f(rout long _fields, rout long field_fields)",
    ],
)
def test_names_that_python_has_already_are_set_apart(declared: str, method: str) -> None:
    """Of modules, enumerations, arguments and results."""
    interface = load(f"{declared} interface x {{ {method}; }};", name="x.idl")
    assert interface.f.__name__ == interface.Skeleton.f.__name__ == "f"


TRICKY = """
    _x __x __x_ __x__ __init__ __class__ __doc__ __slots__ __annotations__ __dataclass_fields__
    _value_ _member_map_ _fields mro None class type int list object self Skeleton IDL runtime np
    annotations result timeout _module _call close name count real
"""


@pytest.mark.parametrize("name", TRICKY.split())
def test_what_is_good_can_be_loaded_whatever_it_is_called(name: str) -> None:
    """In each place that an interface has for names; the text for a file is Python, too."""
    places = [
        f"struct {name} {{ long {name}; string b; }}; interface i {{ long f(in {name} a); }};",
        f"enum {name} {{ {name}0, b }}; interface i {{ long f(in {name} a, rout {name} b); }};",
        f"enum e {{ {name}, b }}; interface i {{ long f(in e a, rout e {name}); }};",
        f"typedef sequence<long> {name}; interface i {{ long f(in {name} a, rout {name} b); }};",
        f"const long {name} = 3; interface i {{ long f(); }};",
        f"interface i {{ long {name}(in long {name}, rout long a, rout long {name}_); }};",
        f"module {name} {{ enum {name} {{ a }}; interface i {{ long f(in {name} a); }}; }};",
        f"interface {name} {{ struct s {{ long a; }}; long f(rout s a, rout long {name}); }};",
    ]
    for text in places:
        document = parse(text, name="x.idl")
        (interface,) = document.interfaces
        made = load(text, name="x.idl")
        assert made.interface.full_name == interface.full_name
        assert issubclass(made.Skeleton, Skeleton)
        compile(write_module(document), "x_idl.py", "exec")


def test_a_sequence_of_sequences_has_a_name_that_c_cannot_have() -> None:
    """Which is no reason to refuse it, where C is not asked for."""
    text = "typedef sequence<sequence<long>> t; interface i { long f(in t a); };"
    assert not clashes(parse(text, name="x.idl"))
    assert load(text, name="x.idl").f


@pytest.mark.parametrize("name", ["_call", "_module", "_binding", "_bound", "_walk", "_misfits"])
def test_a_method_has_no_name_that_its_object_needs(name: str) -> None:
    """It is called with an underscore behind, as those of public names are."""
    made = load(f"interface x {{ long {name}(in long a, rout long b); }};", name="x.idl")
    called: list[int] = []

    class Invoked:
        def invoke(self, method: int, *_: Any, **__: Any) -> None:
            called.append(method)

    getattr(made(Invoked()), f"{name}_")(1)
    assert called == [0]


def test_a_result_named_like_a_method_of_tuples_keeps_its_name() -> None:
    """`result.count` is the parameter count, as the documentation says."""
    made: Any = load("interface x { long f(rout long count, rout long index); };", name="x.idl")
    result = made.f_result(3, 5)
    assert (result.count, result.index) == (3, 5)
    assert result == (3, 5)


@pytest.mark.parametrize("letter", ["\0", "\ud800"], ids=ascii)
@pytest.mark.parametrize(
    "text", ["/* {} */", "// {}", 'const string s = "{}";', "/** {} */ interface y {{}};", "{}"]
)
def test_letters_that_no_file_has_are_refused_with_their_place(letter: str, text: str) -> None:
    """Also in comments: the module that is made has the text, and Python reads it again."""
    with pytest.raises(IdlError, match=r"x.idl:2:\d+: error: .* is no character"):
        parse("\n" + text.format(letter), name="x.idl")
    with pytest.raises(UsageError, match="no name of a file"):
        parse("interface x { long f(); };", name=f"x{letter}.idl")


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda x: x.colour.gren, "x_colour has no member 'gren': did you mean 'green'?"),
        (lambda x: x.colour["GREEN"], "x_colour has no member 'GREEN': did you mean 'green'?"),
        (
            lambda x: x.colour("green"),
            "'green' is no number of x_colour: it has red (0), green (1)",
        ),
        (lambda x: x.pont, "x has no declaration 'pont': did you mean 'point'?"),
        (lambda x: x.LIMITS, "x has no declaration 'LIMITS': did you mean 'LIMIT'?"),
        (lambda x: x.Skelton, "x has no declaration 'Skelton': did you mean 'Skeleton'?"),
        (lambda x: x.nothing, "x has no declaration 'nothing'"),
    ],
)
def test_what_an_interface_has_not_is_said_with_what_was_meant(
    ask: Callable[[Any], object], words: str
) -> None:
    """Of members, structures, constants; what asks whether there is something hears no."""
    text = "enum colour { red, green }; struct point { long x; }; const long LIMIT = 3; long f();"
    made = load(f"interface x {{ {text} }};", name="x.idl")
    with pytest.raises((AttributeError, KeyError, UsageError), match=re.escape(words)):
        ask(made)
    assert not hasattr(made, "point_")
    assert not hasattr(made.colour, "__nothing__")
    assert [made.colour.green, made.colour["red"], made.colour(1)] == [1, 0, 1]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="older Python would make calls slower")
def test_a_method_that_a_remote_object_has_not_is_said_with_what_was_meant() -> None:
    """Once: Python's own traceback adds nothing."""
    made = load("interface x { long resize(in long a); };", name="x.idl")
    with pytest.raises(
        AttributeError, match="x has no method 'resise': did you mean 'resize'"
    ) as e:
        made(None).resise(3)
    assert "".join(traceback.format_exception_only(e.value)).count("mean") == 1
