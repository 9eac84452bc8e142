"""Values of simple types: Python and NumPy on one side, bytes in C layout on the other."""

from __future__ import annotations

import operator
import struct
from collections.abc import Iterable, Mapping, Set
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qda.errors import UsageError, UsageTypeError, did_you_mean, quoted
from qda.idl.names import member_name
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, Enum, Struct, Type

__all__ = [
    "OCTET_FORMATS",
    "Bytes",
    "Elements",
    "Given",
    "Handle",
    "Simple",
    "Value",
    "check_members",
    "decode_simple",
    "dtype_of",
    "encode_simple",
    "items_of",
    "member_of",
    "memory_of",
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

OCTET_FORMATS: Final = frozenset("Bc")
"""Formats of buffers whose elements are bytes, of which any 8-bit type can be made."""

_DType: TypeAlias = np.dtype[Any]

_EXACT: Final = {4: 1 << 24, 8: 1 << 53}
"""Up to where a float of a size holds every integer."""


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
            raise UsageError(f"{quoted(value)} has no member {name!r}")
        return value[name]
    try:
        return value[name] if isinstance(value, np.void) else getattr(value, member_name(name))
    except (AttributeError, ValueError) as error:
        said = f"{quoted(value)} has no member {name!r}"
        raise UsageTypeError(f"{said}: a structure is wanted, or a dictionary") from error


def check_members(value: Given, names: Set[str]) -> None:
    """UsageError for a structure that is given as a mapping, or as an element of a structured
    array, with more than its members."""
    if isinstance(value, np.void):
        given: Iterable[str] = value.dtype.names or ()
    else:
        given = value if isinstance(value, Mapping) else ()
    stray = [name for name in given if name not in names]
    if stray:
        meant = did_you_mean(stray[0], names)
        said = f"{quoted(value)} has {', '.join(map(repr, stray))}, which is no member"
        raise UsageError(f"{said}: {meant}" if meant else f"{said}; {sorted(names)} are")


def items_of(value: Given) -> list[Given]:
    """The elements of a sequence, in their order.  UsageTypeError for what has none."""
    if isinstance(value, (str, Mapping, Set)):
        raise UsageTypeError(f"{quoted(value)} is no sequence")
    try:
        return list(value)
    except TypeError as error:
        raise UsageTypeError(f"{quoted(value)} is no sequence") from error


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
        wanted = _wanted(resolved) or str(error)
        raise UsageError(f"{quoted(value)} does not fit {kind}: {wanted}") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, (UsageError, UsageTypeError)):
            raise
        raise UsageTypeError(f"{quoted(value)} is no {kind}: {error}") from error


def _wanted(kind: Type) -> str:
    """What a number of that type is, in words; nothing for other types."""
    if isinstance(kind, Enum):
        size, signed = 4, True
    elif isinstance(kind, Primitive) and kind.kind is Kind.INTEGER:
        size, signed = kind.size, kind.signed
    elif isinstance(kind, Primitive) and kind.kind is Kind.FLOAT:
        return f"a number of {8 * kind.size} bits"
    else:
        return ""
    least = -(1 << 8 * size - 1) if signed else 0
    return f"an integer from {least} to {least + (1 << 8 * size) - 1}"


_SHOWN = 8
"""How many enumerators an error names."""


