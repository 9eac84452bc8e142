"""Skeletons of complex methods: functions for each type to receive, open or write (6.4).

They mirror `qda.idl.wire.marshal`: *receive* reads layout I and takes the in-buffers, *open* reads
layout C and takes the out-buffers, *write* makes layout R.  Counts are believed only after a buffer
that holds as much was there.
"""

from __future__ import annotations

from qda.idl.c.elements import Functions, element_type
from qda.idl.c.extents import is_complex_struct, is_handle, is_items, is_variable
from qda.idl.c.layouts import MethodLayout, copy, layout_fields, record_name
from qda.idl.c.names import identifier, type_name
from qda.idl.c.options import Options
from qda.idl.c.text import block
from qda.idl.model import Direction, Parameter
from qda.idl.types import Location, Sequence, String, Struct, Type

__all__ = ["ComplexSkeleton"]

_CALL = "struct _skel_call* call"


class ComplexSkeleton:
    """Prints what the complex methods of an interface need, and the statements that use it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._functions = Functions()

    def declarations(self) -> list[str]:
        """The functions for types that stand before the methods."""
        return self._functions.lines

    def parameter(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        """The statements that take a parameter's buffers and handles into a local variable."""
        kind = one.type
        if kind.is_simple:
            return []
        if is_handle(kind):
            out = int(one.direction.comes_out)
            return [
                f"int {local} = 0;",
                f"uint32_t {local}Offset = 0, {local}Len = 0;",
                f"_skel_dma(&_call, {out}, &{local}, &{local}Offset, &{local}Len);",
            ]
        if is_complex_struct(kind):
            return self._structure(one, layout, local)
        goes_in = one.direction.goes_in
        pointer = self._pointer(kind, one.location, one.direction is Direction.IN)
        if one.direction is Direction.INROUT:
            count, room = (f"_in.{names[one.name]}" for names in (layout.counts, layout.rooms))
            take = "_skel_text" if isinstance(kind.resolved, String) else "_skel_in"
            return [
                f"{pointer} {local} = ({pointer}){take}(&_call, {count}, sizeof *{local});",
                f"{local} = ({pointer})_skel_inout(&_call, {count}, {room}, sizeof *{local});",
            ]
        count = f"_in.{(layout.counts if goes_in else layout.rooms)[one.name]}"
        verb = "receive" if goes_in else "open"
        taken = self._take(verb, "&_call", kind, count, f"sizeof *{local}", one.location)
        cast = "" if is_items(kind) else f"({pointer})"
        return [f"{pointer} {local} = {cast}{taken};"]

    def _pointer(self, kind: Type, place: Location, constant: bool) -> str:
        """The C type of what a sequence or text points to."""
        inner, prefix = kind.resolved, "const " if constant else ""
        if isinstance(inner, String):
            return f"{prefix}{'_wchar_t' if inner.wide else 'char'}*"
        assert isinstance(inner, Sequence)
        return f"{prefix}{type_name(inner.element, self._options, place)}*"

    def _structure(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        verb, fields = (
            ("receive", layout.values) if one.direction.goes_in else ("open", layout.rooms)
        )
        function = self._element(verb, one.type, one.location)
        record = f"&_in.{fields[one.name]}" if one.name in fields else ""
        arguments = ", ".join(filter(None, ("&_call", record, f"&{local}")))
        kind = element_type(one.type, self._options, one.location)
        clear = f"memset(&{local}, 0, sizeof {local});"
        return [f"{kind} {local};", clear, f"{function}({arguments});"]

    def results(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        """The statements that write a complex structure's results."""
        if one.direction.comes_out and is_complex_struct(one.type) and one.name in layout.results:
            function = self._write(one.type, one.location)
            return [f"{function}(&{local}, &_out.{layout.results[one.name]});"]
        return []

    def _take(
        self, verb: str, call: str, kind: Type, count: str, size: str, place: Location
    ) -> str:
        """The expression that takes the buffers of a sequence or text."""
        inner = kind.resolved
        if is_variable(kind):
            take = "_skel_out" if verb == "open" else "_skel_in"
            if verb == "receive" and isinstance(inner, String):
                take = "_skel_text"
            return f"{take}({call}, {count}, {size})"
        assert isinstance(inner, Sequence)
        return f"{self._every(verb, inner.element, place)}({call}, {count})"

    def _every(self, verb: str, element: Type, place: Location) -> str:
        """The function that takes all elements of a sequence."""
        name = f"_skel_{verb}_all_{element_type(element, self._options, place)}"
        return self._functions.need(name, lambda: self._write_every(name, verb, element, place))

    def _write_every(self, name: str, verb: str, element: Type, place: Location) -> list[str]:
        options = self._options
        kind = element_type(element, options, place)
        layout = "in" if verb == "receive" else "room"
        record = record_name("skel", layout, element, options, place)
        out_record = record_name("skel", "out", element, options, place) if verb == "open" else ""
        lines = []
        if record:
            take = f"_skel_in(call, count, sizeof({record}))"
            lines.append(f"const char* records = (const char*){take};")
        if out_record:
            lines.append(f"void* results = _skel_out(call, count, sizeof({out_record}));")
        if not record and not out_record:
            lines.append("if (count > 15 && !call->error) { call->error = AEE_EBADPARM; }")
        lines.append(f"{kind}* items = ({kind}*)_skel_allocate(call, count, sizeof *items);")
        function = self._element(verb, element, place)
        head = "for (uint32_t n = 0; n < count && !call->error; n++)"
        if record:
            body = [
                f"{record} record;",
                "memcpy(&record, records + n * sizeof record, sizeof record);",
                f"{function}(call, &record, &items[n]);",
            ]
        else:
            body = [f"{function}(call, &items[n]);"]
        lines += block(head, body)
        if out_record:
            write = self._write(element, place)
            sizes = f"items, sizeof *items, results, sizeof({out_record})"
            lines.append(f"_skel_expect(call, {write}, {sizes}, count);")
        return block(f"static {kind}* {name}({_CALL}, uint32_t count)", [*lines, "return items;"])

    def _element(self, verb: str, kind: Type, place: Location) -> str:
        """The function that takes one element or structure."""
        name = f"_skel_{verb}_{element_type(kind, self._options, place)}"
        return self._functions.need(name, lambda: self._write_element(name, verb, kind, place))

    def _write_element(self, name: str, verb: str, kind: Type, place: Location) -> list[str]:
        options, inner = self._options, kind.resolved
        layout = "in" if verb == "receive" else "room"
        record = record_name("skel", layout, kind, options, place)
        value = f"{element_type(kind, options, place)}* value"
        source = f"const {record}* record" if record else ""
        head = f"static void {name}({', '.join(filter(None, (_CALL, source, value)))})"
        if is_handle(kind):
            out = int(verb == "open")
            return block(
                head,
                [
                    "uint32_t offset = 0, length = 0;",
                    f"_skel_dma(call, {out}, &value->fd, &offset, &length);",
                    "value->offset = offset;",
                    "value->len = length;",
                ],
            )
        if not isinstance(inner, Struct):
            pointer = self._pointer(kind, place, False)
            cast = "" if is_items(kind) else f"({pointer})"
            taken = self._take(verb, "call", kind, "*record", "sizeof *value->data", place)
            lines = [f"value->data = {cast}{taken};", "value->dataLen = (int)*record;"]
            return block(head, lines)
        fields = layout_fields(inner, "skel", layout, options)
        names = {member.name: field for member, field, _ in fields}
        lines = []
        for member in inner.members:
            part, own = member.type, f"value->{identifier(member.name)}"
            source = f"record->{names[member.name]}" if member.name in names else ""
            if part.is_simple:
                lines += [copy(part, own, source, options)] if source else []
            elif is_handle(part) or is_complex_struct(part):
                function = self._element(verb, part, member.location)
                arguments = ("call", f"&{source}" if source else "", f"&{own}")
                lines.append(f"{function}({', '.join(filter(None, arguments))});")
            else:
                pointer = self._pointer(part, member.location, False)
                cast = "" if is_items(part) else f"({pointer})"
                taken = self._take(verb, "call", part, source, f"sizeof *{own}", member.location)
                lines += [f"{own} = {cast}{taken};", f"{own}Len = (int){source};"]
        structure = [*block(record, [line for _, _, line in fields], "};"), ""] if record else []
        return [*structure, *block(head, lines)]

    def _write(self, kind: Type, place: Location) -> str:
        """The function that makes layout R of a structure."""
        name = f"_skel_write_{element_type(kind, self._options, place)}"
        return self._functions.need(name, lambda: self._write_write(name, kind, place))

    def _write_write(self, name: str, kind: Type, place: Location) -> list[str]:
        options, inner = self._options, kind.resolved
        assert isinstance(inner, Struct)
        record = record_name("skel", "out", kind, options, place)
        value = element_type(kind, options, place)
        fields = layout_fields(inner, "skel", "out", options)
        lines = [
            f"const {value}* value = (const {value}*)from;",
            f"{record} record;",
            "memset(&record, 0, sizeof record);",
        ]
        for member, field, _ in fields:
            own = f"value->{identifier(member.name)}"
            if member.type.is_simple:
                lines.append(copy(member.type, f"record.{field}", own, options))
            else:
                inside = self._write(member.type, member.location)
                lines.append(f"{inside}(&{own}, &record.{field});")
        lines.append("memcpy(to, &record, sizeof record);")
        structure = [*block(record, [line for _, _, line in fields], "};"), ""]
        return [*structure, *block(f"static void {name}(const void* from, void* to)", lines)]
