"""Records as C structures: primIn and primROut of a method, layouts I, C and R of a type.

With natural alignment a C structure has its members where a record has its fields (idl.md 6.2,
6.4), so what travels is declared, and code reads and writes members.  A value that C does not
take from anybody (an enumerator, a `bool`) is a number in what arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.c.extents import WORD, Extent, end_of, extent, is_complex_struct, is_handle
from qda.idl.c.names import base_name, declare, identifier, type_name, unique
from qda.idl.c.options import Options
from qda.idl.c.text import block
from qda.idl.diagnostics import Location
from qda.idl.model import Method, Parameter
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Array, Enum, Member, Sequence, Struct, Type

__all__ = [
    "MethodLayout",
    "copy",
    "is_converted",
    "layout_fields",
    "record_name",
    "wire_declaration",
]


def is_converted(kind: Type, options: Options) -> bool:
    """Whether C's type has fewer values than the wire's: a `bool` is 0 or 1, a boolean any byte."""
    inner = kind.resolved
    boolean = isinstance(inner, Primitive) and inner.kind is Kind.BOOLEAN
    return boolean and options.standard_types


def wire_declaration(kind: Type, name: str, options: Options, place: Location) -> str:
    """The member of a record that holds a simple value as it travels."""
    if is_converted(kind, options):
        return f"uint8_t {name};"
    if isinstance(kind.resolved, Enum):
        return f"uint32_t {name};"
    return declare(kind, name, options, place)


def copy(kind: Type, target: str, source: str, options: Options) -> str:
    """The statement that copies a simple value between a variable and a record, either way."""
    if is_converted(kind, options):
        return f"{target} = {source} != 0;"
    if isinstance(kind.resolved, Primitive):
        return f"{target} = {source};"
    return f"memcpy(&{target}, &{source}, sizeof {target});"


def record_name(side: str, layout: str, kind: Type, options: Options, place: Location) -> str:
    """The C type of an element's or structure's record; empty if the layout is."""
    if is_handle(kind) or not extent(kind, layout).size:
        return ""
    if is_complex_struct(kind):
        return f"struct _{side}_{layout}_{base_name(kind, options, place)}"
    return "uint32_t"


def layout_fields(
    struct: Struct, side: str, layout: str, options: Options
) -> list[tuple[Member, str, str]]:
    """The fields of a complex structure's layout: member, name and declaration."""
    taken = {_type_text(one.type, options, one.location) for one in struct.members}
    fields = []
    for member in struct.members:
        place, kind = member.location, member.type
        name = identifier(member.name)
        if kind.is_simple:
            if layout == "room":
                continue
            name = unique(name, taken)
            fields.append((member, name, wire_declaration(kind, name, options, place)))
            continue
        record = record_name(side, layout, kind, options, place)
        if record == "uint32_t":
            name += "Len"
        if record:
            name = unique(name, taken)
            fields.append((member, name, f"{record} {name};"))
    return fields


def _type_text(kind: Type, options: Options, place: Location) -> str:
    """A type's name, which C++ allows no member of the same structure to have."""
    if isinstance(kind, Array | Sequence):
        return _type_text(kind.element, options, place)
    return type_name(kind, options, place)


@dataclass
class MethodLayout:
    """primIn and primROut of a method, whose C function is called `function`.

    By parameter name: `values` and `results` are the fields of simple values and complex
    structures, `counts` those of lengths, `rooms` those of capacities.  `in_end` and `out_end`
    are the unrounded ends of the records in bytes; 0 for a record that there is not.
    """

    method: Method
    function: str
    side: str
    options: Options
    in_lines: list[str] = field(default_factory=list)
    out_lines: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    rooms: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    in_end: int = 0
    out_end: int = 0

    def __post_init__(self) -> None:
        parameters = [one for one in self.method.parameters if not is_handle(one.type)]
        self._types = {_type_text(one.type, self.options, one.location) for one in parameters}
        self._reserved = {identifier(one.name) for one in parameters} | self._types | {"uint32_t"}
        ins: list[Extent] = []
        if self.is_extended:
            self.in_lines.append("uint32_t _method;")
            ins.append(WORD)
        for one in parameters:
            if one.direction.goes_in:
                ins.append(extent(one.type, "in"))
                self._add_in(one)
            if one.direction.comes_out:
                ins.append(extent(one.type, "room"))
                self._add_room(one)
        outs = [one for one in parameters if one.direction.comes_out]
        for one in outs:
            self._add_out(one)
        self.in_end = end_of(ins)
        self.out_end = end_of(extent(one.type, "out") for one in outs)

    @property
    def is_extended(self) -> bool:
        """Whether the record begins with the method's number (idl.md 6.6)."""
        return self.method.index >= EXTENDED_METHOD

    def _name(self, parameter: Parameter) -> str:
        return unique(identifier(parameter.name), self._types)

    def _add_in(self, one: Parameter) -> None:
        if one.type.is_simple:
            name = self.values[one.name] = self._name(one)
            self.in_lines.append(wire_declaration(one.type, name, self.options, one.location))
        elif is_complex_struct(one.type):
            self._add_struct(one, "in", self.values, self.in_lines)
        else:
            self.counts[one.name] = self._count(one, "Len")

    def _count(self, one: Parameter, suffix: str) -> str:
        name = unique(identifier(one.name) + suffix, self._reserved)
        self._reserved.add(name)
        self.in_lines.append(f"uint32_t {name};")
        return name

    def _add_room(self, one: Parameter) -> None:
        if is_complex_struct(one.type):
            self._add_struct(one, "room", self.rooms, self.in_lines)
        elif not one.type.is_simple:
            suffix = "Room" if one.direction.goes_in else "Len"
            self.rooms[one.name] = self._count(one, suffix)

    def _add_out(self, one: Parameter) -> None:
        if one.type.is_simple:
            name = self.results[one.name] = self._name(one)
            if self.side == "stub":
                line = wire_declaration(one.type, name, self.options, one.location)
            else:
                line = declare(one.type, name, self.options, one.location)
            self.out_lines.append(line)
        elif is_complex_struct(one.type):
            self._add_struct(one, "out", self.results, self.out_lines)

    def _add_struct(
        self, one: Parameter, layout: str, fields: dict[str, str], lines: list[str]
    ) -> None:
        record = record_name(self.side, layout, one.type, self.options, one.location)
        if record:
            fields[one.name] = self._name(one)
            lines.append(f"{record} {fields[one.name]};")

    def record_type(self, layout: str) -> str:
        """The C type of primIn ("in") or primROut ("out")."""
        return f"struct _{self.side}_{self.function}_{layout}"

    @property
    def structures(self) -> list[str]:
        """The declarations of both records."""
        lines: list[str] = []
        for suffix, members in (("in", self.in_lines), ("out", self.out_lines)):
            if members:
                lines += [*block(self.record_type(suffix), members, "};"), ""]
        return lines
