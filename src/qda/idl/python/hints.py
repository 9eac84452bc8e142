"""Types of an interface as Python annotations.

What a program gives may be more than one thing, what it gets is one: `given` is for a caller's
arguments and an implementation's results, `got` for the opposite and for members of structures.
"""

from __future__ import annotations

from qda.idl.model import Direction, Parameter
from qda.idl.names import type_name
from qda.idl.primitives import Kind, Primitive
from qda.idl.python.lift import OCTETS
from qda.idl.types import Array, DmaHandle, Enum, Sequence, String, Struct, Type

__all__ = ["argument_given", "argument_got", "given", "got", "numbers"]


def given(kind: Type) -> str:
    """What is accepted for a value."""
    resolved = kind.resolved
    if isinstance(resolved, Enum):
        return f"{type_name(resolved.c_name)} | int"
    if isinstance(resolved, String):
        return "str | bytes"
    if isinstance(resolved, Sequence):
        element = resolved.element
        if isinstance(element.resolved, Struct):
            base = f"Sequence[{given(element)}]"
            return f"{base} | NDArray[np.void]" if element.is_simple else base
        return "runtime.Numbers" if element.is_simple else f"Sequence[{given(element)}]"
    if isinstance(resolved, Array):
        if _is_octet(resolved.element):
            return "bytes | Sequence[int]"
        return f"Sequence[{given(resolved.element)}]"
    return got(kind)


def got(kind: Type) -> str:
    """What a value arrives as."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        if resolved.kind is Kind.BOOLEAN:
            return "bool"
        return "float" if resolved.kind is Kind.FLOAT else "int"
    if isinstance(resolved, Enum | Struct):
        return type_name(resolved.c_name)
    if isinstance(resolved, String):
        return "str"
    if isinstance(resolved, DmaHandle):
        return "runtime.Memory"
    if isinstance(resolved, Array):
        return "bytes" if _is_octet(resolved.element) else f"list[{got(resolved.element)}]"
    if isinstance(resolved, Sequence):
        element = resolved.element
        return numbers(element) if element.is_simple else f"list[{got(element)}]"
    return "Any"


def numbers(element: Type) -> str:
    """The array that a sequence of a simple type is."""
    resolved = element.resolved
    while isinstance(resolved, Array):
        resolved = resolved.element.resolved
    if isinstance(resolved, Struct):
        return "NDArray[np.void]"
    if isinstance(resolved, Enum):
        return "NDArray[np.int32]"
    assert isinstance(resolved, Primitive)
    if resolved.kind is Kind.FLOAT:
        return f"NDArray[np.float{8 * resolved.size}]"
    return f"NDArray[np.{'' if resolved.signed else 'u'}int{8 * resolved.size}]"


def _is_octet(element: Type) -> bool:
    return element.resolved in OCTETS


def argument_given(parameter: Parameter) -> str:
    """What a caller gives for a parameter: a value, or room for a result."""
    if parameter.direction is not Direction.ROUT:
        return given(parameter.type)
    resolved = parameter.type.resolved
    if isinstance(resolved, String):
        return "int"
    if isinstance(resolved, DmaHandle):
        return "runtime.Memory"
    if isinstance(resolved, Sequence) and resolved.element.is_simple:
        return "int | runtime.Writable"
    return "runtime.Room"


def argument_got(parameter: Parameter) -> str:
    """What an implementation gets for a parameter: a value, or room to fill."""
    if parameter.direction is not Direction.ROUT or isinstance(parameter.type.resolved, DmaHandle):
        return got(parameter.type)
    resolved = parameter.type.resolved
    if isinstance(resolved, String):
        return "int"
    if isinstance(resolved, Sequence) and resolved.element.is_simple:
        return got(parameter.type)
    return "Any"
