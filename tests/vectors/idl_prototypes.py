"""Vectors of kind `c_prototype`: the C function of a method, with legacy and standard types.

The declarations that methods need stand once for each interface, at the top of the vectors' file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qda.idl import parse
from qda.idl.c import Options, prototype
from tests.vectors.packing import Failures

__all__ = ["checks_of"]

Case = dict[str, Any]


def checks_of(data: Case) -> dict[str, Callable[[], Failures]]:
    """A check for each prototype of a file, by case id; none for other files."""
    return {
        case["id"]: partial(check_prototype, data["types"][case["interface"]], case)
        for case in data["vectors"]
        if case["kind"] == "c_prototype"
    }


def _text(types: Case, case: Case) -> str:
    """An interface with the one method, unless it is inherited."""
    root, method = types["root_base"], case["idl_method"]
    include, base = (
        (f'#include "{root.removesuffix("_handle64")}.idl"\n', f" : {root}") if root else ("", "")
    )
    inherited = bool(root) and case["c_name"].removeprefix(case["interface"]) in ("_open", "_close")
    body = [*types["idl_types_in_interface"], "long other();" if inherited else method]
    declarations = "\n".join(
        [*types["idl_types"], f"interface {case['interface']}{base} {{", *body]
    )
    return f"{include}{declarations}\n}};\n"


def check_prototype(types: Case, case: Case) -> Failures:
    """Name, result and parameters are the reference's."""
    interface = parse(_text(types, case), name="prototypes.idl").interfaces[-1]
    name = case["c_name"].removeprefix(f"{case['interface']}_")
    method = next(one for one in interface.methods if one.name == name)
    for options, key in (
        (Options(), "c_params"),
        (Options(standard_types=True), "c_params_stdint"),
    ):
        one = prototype(interface, method, options)
        found = one.name, one.returns, one.arguments
        wanted = case["c_name"], case["c_return"], ", ".join(case[key])
        if found != wanted:
            yield f"{key}: {found}, not {wanted}"
