"""Complex types in C: one walk over a type, which each side of a call takes in its own way (6.4).

A value that is not simple has a record, and buffers and handles that follow it.  There is a
function for each such type and layout, named for what a side does with it; `qda.idl.wire.marshal`
does the same at run time.

| layout      | record                    | a stub   | a skeleton |
|-------------|---------------------------|----------|------------|
| I ("in")    | values that go in         | sends    | receives   |
| C ("room")  | room for what comes out   | offers   | opens      |
| R ("out")   | values that come out      | collects | writes     |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from qda.idl.c.elements import Functions, declared_type, element_type
from qda.idl.c.extents import is_complex_struct, is_handle
from qda.idl.c.helpers import Helpers
from qda.idl.c.layouts import MethodLayout, copy, layout_fields, record_name
from qda.idl.c.names import identifier
from qda.idl.c.options import Options
from qda.idl.c.text import block
from qda.idl.diagnostics import Location
from qda.idl.model import Parameter
from qda.idl.types import Struct, Type

__all__ = ["Walk"]


class Walk(ABC):
    """Prints the functions that the complex methods of an interface need, and calls of them."""

    side: ClassVar[str]
    verbs: ClassVar[Mapping[str, str]]
    """What the side does with each layout."""

    def __init__(self, options: Options, helpers: Helpers) -> None:
        self._options = options
        self._helpers = helpers
        self._functions = Functions()

    def declarations(self) -> list[str]:
        """The functions that stand before the methods."""
        return self._functions.lines

    def results(self, one: Parameter, layout: MethodLayout, value: str) -> list[str]:
        """The statements for a complex structure's results, of which `value` is a pointer."""
        if not (one.direction.comes_out and is_complex_struct(one.type)):
            return []
        if one.name not in layout.results:
            return []
        record = f"&_out.{layout.results[one.name]}"
        return [self._result(one.type, one.location, record, value)]

    # What differs.

    @abstractmethod
    def _handle(self, layout: str) -> list[str]:
        """The statements for a handle, `value`."""

    @abstractmethod
    def _buffers(
        self, layout: str, kind: Type, data: str, count: str, place: Location
    ) -> list[str]:
        """The statements for a sequence or text in a value, and for its length in the record."""

    @abstractmethod
    def _write_every(self, name: str, layout: str, element: Type, place: Location) -> list[str]:
        """The function for all elements of a sequence."""

    # What is the same.

    def _fills(self, layout: str) -> bool:
        """Whether this side makes records of values; the other makes values of records."""
        return (self.side == "stub") == (layout != "out")

    def _record(self, layout: str, kind: Type, place: Location) -> str:
        return record_name(self.side, layout, kind, self._options, place)

    def _name(self, layout: str, kind: Type, place: Location, suffix: str = "") -> str:
        return (
            f"_{self.side}_{self.verbs[layout]}{suffix}_{element_type(kind, self._options, place)}"
        )

    def _call_parameter(self) -> str:
        """The first parameter of functions that add to a call, or take from it."""
        return f"struct {self._helpers.need(f'_{self.side}_call')}* call"

    def _copy(self, layout: str, kind: Type, record: str, value: str) -> str:
        target, source = (record, value) if self._fills(layout) else (value, record)
        return copy(kind, target, source, self._options)

    def _every(self, layout: str, element: Type, place: Location) -> str:
        """The function for all elements of a sequence."""
        name = self._name(layout, element, place, "_all")
        return self._functions.need(name, lambda: self._write_every(name, layout, element, place))

    def _element(self, layout: str, kind: Type, place: Location) -> str:
        """The function for one element or structure."""
        name = self._name(layout, kind, place)
        return self._functions.need(name, lambda: self._write_element(name, layout, kind, place))

    def _one(
        self, layout: str, kind: Type, place: Location, call: str, record: str, value: str
    ) -> str:
        """The statement for one element or structure; an empty layout has no record."""
        arguments = ", ".join(filter(None, (call, f"&{record}" if record else "", value)))
        return f"{self._element(layout, kind, place)}({arguments});"

    def _write_element(self, name: str, layout: str, kind: Type, place: Location) -> list[str]:
        inner, record = kind.resolved, self._record(layout, kind, place)
        fills = self._fills(layout)
        parameters = [self._call_parameter()]
        if record:
            parameters.append(f"{'' if fills else 'const '}{record}* record")
        # Room is offered in values that a call will change.
        constant = "const " if fills and layout == "in" else ""
        parameters.append(f"{constant}{declared_type(kind, self._options, place)}* value")
        head = f"static void {name}({', '.join(parameters)})"
        if is_handle(kind):
            return block(head, self._handle(layout))
        if not isinstance(inner, Struct):
            return block(head, self._buffers(layout, kind, "value->data", "*record", place))
        fields = layout_fields(inner, self.side, layout, self._options)
        names = {member.name: f"record->{field}" for member, field, _ in fields}
        lines = []
        for member in inner.members:
            part, own, place = member.type, f"value->{identifier(member.name)}", member.location
            field = names.get(member.name, "")
            if part.is_simple:
                lines += [self._copy(layout, part, field, own)] if field else []
            elif is_handle(part) or is_complex_struct(part):
                lines.append(self._one(layout, part, place, "call", field, f"&{own}"))
            else:
                lines += self._buffers(layout, part, own, field, place)
        structure = [*block(record, [line for _, _, line in fields], "};"), ""] if record else []
        return [*structure, *block(head, lines)]

    def _result(self, kind: Type, place: Location, record: str, value: str) -> str:
        """The statement for layout R of a structure."""
        source, target = (value, record) if self._fills("out") else (record, value)
        return f"{self._result_function(kind, place)}({source}, {target});"

    def _result_function(self, kind: Type, place: Location) -> str:
        name = self._name("out", kind, place)
        return self._functions.need(name, lambda: self._write_result(name, kind, place))

    def _write_result(self, name: str, kind: Type, place: Location) -> list[str]:
        inner, record = kind.resolved, self._record("out", kind, place)
        assert isinstance(inner, Struct)
        value = declared_type(kind, self._options, place)
        if self._fills("out"):
            at, begin, end = (
                "record.",
                [
                    f"const {value}* value = (const {value}*)from;",
                    f"{record} record;",
                    "memset(&record, 0, sizeof record);",
                ],
                ["memcpy(to, &record, sizeof record);"],
            )
        else:
            at, begin, end = (
                "record->",
                [
                    f"const {record}* record = (const {record}*)from;",
                    f"{value}* value = ({value}*)to;",
                ],
                [],
            )
        fields = layout_fields(inner, self.side, "out", self._options)
        lines = []
        for member, field, _ in fields:
            own, part = f"value->{identifier(member.name)}", member.type
            if part.is_simple:
                lines.append(self._copy("out", part, at + field, own))
            else:
                lines.append(self._result(part, member.location, f"&{at}{field}", f"&{own}"))
        structure = [*block(record, [line for _, _, line in fields], "};"), ""]
        head = f"static void {name}(const void* from, void* to)"
        return [*structure, *block(head, [*begin, *lines, *end])]
