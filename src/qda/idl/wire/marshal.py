"""Marshalling: from a method's arguments to the buffers of a call, and back, at both ends.

Each parameter has a node that knows four things about its type: what of it stands in a record on
the way in (layout I) and out (layout R), what stands for the room that the caller offers (layout
C), and which buffers of its own follow.  Nodes are built once for each type.  Stub and skeleton
walk the same nodes in the same order, so that what one writes the other reads (spec/idl.md 6).

The terms: *primIn* and *primROut* are the records that begin the in-buffers and the out-buffers;
all other buffers are secondary, in parameter order, depth first.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

from qda import limits
from qda.errors import UsageError
from qda.idl.primitives import Primitive
from qda.idl.types import DmaHandle, Enum, Sequence, String, Struct, Type
from qda.idl.wire.leaves import COUNT, BlockNode, HandleNode, NumberNode, NumbersNode, TextNode
from qda.idl.wire.nodes import AnyNode, Incoming, Node, Outgoing
from qda.idl.wire.records import REFUSALS, Fields, Layout, MarshalError, Row, refusal, stack
from qda.idl.wire.values import Given, Value, check_members, encode_simple, items_of, member_of

__all__ = ["check", "check_ends", "holds", "node_of"]

_Members: TypeAlias = dict[str, Value]
"""What the members of a structure have, by their name."""

_Offered: TypeAlias = tuple[bytearray, list[Value]]
"""Room for the records of elements, and what each element has been offered."""

_Opened: TypeAlias = tuple[memoryview, list[Value]]
"""The caller's room for the records of elements, and the target of each element."""


class StructNode(Node[_Members, _Members, _Members]):
    """A structure that is not simple: a block of its members' fields, then their buffers."""

    is_plain = False

    def __init__(self, kind: Struct) -> None:
        self._members = [(member.name, node_of(member.type)) for member in kind.members]
        self._names = frozenset(member.name for member in kind.members)
        # A caller says nothing about members that need no room.
        self._in_request = {member.name for member in kind.members if not member.type.is_simple}
        nodes = [node for _, node in self._members]
        self.in_layout = stack(node.in_layout for node in nodes)
        self.room_layout = stack(node.room_layout for node in nodes)
        self.out_layout = stack(node.out_layout for node in nodes)

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        check_members(value, self._names)
        for name, node in self._members:
            given = member_of(value, name)
            try:
                node.send(given, fields, call)
            except REFUSALS as error:
                raise refusal(f"member {name}", error) from None

    def offer(self, request: Given, fields: Row, call: Outgoing) -> _Members:
        check_members(request, self._names)
        return {
            name: node.offer(member_of(request, name), fields, call)
            for name, node in self._members
            if name in self._in_request
        }

    def collect(self, offered: _Members, fields: Fields) -> _Members:
        return {name: node.collect(offered.get(name), fields) for name, node in self._members}

    def receive(self, fields: Fields, call: Incoming) -> _Members:
        return {name: node.receive(fields, call) for name, node in self._members}

    def open_room(self, fields: Fields, call: Incoming) -> _Members:
        return {name: node.open_room(fields, call) for name, node in self._members}

    def write_out(self, value: Given, target: _Members, fields: Row) -> None:
        check_members(value, self._names)
        for name, node in self._members:
            given = None if value is None else member_of(value, name)
            try:
                node.write_out(given, target[name], fields)
            except REFUSALS as error:
                raise refusal(f"member {name}", error) from None


