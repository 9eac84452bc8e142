"""How much room values take in records, and which types make a method complex (idl.md 6.2, 6.4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from qda.idl.types import DmaHandle, InterfaceType, Sequence, String, Struct, Type
from qda.memory import align

__all__ = [
    "WORD",
    "Extent",
    "end_of",
    "extent",
    "has_handles",
    "is_complex_struct",
    "is_handle",
    "is_items",
    "is_plain",
    "is_variable",
]


class Extent(NamedTuple):
    """Size and alignment in bytes of a field or block; size 0 is nothing."""

    size: int = 0
    alignment: int = 1


WORD = Extent(4, 4)


def end_of(fields: Iterable[Extent]) -> int:
    """The unrounded end of fields one after another."""
    end = 0
    for size, alignment in fields:
        if size:
            end = align(end, alignment) + size
    return end


def extent(kind: Type, layout: str) -> Extent:
    """The room of a value in layout I ("in"), C ("room") or R ("out")."""
    inner = kind.resolved
    if is_handle(kind):
        return Extent()
    if inner.is_simple:
        return Extent() if layout == "room" else Extent(inner.size, inner.alignment)
    if isinstance(inner, Struct):
        fields = [extent(member.type, layout) for member in inner.members]
        widest = max(field.alignment for field in fields)
        return Extent(align(end_of(fields), widest), widest)
    return Extent() if layout == "out" else WORD


def is_handle(kind: Type) -> bool:
    """Whether a type travels in a handle slot."""
    return isinstance(kind.resolved, DmaHandle | InterfaceType)


def is_variable(kind: Type) -> bool:
    """Whether a type is one buffer whose length varies: a string or a sequence of a simple type."""
    inner = kind.resolved
    return isinstance(inner, String) or (isinstance(inner, Sequence) and inner.element.is_simple)


def is_items(kind: Type) -> bool:
    """Whether a type is a sequence of elements that have buffers or handles of their own."""
    inner = kind.resolved
    return isinstance(inner, Sequence) and not inner.element.is_simple


def is_complex_struct(kind: Type) -> bool:
    """Whether a type is a structure that is not simple."""
    return isinstance(kind.resolved, Struct) and not kind.is_simple


def is_plain(kind: Type) -> bool:
    """Whether a type takes a fixed number of buffers or handles as a parameter (idl.md 6.3)."""
    return not is_items(kind) and not is_complex_struct(kind)


def has_handles(kind: Type) -> bool:
    """Whether there is a handle at any depth of a type."""
    inner = kind.resolved
    if isinstance(inner, Struct):
        return any(has_handles(member.type) for member in inner.members)
    if isinstance(inner, Sequence):
        return has_handles(inner.element)
    return is_handle(kind)
