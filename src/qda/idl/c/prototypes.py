"""The C function of a method: its name, its result and its parameters (idl.md 5.2).

Header, stub and skeleton all print from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from qda.idl.c.names import fail, identifier, type_name
from qda.idl.c.options import Options
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, DmaHandle, Enum, Sequence, String, Struct, Union

__all__ = [
    "HANDLE",
    "Prototype",
    "has_handle",
    "is_word",
    "parameters_of",
    "prototype",
    "return_type",
]

HANDLE = "_h"
"""What the handle is called that methods of a handle64 interface have as first parameter."""


@dataclass(frozen=True)
class Prototype:
    """A C function; `parameters` are declarations such as `const int* vec`."""

    name: str
    returns: str
    parameters: tuple[str, ...]

    @property
    def arguments(self) -> str:
        """What stands between the parentheses."""
        return ", ".join(self.parameters)

    def __str__(self) -> str:
        return f"{self.returns} {self.name}({self.arguments})"


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
    parameters = ["remote_handle64 " + HANDLE] if has_handle(interface, method) else []
    if method.asynchronous:
        parameters.append("fastrpc_async_descriptor_t* asyncDesc")
    for parameter in method.parameters:
        parameters += parameters_of(parameter, options)
    name = identifier(f"{interface.c_name}_{method.name}")
    return Prototype(name, return_type(method, options), tuple(parameters) or ("void",))


def parameters_of(parameter: Parameter, options: Options) -> list[str]:
    """The C parameters of one of the IDL's."""
    kind, name = parameter.type, identifier(parameter.name)
    inner, place = kind.resolved, parameter.location
    constant = "const " if parameter.direction is Direction.IN else ""
    if isinstance(inner, String):
        unit = "_wchar_t" if inner.wide else "char"
        length = [] if constant else [f"int {name}Len"]
        return [f"{constant}{unit}* {name}", *length]
    if isinstance(inner, Sequence):
        element = type_name(inner.element, options, place)
        return [f"{constant}{element}* {name}", f"int {name}Len"]
    if isinstance(inner, DmaHandle):
        word = "uint32_t" if options.standard_types else "uint32"
        return [f"int {name}", f"{word} {name}Offset", f"{word} {name}Len"]
    written = type_name(kind, options, place)
    if isinstance(inner, Array):
        return [f"{constant}{written} {name}"]
    if isinstance(inner, Struct | Union):
        return [f"{constant}{written}* {name}"]
    return [f"{written} {name}" if constant else f"{written}* {name}"]
