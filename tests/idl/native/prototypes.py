"""What a method's function looks like to a C compiler's calling convention (spec/idl.md 5.2).

Only sizes and the difference between integers, floating-point numbers and pointers matter there,
so these prototypes owe nothing to the generated headers: a header that says something else makes
values wrong, and tests fail.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.primitives import Primitive
from qda.idl.types import DmaHandle, Enum, InterfaceType, Sequence, String
from tests.idl.native.values import DmaValue, Span, c_type

__all__ = ["accept", "c_parameters", "c_text", "is_life_cycle", "offer", "symbol"]

_TEXTS: dict[Any, str] = {
    ctypes.c_int8: "int8_t",
    ctypes.c_uint8: "uint8_t",
    ctypes.c_int16: "int16_t",
    ctypes.c_uint16: "uint16_t",
    ctypes.c_int32: "int32_t",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_int64: "int64_t",
    ctypes.c_uint64: "uint64_t",
    ctypes.c_float: "float",
    ctypes.c_double: "double",
    ctypes.c_void_p: "void *",
}


def c_text(kind: Any) -> str:
    """How C spells a ctypes type that is passed."""
    return _TEXTS.get(kind, "void *")


def symbol(interface: Interface, method: Method) -> str:
    """The name of a method's function."""
    return f"{interface.c_name}_{method.name}"


def is_life_cycle(interface: Interface, method: Method) -> bool:
    """Whether this is `open` or `close` of an interface with handles: these get no handle."""
    return interface.is_handle64 and method.index < 2


def c_parameters(interface: Interface, method: Method) -> list[Any]:
    """The ctypes types of the function's parameters."""
    found: list[Any] = []
    if interface.is_handle64 and not is_life_cycle(interface, method):
        found.append(ctypes.c_uint64)
    if method.asynchronous:
        found.append(ctypes.c_void_p)
    for parameter in method.parameters:
        found += _of_parameter(parameter)
    return found


def _is_value(parameter: Parameter) -> bool:
    resolved = parameter.type.resolved
    return parameter.direction is Direction.IN and isinstance(
        resolved, (Primitive, Enum, InterfaceType)
    )


def _of_parameter(parameter: Parameter) -> list[Any]:
    resolved = parameter.type.resolved
    if _is_value(parameter):
        return [c_type(resolved)]
    if isinstance(resolved, DmaHandle):
        return [ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint32]
    if isinstance(resolved, Sequence):
        return [ctypes.c_void_p, ctypes.c_int32]
    if isinstance(resolved, String) and parameter.direction is not Direction.IN:
        return [ctypes.c_void_p, ctypes.c_int32]
    return [ctypes.c_void_p]


def offer(parameter: Parameter, address: int) -> list[Any]:
    """The arguments that pass the value, or the room for one, at an address."""
    resolved = parameter.type.resolved
    if _is_value(parameter):
        return [c_type(resolved).from_address(address).value]
    if isinstance(resolved, DmaHandle):
        handle = DmaValue.from_address(address)
        return [handle.fd, handle.offset, handle.length]
    if isinstance(resolved, (Sequence, String)):
        span = Span.from_address(address)
        return [span.data, span.length][: len(_of_parameter(parameter))]
    return [address]


def accept(parameter: Parameter, arguments: Iterator[Any], keep: list[Any]) -> int:
    """The address of the value, or the room for one, that arguments pass; they are used up."""
    resolved = parameter.type.resolved
    taken = [next(arguments) for _ in _of_parameter(parameter)]
    if _is_value(parameter):
        keep.append(c_type(resolved)(*taken))
    elif isinstance(resolved, DmaHandle):
        keep.append(DmaValue(*taken))
    elif isinstance(resolved, String) and len(taken) == 1:
        keep.append(Span(taken[0], _units(resolved, taken[0])))
    elif isinstance(resolved, (Sequence, String)):
        keep.append(Span(*taken))
    else:
        return int(taken[0])
    return ctypes.addressof(keep[-1])


def _units(kind: String, address: int) -> int:
    """The number of units of a text in memory, with its NUL."""
    if not kind.wide:
        return len(ctypes.string_at(address)) + 1
    count = 0
    while ctypes.c_uint16.from_address(address + 2 * count).value:
        count += 1
    return count + 1
