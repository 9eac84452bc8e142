"""Marshalling: from a method's arguments to the buffers of a call, and back, at both ends.

Each parameter has a node that knows four things about its type: what of it stands in a record on
the way in (layout I) and out (layout R), what stands for the room that the caller offers (layout
C), and which buffers of its own follow.  Nodes are built once for each type.  Stub and skeleton
walk the same nodes in the same order, so that what one writes the other reads (spec/idl.md 6).

The terms: *primIn* and *primROut* are the records that begin the in-buffers and the out-buffers;
all other buffers are secondary, in parameter order, depth first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from qda.errors import UsageError, UsageTypeError
from qda.fastrpc.scalars import MAX_HANDLES
from qda.idl.nodes import Dma, Incoming, Node, Outgoing
from qda.idl.records import Extent, MarshalError, RecordReader, RecordWriter, stack
from qda.idl.types import DmaHandle, Sequence, String, Struct, Type
from qda.idl.values import decode_simple, dtype_of, encode_simple, member_of, to_array

__all__ = ["Dma", "Node", "node_of"]


_NOTHING = Extent()
_COUNT = Extent(4, 4)


class SimpleNode:
    """A type with a fixed layout: it is copied whole into records."""

    is_plain = True

    def __init__(self, kind: Type) -> None:
        self._kind = kind
        self.in_record = self.out_record = Extent(kind.size, kind.alignment)
        self.room_record = _NOTHING

    def write_in(self, value: Any, record: RecordWriter) -> None:
        record.append(encode_simple(self._kind, value), self._kind.alignment)

    def send(self, value: Any, call: Outgoing) -> None:
        pass

    def write_room(self, request: Any, record: RecordWriter) -> None:
        pass

    def offer(self, request: Any, call: Outgoing) -> Any:
        return None

    def collect(self, offered: Any, record: RecordReader) -> Any:
        return decode_simple(self._kind, record.take(self._kind.size, self._kind.alignment))

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        return decode_simple(self._kind, record.take(self._kind.size, self._kind.alignment))

    def receive(self, head: Any, call: Incoming) -> Any:
        return head

    def read_room(self, record: RecordReader) -> Any:
        return None

    def open_room(self, room: Any, call: Incoming) -> Any:
        return None

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        record.append(
            bytes(self._kind.size) if value is None else encode_simple(self._kind, value),
            self._kind.alignment,
        )


class NumbersNode:
    """A sequence of a simple type: one buffer, of which the record has the number of elements.

    Values are arrays; nothing is copied where the caller's memory has the layout already.
    """

    is_plain = True
    in_record, room_record, out_record = _COUNT, _COUNT, _NOTHING

    def __init__(self, element: Type) -> None:
        self._element = element
        self._size = element.size

    def write_in(self, value: Any, record: RecordWriter) -> None:
        record.count(len(to_array(self._element, value)))

    def send(self, value: Any, call: Outgoing) -> None:
        call.ins.append(to_array(self._element, value))

    def write_room(self, request: Any, record: RecordWriter) -> None:
        record.count(request if isinstance(request, int) else len(self._array(request)))

    def _array(self, request: Any) -> Any:
        """A caller's own memory for a result, as an array.  UsageTypeError if it does not fit."""
        dtype = dtype_of(self._element)
        array = request if isinstance(request, np.ndarray) else np.frombuffer(request, dtype)
        if array.dtype != dtype or not array.flags.c_contiguous or not array.flags.writeable:
            raise UsageTypeError(
                f"{request!r:.80} cannot be filled: a writable contiguous array of {dtype} can"
            )
        return array

    def offer(self, request: Any, call: Outgoing) -> Any:
        if isinstance(request, int):
            if request < 0:
                raise UsageError(f"a capacity of {request}")
            array = np.zeros(request, dtype_of(self._element))
        else:
            array = self._array(request)
        call.outs.append(array)
        return array

    def collect(self, offered: Any, record: RecordReader) -> Any:
        return offered

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        return record.count()

    def receive(self, head: Any, call: Incoming) -> Any:
        return self._view(call.ins.take(head * self._size), head)

    def read_room(self, record: RecordReader) -> Any:
        return record.count()

    def open_room(self, room: Any, call: Incoming) -> Any:
        return self._view(call.outs.take(room * self._size), room)

    def _view(self, buffer: memoryview, count: int) -> Any:
        if not count:
            return np.zeros(0, dtype_of(self._element))
        return np.frombuffer(buffer, dtype_of(self._element), count)

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        if value is None or value is target:
            return
        array = to_array(self._element, value)
        if len(array) > len(target):
            raise UsageError(f"{len(array)} elements do not fit into a room for {len(target)}")
        target[: len(array)] = array


