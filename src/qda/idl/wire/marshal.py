"""Marshalling: from a method's arguments to the buffers of a call, and back, at both ends.

Each parameter has a node that knows four things about its type: what of it stands in a record on
the way in (layout I) and out (layout R), what stands for the room that the caller offers (layout
C), and which buffers of its own follow.  Nodes are built once for each type.  Stub and skeleton
walk the same nodes in the same order, so that what one writes the other reads (spec/idl.md 6).

The terms: *primIn* and *primROut* are the records that begin the in-buffers and the out-buffers;
all other buffers are secondary, in parameter order, depth first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from qda.errors import UsageError, UsageTypeError
from qda.fastrpc.scalars import MAX_HANDLES
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import DmaHandle, Enum, Sequence, String, Struct, Type
from qda.idl.wire.nodes import Dma, Fields, Incoming, Node, Outgoing
from qda.idl.wire.records import Layout, MarshalError, stack
from qda.idl.wire.values import (
    decode_simple,
    dtype_of,
    encode_simple,
    member_of,
    number_of,
    to_array,
)

__all__ = ["Dma", "Node", "node_of"]


_NOTHING = Layout()
_COUNT = Layout("I", 4, 4)


class _Base:
    """A type that nothing of is marshalled."""

    in_layout = room_layout = out_layout = _NOTHING
    is_plain = True

    def room_of(self, value: Any) -> Any:
        return None

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        return None

    def collect(self, offered: Any, fields: Fields) -> Any:
        return offered

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return None

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        return None

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[Any, Any]:
        return self.receive(fields, call), self.open_room(fields, call)

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        pass


class NumberNode(_Base):
    """A primitive or an enumeration: a field of a record."""

    def __init__(self, kind: Type) -> None:
        resolved = kind.resolved
        assert isinstance(resolved, Primitive | Enum)
        self._kind = resolved
        code = resolved.code if isinstance(resolved, Primitive) else "i"
        self.in_layout = self.out_layout = Layout(code, kind.size, kind.alignment)
        # Of numbers nothing needs to be changed, so that a record takes them as they are.
        self._as_it_is = isinstance(resolved, Primitive) and resolved.kind in (
            Kind.INTEGER,
            Kind.FLOAT,
        )

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        fields.append(value if self._as_it_is else number_of(self._kind, value))

    def collect(self, offered: Any, fields: Fields) -> Any:
        return next(fields)

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return next(fields)

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        fields.append(0 if value is None else number_of(self._kind, value))


class BlockNode(_Base):
    """A structure or array with a fixed layout: copied whole into records."""

    def __init__(self, kind: Type) -> None:
        self._kind = kind
        self.in_layout = self.out_layout = Layout(f"{kind.size}s", kind.size, kind.alignment)

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        fields.append(encode_simple(self._kind, value))

    def collect(self, offered: Any, fields: Fields) -> Any:
        return decode_simple(self._kind, memoryview(next(fields)))

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return decode_simple(self._kind, memoryview(next(fields)))

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        fields.append(b"" if value is None else encode_simple(self._kind, value))


class NumbersNode(_Base):
    """A sequence of a simple type: one buffer, of which the record has the number of elements.

    Values are arrays; nothing is copied where the caller's memory has the layout already.
    """

    in_layout = room_layout = _COUNT

    def __init__(self, element: Type) -> None:
        self._element = element
        self._size = element.size
        self._dtype = dtype_of(element)
        self._per_element = int(np.prod(self._dtype.shape, dtype=np.int64))

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        if not (type(value) is np.ndarray and value.dtype == self._dtype and value.ndim == 1):
            value = to_array(self._element, value)
        elif not value.flags.c_contiguous:
            value = value.copy()
        fields.append(len(value))
        call.ins.append(value)

    def room_of(self, value: Any) -> Any:
        return len(value)

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        if isinstance(request, int):
            if request < 0:
                raise UsageError(f"a capacity of {request}")
            array = np.zeros(request, self._dtype)
        else:
            array = self._array(request)
        fields.append(array.size // self._per_element)
        call.outs.append(array)
        return array

    def _array(self, request: Any) -> Any:
        """A caller's own memory for a result, as an array.  UsageTypeError if it does not fit."""
        dtype = self._dtype
        try:
            array = request if isinstance(request, np.ndarray) else np.frombuffer(request, dtype)
        except (TypeError, ValueError, BufferError) as error:
            raise UsageTypeError(f"{request!r:.80} cannot be filled: {error}") from error
        fits = array.shape[1:] == dtype.shape if dtype.shape else array.ndim > 0
        if (
            array.dtype != dtype.base
            or not fits
            or not array.flags.c_contiguous
            or not array.flags.writeable
        ):
            raise UsageTypeError(
                f"{request!r:.80} cannot be filled: a writable contiguous array of {dtype} can"
            )
        return array

    def receive(self, fields: Fields, call: Incoming) -> Any:
        count = next(fields)
        return self._view(call.ins.take(count * self._size), count)

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        count = next(fields)
        return self._view(call.outs.take(count * self._size), count)

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[Any, Any]:
        value, target = self.receive(fields, call), self.open_room(fields, call)
        if len(target) < len(value):
            raise MarshalError(f"room for {len(target)} of {len(value)} elements")
        target[: len(value)] = value
        return value, target

    def _view(self, buffer: memoryview, count: int) -> Any:
        if not count:
            return np.zeros(0, self._dtype)
        return np.frombuffer(buffer, self._dtype, count)

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        if value is None or value is target:
            return
        array = to_array(self._element, value)
        if len(array) > len(target):
            raise UsageError(f"{len(array)} elements do not fit into a room for {len(target)}")
        target[: len(array)] = array


