"""Values of simple types: Python and NumPy on one side, bytes in C layout on the other."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qda.errors import UsageError, UsageTypeError
from qda.idl.types import Array, Enum, Kind, Primitive, Struct, Type

__all__ = ["decode_simple", "dtype_of", "encode_simple", "member_of", "to_array"]


@cache
def dtype_of(kind: Type) -> np.dtype[Any]:
    """The NumPy type of a simple type: structured for structures, padding included."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return np.dtype(resolved.dtype)
    if isinstance(resolved, Enum):
        return np.dtype("<i4")
    if isinstance(resolved, Array):
        return np.dtype((dtype_of(resolved.element), (resolved.length,)))
    if isinstance(resolved, Struct) and resolved.is_simple:
        return np.dtype(
            {
                "names": [member.name for member in resolved.members],
                "formats": [dtype_of(member.type) for member in resolved.members],
                "offsets": list(resolved.offsets),
                "itemsize": resolved.size,
            }
        )
    raise TypeError(f"{kind} is not a simple type")


def member_of(value: Any, name: str) -> Any:
    """A member of a structure that is given as a mapping or as an object with attributes."""
    if isinstance(value, Mapping):
        if name not in value:
            raise UsageError(f"{value!r:.80} has no member {name!r}")
        return value[name]
    if isinstance(value, np.void):
        return value[name]
    try:
        return getattr(value, name)
    except AttributeError as error:
        raise UsageTypeError(f"{value!r:.80} has no member {name!r}") from error


def encode_simple(kind: Type, value: Any) -> bytes:
    """A value in C layout, padding zero.  UsageError, UsageTypeError quote what does not fit."""
    resolved = kind.resolved
    try:
        if isinstance(resolved, Primitive):
            return struct.pack("<" + resolved.code, _number(resolved, value))
        if isinstance(resolved, Enum):
            return struct.pack("<i", _signed(int(value)))
        return to_array(kind, [value]).tobytes()
    except (struct.error, OverflowError) as error:
        raise UsageError(f"{value!r:.80} does not fit {kind}: {error}") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, (UsageError, UsageTypeError)):
            raise
        raise UsageTypeError(f"{value!r:.80} is no {kind}: {error}") from error


def _number(kind: Primitive, value: Any) -> Any:
    if kind.kind in (Kind.CHAR, Kind.WCHAR) and isinstance(value, (str, bytes)):
        value = ord(value)
    if kind.kind is Kind.CHAR:
        return value - 256 if 127 < value < 256 else value
    if kind.kind is Kind.BOOLEAN and isinstance(value, (bool, np.bool_)):
        return int(value)
    return value


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def decode_simple(kind: Type, data: memoryview) -> Any:
    """A value from C layout: a number, a list, or a dictionary by member name."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return struct.unpack_from("<" + resolved.code, data)[0]
    if isinstance(resolved, Enum):
        return struct.unpack_from("<i", data)[0]
    if isinstance(resolved, Array):
        size = resolved.element.size
        return [
            decode_simple(resolved.element, data[place * size : (place + 1) * size])
            for place in range(resolved.length)
        ]
    assert isinstance(resolved, Struct)
    return {
        member.name: decode_simple(member.type, data[offset : offset + member.type.size])
        for member, offset in zip(resolved.members, resolved.offsets, strict=True)
    }


def to_array(kind: Type, values: Any) -> NDArray[Any]:
    """A sequence of a simple type as a contiguous array, without a copy where the layout allows.

    8-bit sequences take any buffer.  UsageError, UsageTypeError.
    """
    dtype = dtype_of(kind)
    if dtype.itemsize == 1 and isinstance(values, (bytes, bytearray, memoryview)):
        return np.frombuffer(values, dtype)
    if isinstance(values, np.ndarray):
        return _from_array(kind, dtype, values)
    resolved = kind.resolved
    if isinstance(resolved, (Struct, Array)):
        array = np.zeros(len(values), dtype)
        for place, value in enumerate(values):
            _fill(resolved, array[place : place + 1], value)
        return array
    if isinstance(resolved, Primitive):
        values = [_number(resolved, value) for value in values]
    try:
        return np.array(values, dtype)
    except (OverflowError, ValueError, TypeError) as error:
        raise UsageError(f"{values!r:.80} is no sequence of {kind}: {error}") from error


def _from_array(kind: Type, dtype: np.dtype[Any], values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype != dtype:
        if not np.can_cast(values.dtype, dtype, "safe"):
            raise UsageTypeError(f"an array of {values.dtype} is no sequence of {kind}")
        values = values.astype(dtype)
    return np.ascontiguousarray(values)


def _fill(kind: Struct | Array, place: NDArray[Any], value: Any) -> None:
    """Write a structure or array into the one element of `place`."""
    if isinstance(kind, Array):
        items = list(value)
        if len(items) != kind.length:
            raise UsageError(f"{len(items)} values for {kind}")
        inner = kind.element.resolved
        row = place[0]
        if isinstance(inner, (Struct, Array)):
            for index, item in enumerate(items):
                _fill(inner, row[index : index + 1], item)
        else:
            row[:] = [_number(inner, i) if isinstance(inner, Primitive) else i for i in items]
        return
    for member in kind.members:
        inner = member.type.resolved
        field = place[member.name]
        given = member_of(value, member.name)
        if isinstance(inner, (Struct, Array)):
            _fill(inner, field, given)
        else:
            field[0] = _number(inner, given) if isinstance(inner, Primitive) else given
