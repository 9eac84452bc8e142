"""Raw calls in words: `calculator.sum(vec=[1, 2, 3]) -> res=6`, for traces and logs.

Nothing is run, and nothing that stands in the buffers is trusted.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qda.errors import as_unsigned, explain
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import CLOSE, OPEN
from qda.idl.model import Direction
from qda.idl.python.lift import lift_of, room_of_target
from qda.idl.types import DmaHandle, Enum, Type
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.lifecycle import opened_uri
from qda.idl.wire.records import MarshalError
from qda.idl.wire.values import Bytes, Handle, Value

__all__ = ["RawCall", "Values", "describe", "values_of"]


class RawCall(NamedTuple):
    """A call as it travels: the scalars word, buffers and handles in their order.

    `status` is None before the answer is there; then `outs` are as long as the results may be,
    and nothing is read from them.
    """

    scalars: int
    ins: Sequence[Bytes] = ()
    outs: Sequence[Bytes] = ()
    in_handles: Sequence[Handle] = ()
    out_handles: Sequence[Handle] = ()
    status: int | None = None


class _Unread(Exception):
    """Carries what a skeleton would have been called with."""

    def __init__(self, inputs: dict[str, Value], targets: dict[str, Value]) -> None:
        self.inputs, self.targets = inputs, targets


def describe(codec: InterfaceCodec, call: RawCall) -> str:
    """One line that says what a call is, or what is wrong with it."""
    scalars = Scalars.decode(call.scalars)
    ins = [_view(buffer) for buffer in call.ins]
    outs = [_view(bytes(_view(buffer))) for buffer in call.outs]
    name = codec.interface.c_name
    try:
        if codec.interface.is_handle64 and scalars == OPEN:
            return f"{name}.open(uri={opened_uri(scalars, ins)!r})" + _outcome(call.status, "")
        if codec.interface.is_handle64 and scalars == CLOSE:
            return f"{name}.close()" + _outcome(call.status, "")
        method = codec.requested(scalars, ins)
        name += f".{method.method.name}"
        return name + _of_method(method, call, ins, outs)
    except MarshalError as error:
        return f"{name}: malformed, {error.text} (scalars {call.scalars:#010x})"


def _view(buffer: Bytes) -> memoryview:
    view = memoryview(buffer)
    return view.cast("B") if view.nbytes else memoryview(b"")


class Values(NamedTuple):
    """What a call gives its method, the rooms for what comes out, and what has come out."""

    given: dict[str, Value]
    rooms: dict[str, Value]
    results: dict[str, Value]


def values_of(codec: MethodCodec, call: RawCall) -> Values:
    """The values of a call's parameters, by their names.  MarshalError if it is malformed."""
    ins = [_view(buffer) for buffer in call.ins]
    return _values_of(codec, call, ins, [_view(bytes(_view(buffer))) for buffer in call.outs])


def _values_of(
    codec: MethodCodec, call: RawCall, ins: list[memoryview], outs: list[memoryview]
) -> Values:
    scalars = Scalars.decode(call.scalars)

    def run(inputs: dict[str, Value], targets: dict[str, Value]) -> dict[str, Value]:
        raise _Unread(inputs, targets)

    if len(ins) != scalars.in_buffers or len(outs) != scalars.out_buffers:
        raise MarshalError(f"{len(ins)} in-buffers and {len(outs)} out-buffers are here")
    try:
        codec.serve(scalars, ins, outs, call.in_handles, call.out_handles, run)
        raise AssertionError("run has not been called")
    except _Unread as seen:
        done = codec.collect(outs, seen.targets) if call.status == 0 else {}
        return Values(seen.inputs, seen.targets, done)


def _of_method(
    codec: MethodCodec, call: RawCall, ins: list[memoryview], outs: list[memoryview]
) -> str:
    inputs, targets, done = _values_of(codec, call, ins, outs)
    given, results = [], []
    for parameter in codec.method.parameters:
        name, kind = parameter.name, parameter.type
        if parameter.direction.goes_in:
            given.append(f"{name}={_shown(kind, inputs[name])}")
        elif not kind.is_simple:
            given.append(f"{name}={_room(kind, targets[name])}")
        if parameter.direction is not Direction.IN and name in done:
            results.append(f"{name}={_shown(kind, done[name])}")
    return f"({', '.join(given)})" + _outcome(call.status, ", ".join(results))


def _outcome(status: int | None, results: str) -> str:
    if status is None:
        return ""
    if status:
        found = explain(as_unsigned(status))
        return f" -> {found.number} {found.symbol}".rstrip()
    return f" -> {results or 0}"


_short = reprlib.Repr()
_short.maxlist = _short.maxdict = 8
_short.maxstring = _short.maxother = 80


def _shown(kind: Type, value: Value) -> str:
    resolved = kind.resolved
    if isinstance(value, np.ndarray):
        most = 8
        shown = ", ".join(str(one) for one in value[:most].tolist())
        return f"[{shown}]" if len(value) <= most else f"[{shown}, ... {len(value)} elements]"
    if isinstance(resolved, Enum):
        names = {member.value: member.name for member in resolved.members}
        return names.get(value, str(value))
    if isinstance(resolved, DmaHandle):
        return f"<{value.length} bytes from {value.offset} of fd {value.fd}>"
    lift = lift_of(kind, {})
    return _short.repr(value if lift is None else lift(value))


def _room(kind: Type, target: Value) -> str:
    room = room_of_target(kind, target)
    if isinstance(room, np.ndarray):
        return f"<room for {len(room)}>"
    if isinstance(room, int):
        return f"<room for {room}>"
    if isinstance(kind.resolved, DmaHandle):
        return _shown(kind, room)
    return f"<room {_short.repr(room)}>"
