"""Stubs of complex methods: functions for each type that is sent, offered or collected (6.4).

They mirror `qda.idl.wire.marshal`: *send* writes layout I and adds the in-buffers, *offer* writes
layout C and adds the out-buffers, *collect* reads layout R.
"""

from __future__ import annotations

from qda.idl.c.elements import Functions, element_type, least
from qda.idl.c.extents import is_complex_struct, is_handle, is_items, is_variable
from qda.idl.c.layouts import MethodLayout, copy, layout_fields, record_name
from qda.idl.c.names import identifier
from qda.idl.c.options import Options
from qda.idl.c.text import block
from qda.idl.model import Parameter
from qda.idl.types import Location, Sequence, String, Struct, Type

__all__ = ["ComplexStub"]

_CALL = "struct _stub_call* call"
_LIMITS = {
    "buffer": ("_STUB_BUFFERS", "AEE_EUNSUPPORTED"),
    "handle": ("_STUB_HANDLES", "AEE_EBADPARM"),
}


class ComplexStub:
    """Prints what the complex methods of an interface need, and the statements that use it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._functions = Functions()

    def declarations(self) -> list[str]:
        """The functions for types that stand before the methods."""
        return self._functions.lines

    def parameter(self, one: Parameter, layout: MethodLayout) -> list[str]:
        """The statements that add a parameter's buffers and handles to the call."""
        name, kind, lines = identifier(one.name), one.type, []
        if kind.is_simple:
            return []
        if is_handle(kind):
            out = int(one.direction.comes_out)
            return [f"_stub_dma(_call, {out}, {name}, {name}Offset, {name}Len);"]
        if is_complex_struct(kind):
            return self._structure(one, layout)
        if one.direction.goes_in:
            count = f"_in.{layout.counts[one.name]}"
            if is_items(kind):
                lines.append(f"{count} = (uint32_t){name}Len;")
            lines.append(self._send("_call", kind, name, count, one.location))
        if one.direction.comes_out:
            count = f"_in.{layout.rooms[one.name]}"
            if is_items(kind):
                lines.append(f"{count} = (uint32_t){name}Len;")
            lines.append(self._offer("_call", kind, name, count, one.location))
        return lines

    def _structure(self, one: Parameter, layout: MethodLayout) -> list[str]:
        name = identifier(one.name)
        if one.direction.goes_in:
            function = self._element("send", one.type, one.location)
            record = f"&_in.{layout.values[one.name]}" if one.name in layout.values else ""
        else:
            function = self._element("offer", one.type, one.location)
            record = f"&_in.{layout.rooms[one.name]}" if one.name in layout.rooms else ""
        arguments = ", ".join(filter(None, ("_call", record, name)))
        return [f"{function}({arguments});"]

    def results(self, one: Parameter, layout: MethodLayout) -> list[str]:
        """The statements that read a complex structure's results."""
        if one.direction.comes_out and is_complex_struct(one.type) and one.name in layout.results:
            function = self._collect(one.type, one.location)
            return [f"{function}(&_out.{layout.results[one.name]}, {identifier(one.name)});"]
        return []

    def _send(self, call: str, kind: Type, data: str, count: str, place: Location) -> str:
        """The statement that adds the in-buffers of a sequence or text."""
        if is_variable(kind):
            return f"_stub_in({call}, {data}, (size_t){count} * sizeof *{data});"
        inner = kind.resolved
        assert isinstance(inner, Sequence)
        function = self._every("send", inner.element, place)
        return f"{function}({call}, {data}, {count});"

    def _offer(self, call: str, kind: Type, data: str, count: str, place: Location) -> str:
        """The statement that adds the out-buffers for a sequence or text."""
        inner = kind.resolved
        if is_variable(kind):
            unit = inner.unit if isinstance(inner, String) else 0
            return f"_stub_out({call}, {data}, (size_t){count} * sizeof *{data}, {unit});"
        assert isinstance(inner, Sequence)
        function = self._every("offer", inner.element, place)
        return f"{function}({call}, {data}, {count});"

    def _every(self, verb: str, element: Type, place: Location) -> str:
        """The function that sends or offers all elements of a sequence."""
        name = f"_stub_{verb}_all_{element_type(element, self._options, place)}"
        return self._functions.need(name, lambda: self._write_every(name, verb, element, place))

    def _write_every(self, name: str, verb: str, element: Type, place: Location) -> list[str]:
        options = self._options
        kind = element_type(element, options, place)
        layout, constant = ("in", "const ") if verb == "send" else ("room", "")
        record = record_name("stub", layout, element, options, place)
        out_record = record_name("stub", "out", element, options, place) if verb == "offer" else ""
        layouts = ("in",) if verb == "send" else ("room", "out")
        lines = []
        limit = _LIMITS.get(least(element, layouts))
        if limit:
            lines.append(f"if (count > {limit[0]} && !call->error) {{ call->error = {limit[1]}; }}")
        if record:
            allocate = "_stub_allocate(call, count, sizeof *records)"
            lines += [
                f"{record}* records = ({record}*){allocate};",
                "_stub_in(call, records, count * sizeof *records);",
            ]
        if out_record:
            collect = self._collect(element, place)
            arguments = f"{collect}, sizeof({out_record}), items, sizeof *items, count"
            lines.append(f"_stub_expect(call, {arguments});")
        function = self._element(verb, element, place)
        arguments = "call, &records[n], &items[n]" if record else "call, &items[n]"
        every = "for (uint32_t n = 0; n < count && !call->error; n++)"
        lines += block(every, [f"{function}({arguments});"])
        head = f"static void {name}({_CALL}, {constant}{kind}* items, uint32_t count)"
        return block(head, lines)

    def _element(self, verb: str, kind: Type, place: Location) -> str:
        """The function that sends or offers one element or structure."""
        name = f"_stub_{verb}_{element_type(kind, self._options, place)}"
        return self._functions.need(name, lambda: self._write_element(name, verb, kind, place))

    def _write_element(self, name: str, verb: str, kind: Type, place: Location) -> list[str]:
        options, inner = self._options, kind.resolved
        layout, constant = ("in", "const ") if verb == "send" else ("room", "")
        record = record_name("stub", layout, kind, options, place)
        value = f"{constant}{element_type(kind, options, place)}* value"
        parameters = ", ".join(filter(None, (_CALL, f"{record}* record" if record else "", value)))
        head = f"static void {name}({parameters})"
        if is_handle(kind):
            out = int(verb == "offer")
            return block(head, [f"_stub_dma(call, {out}, value->fd, value->offset, value->len);"])
        add = self._send if verb == "send" else self._offer
        if not isinstance(inner, Struct):
            lines = self._counted(verb, kind, "value->data", "*record")
            return block(head, [*lines, add("call", kind, "value->data", "*record", place)])
        fields = layout_fields(inner, "stub", layout, options)
        names = {member.name: field for member, field, _ in fields}
        lines = []
        for member in inner.members:
            part, own = member.type, f"value->{identifier(member.name)}"
            target = f"record->{names[member.name]}" if member.name in names else ""
            if part.is_simple:
                lines += [copy(part, target, own, options)] if target else []
            elif is_handle(part) or is_complex_struct(part):
                function = self._element(verb, part, member.location)
                arguments = ("call", f"&{target}" if target else "", f"&{own}")
                lines.append(f"{function}({', '.join(filter(None, arguments))});")
            else:
                lines += self._counted(verb, part, own, target)
                lines.append(add("call", part, own, target, member.location))
        structure = [*block(record, [line for _, _, line in fields], "};"), ""] if record else []
        return [*structure, *block(head, lines)]

    @staticmethod
    def _counted(verb: str, kind: Type, data: str, target: str) -> list[str]:
        """The statement that writes a length: of texts that go in, up to the end mark."""
        inner = kind.resolved
        if verb == "send" and isinstance(inner, String):
            length = "_stub_wide_length" if inner.wide else "strlen"
            return [f"{target} = (uint32_t){length}({data}) + 1;"]
        return [f"{target} = (uint32_t){data}Len;"]

    def _collect(self, kind: Type, place: Location) -> str:
        """The function that reads layout R of a structure."""
        name = f"_stub_collect_{element_type(kind, self._options, place)}"
        return self._functions.need(name, lambda: self._write_collect(name, kind, place))

    def _write_collect(self, name: str, kind: Type, place: Location) -> list[str]:
        options, inner = self._options, kind.resolved
        assert isinstance(inner, Struct)
        record = record_name("stub", "out", kind, options, place)
        value = element_type(kind, options, place)
        fields = layout_fields(inner, "stub", "out", options)
        lines = [
            f"const {record}* record = (const {record}*)from;",
            f"{value}* value = ({value}*)to;",
        ]
        for member, field, _ in fields:
            own = f"value->{identifier(member.name)}"
            if member.type.is_simple:
                lines.append(copy(member.type, own, f"record->{field}", options))
            else:
                lines.append(
                    f"{self._collect(member.type, member.location)}(&record->{field}, &{own});"
                )
        structure = [*block(record, [line for _, _, line in fields], "};"), ""]
        return [*structure, *block(f"static void {name}(const void* from, void* to)", lines)]
