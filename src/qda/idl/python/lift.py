"""From what marshalling gives to what a program gets: dictionaries become dataclasses.

Marshalling knows nothing but types and plain values.  A module that was made from an interface has
a class for each structure and enumeration; a *lift* puts a plain value into them.  The way back
needs nothing: marshalling takes objects with attributes as well as dictionaries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from qda.idl.primitives import PRIMITIVES, Kind, Primitive
from qda.idl.types import Array, Enum, Resolved, Sequence, String, Struct, Type
from qda.idl.wire.values import Value

__all__ = ["OCTETS", "Classes", "Lift", "Lifted", "lift_of", "room_of_target"]

Classes: TypeAlias = Mapping[str, Any]
"""Structures and enumerations by their name in C."""

Lifted: TypeAlias = Any
"""A value as a program gets it: as marshalling gives it, or an object of a class that was made."""

Lift: TypeAlias = Callable[[Value], Lifted]

OCTETS: Final = frozenset(PRIMITIVES[name] for name in ("octet", "uint8", "uint8_t"))
"""What arrays of are bytes."""


def lift_of(kind: Type, classes: Classes) -> Lift | None:
    """What a plain value of a type has to go through; None if it is right as it is.

    Sequences of simple types stay arrays, of structures too: they are views, not copies.
    """
    resolved = kind.resolved
    if isinstance(resolved, Primitive):
        return bool if resolved.kind is Kind.BOOLEAN else None
    if isinstance(resolved, Enum):
        return _class(resolved, classes)
    if isinstance(resolved, Array):
        return _lift_array(resolved, classes)
    if isinstance(resolved, Sequence) and not resolved.element.is_simple:
        return _each(lift_of(resolved.element, classes))
    if isinstance(resolved, Struct):
        return _lift_struct(resolved, classes)
    return None


def _class(kind: Enum | Struct, classes: Classes) -> Lift | None:
    found: Lift | None = classes.get(kind.c_name)
    return found


def _lift_array(kind: Array, classes: Classes) -> Lift | None:
    element = kind.element.resolved
    if element in OCTETS:
        return bytes
    return _each(lift_of(element, classes))


def _each(lift: Lift | None) -> Lift | None:
    if lift is None:
        return None
    return lambda values: [lift(value) for value in values]


def _lift_struct(kind: Struct, classes: Classes) -> Lift | None:
    made = _class(kind, classes)
    if made is None:
        return None
    members = [(member.name, lift_of(member.type, classes)) for member in kind.members]

    def lift(value: dict[str, Value]) -> Lifted:
        return made(*(value[name] if up is None else up(value[name]) for name, up in members))

    return lift


def room_of_target(kind: Type, target: Value) -> Value:
    """What an implementation is given for a result that needs room, from a skeleton's target.

    A sequence of a simple type is the caller's room itself, an array to fill.  Of a string it is
    the capacity in units with the NUL; of structures and sequences a dictionary and a list of
    these, as the caller has given them.
    """
    resolved: Resolved = kind.resolved
    if isinstance(resolved, String):
        return len(target) // resolved.unit
    if isinstance(resolved, Struct):
        return {
            member.name: room_of_target(member.type, target[member.name])
            for member in resolved.members
            if not member.type.is_simple
        }
    if isinstance(resolved, Sequence) and not resolved.element.is_simple:
        return [room_of_target(resolved.element, item) for item in target[1]]
    return target