class TextNode:
    """A string or wstring: its units and a NUL, which the count includes.

    Texts are str, with bytes that are not UTF-8 kept by surrogates; bytes are taken as they are.
    """

    is_plain = True
    in_record, room_record, out_record = _COUNT, _COUNT, _NOTHING

    def __init__(self, kind: String) -> None:
        self._unit = kind.unit
        self._coding = ("utf-16-le", "surrogatepass") if kind.wide else ("utf-8", "surrogateescape")

    def _encode(self, value: Any) -> bytes:
        if isinstance(value, str):
            value = value.encode(*self._coding)
        if not isinstance(value, (bytes, bytearray)):
            raise UsageTypeError(f"{value!r:.80} is no text")
        return bytes(value) + bytes(self._unit)

    def _decode(self, data: bytes) -> str:
        end = next(
            (
                place
                for place in range(0, len(data), self._unit)
                if not any(data[place : place + self._unit])
            ),
            len(data),
        )
        return data[:end].decode(*self._coding)

    def write_in(self, value: Any, record: RecordWriter) -> None:
        record.count(len(self._encode(value)) // self._unit)

    def send(self, value: Any, call: Outgoing) -> None:
        call.ins.append(self._encode(value))

    def write_room(self, request: Any, record: RecordWriter) -> None:
        record.count(self._capacity(request))

    def _capacity(self, request: Any) -> int:
        if not isinstance(request, int) or request < 0:
            raise UsageTypeError(f"{request!r:.80} is no capacity: a number of units with the NUL")
        return request

    def offer(self, request: Any, call: Outgoing) -> Any:
        call.outs.append(bytearray(self._capacity(request) * self._unit))
        return call.outs[-1]

    def collect(self, offered: Any, record: RecordReader) -> Any:
        if offered:
            offered[-self._unit :] = bytes(self._unit)
        return self._decode(bytes(offered))

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        return record.count()

    def receive(self, head: Any, call: Incoming) -> Any:
        data = bytes(call.ins.take(head * self._unit))
        if not data or any(data[-self._unit :]):
            raise MarshalError("a string without end mark")
        return self._decode(data)

    def read_room(self, record: RecordReader) -> Any:
        return record.count()

    def open_room(self, room: Any, call: Incoming) -> Any:
        return call.outs.take(room * self._unit)

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        if value is None:
            return
        data = self._encode(value)
        if len(data) > len(target) + self._unit:
            raise UsageError(f"{value!r:.80} does not fit into a room for {len(target)} bytes")
        data = data[: len(target)]
        target[: len(data)] = data


class HandleNode:
    """A dmahandle: no bytes, a handle slot."""

    is_plain = True
    in_record = room_record = out_record = _NOTHING

    def write_in(self, value: Any, record: RecordWriter) -> None:
        pass

    def send(self, value: Any, call: Outgoing) -> None:
        call.in_handles.append(self._handle(value))

    def _handle(self, value: Any) -> Dma:
        if isinstance(value, tuple):
            return Dma(*value)
        return Dma(*(member_of(value, name) for name in Dma._fields))

    def write_room(self, request: Any, record: RecordWriter) -> None:
        pass

    def offer(self, request: Any, call: Outgoing) -> Any:
        call.out_handles.append(self._handle(request))
        return call.out_handles[-1]

    def collect(self, offered: Any, record: RecordReader) -> Any:
        return offered

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        return None

    def receive(self, head: Any, call: Incoming) -> Any:
        return _take_handle(call.in_handles)

    def read_room(self, record: RecordReader) -> Any:
        return None

    def open_room(self, room: Any, call: Incoming) -> Any:
        return _take_handle(call.out_handles)

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        pass


def _take_handle(handles: Iterator[Dma]) -> Dma:
    handle = next(handles, None)
    if handle is None:
        raise MarshalError("a handle is missing")
    return handle


class StructNode:
    """A structure that is not simple: a block of its members' fields, then their buffers."""

    is_plain = False

    def __init__(self, kind: Struct) -> None:
        self._members = [(member.name, node_of(member.type)) for member in kind.members]
        nodes = [node for _, node in self._members]
        self.in_record = stack(node.in_record for node in nodes)[1]
        self.room_record = stack(node.room_record for node in nodes)[1]
        self.out_record = stack(node.out_record for node in nodes)[1]

    def write_in(self, value: Any, record: RecordWriter) -> None:
        record.align(self.in_record.alignment)
        for name, node in self._members:
            node.write_in(member_of(value, name), record)
        record.align(self.in_record.alignment)

    def send(self, value: Any, call: Outgoing) -> None:
        for name, node in self._members:
            node.send(member_of(value, name), call)

    def write_room(self, request: Any, record: RecordWriter) -> None:
        record.align(self.room_record.alignment)
        for name, node in self._requested():
            node.write_room(member_of(request, name), record)
        record.align(self.room_record.alignment)

    def _requested(self) -> list[tuple[str, Node]]:
        """Members for which a caller has to say how much room there is."""
        return [(name, node) for name, node in self._members if not isinstance(node, SimpleNode)]

    def offer(self, request: Any, call: Outgoing) -> Any:
        return {
            name: node.offer(member_of(request, name), call) for name, node in self._requested()
        }

    def collect(self, offered: Any, record: RecordReader) -> Any:
        record.align(self.out_record.alignment)
        found = {name: node.collect(offered.get(name), record) for name, node in self._members}
        record.align(self.out_record.alignment)
        return found

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        record.align(self.in_record.alignment)
        heads = {name: node.read_in(record, call) for name, node in self._members}
        record.align(self.in_record.alignment)
        return heads

    def receive(self, head: Any, call: Incoming) -> Any:
        return {name: node.receive(head[name], call) for name, node in self._members}

    def read_room(self, record: RecordReader) -> Any:
        record.align(self.room_record.alignment)
        rooms = {name: node.read_room(record) for name, node in self._members}
        record.align(self.room_record.alignment)
        return rooms

    def open_room(self, room: Any, call: Incoming) -> Any:
        return {name: node.open_room(room[name], call) for name, node in self._members}

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        record.align(self.out_record.alignment)
        for name, node in self._members:
            given = None if value is None else member_of(value, name)
            node.write_out(given, target[name], record)
        record.align(self.out_record.alignment)


class ItemsNode:
    """A sequence of strings, sequences, complex structures or handles: a buffer of records, one an
    element, then each element's own buffers."""

    is_plain = False
    in_record, room_record, out_record = _COUNT, _COUNT, _NOTHING

    def __init__(self, element: Type) -> None:
        self._node = node_of(element)

    def write_in(self, value: Any, record: RecordWriter) -> None:
        record.count(len(value))

    def send(self, value: Any, call: Outgoing) -> None:
        if self._node.in_record.size:
            records = RecordWriter()
            for item in value:
                self._node.write_in(item, records)
            call.ins.append(records.finish())
        for item in value:
            self._node.send(item, call)

    def write_room(self, request: Any, record: RecordWriter) -> None:
        record.count(len(request))

    def offer(self, request: Any, call: Outgoing) -> Any:
        if self._node.room_record.size:
            rooms = RecordWriter()
            for item in request:
                self._node.write_room(item, rooms)
            call.ins.append(rooms.finish())
        records = bytearray(len(request) * self._node.out_record.size)
        if self._node.out_record.size:
            call.outs.append(records)
        return records, [self._node.offer(item, call) for item in request]

    def collect(self, offered: Any, record: RecordReader) -> Any:
        records, items = offered
        reader = RecordReader(memoryview(records))
        return [self._node.collect(item, reader) for item in items]

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        return record.count()

    def receive(self, head: Any, call: Incoming) -> Any:
        size = self._node.in_record.size
        reader = self._records(head, size, call)
        heads = [self._node.read_in(reader, call) for _ in range(head)]
        return [self._node.receive(item, call) for item in heads]

    def _records(self, count: int, size: int, call: Incoming) -> RecordReader:
        """The elements' records.  Without any, elements are handles, of which there are few."""
        if size:
            return RecordReader(call.ins.take(count * size))
        if count > MAX_HANDLES:
            raise MarshalError(f"{count} handles: at most {MAX_HANDLES}")
        return RecordReader(memoryview(b""))

    def read_room(self, record: RecordReader) -> Any:
        return record.count()

    def open_room(self, room: Any, call: Incoming) -> Any:
        reader = self._records(room, self._node.room_record.size, call)
        rooms = [self._node.read_room(reader) for _ in range(room)]
        out_size = self._node.out_record.size
        records = call.outs.take(room * out_size) if out_size else None
        return records, [self._node.open_room(item, call) for item in rooms]

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        records, items = target
        values = [None] * len(items) if value is None else list(value)
        if len(values) > len(items):
            raise UsageError(f"{len(values)} elements do not fit into a room for {len(items)}")
        values += [None] * (len(items) - len(values))
        writer = RecordWriter()
        for item, room in zip(values, items, strict=True):
            self._node.write_out(item, room, writer)
        data = writer.finish()
        if data and records is not None:
            records[: len(data)] = data


@cache
def node_of(kind: Type) -> Node:
    """The node of a type.  TypeError for one that has no form on the wire (idl.md 4.3)."""
    resolved = kind.resolved
    if kind.is_simple:
        return SimpleNode(kind)
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
