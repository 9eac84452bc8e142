"""Values of simple types: Python and NumPy on one side, bytes in C layout on the other."""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qda.errors import UsageError, UsageTypeError
from qda.idl.names import member_name
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, Enum, Struct, Type

__all__ = [
    "Bytes",
    "Elements",
    "Given",
    "Handle",
    "Simple",
    "Value",
    "decode_simple",
    "dtype_of",
    "encode_simple",
    "member_of",
    "number_of",
    "to_array",
]


Given: TypeAlias = Any
"""A value as a program gives it: a number, text, buffer, sequence, mapping or object with
attributes.  Its type asks for one of these where it is used, and refuses all else."""

Value: TypeAlias = Any
"""A value as marshalling gives it: a number, a str, an array, a handle, a list of such values, or a
dictionary of them by member name, as its type says."""

Handle: TypeAlias = Any
"""A dmahandle.  A stub passes on what it was given, a skeleton what it was called with."""

Bytes: TypeAlias = Any
"""Contiguous memory with the buffer protocol."""

Simple: TypeAlias = "int | float | list[Simple] | dict[str, Simple]"
"""A value of a simple type, read from its layout."""

Elements: TypeAlias = NDArray[Any]
"""The elements of a sequence of a simple type, as NumPy's type for it."""

_DType: TypeAlias = np.dtype[Any]


@cache
def dtype_of(kind: Type) -> _DType:
    """The NumPy type of a simple type: structured for structures, padding included."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return np.dtype(resolved.dtype)
    if isinstance(resolved, Enum):
        return np.dtype("<i4")
    if isinstance(resolved, Array):
        element = dtype_of(resolved.element)
        return np.dtype((element.base, (resolved.length, *element.shape)))
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


def member_of(value: Given, name: str) -> Value:
    """A member of a structure that is given as a mapping or as an object with attributes."""
    if isinstance(value, Mapping):
        if name not in value:
            raise UsageError(f"{value!r:.80} has no member {name!r}")
        return value[name]
    if isinstance(value, np.void):
        return value[name]
    try:
        return getattr(value, member_name(name))
    except AttributeError as error:
        raise UsageTypeError(f"{value!r:.80} has no member {name!r}") from error


def encode_simple(kind: Type, value: Given) -> bytes:
    """A value in C layout, padding zero.  UsageError, UsageTypeError quote what does not fit."""
    resolved = kind.resolved
    try:
        if isinstance(resolved, Primitive):
            return struct.pack("<" + resolved.code, number_of(resolved, value))
        if isinstance(resolved, Enum):
            return struct.pack("<i", number_of(resolved, value))
        return to_array(kind, [value]).tobytes()
    except (struct.error, OverflowError) as error:
        raise UsageError(f"{value!r:.80} does not fit {kind}: {error}") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, (UsageError, UsageTypeError)):
            raise
        raise UsageTypeError(f"{value!r:.80} is no {kind}: {error}") from error


def number_of(kind: Primitive | Enum, value: Given) -> int | float:
    """What `struct` packs for a value: a character's or enumerator's number, 0 or 1 for a bool."""
    if isinstance(kind, Enum):
        member = operator.index(value)
        return member - (1 << 32) if 1 << 31 <= member < 1 << 32 else member
    if kind.kind in (Kind.CHAR, Kind.WCHAR) and isinstance(value, (str, bytes)):
        value = ord(value)
    if kind.kind is Kind.CHAR and 127 < value < 256:
        value = value - 256  # not in place: it may be an array
    if kind.kind is Kind.BOOLEAN and isinstance(value, (bool, np.bool_)):
        value = int(value)
    number: int | float = value
    return number


def decode_simple(kind: Type, data: memoryview) -> Simple:
    """A value from C layout: a number, a list, or a dictionary by member name."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive | Enum):
        code = resolved.code if isinstance(resolved, Primitive) else "i"
        found: int | float = struct.unpack_from("<" + code, data)[0]
        return found
    if isinstance(resolved, Array):
        if isinstance(resolved.element.resolved, Primitive | Enum):
            array = np.frombuffer(data, dtype_of(resolved.element), resolved.length)
            numbers: list[Simple] = array.tolist()
            return numbers
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


