"""Nodes of types that are made of no nodes: fields of a record, one buffer, or one handle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, SupportsIndex

import numpy as np

from qda.errors import UsageError, UsageTypeError, quoted
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Enum, String, Type
from qda.idl.wire.nodes import Dma, Incoming, Node, Outgoing, V
from qda.idl.wire.records import Fields, Layout, MarshalError, Row
from qda.idl.wire.values import (
    OCTET_FORMATS,
    Elements,
    Given,
    Handle,
    Simple,
    decode_simple,
    dtype_of,
    encode_simple,
    member_of,
    memory_of,
    number_of,
    to_array,
)

__all__ = ["COUNT", "BlockNode", "HandleNode", "NumberNode", "NumbersNode", "TextNode"]

COUNT = Layout("I", 4, 4)
"""A number of elements."""

_MOST = (1 << 32) - 1


class _InRecord(Node[V, None, None]):
    """A type that has neither buffers nor handles, and needs no room."""

    def offer(self, request: Given, fields: Row, call: Outgoing) -> None:
        return None

    def open_room(self, fields: Fields, call: Incoming) -> None:
        return None


_PLAIN: Final[dict[Kind, type]] = {Kind.INTEGER: int, Kind.FLOAT: float}


class NumberNode(_InRecord[int | float]):
    """A primitive or an enumeration: a field of a record."""

    def __init__(self, kind: Type) -> None:
        resolved = kind.resolved
        assert isinstance(resolved, Primitive | Enum)
        self._kind = resolved
        code = resolved.code if isinstance(resolved, Primitive) else "i"
        self.in_layout = self.out_layout = Layout(code, kind.size, kind.alignment)
        # A record takes these as they are; of all else `number_of` says what it means.
        self._as_it_is = _PLAIN.get(resolved.kind) if isinstance(resolved, Primitive) else None

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        if type(value) is not self._as_it_is:
            value = number_of(self._kind, value)
        fields.append(value)

    def collect(self, offered: None, fields: Fields) -> int | float:
        number: int | float = next(fields)
        return number

    def receive(self, fields: Fields, call: Incoming) -> int | float:
        number: int | float = next(fields)
        return number

    def write_out(self, value: Given, target: None, fields: Row) -> None:
        fields.append(0 if value is None else number_of(self._kind, value))


class BlockNode(_InRecord[Simple]):
    """A structure or array with a fixed layout: copied whole into records."""

    def __init__(self, kind: Type) -> None:
        self._kind = kind
        self.in_layout = self.out_layout = Layout(f"{kind.size}s", kind.size, kind.alignment)

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        fields.append(encode_simple(self._kind, value))

    def collect(self, offered: None, fields: Fields) -> Simple:
        return decode_simple(self._kind, memoryview(next(fields)))

    def receive(self, fields: Fields, call: Incoming) -> Simple:
        return decode_simple(self._kind, memoryview(next(fields)))

    def write_out(self, value: Given, target: None, fields: Row) -> None:
        fields.append(b"" if value is None else encode_simple(self._kind, value))


class NumbersNode(Node[Elements, Elements, Elements]):
    """A sequence of a simple type: one buffer, of which the record has the number of elements.

    Values are arrays; nothing is copied where the caller's memory has the layout already.
    """

    in_layout = room_layout = COUNT

    def __init__(self, element: Type) -> None:
        self._element = element
        self._size = element.size
        self._dtype = dtype_of(element)
        self._per_element = int(np.prod(self._dtype.shape, dtype=np.int64))

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        if not (type(value) is np.ndarray and value.dtype == self._dtype and value.ndim == 1):
            value = to_array(self._element, value)
        elif not value.flags.c_contiguous:
            value = value.copy()
        fields.append(len(value))
        call.ins.append(value)

    def offer(self, request: Given, fields: Row, call: Outgoing) -> Elements:
        if isinstance(request, (int, np.integer)):
            array = np.zeros(_capacity(request), self._dtype)
        else:
            array = self._array(request)
        fields.append(array.size // self._per_element)
        call.outs.append(array)
        return array

    def _array(self, request: Given) -> Elements:
        """A caller's own memory for a result, as an array.  UsageTypeError if it does not fit."""
        dtype = self._dtype
        array: Elements = request
        if not isinstance(request, np.ndarray):
            try:
                with memory_of(request) as view:
                    # Of other elements than bytes the memory would be given another meaning.
                    raw = view.format in OCTET_FORMATS
                array = np.frombuffer(request, dtype) if raw else np.asarray(request)
            except UsageError:
                raise
            except (TypeError, ValueError, BufferError) as error:
                words = f"a number of elements, or a writable contiguous array of {dtype}"
                raise UsageTypeError(f"{quoted(request)} cannot be filled: {words}") from error
        fits = array.shape[1:] == dtype.shape if dtype.shape else array.ndim > 0
        if (
            array.dtype != dtype.base
            or not fits
            or not array.flags.c_contiguous
            or not array.flags.writeable
        ):
            raise UsageTypeError(
                f"{quoted(request)} cannot be filled: a writable contiguous array of {dtype} can"
            )
        return array

    def receive(self, fields: Fields, call: Incoming) -> Elements:
        count = next(fields)
        return self._view(call.ins.take(count * self._size), count)

    def open_room(self, fields: Fields, call: Incoming) -> Elements:
        count = next(fields)
        return self._view(call.outs.take(count * self._size), count)

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[Elements, Elements]:
        value, target = self.receive(fields, call), self.open_room(fields, call)
        if len(target) < len(value):
            raise MarshalError(f"room for {len(target)} of {len(value)} elements")
        target[: len(value)] = value
        return value, target

    def _view(self, buffer: memoryview, count: int) -> Elements:
        if not count:
            return np.zeros(0, self._dtype)
        return np.frombuffer(buffer, self._dtype, count)

    def collect(self, offered: Elements, fields: Fields) -> Elements:
        return offered

    def write_out(self, value: Given, target: Elements, fields: Row) -> None:
        if value is None or value is target:
            return
        array = to_array(self._element, value)
        if len(array) > len(target):
            raise UsageError(f"{len(array)} elements do not fit into a room for {len(target)}")
        target[: len(array)] = array


