"""Complex types in stubs: values are sent, room for results is offered, results are collected."""

from __future__ import annotations

from typing import ClassVar

from qda.idl.c.elements import declared_type, least
from qda.idl.c.extents import is_complex_struct, is_handle, is_items, is_variable
from qda.idl.c.layouts import MethodLayout
from qda.idl.c.names import identifier
from qda.idl.c.text import block
from qda.idl.c.walk import Walk
from qda.idl.diagnostics import Location
from qda.idl.model import Parameter
from qda.idl.types import Sequence, String, Type

__all__ = ["StubWalk"]

_LIMITS = {
    "buffer": ("_STUB_BUFFERS", "AEE_EUNSUPPORTED"),
    "handle": ("_STUB_HANDLES", "AEE_EBADPARM"),
}


class StubWalk(Walk):
    """What stubs do with complex types."""

    side = "stub"
    verbs: ClassVar = {"in": "send", "room": "offer", "out": "collect"}

    def parameter(self, one: Parameter, layout: MethodLayout) -> list[str]:
        """The statements that add a parameter's buffers and handles to the call."""
        name, kind, lines = identifier(one.name), one.type, []
        if kind.is_simple:
            return []
        if is_handle(kind):
            return [
                self._dma("_call", one.direction.comes_out, name, f"{name}Offset", f"{name}Len")
            ]
        ways = [("in", layout.counts)] if one.direction.goes_in else []
        if is_complex_struct(kind):
            way, fields = ("in", layout.values) if ways else ("room", layout.rooms)
            record = f"_in.{fields[one.name]}" if one.name in fields else ""
            return [self._one(way, kind, one.location, "_call", record, name)]
        ways += [("room", layout.rooms)] if one.direction.comes_out else []
        for way, fields in ways:
            count = f"_in.{fields[one.name]}"
            if is_items(kind):
                lines.append(f"{count} = (uint32_t){name}Len;")
            lines.append(self._add(way, "_call", kind, name, count, one.location))
        return lines

    def length(self, kind: Type, data: str) -> str:
        """The number of elements that go in: of texts, units with the end mark."""
        inner = kind.resolved
        if not isinstance(inner, String):
            return f"(uint32_t){data}Len"
        count = self._helpers.call("_stub_wide_length", data) if inner.wide else f"strlen({data})"
        return f"(uint32_t){count} + 1"

    def _dma(self, call: str, out: bool, *handle: str) -> str:
        return f"{self._helpers.call('_stub_dma', call, str(int(out)), *handle)};"

    def _handle(self, layout: str) -> list[str]:
        return [self._dma("call", layout == "room", "value->fd", "value->offset", "value->len")]

    def _add(
        self, layout: str, call: str, kind: Type, data: str, count: str, place: Location
    ) -> str:
        """The statement that adds the buffers of a sequence or text to the call."""
        inner = kind.resolved
        if not is_variable(kind):
            assert isinstance(inner, Sequence)
            return f"{self._every(layout, inner.element, place)}({call}, {data}, {count});"
        size = f"(size_t){count} * sizeof *{data}"
        if layout == "in":
            return f"{self._helpers.call('_stub_in', call, data, size)};"
        unit = inner.unit if isinstance(inner, String) else 0
        return f"{self._helpers.call('_stub_out', call, data, size, str(unit))};"

    def _buffers(
        self, layout: str, kind: Type, data: str, count: str, place: Location
    ) -> list[str]:
        length = self.length(kind, data) if layout == "in" else f"(uint32_t){data}Len"
        return [f"{count} = {length};", self._add(layout, "call", kind, data, count, place)]

    def _write_every(self, name: str, layout: str, element: Type, place: Location) -> list[str]:
        record = self._record(layout, element, place)
        offers, lines = layout == "room", []
        limit = _LIMITS.get(least(element, ("room", "out") if offers else ("in",)))
        if limit:
            lines.append(f"if (count > {limit[0]} && !call->error) {{ call->error = {limit[1]}; }}")
        if record:
            memory = self._helpers.call("_stub_allocate", "call", "count", "sizeof *records")
            add = self._helpers.call("_stub_in", "call", "records", "count * sizeof *records")
            lines += [f"{record}* records = ({record}*){memory};", f"{add};"]
        if offers and (result := self._record("out", element, place)):
            lines.append(self._expect(self._result_function(element, place), result))
        row = "records[n]" if record else ""
        every = "for (uint32_t n = 0; n < count && !call->error; n++)"
        lines += block(every, [self._one(layout, element, place, "call", row, "&items[n]")])
        items = f"{'' if offers else 'const '}{declared_type(element, self._options, place)}* items"
        head = f"static void {name}({self._call_parameter()}, {items}, uint32_t count)"
        return block(head, lines)

    def _expect(self, collect: str, record: str) -> str:
        """The statement that has elements' records read after the call."""
        sizes = f"sizeof({record})", "items", "sizeof *items", "count"
        return f"{self._helpers.call('_stub_expect', 'call', collect, *sizes)};"
