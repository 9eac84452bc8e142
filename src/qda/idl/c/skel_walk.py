"""Complex types in skeletons: values are received, room is opened, results are written.

Counts are believed only after a buffer that holds as much was there.
"""

from __future__ import annotations

from typing import ClassVar

from qda.idl.c.elements import declared_type
from qda.idl.c.extents import is_complex_struct, is_handle, is_items, is_variable
from qda.idl.c.layouts import MethodLayout
from qda.idl.c.names import type_name
from qda.idl.c.text import block
from qda.idl.c.walk import Walk
from qda.idl.diagnostics import Location
from qda.idl.model import Direction, Parameter
from qda.idl.types import Sequence, String, Type

__all__ = ["SkeletonWalk"]


class SkeletonWalk(Walk):
    """What skeletons do with complex types."""

    side = "skel"
    verbs: ClassVar = {"in": "receive", "room": "open", "out": "write"}

    def parameter(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        """The statements that take a parameter's buffers and handles into a local variable."""
        kind = one.type
        if kind.is_simple:
            return []
        if is_handle(kind):
            handle = f"&{local}", f"&{local}Offset", f"&{local}Len"
            return [
                f"int {local} = 0;",
                f"uint32_t {local}Offset = 0, {local}Len = 0;",
                self._dma("&_call", one.direction.comes_out, *handle),
            ]
        if is_complex_struct(kind):
            return self._structure(one, layout, local)
        pointer = self._pointer(kind, one.location, one.direction is Direction.IN)
        if one.direction is Direction.INROUT:
            return self._inrout(one, layout, local, pointer)
        way, fields = ("in", layout.counts) if one.direction.goes_in else ("room", layout.rooms)
        count, size = f"_in.{fields[one.name]}", f"sizeof *{local}"
        taken = self._take(way, "&_call", kind, count, size, one.location)
        cast = "" if is_items(kind) else f"({pointer})"
        return [f"{pointer} {local} = {cast}{taken};"]

    def _structure(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        way, fields = ("in", layout.values) if one.direction.goes_in else ("room", layout.rooms)
        record = f"_in.{fields[one.name]}" if one.name in fields else ""
        return [
            f"{declared_type(one.type, self._options, one.location)} {local};",
            f"memset(&{local}, 0, sizeof {local});",
            self._one(way, one.type, one.location, "&_call", record, f"&{local}"),
        ]

    def _inrout(self, one: Parameter, layout: MethodLayout, local: str, pointer: str) -> list[str]:
        count, room = (f"_in.{names[one.name]}" for names in (layout.counts, layout.rooms))
        size = f"sizeof *{local}"
        take = "_skel_text" if isinstance(one.type.resolved, String) else "_skel_in"
        taken = self._helpers.call(take, "&_call", count, size)
        passed = self._helpers.call("_skel_inout", "&_call", count, room, size)
        return [f"{pointer} {local} = ({pointer}){taken};", f"{local} = ({pointer}){passed};"]

    def _pointer(self, kind: Type, place: Location, constant: bool) -> str:
        """The C type of what a sequence or text points to."""
        inner, prefix = kind.resolved, "const " if constant else ""
        if isinstance(inner, String):
            return f"{prefix}{'_wchar_t' if inner.wide else 'char'}*"
        assert isinstance(inner, Sequence)
        return f"{prefix}{type_name(inner.element, self._options, place)}*"

    def _dma(self, call: str, out: bool, *handle: str) -> str:
        return f"{self._helpers.call('_skel_dma', call, str(int(out)), *handle)};"

    def _handle(self, layout: str) -> list[str]:
        return [
            "uint32_t offset = 0, length = 0;",
            self._dma("call", layout == "room", "&value->fd", "&offset", "&length"),
            "value->offset = offset;",
            "value->len = length;",
        ]

    def _take(
        self, layout: str, call: str, kind: Type, count: str, size: str, place: Location
    ) -> str:
        """The expression that takes the buffers of a sequence or text."""
        inner = kind.resolved
        if not is_variable(kind):
            assert isinstance(inner, Sequence)
            return f"{self._every(layout, inner.element, place)}({call}, {count})"
        take = "_skel_out" if layout == "room" else "_skel_in"
        if layout == "in" and isinstance(inner, String):
            take = "_skel_text"
        return self._helpers.call(take, call, count, size)

    def _buffers(
        self, layout: str, kind: Type, data: str, count: str, place: Location
    ) -> list[str]:
        cast = "" if is_items(kind) else f"({self._pointer(kind, place, False)})"
        taken = self._take(layout, "call", kind, count, f"sizeof *{data}", place)
        return [f"{data} = {cast}{taken};", f"{data}Len = (int){count};"]

    def _write_every(self, name: str, layout: str, element: Type, place: Location) -> list[str]:
        call = self._helpers.call
        kind = declared_type(element, self._options, place)
        record = self._record(layout, element, place)
        result = self._record("out", element, place) if layout == "room" else ""
        lines = []
        if record:
            taken = call("_skel_in", "call", "count", f"sizeof({record})")
            lines.append(f"const char* records = (const char*){taken};")
        if result:
            opened = call("_skel_out", "call", "count", f"sizeof({result})")
            lines.append(f"void* results = {opened};")
        if not record and not result:
            lines.append("if (count > 15 && !call->error) { call->error = AEE_EBADPARM; }")
        memory = call("_skel_allocate", "call", "count", "sizeof *items")
        lines.append(f"{kind}* items = ({kind}*){memory};")
        body = []
        if record:
            body += [
                f"{record} record;",
                "memcpy(&record, records + n * sizeof record, sizeof record);",
            ]
        row = "record" if record else ""
        body.append(self._one(layout, element, place, "call", row, "&items[n]"))
        lines += block("for (uint32_t n = 0; n < count && !call->error; n++)", body)
        if result:
            write = self._result_function(element, place)
            sizes = "items", "sizeof *items", "results", f"sizeof({result})", "count"
            lines.append(f"{call('_skel_expect', 'call', write, *sizes)};")
        head = f"static {kind}* {name}({self._call_parameter()}, uint32_t count)"
        return block(head, [*lines, "return items;"])
