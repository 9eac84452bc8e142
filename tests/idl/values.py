"""Values of any type, drawn or compared: what tests of marshalling in both languages share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, Enum, Sequence, String, Struct, Type

__all__ = ["as_bytes", "number_of", "plain", "room_for", "value_of"]


def value_of(kind: Type, draw: Any, longest: int = 3) -> Any:
    """A value of a type, in plain Python."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return draw(number_of(resolved))
    if isinstance(resolved, Enum):
        return draw(st.integers(0, 5))
    if isinstance(resolved, Array):
        return [value_of(resolved.element, draw) for _ in range(resolved.length)]
    if isinstance(resolved, Struct):
        return {member.name: value_of(member.type, draw) for member in resolved.members}
    if isinstance(resolved, String):
        text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
        return draw(text.filter(lambda one: len(one) < 20))
    assert isinstance(resolved, Sequence)
    return [value_of(resolved.element, draw) for _ in range(draw(st.integers(0, longest)))]


def number_of(kind: Primitive) -> st.SearchStrategy[Any]:
    """Numbers that a primitive holds."""
    if kind.kind is Kind.FLOAT:
        return st.floats(width=64 if kind.size == 8 else 32, allow_nan=False)
    bits = 8 * kind.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.signed else (0, (1 << bits) - 1)
    return st.integers(low, high)


def room_for(kind: Type, value: Any) -> Any:
    """A room that holds exactly a value."""
    resolved = kind.resolved
    if kind.is_simple:
        return None
    if isinstance(resolved, String):
        coding = "utf-16-le" if resolved.wide else "utf-8"
        return len(value.encode(coding)) // resolved.unit + 1
    if isinstance(resolved, Struct):
        return {m.name: room_for(m.type, value[m.name]) for m in resolved.members}
    assert isinstance(resolved, Sequence)
    if resolved.element.is_simple:
        return len(value)
    return [room_for(resolved.element, item) for item in value]


def plain(kind: Type, value: Any) -> Any:
    """A value as the marshaller gives it back, in plain Python."""
    resolved = kind.resolved
    if isinstance(value, np.ndarray | np.void | np.generic):
        value = value.tolist() if isinstance(value, np.generic) else value
    if isinstance(resolved, Array | Sequence):
        return [plain(resolved.element, item) for item in value]
    if isinstance(resolved, Struct):
        if isinstance(value, tuple):
            value = dict(zip((m.name for m in resolved.members), value, strict=True))
        return {m.name: plain(m.type, value[m.name]) for m in resolved.members}
    return value


def as_bytes(buffer: Any) -> memoryview:
    """A buffer as a skeleton gets it."""
    return memoryview(buffer).cast("B") if len(buffer) else memoryview(bytearray())
