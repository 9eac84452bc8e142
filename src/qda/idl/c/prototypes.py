"""The C function of a method: its name, its result and its parameters (idl.md 5.2).

Header, stub and skeleton all print from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from qda.idl.c.names import fail, identifier, type_name
from qda.idl.c.options import Options
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, DmaHandle, Enum, Sequence, String, Struct, Union

__all__ = [
    "HANDLE",
    "CParameter",
    "Prototype",
    "clash",
    "has_handle",
    "is_word",
    "prototype",
    "return_type",
]

HANDLE = "_h"
"""What the handle is called that methods of a handle64 interface have as first parameter."""


class CParameter(NamedTuple):
    """A parameter of a C function, such as `const int* vec`; `type` is the `int` in it."""

    type: str
    name: str
    is_constant: bool = False
    is_pointer: bool = False

    def __str__(self) -> str:
        constant = "const " if self.is_constant else ""
        pointer = "*" if self.is_pointer else ""
        return f"{constant}{self.type}{pointer} {self.name}"


@dataclass(frozen=True)
class Prototype:
    """A C function."""

    name: str
    returns: str
    parameters: tuple[CParameter, ...]

    @property
    def arguments(self) -> str:
        """What stands between the parentheses."""
        return ", ".join(map(str, self.parameters)) or "void"

    def __str__(self) -> str:
        return f"{self.returns} {self.name}({self.arguments})"


def clash(function: Prototype) -> str:
    """Why C does not take the names of a function's parameters, or an empty string."""
    names: set[str] = set()
    for parameter in function.parameters:
        if parameter.type in names:
            return f'parameter "{parameter.type}" hides the type of parameter "{parameter.name}"'
        if parameter.name in names:
            return f'in C two parameters are called "{parameter.name}"'
        names.add(parameter.name)
    return ""


def has_handle(interface: Interface, method: Method) -> bool:
    """Whether callers pass a handle: all methods of handle64 interfaces but `open` and `close`."""
    return interface.is_handle64 and method.index >= 2


def return_type(method: Method, options: Options) -> str:
    """The C type of the result.  IdlError for one that cannot be the result of a call."""
    if method.returns is None:
        return "int"
    inner = method.returns.resolved
    if not isinstance(inner, Primitive | Enum) or (
        isinstance(inner, Primitive) and inner.kind is Kind.FLOAT
    ):
        fail(method.location, f'a method returns "long", it cannot return "{method.returns}"')
    return type_name(method.returns, options, method.location)


def is_word(method: Method) -> bool:
    """Whether the result has the type that results have: a 32-bit signed integer."""
    inner = method.returns.resolved if method.returns else None
    return inner is None or (isinstance(inner, Primitive) and inner.size == 4 and inner.signed)


def prototype(interface: Interface, method: Method, options: Options | None = None) -> Prototype:
    """The C function of a method, own or inherited.  IdlError if a type has no name in C."""
    options = options or Options()
    parameters = []
    if has_handle(interface, method):
        parameters.append(CParameter("remote_handle64", HANDLE))
    if method.asynchronous:
        parameters.append(CParameter("fastrpc_async_descriptor_t", "asyncDesc", is_pointer=True))
    for parameter in method.parameters:
        parameters += _parameters_of(parameter, options)
    name = identifier(f"{interface.c_name}_{method.name}")
    return Prototype(name, return_type(method, options), tuple(parameters))


def _parameters_of(parameter: Parameter, options: Options) -> list[CParameter]:
    """The C parameters of one of the IDL's."""
    kind, name = parameter.type, identifier(parameter.name)
    inner, place = kind.resolved, parameter.location
    constant = parameter.direction is Direction.IN
    length = CParameter("int", f"{name}Len")
    if isinstance(inner, String):
        pointer = CParameter("_wchar_t" if inner.wide else "char", name, constant, is_pointer=True)
        return [pointer] if constant else [pointer, length]
    if isinstance(inner, Sequence):
        element = type_name(inner.element, options, place)
        return [CParameter(element, name, constant, is_pointer=True), length]
    if isinstance(inner, DmaHandle):
        word = "uint32_t" if options.standard_types else "uint32"
        extent = [CParameter(word, f"{name}{what}") for what in ("Offset", "Len")]
        return [CParameter("int", name), *extent]
    written = type_name(kind, options, place)
    if isinstance(inner, Array):
        return [CParameter(written, name, constant)]
    if isinstance(inner, Struct | Union):
        return [CParameter(written, name, constant, is_pointer=True)]
    return [CParameter(written, name, is_pointer=not constant)]
