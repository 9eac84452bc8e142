"""Interfaces and calls of all shapes, from seeds."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from qda.idl import Document, parse
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.primitives import PRIMITIVES, Kind, Primitive
from qda.idl.types import Array, DmaHandle, Enum, Sequence, String, Struct, Type
from qda.idl.wire.nodes import Dma
from tests.idl.values import plain, room_for

__all__ = ["Lengths", "Sent", "any_interface", "own_methods"]

METHODS = 60


def any_interface(seed: int) -> tuple[Document, Interface, random.Random]:
    """A document with one interface, and the source of chance to go on with."""
    chance = random.Random(seed)
    document = parse(_interface_text(chance), name="any.idl")
    (interface,) = document.interfaces
    return document, interface, chance


def own_methods(interface: Interface) -> tuple[Method, ...]:
    """The methods but `open` and `close`."""
    return interface.methods[2 if interface.is_handle64 else 0 :]


def _interface_text(chance: random.Random) -> str:
    """An IDL text: types that build on earlier ones, and methods of all shapes."""
    simple = [*PRIMITIVES, "colour"]
    complex_types = ["string", "wstring"]
    lines = ["enum colour { red, green, blue };"]
    for number in range(6):
        members = [f"{chance.choice(simple)} m{i};" for i in range(chance.randint(1, 4))]
        lines.append(f"struct s{number} {{ {' '.join(members)} }};")
        lines.append(f"typedef {chance.choice(simple)} a{number}[{chance.randint(1, 3)}];")
        simple += [f"s{number}", f"a{number}"]
    for number in range(8):
        lines.append(f"typedef sequence<{chance.choice(simple + complex_types)}> q{number};")
        kinds = chance.choices(simple, k=2) + chance.choices([*complex_types, f"q{number}"], k=2)
        chance.shuffle(kinds)
        members = [f"{kind} m{i};" for i, kind in enumerate(kinds)]
        lines.append(f"struct c{number} {{ {' '.join(members)} }};")
        complex_types += [f"q{number}", f"c{number}"]
    lines.append("struct d { octet k; dmahandle h; long long v; string s; };")
    lines.append(f"interface any{' : remote_handle64' if chance.random() < 0.5 else ''} {{")
    for number in range(METHODS):
        count = chance.randint(0, 6)
        parameters = [_parameter(chance, simple, complex_types, i) for i in range(count)]
        lines.append(f"long m{number}({', '.join(parameters)});")
    return '#include "remote.idl"\n' + "\n".join([*lines, "};"])


def _parameter(
    chance: random.Random, simple: list[str], complex_types: list[str], index: int
) -> str:
    direction = chance.choice(["in", "rout", "inrout"])
    kind = chance.choice(simple)
    shape = chance.random()
    if shape < 0.25:
        kind = f"sequence<{kind}>"
    elif shape < 0.4:
        kind = chance.choice(["string", "wstring"])
    elif shape < 0.7 and direction != "inrout":
        kind = chance.choice(complex_types)
    elif shape < 0.8 and direction != "inrout":
        kind = f"sequence<{chance.choice(complex_types)}>"
    elif shape < 0.9 and direction != "inrout":
        kind = chance.choice(["dmahandle", "sequence<dmahandle>", "d", "sequence<d>"])
    return f"{direction} {kind} p{index}"


def value_of(kind: Type, chance: random.Random) -> Any:
    """A value of a type."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return _number(resolved, chance)
    if isinstance(resolved, Enum):
        return chance.randint(0, 2)
    if isinstance(resolved, Array):
        return [value_of(resolved.element, chance) for _ in range(resolved.length)]
    if isinstance(resolved, Struct):
        return {member.name: value_of(member.type, chance) for member in resolved.members}
    if isinstance(resolved, DmaHandle):
        fd = chance.randint(1, 1 << 30)
        return Dma(fd, chance.choice([0, 4096, 0xFFFF_FFFF]), _length_of(fd))
    count = chance.choice([0, 1, 2, 3])
    if isinstance(resolved, String):
        return "".join(chance.choice("aZ é☺") for _ in range(count))
    assert isinstance(resolved, Sequence)
    return [value_of(resolved.element, chance) for _ in range(count)]


def _length_of(fd: int) -> int:
    """The length of what is under an fd, in all examples."""
    return fd % 100_003


class Lengths(dict[int, int]):
    """The lengths of everything that dmahandles may name."""

    def __missing__(self, fd: int) -> int:
        return _length_of(fd)

    def __contains__(self, fd: object) -> bool:
        return True


def _room(kind: Type, value: Any) -> Any:
    """A room that holds exactly a value; dmahandles are the same going in and coming out."""
    resolved = kind.resolved
    if isinstance(resolved, DmaHandle):
        return value
    if isinstance(resolved, Struct) and not kind.is_simple:
        return {m.name: _room(m.type, value[m.name]) for m in resolved.members}
    if isinstance(resolved, Sequence) and not resolved.element.is_simple:
        return [_room(resolved.element, item) for item in value]
    return room_for(kind, value)


def _number(kind: Primitive, chance: random.Random) -> Any:
    if kind.kind is Kind.FLOAT:
        return chance.choice([0.0, -1.5, 2.0**80])
    bits = 8 * kind.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.signed else (0, (1 << bits) - 1)
    return chance.choice([0, 1, low, high, chance.randint(low, high)])


class Sent:
    """What a method is called with, and what its implementation answers."""

    def __init__(self, method: Method, chance: random.Random) -> None:
        values = {one.name: value_of(one.type, chance) for one in method.parameters}
        self.results = {
            one.name: self._result(one, values[one.name], chance)
            for one in method.parameters
            if one.direction.comes_out
        }
        self.values = {one.name: values[one.name] for one in method.parameters if _goes_in(one)}
        self.rooms = {
            one.name: _room(one.type, values[one.name])
            for one in method.parameters
            if one.direction.comes_out
        }
        self.method = method

    def _result(self, parameter: Parameter, value: Any, chance: random.Random) -> Any:
        """A result that fits: inrout sequences and texts are as long as their argument."""
        if parameter.direction is not Direction.INROUT:
            return value
        if parameter.type.is_simple:
            return value_of(parameter.type, chance)
        return value[::-1]

    def check_inputs(self, seen: Mapping[str, Any]) -> None:
        """The implementation has seen what was sent."""
        for one in self.method.parameters:
            if _goes_in(one):
                assert plain(one.type, seen[one.name]) == self.values[one.name], one

    def check_results(self, found: Mapping[str, Any]) -> None:
        """The caller has what the implementation has answered."""
        for one in self.method.parameters:
            if one.direction.comes_out:
                assert plain(one.type, found[one.name]) == self.results[one.name], one


def _goes_in(parameter: Parameter) -> bool:
    return parameter.direction.goes_in
