"""Methods in a straight line: functions that are written for one method, and do its plain calls.

A walk through a method's types (`qda.idl.wire`) marshals any call, and has the words for whatever
is wrong with one.  Where all parameters are numbers and sequences of numbers it does the same
things each time.  So for such a method two functions are written, one for callers and one for
implementations.  Of `long length(in sequence<long> numbers, rout long count)`:

    def call(invoke, a0):
        if type(a0) is ndarray and a0.dtype is k0 and a0.ndim == 1 and a0.flags.c_contiguous:
            try:
                head = pack(len(a0))
            except refused:
                pass
            else:
                out = bytearray(4)
                invoke(3, (head, a0), (out,), (), (), label=label)
                (r1,) = unpack(out)
                return r1
        return walk(invoke, (a0,))

    def serve(function, buffers):
        try:
            head, m0, out = buffers
            (a0,) = read(head)
            v0 = frombuffer(m0, k0, a0)
            fits = len(out) == 4
        except refused:
            fits = False
        if not fits:
            return walk(function, buffers)
        r1 = results = function(v0)
        try:
            if type(r1) is k1:
                return write(out, 0, r1)
        except refused:
            pass
        return walk(lambda *_: results, buffers)

They decline what is not simply right, before anything is sent and before the implementation has
run: the walk does it then, and so the two cannot disagree about an error.  A walk that only puts
results away finds the arguments once more and does not look at them.  Buffers belong to one call:
threads, calls within calls and results that are kept need no care.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.model import Direction, Parameter
from qda.idl.primitives import Kind, Primitive
from qda.idl.python.lift import Classes, Lifted, lift_of
from qda.idl.types import Enum
from qda.idl.types import Sequence as SequenceType
from qda.idl.wire.calls import MethodCodec
from qda.idl.wire.values import Bytes, Given, dtype_of

__all__ = ["Caller", "Server", "Straight"]

Caller: TypeAlias = Callable[..., Lifted]
"""Calls a method, given what invokes and the arguments."""

Server: TypeAlias = Callable[[Callable[..., Given], list[Bytes]], object]
"""Serves a call, given the implementation and what has come, in wire order."""

_EXACT = {Kind.INTEGER: int, Kind.FLOAT: float, Kind.BOOLEAN: bool}
"""The Python type whose values a record takes as they are."""


class _Part(NamedTuple):
    """What one parameter adds to the texts, as source; nothing where it is empty.

    In both, aN is what a caller gives, or a field of the record; kN its type; mN a buffer, vN the
    array on it; rN a result, or the room for it.
    """

    argument: str = ""
    given: str = ""
    """The condition on an argument that is given."""
    room: str = ""
    field: str = ""
    """What the caller puts into the record that goes in."""
    carried_in: str = ""
    carried_out: str = ""
    tail: str = ""
    """The field of the record that comes back."""
    result: str = ""

    read: str = ""
    """The field of the record that has come."""
    memory_in: str = ""
    memory_out: str = ""
    view: str = ""
    passed: str = ""
    """What the implementation gets."""
    returned: str = ""
    answered: str = ""
    """The condition on what it has returned."""


_ARRAY = "type(a#) is ndarray and a#.dtype is k# and a#.ndim == 1 and a#.flags.c_contiguous"
_ROOM = f"(type(a#) is int or {_ARRAY} and a#.flags.writeable)"
_VIEW = "v# = frombuffer(m#, k#, a#)"

_NUMBERS = _Part(
    argument="a#",
    given=_ARRAY,
    field="len(a#)",
    carried_in="a#",
    read="a#",
    memory_in="m#",
    view=_VIEW,
    passed="v#",
)
_NUMBERS_OUT = _Part(
    argument="a#",
    given=_ROOM,
    room="r# = zeros(a#, k#) if type(a#) is int else a#",
    field="len(r#)",
    carried_out="r#",
    result="r#",
    read="a#",
    memory_out="m#",
    view=_VIEW,
    passed="v#",
    returned="r#",
    answered="(r# is None or r# is v#)",
)


def _number(parameter: Parameter, lift: str) -> _Part:
    part = _Part()
    if parameter.direction.goes_in:
        part = part._replace(
            argument="a#", given="type(a#) is k#", field="a#", read="a#", passed=lift.format("a#")
        )
    if parameter.direction.comes_out:
        part = part._replace(
            tail="r#", result=lift.format("r#"), returned="r#", answered="type(r#) is k#"
        )
    return part


class Straight:
    """The two functions of a method.  `fits` says whether it has any.

    `label` is what errors call its calls; `made` puts several results together.
    """

    def __init__(
        self, codec: MethodCodec, classes: Classes, label: str, made: Callable[..., Lifted]
    ) -> None:
        self._index = codec.method.index
        self._label = label
        self._head, self._tail = (struct.Struct(f"<{one.block}") for one in codec.records)
        self._names: dict[str, object] = {
            "__package__": __package__,  # its frames are ours, not those of an implementation
            "frombuffer": np.frombuffer,
            "label": label,
            "made": made,
            "ndarray": np.ndarray,
            "refused": (struct.error, OverflowError, ValueError, MemoryError),
            "zeros": np.zeros,
        }
        parts = [
            self._part(place, parameter, classes)
            for place, parameter in enumerate(codec.method.parameters)
        ]
        self._parts = [part for part in parts if part is not None]
        self.fits = self._index < EXTENDED_METHOD and len(self._parts) == len(parts)

    def _part(self, place: int, parameter: Parameter, classes: Classes) -> _Part | None:
        """What a parameter adds; None if it is none of those that are done here."""
        kind = parameter.type.resolved
        found: object = None
        part = _NUMBERS_OUT if parameter.direction.comes_out else _NUMBERS
        if isinstance(kind, Primitive | Enum):
            lift = lift_of(kind, classes)
            self._names[f"lift{place}"] = lift
            part = _number(parameter, "lift#({})" if lift else "{}")
            found = classes.get(kind.c_name) if isinstance(kind, Enum) else _EXACT.get(kind.kind)
        elif (
            isinstance(kind, SequenceType)
            and isinstance(kind.element.resolved, Primitive | Enum)
            and parameter.direction is not Direction.INROUT
        ):
            found = dtype_of(kind.element)
            if kind.element.size == 1 and parameter.direction is Direction.IN:
                part = part._replace(given=f"(type(a#) is bytes or {_ARRAY})")
        self._names[f"k{place}"] = found
        if found is None:
            return None
        return _Part(*(text.replace("#", str(place)) for text in part))

    def _each(self, take: Callable[[_Part], str]) -> list[str]:
        return [text for text in map(take, self._parts) if text]

    def _buffers(self, ins: list[str], outs: list[str]) -> tuple[list[str], list[str]]:
        """The buffers of a call: the records that there are come first."""
        return (
            ["head"] * bool(self._head.size) + ins,
            ["out"] * bool(self._tail.size) + outs,
        )

    def _made(self, name: str, text: list[str], **more: object) -> Caller:
        names: dict[str, Any] = {**self._names, **more}
        source = compile("\n".join(text), f"<{name} of {self._label}>", "exec", dont_inherit=True)
        exec(source, names)
        made: Caller = names[name]
        return made

    def caller(self, walk: Caller) -> Caller:
        """The function that calls the method."""
        arguments = self._each(lambda part: part.argument)
        conditions = self._each(lambda part: part.given)
        results = self._each(lambda part: part.result)
        tail = self._each(lambda part: part.tail)
        ins, outs = self._buffers(
            self._each(lambda part: part.carried_in), self._each(lambda part: part.carried_out)
        )
        method = self._index
        text = [
            f"def call({', '.join(['invoke', *arguments])}):",
            f"    if {' and '.join(conditions) or 'True'}:",
            "        try:",
            *(f"            {line}" for line in self._each(lambda part: part.room)),
            f"            head = pack({', '.join(self._each(lambda part: part.field))})",
            "        except refused:",
            "            pass",
            "        else:",
            f"            out = bytearray({self._tail.size})" if tail else "",
            f"            invoke({method}, {_tuple(ins)}, {_tuple(outs)}, (), (), label=label)",
            f"            {_tuple(tail)} = unpack(out)" if tail else "",
            f"            return {_one_of(results)}",
            f"    return walk(invoke, {_tuple(arguments)})",
        ]
        return self._made("call", text, pack=self._head.pack, unpack=self._tail.unpack, walk=walk)

    def server(self, walk: Server) -> Server:
        """The function that serves the method."""
        returned = self._each(lambda part: part.returned)
        answered = self._each(lambda part: part.answered)
        tail = self._each(lambda part: part.tail)
        ins, outs = self._buffers(
            self._each(lambda part: part.memory_in), self._each(lambda part: part.memory_out)
        )
        written = f"write(out, 0, {', '.join(tail)})" if tail else "None"
        ends = "results is None"
        if len(returned) == 1:
            ends = "True"
        elif returned:
            ends = f"isinstance(results, tuple) and len(results) == {len(returned)}"
        text = [
            "def serve(function, buffers):",
            "    try:",
            f"        {_tuple(ins + outs)} = buffers",
            f"        {_tuple(self._each(lambda part: part.read))} = read(head)" if ins else "",
            *(f"        {line}" for line in self._each(lambda part: part.view)),
            f"        fits = len(out) == {self._tail.size}" if tail else "        fits = True",
            "    except refused:",
            "        fits = False",
            "    if not fits:",
            "        return walk(function, buffers)",
            f"    results = function({', '.join(self._each(lambda part: part.passed))})",
            f"    if {ends}:",
            f"        {_tuple(returned)} = results" if len(returned) > 1 else "",
            f"        {returned[0]} = results" if len(returned) == 1 else "",
            f"        if {' and '.join(answered) or True}:",
            "            try:",
            f"                return {written}",
            "            except refused:",
            "                pass",
            "    return walk(lambda *_: results, buffers)",
        ]
        return self._made(
            "serve", text, read=self._head.unpack, write=self._tail.pack_into, walk=walk
        )


def _tuple(names: Iterable[str]) -> str:
    return f"({''.join(f'{name}, ' for name in names)})"


def _one_of(results: list[str]) -> str:
    if len(results) > 1:
        return f"made({', '.join(results)})"
    return results[0] if results else "None"
