"""Vectors of the interface language that need the front end only: `grammar` and `constant`."""

from __future__ import annotations

from typing import Any

from qda.idl import IdlError, parse
from qda.idl.c.constants import c_text
from qda.idl.model import Constant
from tests.vectors.packing import Failures

FILE = "a.idl"


def _values(options: list[str], name: str) -> list[str]:
    """The values of an option that is spelled `-I=VALUE`."""
    return [one.removeprefix(f"{name}=") for one in options if one.startswith(f"{name}=")]


def check_grammar(case: dict[str, Any]) -> Failures:
    """A text is accepted or rejected; where the reference stumbles, either will do."""
    options = case.get("options") or []
    files = dict(case.get("files") or {})
    found = "accept"
    why = ""
    try:
        parse(
            case["idl"],
            name=FILE,
            include_dirs=_values(options, "-I"),
            defines=_values(options, "-D"),
            read=lambda name: files.get(name.removeprefix("./")),
        )
    except IdlError as error:
        found, why = "reject", f": {error}"
        for one in error.diagnostics:
            if one.location.line < 1 or one.location.column < 1 or not one.message:
                yield f"an error without place or message: {one!r}"
    if case["expect"] not in ("either", found):
        yield f"expected {case['expect']}, got {found}{why}"


def check_constant(case: dict[str, Any]) -> Failures:
    """A constant has the value, and its C text."""
    document = parse(case["context"], name=FILE)
    constants = [one for one in document.declarations if isinstance(one, Constant)]
    constant = next(one for one in constants if one.c_name == case["c_name"])
    text = c_text(constant)
    if text != case["c_text"]:
        yield f"C text {text}, not {case['c_text']}"
    # Strings are given as C spells them.
    value = text if isinstance(constant.value, str) else constant.value
    if value != case["value"]:
        yield f"value {value!r}, not {case['value']!r}"