class TextNode(Node[str, bytearray, memoryview]):
    """A string or wstring: its units and a NUL, which the count includes.

    Texts are str, with bytes that are not UTF-8 kept by surrogates; bytes are taken as they are.
    """

    in_layout = room_layout = COUNT

    def __init__(self, kind: String) -> None:
        self._unit = kind.unit
        self._coding = ("utf-16-le", "surrogatepass") if kind.wide else ("utf-8", "surrogateescape")

    def _encode(self, value: Given) -> bytes:
        if isinstance(value, str):
            data = self._encode_text(value)
        elif isinstance(value, (bytes, bytearray)):
            data = bytes(value)
        else:
            raise UsageTypeError(f"{quoted(value)} is no text")
        if len(data) % self._unit:
            raise UsageError(f"{quoted(value)} ends within a unit of {self._unit} bytes")
        end = self._end_of(data)
        if end < len(data):
            raise UsageError(
                f"{quoted(value)} has a NUL at {end // self._unit}, where the text would end;"
                " a sequence of octets holds any bytes"
            )
        return data + bytes(self._unit)

    def _encode_text(self, value: str) -> bytes:
        coding, _ = self._coding
        try:
            return value.encode(coding)
        except UnicodeEncodeError:
            pass  # surrogates: those that stand for themselves travel, as in file names
        with suppress(UnicodeEncodeError):
            data = value.encode(*self._coding)
            if data.decode(*self._coding) == value:
                return data
        raise UsageError(f"{quoted(value)} has surrogates that would arrive as something else")

    def _end_of(self, data: bytes) -> int:
        """Where the text ends, in bytes: at its first NUL, or where `data` ends."""
        if self._unit == 1:
            end = data.find(0)
            return len(data) if end < 0 else end
        marks = np.flatnonzero(np.frombuffer(data, "<u2") == 0)
        return 2 * int(marks[0]) if len(marks) else len(data)

    def _decode(self, data: bytes) -> str:
        return data[: self._end_of(data)].decode(*self._coding)

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        data = self._encode(value)
        fields.append(len(data) // self._unit)
        call.ins.append(data)

    def offer(self, request: Given, fields: Row, call: Outgoing) -> bytearray:
        if not isinstance(request, (int, np.integer)):
            raise UsageTypeError(
                f"{quoted(request)} is no capacity: a number of units with the NUL"
            )
        capacity = _capacity(request)
        fields.append(capacity)
        room = bytearray(capacity * self._unit)
        call.outs.append(room)
        return room

    def collect(self, offered: bytearray, fields: Fields) -> str:
        # The last unit is the end mark, whatever the skeleton wrote there (6.3).
        return self._decode(bytes(offered[: -self._unit]))

    def receive(self, fields: Fields, call: Incoming) -> str:
        return self._decode(self._receive(fields, call))

    def _receive(self, fields: Fields, call: Incoming) -> bytes:
        data = bytes(call.ins.take(next(fields) * self._unit))
        if not data or any(data[-self._unit :]):
            raise MarshalError("a string without end mark")
        return data

    def open_room(self, fields: Fields, call: Incoming) -> memoryview:
        return call.outs.take(next(fields) * self._unit)

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[str, memoryview]:
        data, target = self._receive(fields, call), self.open_room(fields, call)
        if len(target) < len(data):
            raise MarshalError(f"room for {len(target)} of {len(data)} bytes")
        target[: len(data)] = data
        return self._decode(data), target

    def write_out(self, value: Given, target: memoryview, fields: Row) -> None:
        if value is None:
            return
        data = self._encode(value)
        if len(data) > len(target) + self._unit:
            raise UsageError(self._too_long(value, data, target))
        data = data[: len(target)]
        target[: len(data)] = data

    def check_end(self, value: Given, target: memoryview) -> None:
        """UsageError for a text that leaves no room for its NUL, which replaces a unit (6.3)."""
        data = self._encode(value)
        if value and len(data) > len(target):
            raise UsageError(self._too_long(value, data, target))

    def _too_long(self, value: Given, data: bytes, target: memoryview) -> str:
        needed, room = len(data) // self._unit, len(target) // self._unit
        return f"{quoted(value)} needs a room for {needed} units with its NUL, and has {room}"


class HandleNode(Node[Handle, Handle, Handle]):
    """A dmahandle: no bytes, a handle slot.

    A stub passes on what it was given, for the client to make a handle of; only a tuple or mapping
    becomes a `Dma`.
    """

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        call.in_handles.append(_as_handle(value))

    def offer(self, request: Given, fields: Row, call: Outgoing) -> Handle:
        call.out_handles.append(_as_handle(request))
        return request

    def collect(self, offered: Handle, fields: Fields) -> Handle:
        return offered

    def write_out(self, value: Given, target: Handle, fields: Row) -> None:
        pass

    def receive(self, fields: Fields, call: Incoming) -> Handle:
        return _take_handle(call.in_handles)

    def open_room(self, fields: Fields, call: Incoming) -> Handle:
        return _take_handle(call.out_handles)


def _capacity(request: SupportsIndex) -> int:
    """A number of elements that a caller has room for.  UsageError, UsageTypeError."""
    if isinstance(request, bool):
        raise UsageTypeError(f"{request} is no capacity: a number of elements")
    capacity = request.__index__()
    if not 0 <= capacity <= _MOST:
        raise UsageError(f"a capacity of {capacity}: 0 to {_MOST}")
    return capacity


def _as_handle(value: Given) -> Handle:
    if isinstance(value, tuple):
        return Dma(*value)
    if isinstance(value, Mapping):
        return Dma(*(member_of(value, name) for name in Dma._fields))
    if value is None or isinstance(value, (str, bytes, float, list)):
        words = "a dmahandle is a buffer, or an array that lies in one"
        raise UsageTypeError(f"{quoted(value)}: {words}")
    return value


def _take_handle(handles: Iterator[Handle]) -> Handle:
    handle = next(handles, None)
    if handle is None:
        raise MarshalError("a handle is missing")
    return handle