def number_of(kind: Primitive | Enum, value: Given) -> int | float:
    """What `struct` packs for a value: a character's or enumerator's number, 0 or 1 for a bool.

    UsageError, UsageTypeError for what would arrive as another value, or is no number.
    """
    if isinstance(value, np.ndarray):
        if value.ndim:
            raise UsageTypeError(f"an array of shape {value.shape} is no {kind}")
        value = value[()]
    if isinstance(value, (bool, np.bool_)):
        if isinstance(kind, Enum) or kind.kind not in (Kind.BOOLEAN, Kind.INTEGER):
            raise UsageTypeError(f"{value} is no {kind}")
        return int(value)  # a flag, for which C has int
    if isinstance(kind, Enum):
        try:
            member = operator.index(value)
        except TypeError as error:
            names = ", ".join(f"{one.name} ({one.value})" for one in kind.members[:_SHOWN])
            raise UsageTypeError(f"{quoted(value)} is no {kind}: {names}") from error
        return member - (1 << 32) if 1 << 31 <= member < 1 << 32 else member
    if isinstance(value, (str, bytes)) and kind.kind in (Kind.CHAR, Kind.WCHAR):
        if len(value) != 1:
            raise UsageTypeError(f"{quoted(value)} is no {kind}: one character is")
        value = ord(value)
    if kind.kind is Kind.CHAR and isinstance(value, (int, np.integer)) and 127 < value < 256:
        value = int(value) - 256
    if kind.kind is Kind.FLOAT and isinstance(value, (int, np.integer)):
        _check_rounding(dtype_of(kind), np.asarray([int(value)], object))
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

    8-bit sequences take any bytes; arrays of other integers are converted if each number fits.
    UsageError, UsageTypeError.
    """
    dtype = dtype_of(kind)
    if not isinstance(values, (np.ndarray, list, tuple)):
        values = _of_buffer(dtype, values)
    if isinstance(values, np.ndarray):
        if values.dtype == dtype and values.ndim == 1 and values.flags.c_contiguous:
            return _unmasked(values)
        if not dtype.base.names:
            return _from_array(kind, dtype, _flat(dtype, _unmasked(values)))
    resolved = kind.resolved
    if isinstance(resolved, Struct) or (isinstance(resolved, Array) and dtype.base.names):
        items = list(_flat(dtype, values)) if isinstance(values, np.ndarray) else items_of(values)
        array = np.zeros(len(items), dtype)
        for place, value in enumerate(items):
            _fill(resolved, array[place : place + 1], value)
        return array
    return _from_array(kind, dtype, _flat(dtype, _of_numbers(kind, dtype, values)))


def _of_buffer(dtype: _DType, values: Given) -> Given:
    """The array that a buffer is; anything else as it is.  Elements that are not bytes keep the
    type that the buffer has for them."""
    try:
        view = memory_of(values)
        raw = dtype.itemsize == 1 and view.format in OCTET_FORMATS and view.c_contiguous
        return np.frombuffer(values, dtype) if raw else np.asarray(view)
    except UsageError:
        raise
    except (TypeError, ValueError, BufferError):
        return values


def memory_of(buffer: Given) -> memoryview:
    """The memory of an object that has some.  UsageError if it has been closed; TypeError."""
    try:
        return memoryview(buffer)
    except ValueError:
        raise UsageError(f"{quoted(buffer)} is closed") from None


def _unmasked(values: Elements) -> Elements:
    if type(values) is np.ndarray:
        return values
    if np.ma.is_masked(values):
        raise UsageError(f"{quoted(values)} is masked, and a mask does not travel")
    return np.asarray(values)


def _flat(dtype: _DType, values: Elements) -> Elements:
    """A picture is a sequence of its pixels."""
    return values.reshape(-1) if values.ndim > 1 and not dtype.shape else values


def _of_numbers(kind: Type, dtype: _DType, values: Given) -> Elements:
    """An array of any iterable of numbers, or of equally long rows of them."""
    items = values if isinstance(values, (list, tuple)) else _numbers_in(values)
    if not items:
        return np.zeros((0, *dtype.shape), dtype.base)
    try:
        found = np.asarray(items)
        if found.dtype.kind in "USO":  # characters as text, or numbers of very different size
            found = np.asarray(_as_numbers(kind, items))
        if found.dtype.kind == "f" and dtype.base.kind in "uif":
            found = _exact(dtype.base, items, found)
    except (OverflowError, ValueError, TypeError) as error:
        raise UsageError(f"{quoted(values)} is no sequence of {kind}: {error}") from error
    return found


def _numbers_in(values: Given) -> list[Given]:
    """The elements of a sequence; of a text its characters."""
    return list(values) if isinstance(values, str) else items_of(values)


def _exact(base: _DType, items: Iterable[Given], found: Elements) -> Elements:
    """Integers of which NumPy has made floats, as it does with 0 and 2**63 side by side."""
    if base.kind == "f" and np.abs(found).max() < _EXACT[base.itemsize]:
        return found
    exact = np.asarray(items, object)
    whole = [one for one in exact.flat if isinstance(one, (int, np.integer))]
    if base.kind == "f":
        _check_rounding(base, np.asarray(whole, object))
    elif len(whole) == exact.size:
        return exact.astype(np.uint64)
    return found


def _check_rounding(base: _DType, values: Elements) -> None:
    """UsageError for an integer that a float would round."""
    most = _EXACT[base.itemsize]
    for one in values[(values > most) | (values < -most)].tolist():
        with np.errstate(over="ignore"):
            found = float(base.type(one))
        if found != one:
            raise UsageError(f"{one} would be rounded; give it as a float if that is meant")


def _as_numbers(kind: Type, items: Iterable[Given]) -> list[Given]:
    resolved = kind.resolved
    if isinstance(resolved, Array):
        return [_as_numbers(resolved.element, _numbers_in(item)) for item in items]
    assert isinstance(resolved, Primitive | Enum)
    return [number_of(resolved, item) for item in items]


def _from_array(kind: Type, dtype: _DType, values: Elements) -> Elements:
    base, shape = dtype.base, dtype.shape
    if not values.ndim or values.shape[1:] != shape:
        raise UsageError(f"an array of shape {values.shape} is no sequence of {kind}")
    if base.kind == "f" and values.dtype.kind in "iu":
        _check_rounding(base, values)
    if values.dtype != base and not np.can_cast(values.dtype, base, "safe"):
        _check_range(kind, base, values)
    return np.ascontiguousarray(values.astype(base, copy=False))


def _check_range(kind: Type, base: _DType, values: Elements) -> None:
    """UsageError, UsageTypeError unless each number can be converted without loss of meaning."""
    if base.kind == "f" and values.dtype.kind in "iuf":
        with np.errstate(over="ignore"):
            found = values.astype(base)
        if values.dtype.kind == "f" and not np.isfinite(found[np.isfinite(values)]).all():
            raise UsageError(f"a number is too large for a sequence of {kind}")
        return
    if base.kind not in "iu" or values.dtype.kind not in "biu":
        words = f"an array of {values.dtype} is no sequence of {kind}"
        convert = f": convert it, `.astype({base.name!r})`" if values.dtype.kind == "f" else ""
        raise UsageTypeError(words + convert)
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
        items = _numbers_in(value)
        if len(items) != kind.length:
            raise UsageError(f"{len(items)} values for {kind}")
        inner = kind.element.resolved
        row = place[0]
        if isinstance(inner, (Struct, Array)):
            for index, item in enumerate(items):
                _fill(inner, row[index : index + 1], item)
        else:
            dtype = dtype_of(kind.element)
            row[:] = _from_array(kind.element, dtype, _of_numbers(kind.element, dtype, items))
        return
    check_members(value, {member.name for member in kind.members})
    for member in kind.members:
        inner = member.type.resolved
        field = place[member.name]
        given = member_of(value, member.name)
        if isinstance(inner, (Struct, Array)):
            _fill(inner, field, given)
        else:
            field[:] = np.frombuffer(encode_simple(member.type, given), dtype_of(member.type))