class ItemsNode(Node[list[Value], _Offered, _Opened]):
    """A sequence of strings, sequences, complex structures or handles: a buffer of records, one an
    element, then each element's own buffers."""

    is_plain = False
    in_layout = room_layout = COUNT

    def __init__(self, element: Type) -> None:
        self._node = node_of(element)
        # Handles have no record to compare their number with.
        self._most = None if self._node.in_layout.size else limits.HANDLES

    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        items, layout = items_of(value), self._node.in_layout
        fields.append(len(items))
        records = bytearray()
        if layout.size:
            call.ins.append(records)
        for place, item in enumerate(items):
            row: Row = []
            try:
                self._node.send(item, row, call)
                records += layout.pack(row)
            except REFUSALS as error:
                raise refusal(f"element {place}", error) from None

    def offer(self, request: Given, fields: Row, call: Outgoing) -> _Offered:
        items = items_of(request)
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
            row: Row = []
            offered.append(node.offer(item, row, call))
            rooms += node.room_layout.pack(row)
        return records, offered

    def collect(self, offered: _Offered, fields: Fields) -> list[Value]:
        records, items = offered
        rows = self._node.out_layout.rows(memoryview(records), len(items))
        return [self._node.collect(item, row) for item, row in zip(items, rows, strict=True)]

    def receive(self, fields: Fields, call: Incoming) -> list[Value]:
        layout = self._node.in_layout
        return [self._node.receive(row, call) for row in self._rows(layout, next(fields), call)]

    def _rows(self, layout: Layout, count: int, call: Incoming) -> Iterable[Fields]:
        if self._most is not None and count > self._most:
            raise MarshalError(f"{count} handles: at most {self._most}")
        records = call.ins.take(count * layout.size) if layout.size else memoryview(b"")
        return layout.rows(records, count)

    def open_room(self, fields: Fields, call: Incoming) -> _Opened:
        count = next(fields)
        rows = self._rows(self._node.room_layout, count, call)
        out_size = self._node.out_layout.size
        records = call.outs.take(count * out_size) if out_size else memoryview(b"")
        return records, [self._node.open_room(row, call) for row in rows]

    def write_out(self, value: Given, target: _Opened, fields: Row) -> None:
        records, items = target
        values = [None] * len(items) if value is None else items_of(value)
        if len(values) > len(items):
            raise UsageError(f"{len(values)} elements do not fit into a room for {len(items)}")
        values += [None] * (len(items) - len(values))
        layout = self._node.out_layout
        for place, (item, room) in enumerate(zip(values, items, strict=True)):
            row: Row = []
            try:
                self._node.write_out(item, room, row)
                record = layout.pack(row)
            except REFUSALS as error:
                raise refusal(f"element {place}", error) from None
            if layout.size:
                records[place * layout.size : (place + 1) * layout.size] = record


def check(kind: Type, value: Given) -> None:
    """UsageError, UsageTypeError for a value with a part that its record cannot hold."""
    resolved = kind.resolved
    if kind.is_simple:
        encode_simple(kind, value)
    elif isinstance(resolved, Struct):
        for member in resolved.members:
            try:
                check(member.type, member_of(value, member.name))
            except REFUSALS as error:
                raise refusal(f"member {member.name}", error) from None


def check_ends(kind: Type, value: Given, target: Value) -> None:
    """UsageError for a result with a text that leaves no room for its NUL."""
    resolved = kind.resolved
    if value is None or not holds(kind, String):
        return
    if isinstance(resolved, String):
        TextNode(resolved).check_end(value, target)
    elif isinstance(resolved, Struct):
        for member in resolved.members:
            try:
                check_ends(member.type, member_of(value, member.name), target[member.name])
            except REFUSALS as error:
                raise refusal(f"member {member.name}", error) from None
    elif isinstance(resolved, Sequence) and isinstance(value, (list, tuple)):
        for place, (item, room) in enumerate(zip(value, target[1], strict=False)):
            try:
                check_ends(resolved.element, item, room)
            except REFUSALS as error:
                raise refusal(f"element {place}", error) from None


def holds(kind: Type, what: type[String | DmaHandle]) -> bool:
    """Whether a type is of `what`, or some part of it."""
    resolved = kind.resolved
    if isinstance(resolved, Struct):
        return any(holds(member.type, what) for member in resolved.members)
    if isinstance(resolved, Sequence):
        return holds(resolved.element, what)
    return isinstance(resolved, what)


@cache
def node_of(kind: Type) -> AnyNode:
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