class TextNode(_Base):
    """A string or wstring: its units and a NUL, which the count includes.

    Texts are str, with bytes that are not UTF-8 kept by surrogates; bytes are taken as they are.
    """

    in_layout = room_layout = _COUNT

    def __init__(self, kind: String) -> None:
        self._unit = kind.unit
        self._coding = ("utf-16-le", "surrogatepass") if kind.wide else ("utf-8", "surrogateescape")

    def _encode(self, value: Any) -> bytes:
        if isinstance(value, str):
            value = value.encode(*self._coding)
        if not isinstance(value, (bytes, bytearray)):
            raise UsageTypeError(f"{value!r:.80} is no text")
        if len(value) % self._unit:
            raise UsageError(f"{value!r:.80} ends within a unit of {self._unit} bytes")
        return bytes(value) + bytes(self._unit)

    def _decode(self, data: bytes) -> str:
        end = len(data)
        if self._unit == 1:
            end = data.find(0) if 0 in data else end
        else:
            units = np.frombuffer(data, "<u2")
            marks = np.flatnonzero(units == 0)
            end = 2 * int(marks[0]) if len(marks) else 2 * len(units)
        return data[:end].decode(*self._coding)

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        data = self._encode(value)
        fields.append(len(data) // self._unit)
        call.ins.append(data)

    def room_of(self, value: Any) -> Any:
        return len(self._encode(value)) // self._unit

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        if not isinstance(request, int) or request < 0:
            raise UsageTypeError(f"{request!r:.80} is no capacity: a number of units with the NUL")
        fields.append(request)
        room = bytearray(request * self._unit)
        call.outs.append(room)
        return room

    def collect(self, offered: Any, fields: Fields) -> Any:
        # The last unit is the end mark, whatever the skeleton wrote there (6.3).
        return self._decode(bytes(offered[: -self._unit]))

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return self._decode(self._receive(fields, call))

    def _receive(self, fields: Fields, call: Incoming) -> bytes:
        data = bytes(call.ins.take(next(fields) * self._unit))
        if not data or any(data[-self._unit :]):
            raise MarshalError("a string without end mark")
        return data

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        return call.outs.take(next(fields) * self._unit)

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[Any, Any]:
        data, target = self._receive(fields, call), self.open_room(fields, call)
        if len(target) < len(data):
            raise MarshalError(f"room for {len(target)} of {len(data)} bytes")
        target[: len(data)] = data
        return self._decode(data), target

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        if value is None:
            return
        data = self._encode(value)
        if len(data) > len(target) + self._unit:
            raise UsageError(f"{value!r:.80} does not fit into a room for {len(target)} bytes")
        data = data[: len(target)]
        target[: len(data)] = data


class HandleNode(_Base):
    """A dmahandle: no bytes, a handle slot.

    A stub passes on what it was given, for the client to make a handle of; only a tuple or mapping
    becomes a `Dma`.
    """

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        call.in_handles.append(_as_handle(value))

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        call.out_handles.append(_as_handle(request))
        return request

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return _take_handle(call.in_handles)

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        return _take_handle(call.out_handles)


def _as_handle(value: Any) -> Any:
    if isinstance(value, tuple):
        return Dma(*value)
    if isinstance(value, Mapping):
        return Dma(*(member_of(value, name) for name in Dma._fields))
    if value is None:
        raise UsageTypeError("a dmahandle is a buffer, or an array that lies in one")
    return value


def _take_handle(handles: Iterator[Any]) -> Any:
    handle = next(handles, None)
    if handle is None:
        raise MarshalError("a handle is missing")
    return handle


class StructNode(_Base):
    """A structure that is not simple: a block of its members' fields, then their buffers."""

    is_plain = False

    def __init__(self, kind: Struct) -> None:
        self._members = [(member.name, node_of(member.type)) for member in kind.members]
        # A caller says nothing about members that need no room.
        self._in_request = {member.name for member in kind.members if not member.type.is_simple}
        nodes = [node for _, node in self._members]
        self.in_layout = stack(node.in_layout for node in nodes)
        self.room_layout = stack(node.room_layout for node in nodes)
        self.out_layout = stack(node.out_layout for node in nodes)

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        for name, node in self._members:
            node.send(member_of(value, name), fields, call)

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        return {
            name: node.offer(member_of(request, name), fields, call)
            for name, node in self._members
            if name in self._in_request
        }

    def collect(self, offered: Any, fields: Fields) -> Any:
        return {name: node.collect(offered.get(name), fields) for name, node in self._members}

    def receive(self, fields: Fields, call: Incoming) -> Any:
        return {name: node.receive(fields, call) for name, node in self._members}

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        return {name: node.open_room(fields, call) for name, node in self._members}

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        for name, node in self._members:
            given = None if value is None else member_of(value, name)
            node.write_out(given, target[name], fields)


class ItemsNode(_Base):
    """A sequence of strings, sequences, complex structures or handles: a buffer of records, one an
    element, then each element's own buffers."""

    is_plain = False
    in_layout = room_layout = _COUNT

    def __init__(self, element: Type) -> None:
        self._node = node_of(element)
        # Handles have no record to compare their number with.
        self._most = None if self._node.in_layout.size else MAX_HANDLES

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        items, layout = list(value), self._node.in_layout
        fields.append(len(items))
        records = bytearray()
        if layout.size:
            call.ins.append(records)
        for item in items:
            row: list[Any] = []
            self._node.send(item, row, call)
            records += layout.pack(row)

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        items = list(request)
        fields.append(len(items))
        node = self._node
        rooms = bytearray()
        if node.room_layout.size:
            call.ins.append(rooms)
        records = bytearray(len(items) * node.out_layout.size)
        if node.out_layout.size:
            call.outs.append(records)
        offered = []
        for item in items:
            row: list[Any] = []
            offered.append(node.offer(item, row, call))
            rooms += node.room_layout.pack(row)
        return records, offered

    def collect(self, offered: Any, fields: Fields) -> Any:
        records, items = offered
        rows = self._node.out_layout.rows(memoryview(records), len(items))
        return [self._node.collect(item, row) for item, row in zip(items, rows, strict=True)]

    def receive(self, fields: Fields, call: Incoming) -> Any:
        layout = self._node.in_layout
        return [self._node.receive(row, call) for row in self._rows(layout, next(fields), call)]

    def _rows(self, layout: Layout, count: int, call: Incoming) -> Any:
        if self._most is not None and count > self._most:
            raise MarshalError(f"{count} handles: at most {self._most}")
        records = call.ins.take(count * layout.size) if layout.size else memoryview(b"")
        return layout.rows(records, count)

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        count = next(fields)
        rows = self._rows(self._node.room_layout, count, call)
        out_size = self._node.out_layout.size
        records = call.outs.take(count * out_size) if out_size else memoryview(b"")
        return records, [self._node.open_room(row, call) for row in rows]

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        records, items = target
        values = [None] * len(items) if value is None else list(value)
        if len(values) > len(items):
            raise UsageError(f"{len(values)} elements do not fit into a room for {len(items)}")
        values += [None] * (len(items) - len(values))
        layout = self._node.out_layout
        for place, (item, room) in enumerate(zip(values, items, strict=True)):
            row: list[Any] = []
            self._node.write_out(item, room, row)
            if layout.size:
                records[place * layout.size : (place + 1) * layout.size] = layout.pack(row)


@cache
def node_of(kind: Type) -> Node:
    """The node of a type.  TypeError for one that has no form on the wire (idl.md 4.3)."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive | Enum):
        return NumberNode(kind)
    if kind.is_simple:
        return BlockNode(kind)
    if isinstance(resolved, String):
        return TextNode(resolved)
    if isinstance(resolved, DmaHandle):
        return HandleNode()
    if isinstance(resolved, Struct):
        return StructNode(resolved)
    if isinstance(resolved, Sequence):
        element = resolved.element
        return NumbersNode(element) if element.is_simple else ItemsNode(element)
    raise TypeError(f"{kind} cannot be marshalled")
