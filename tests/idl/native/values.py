"""Values in C's memory: what the interface language's types are in C (spec/idl.md 5.1).

A sequence or string is a *span*, pointer and length, also where C spells it as two members or two
parameters: `T* m; int mLen` lies like `struct {T* data; int dataLen}` without its padding.

Everything is done by address.  What a function allocates it appends to `keep`, which must live as
long as C may look.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, DmaHandle, Enum, InterfaceType, Sequence, String, Struct, Type
from qda.idl.wire.nodes import Dma
from qda.idl.wire.values import decode_simple, dtype_of, encode_simple, member_of, to_array

__all__ = ["DmaValue", "Span", "c_type", "fill", "new", "read", "reserve", "store", "units_of"]


class Span(ctypes.Structure):
    """A sequence or string: address of the first element, number of elements."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_int32))
    data: int | None
    length: int


class DmaValue(ctypes.Structure):
    """A dmahandle as member or element."""

    _fields_ = (
        ("fd", ctypes.c_int32),
        ("offset", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )
    fd: int
    offset: int
    length: int


_INTEGERS: dict[tuple[int, bool], Any] = {
    (1, True): ctypes.c_int8,
    (1, False): ctypes.c_uint8,
    (2, True): ctypes.c_int16,
    (2, False): ctypes.c_uint16,
    (4, True): ctypes.c_int32,
    (4, False): ctypes.c_uint32,
    (8, True): ctypes.c_int64,
    (8, False): ctypes.c_uint64,
}


def c_type(kind: Type) -> Any:
    """The ctypes type of a type as element or member: a span for sequences and strings."""
    return _c_type(kind.resolved)


@cache
def _c_type(kind: Type) -> Any:
    if isinstance(kind, Primitive):
        if kind.kind is Kind.FLOAT:
            return ctypes.c_float if kind.size == 4 else ctypes.c_double
        return _INTEGERS[kind.size, kind.signed]
    if isinstance(kind, Enum):
        return ctypes.c_int32
    if isinstance(kind, InterfaceType):
        return ctypes.c_uint64
    if isinstance(kind, Array):
        return c_type(kind.element) * kind.length
    if isinstance(kind, (Sequence, String)):
        return Span
    if isinstance(kind, DmaHandle):
        return DmaValue
    assert isinstance(kind, Struct)
    fields: list[tuple[str, Any]] = []
    for index, member in enumerate(kind.members):
        if isinstance(member.type.resolved, (Sequence, String)):
            fields += [(f"m{index}", ctypes.c_void_p), (f"m{index}_length", ctypes.c_int32)]
        else:
            fields.append((f"m{index}", c_type(member.type)))
    return type(kind.name, (ctypes.Structure,), {"_fields_": fields})


def _offset(kind: Struct, index: int) -> int:
    offset: int = getattr(c_type(kind), f"m{index}").offset
    return offset


def new(kind: Type, keep: list[Any]) -> int:
    """The address of zeroed memory for an element."""
    keep.append(c_type(kind)())
    return ctypes.addressof(keep[-1])


def _new_bytes(data: bytes, keep: list[Any]) -> int | None:
    """The address of a copy, aligned for any element; NULL if there is nothing."""
    if not data:
        return None
    memory = (ctypes.c_uint64 * (len(data) // 8 + 1))()
    ctypes.memmove(memory, data, len(data))
    keep.append(memory)
    return ctypes.addressof(memory)


def _set(address: int, data: int | None, length: int) -> None:
    """Write a span; the padding behind its length may be something else's."""
    span = Span.from_address(address)
    span.data, span.length = data, length


def units_of(kind: String, value: Any) -> bytes:
    """A text's bytes with the NUL, from str or bytes."""
    if isinstance(value, str):
        coding = ("utf-16-le", "surrogatepass") if kind.wide else ("utf-8", "surrogateescape")
        value = value.encode(*coding)
    return bytes(value) + bytes(kind.unit)


def fill(kind: Type, value: Any, address: int, keep: list[Any]) -> None:
    """Write a caller's value."""
    resolved = kind.resolved
    if kind.is_simple:
        ctypes.memmove(address, encode_simple(kind, value), kind.size)
    elif isinstance(resolved, String):
        data = units_of(resolved, value)
        _set(address, _new_bytes(data, keep), len(data) // resolved.unit)
    elif isinstance(resolved, Sequence) and resolved.element.is_simple:
        array = to_array(resolved.element, value)
        _set(address, _new_bytes(array.tobytes(), keep), len(array))
    elif isinstance(resolved, Sequence):
        for item, place in zip(value, _elements(resolved, len(value), address, keep), strict=True):
            fill(resolved.element, item, place, keep)
    elif isinstance(resolved, DmaHandle):
        handle = Dma(*value) if isinstance(value, tuple) else Dma(**value)
        ctypes.memmove(address, bytes(DmaValue(*handle)), ctypes.sizeof(DmaValue))
    else:
        assert isinstance(resolved, Struct)
        for index, member in enumerate(resolved.members):
            given = member_of(value, member.name)
            fill(member.type, given, address + _offset(resolved, index), keep)


def _elements(kind: Sequence, count: int, address: int, keep: list[Any]) -> range:
    """Make a span of zeroed elements; returns the addresses of these."""
    size = ctypes.sizeof(c_type(kind.element))
    start = _new_bytes(bytes(count * size), keep)
    _set(address, start, count)
    return range(start or 0, (start or 0) + count * size, size)


def reserve(kind: Type, room: Any, address: int, keep: list[Any]) -> None:
    """Write what a caller offers for a result: `room` as in `MethodCodec.pack`."""
    resolved = kind.resolved
    if kind.is_simple:
        return
    if isinstance(resolved, (String, Sequence)) and not isinstance(room, list):
        count = room if isinstance(room, int) else len(room)
        size = resolved.unit if isinstance(resolved, String) else resolved.element.size
        _set(address, _new_bytes(bytes(count * size), keep), count)
    elif isinstance(resolved, Sequence):
        for item, place in zip(room, _elements(resolved, len(room), address, keep), strict=True):
            reserve(resolved.element, item, place, keep)
    elif isinstance(resolved, DmaHandle):
        fill(kind, room, address, keep)
    else:
        assert isinstance(resolved, Struct)
        for index, member in enumerate(resolved.members):
            if not member.type.is_simple:
                offered = member_of(room, member.name)
                reserve(member.type, offered, address + _offset(resolved, index), keep)


def read(kind: Type, address: int) -> Any:
    """A value, as the marshaller gives it: arrays, str, lists, dictionaries, `Dma`."""
    resolved = kind.resolved
    if kind.is_simple:
        return decode_simple(kind, memoryview(ctypes.string_at(address, kind.size)))
    if isinstance(resolved, DmaHandle):
        handle = DmaValue.from_address(address)
        return Dma(handle.fd, handle.offset, handle.length)
    if isinstance(resolved, Struct):
        return {
            member.name: read(member.type, address + _offset(resolved, index))
            for index, member in enumerate(resolved.members)
        }
    span = Span.from_address(address)
    if isinstance(resolved, String):
        return _text(resolved, _bytes(span, resolved.unit))
    assert isinstance(resolved, Sequence)
    element = resolved.element
    if element.is_simple:
        return np.frombuffer(_bytes(span, element.size), dtype_of(element))
    size = ctypes.sizeof(c_type(element))
    return [read(element, (span.data or 0) + index * size) for index in range(span.length)]


def _bytes(span: Span, size: int) -> bytes:
    return ctypes.string_at(span.data, span.length * size) if span.data else b""


def _text(kind: String, data: bytes) -> str:
    """Text up to the first NUL."""
    units = np.frombuffer(data, np.uint16 if kind.wide else np.uint8)
    ends = np.flatnonzero(units == 0)
    used = units[: ends[0]] if len(ends) else units
    coding = ("utf-16-le", "surrogatepass") if kind.wide else ("utf-8", "surrogateescape")
    return used.tobytes().decode(*coding)


def store(kind: Type, value: Any, address: int) -> None:
    """Write a result where an implementation writes it: into the room that is there."""
    resolved = kind.resolved
    if kind.is_simple:
        ctypes.memmove(address, encode_simple(kind, value), kind.size)
    elif isinstance(resolved, DmaHandle):
        fill(kind, value, address, [])
    elif isinstance(resolved, Struct):
        for index, member in enumerate(resolved.members):
            given = member_of(value, member.name)
            store(member.type, given, address + _offset(resolved, index))
    else:
        span = Span.from_address(address)
        if isinstance(resolved, String):
            _store_bytes(span, units_of(resolved, value), resolved.unit)
        elif isinstance(resolved, Sequence) and resolved.element.is_simple:
            _store_bytes(span, to_array(resolved.element, value).tobytes(), resolved.element.size)
        else:
            assert isinstance(resolved, Sequence)
            size = ctypes.sizeof(c_type(resolved.element))
            for index, item in enumerate(value[: span.length]):
                store(resolved.element, item, (span.data or 0) + index * size)


def _store_bytes(span: Span, data: bytes, size: int) -> None:
    data = data[: span.length * size]
    if data:
        ctypes.memmove(span.data or 0, data, len(data))
