"""Whatever an interface names its things, it can be loaded, and what `check` accepts loads."""

from __future__ import annotations

from typing import Any

import pytest

from qda.errors import UsageError
from qda.idl import IdlError, load, parse


@pytest.mark.parametrize(
    "declared",
    [
        "const long runtime = 3;",
        "struct IDL { long a; };",
        "struct dataclass { long a; }; struct other { long b; };",
        "const long NamedTuple = 1; struct np { long a; }; struct Any { long a; };",
        "enum e { value, name, mro, _x, __y, None };",
        "enum e { _value_, _name_, _missing_, _ignore_ };",
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