def to_array(kind: Type, values: Given) -> Elements:
    """A sequence of a simple type as a contiguous array, without a copy where the layout allows.

    8-bit sequences take any buffer; arrays of other integers are converted if each number fits.
    UsageError, UsageTypeError.
    """
    dtype = dtype_of(kind)
    if isinstance(values, np.ndarray):
        if values.dtype == dtype and values.ndim == 1 and values.flags.c_contiguous:
            return values
        return _from_array(kind, dtype, values)
    if dtype.itemsize == 1 and not isinstance(values, (list, tuple)):
        try:
            return np.frombuffer(values, dtype)
        except (TypeError, ValueError, BufferError):
            pass  # no buffer: any iterable of numbers, below
    resolved = kind.resolved
    if isinstance(resolved, Struct) or (isinstance(resolved, Array) and dtype.base.names):
        items = list(values)
        array = np.zeros(len(items), dtype)
        for place, value in enumerate(items):
            _fill(resolved, array[place : place + 1], value)
        return array
    return _from_numbers(kind, dtype, values)


def _from_numbers(kind: Type, dtype: _DType, values: Given) -> Elements:
    """An array of any iterable of numbers, or of equally long rows of them."""
    items = values if isinstance(values, (list, tuple)) else list(values)
    try:
        found = np.asarray(items)
        if found.dtype.kind in "USO":  # characters as text, or numbers of very different size
            found = np.asarray(_as_numbers(kind, items))
        if found.dtype.kind == "f" and dtype.base == np.uint64:
            found = _exact(items, found)
    except (OverflowError, ValueError, TypeError) as error:
        raise UsageError(f"{values!r:.80} is no sequence of {kind}: {error}") from error
    if not found.size:
        found = np.zeros((len(items), *dtype.shape), dtype.base)
    return _from_array(kind, dtype, found)


def _exact(items: Iterable[Given], found: Elements) -> Elements:
    """Integers of which NumPy has made floats, as it does with 0 and 2**63 side by side."""
    exact = np.asarray(items, object)
    if all(isinstance(one, (int, np.integer)) for one in exact.flat):
        return exact.astype(np.uint64)
    return found


def _as_numbers(kind: Type, items: Iterable[Given]) -> list[Given]:
    resolved = kind.resolved
    if isinstance(resolved, Array):
        return [_as_numbers(resolved.element, list(item)) for item in items]
    assert isinstance(resolved, Primitive | Enum)
    return [number_of(resolved, item) for item in items]


def _from_array(kind: Type, dtype: _DType, values: Elements) -> Elements:
    base, shape = dtype.base, dtype.shape
    if values.ndim > 1 and not shape:
        values = values.reshape(-1)  # a picture is a sequence of its pixels
    if not values.ndim or values.shape[1:] != shape:
        raise UsageError(f"an array of shape {values.shape} is no sequence of {kind}")
    if values.dtype != base and not np.can_cast(values.dtype, base, "safe"):
        _check_range(kind, base, values)
    return np.ascontiguousarray(values.astype(base, copy=False))


def _check_range(kind: Type, base: _DType, values: Elements) -> None:
    """UsageError, UsageTypeError unless each number can be converted without loss of meaning."""
    if base.kind == "f" and values.dtype.kind in "iuf":
        if (
            values.dtype.kind == "f"
            and not np.isfinite(values.astype(base)[np.isfinite(values)]).all()
        ):
            raise UsageError(f"a number is too large for a sequence of {kind}")
        return
    if base.kind not in "iu" or values.dtype.kind not in "biu":
        raise UsageTypeError(f"an array of {values.dtype} is no sequence of {kind}")
    low, high = int(np.iinfo(base).min), int(np.iinfo(base).max)
    if _wraps(kind):
        high = 2 * high + 1
    for number in (int(values.min()), int(values.max())) if values.size else ():
        if not low <= number <= high:
            raise UsageError(f"{number} is no {kind}: {low} to {high}")


def _wraps(kind: Type) -> bool:
    """Whether numbers above the signed range mean bit patterns: characters and enumerators."""
    resolved = kind.resolved
    if isinstance(resolved, Array):
        return _wraps(resolved.element)
    return isinstance(resolved, Enum) or (
        isinstance(resolved, Primitive) and resolved.kind is Kind.CHAR
    )


def _fill(kind: Struct | Array, place: Elements, value: Given) -> None:
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
            row[:] = _from_numbers(kind.element, dtype_of(kind.element), items)
        return
    for member in kind.members:
        inner = member.type.resolved
        field = place[member.name]
        given = member_of(value, member.name)
        if isinstance(inner, (Struct, Array)):
            _fill(inner, field, given)
        else:
            field[:] = _from_numbers(member.type, dtype_of(member.type), [given])
