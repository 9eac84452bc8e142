"""Calls: a method's arguments as scalars, buffers and handles, at the stub and at the skeleton.

    codec = MethodCodec(method)
    call = codec.pack({"vec": numbers}, {})         # stub: what to invoke with
    ... the call travels, call.outs are filled ...
    codec.unpack(call)                              # stub: {"res": 6}

    codec.serve(scalars, ins, outs, (), (), run)    # skeleton: run(inputs, targets) -> outputs

Both ends work from the nodes of `qda.idl.wire.marshal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from qda import limits
from qda.errors import UNSUPPORTED, UsageError
from qda.fastrpc.scalars import EXTENDED_METHOD, Scalars
from qda.idl.model import Interface, Method, Parameter
from qda.idl.types import DmaHandle, String, Type
from qda.idl.wire.marshal import check, check_ends, holds, node_of
from qda.idl.wire.nodes import AnyNode, Incoming, Outgoing
from qda.idl.wire.records import REFUSALS, Buffers, Layout, MarshalError, Row, refusal, stack
from qda.idl.wire.values import Bytes, Given, Handle, Value

__all__ = ["InterfaceCodec", "MethodCodec", "PackedCall", "Run"]

Run: TypeAlias = Callable[[dict[str, Value], dict[str, Value]], Mapping[str, Given]]
"""An implementation: gets inputs and targets by parameter name, returns results by name."""

_WORD = Layout("I", 4, 4)
_EMPTY = memoryview(b"")


@dataclass
class PackedCall:
    """A call ready to be invoked.  `outs` are writable; `offered` is what `unpack` reads from."""

    scalars: Scalars
    ins: list[Bytes]
    outs: list[Bytes]
    in_handles: list[Handle]
    out_handles: list[Handle]
    offered: dict[str, Value] = field(default_factory=dict)


class _Shape(NamedTuple):
    """How many buffers and handles a method has at least; exactly, if it is plain."""

    ins: int
    outs: int
    in_handles: int
    out_handles: int


class _Step(NamedTuple):
    """A parameter on its way: its node, and what of it travels."""

    name: str
    node: AnyNode
    goes_in: bool
    comes_out: bool
    needs_room: bool


class MethodCodec:
    """Marshals the calls of one method.  TypeError for a type that has no form on the wire."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._parameters: list[tuple[Parameter, AnyNode]] = [
            (parameter, node_of(parameter.type)) for parameter in method.parameters
        ]
        self._steps = [
            _Step(
                one.name,
                node,
                one.direction.goes_in,
                one.direction.comes_out,
                one.direction.comes_out and not one.type.is_simple,
            )
            for one, node in self._parameters
        ]
        self._extended = method.index >= EXTENDED_METHOD
        self._in_layout = stack(self._in_blocks())
        self._out_layout = stack(
            node.out_layout for parameter, node in self._parameters if parameter.direction.comes_out
        )
        self._is_plain = all(node.is_plain for _, node in self._parameters)
        self._takes_handles = any(holds(one.type, DmaHandle) for one in method.parameters)
        self._texts = [
            one for one in method.parameters if one.direction.comes_out and holds(one.type, String)
        ]
        self._shape = self._count_shape()
        # Of a plain method all calls have these; a call of another is counted.
        fits = max(self._shape[:2]) <= limits.BUFFERS and max(self._shape[2:]) <= limits.HANDLES
        self._scalars = self._scalars_of(self._shape) if self._is_plain and fits else None

    def _scalars_of(self, counts: _Shape) -> Scalars:
        return Scalars(min(self.method.index, EXTENDED_METHOD), *counts)

    @property
    def is_plain(self) -> bool:
        """Whether all calls of the method have the same `counts` (idl.md 6.8)."""
        return self._is_plain

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """In-buffers, out-buffers, in-handles, out-handles: at least; exactly, if it is plain."""
        return self._shape

    @property
    def records(self) -> tuple[Layout, Layout]:
        """The records primIn and primROut."""
        return self._in_layout, self._out_layout

    def _in_blocks(self) -> Iterable[Layout]:
        if self._extended:
            yield _WORD
        for parameter, node in self._parameters:
            if parameter.direction.goes_in:
                yield node.in_layout
            if parameter.direction.comes_out:
                yield node.room_layout

    def _count_shape(self) -> _Shape:
        ins, outs = int(self._in_layout.size > 0), int(self._out_layout.size > 0)
        in_handles = out_handles = 0
        for parameter, node in self._parameters:
            if not node.is_plain or parameter.type.is_simple:
                continue
            handle = isinstance(parameter.type.resolved, DmaHandle)
            if parameter.direction.goes_in:
                in_handles, ins = in_handles + handle, ins + (not handle)
            if parameter.direction.comes_out:
                out_handles, outs = out_handles + handle, outs + (not handle)
        return _Shape(ins, outs, in_handles, out_handles)

    # The stub's side.

    def pack(self, values: Mapping[str, Given], rooms: Mapping[str, Given]) -> PackedCall:
        """Marshal arguments: `values` for in and inrout, `rooms` for rout and inrout parameters.

        A room is a capacity in elements (of strings: in units with the NUL), a writable buffer, or
        for structures and sequences of such a structure or list of rooms.  Simple results need
        none; an inrout sequence needs none beyond its value.  UsageError, UsageTypeError.
        """
        fields: Row = [self.method.index] if self._extended else []
        call = Outgoing()
        if self._in_layout.size:
            call.ins.append(b"")
        if self._out_layout.size:
            call.outs.append(bytearray(self._out_layout.size))
        offered: dict[str, Value] = {}
        name = ""
        try:
            for name, node, goes_in, comes_out, needs_room in self._steps:
                if goes_in:
                    if name not in values:
                        raise UsageError("no value is given for it")
                    node.send(values[name], fields, call)
                if comes_out:
                    room = rooms.get(name) if needs_room else None
                    if needs_room and goes_in:
                        room = _room_of_both(room, fields[-1])
                    elif needs_room and room is None:
                        raise UsageError("no room is given for it")
                    offered[name] = node.offer(room, fields, call)
        except REFUSALS as error:
            raise refusal(f"{self.method.name}: parameter {name}", error) from None
        if self._in_layout.size:
            call.ins[0] = self._pack_head(fields, values)
        scalars = self._scalars
        if scalars is None:
            counts = len(call.ins), len(call.outs), len(call.in_handles), len(call.out_handles)
            self._check_limits(*counts)
            scalars = self._scalars_of(_Shape(*counts))
        return PackedCall(scalars, call.ins, call.outs, call.in_handles, call.out_handles, offered)

    def _pack_head(self, fields: Row, values: Mapping[str, Given]) -> bytes:
        """The record primIn.  UsageError, UsageTypeError name the parameter that does not fit."""
        try:
            return self._in_layout.pack(fields)
        except UsageError:
            for one, _ in self._parameters:
                if one.direction.goes_in:
                    self._check(f"parameter {one.name}", one.type, values[one.name])
            raise

    def _check(self, what: str, kind: Type, value: Given) -> None:
        try:
            check(kind, value)
        except REFUSALS as error:
            raise refusal(f"{self.method.name}: {what}", error) from None

    def _check_limits(self, ins: int, outs: int, in_handles: int, out_handles: int) -> None:
        for number, limit, what in (
            (ins, limits.BUFFERS, "in-buffers"),
            (outs, limits.BUFFERS, "out-buffers"),
            (in_handles, limits.HANDLES, "in-handles"),
            (out_handles, limits.HANDLES, "out-handles"),
        ):
            if number > limit:
                raise UsageError(f"{self.method.name}: {number} {what}, a call has at most {limit}")

    def unpack(self, call: PackedCall) -> dict[str, Value]:
        """The results of a call that has succeeded, by parameter name in declaration order."""
        return self.collect(call.outs, call.offered)

    def collect(self, outs: Sequence[Bytes], offered: Mapping[str, Value]) -> dict[str, Value]:
        """The results, from the out-buffers and what was offered (or opened) for each of them."""
        fields = self._out_layout.unpack(memoryview(outs[0]) if self._out_layout.size else _EMPTY)
        return {
            name: node.collect(offered[name], fields)
            for name, node, _, comes_out, _ in self._steps
            if comes_out
        }

    # The skeleton's side.

    def serve(
        self,
        scalars: Scalars,
        ins: list[memoryview],
        outs: list[memoryview],
        in_handles: Iterable[Handle],
        out_handles: Iterable[Handle],
        run: Run,
    ) -> None:
        """Check and unmarshal a request, run the implementation, marshal its results.

        Nothing that arrives is trusted.  MarshalError before the implementation has run;
        UsageError, UsageTypeError for results that do not fit; whatever `run` raises.
        """
        self._check_shape(scalars)
        first_in, first_out = int(self._in_layout.size > 0), int(self._out_layout.size > 0)
        fields = self._in_layout.unpack(ins[0] if first_in else _EMPTY)
        if first_out and len(outs[0]) < self._out_layout.end:
            raise MarshalError(
                f"a record of {len(outs[0])} bytes for results of {self._out_layout.end}"
            )
        call = Incoming(
            Buffers(ins[first_in:], "in-buffer"),
            Buffers(outs[first_out:], "out-buffer"),
            iter(in_handles),
            iter(out_handles),
        )
        if self._extended:
            next(fields)
        inputs: dict[str, Value] = {}
        targets: dict[str, Value] = {}
        for name, node, goes_in, comes_out, _ in self._steps:
            if not comes_out:
                inputs[name] = node.receive(fields, call)
            elif not goes_in:
                targets[name] = node.open_room(fields, call)
            else:
                inputs[name], targets[name] = node.receive_both(fields, call)
        results = run(inputs, targets)
        head: Row = []
        name = ""
        try:
            for name, node, _, comes_out, _ in self._steps:
                if comes_out:
                    node.write_out(results.get(name), targets[name], head)
        except REFUSALS as error:
            raise refusal(f"{self.method.name}: result {name}", error) from error
        if first_out:
            data = self._pack_results(head, results)[: len(outs[0])]
            outs[0][: len(data)] = data

    def _pack_results(self, head: Row, results: Mapping[str, Given]) -> bytes:
        """The record primROut.  UsageError, UsageTypeError name the result that does not fit."""
        try:
            return self._out_layout.pack(head)
        except UsageError:
            for one, _ in self._parameters:
                if one.direction.comes_out and results.get(one.name) is not None:
                    self._check(f"result {one.name}", one.type, results[one.name])
            raise

    def check_texts(self, results: Mapping[str, Given], targets: Mapping[str, Value]) -> None:
        """UsageError for a text that fills its room, and would lose its last unit.

        C may do that, and knows (spec/idl.md 6.3); in Python nobody counts units.
        """
        for one in self._texts:
            try:
                check_ends(one.type, results.get(one.name), targets[one.name])
            except REFUSALS as error:
                raise refusal(f"{self.method.name}: result {one.name}", error) from None

    def _check_shape(self, scalars: Scalars) -> None:
        if scalars[1:5] == self._shape:
            return
        found = _Shape(*scalars[1:5])
        # Where nothing is a handle, none is expected, as in C.
        stray = not self._takes_handles and (found.in_handles or found.out_handles)
        if (
            stray
            or self._is_plain
            or any(has < needs for has, needs in zip(found, self._shape, strict=True))
        ):
            raise MarshalError(f"{self.method.name} has {self._shape}, the call {found}")


def _room_of_both(room: Given, count: int | float | bytes) -> Given:
    """The room for an inrout parameter, which has to hold what it takes in: `count`, the field
    that was appended last.  UsageError."""
    if room is None:
        return count
    if isinstance(room, int) and isinstance(count, int) and room < count:
        raise UsageError(f"room for {room} of the {count} elements or units that it takes in")
    return room


class InterfaceCodec:
    """The methods of an interface, found by what a request says."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self._methods = {method.index: method for method in interface.methods}
        self._codecs: dict[int, MethodCodec] = {}

    def method(self, index: int) -> MethodCodec:
        """The codec of a method by its index on the wire.  MarshalError UNSUPPORTED."""
        if index not in self._codecs:
            if index not in self._methods:
                raise MarshalError(f"{self.interface.name} has no method {index}", UNSUPPORTED)
            self._codecs[index] = MethodCodec(self._methods[index])
        return self._codecs[index]

    def named(self, name: str) -> MethodCodec:
        """The codec of a method by its name.  KeyError."""
        for method in self.interface.methods:
            if method.name == name:
                return self.method(method.index)
        raise KeyError(name)

    def requested(self, scalars: Scalars, ins: list[memoryview]) -> MethodCodec:
        """The method that a request is for (6.6).  MarshalError."""
        if scalars.method < 2 and self.interface.is_handle64:
            raise MarshalError(f"method {scalars.method} is the loader's", UNSUPPORTED)
        if scalars.method != EXTENDED_METHOD:
            return self.method(scalars.method)
        if EXTENDED_METHOD not in self._methods:
            raise MarshalError(
                f"{self.interface.name} has no method {EXTENDED_METHOD} or above", UNSUPPORTED
            )
        if not ins or len(ins[0]) < 4:
            raise MarshalError("method 31 and above need a first in-buffer of 4 bytes")
        index = int.from_bytes(ins[0][:4], "little")
        if index < EXTENDED_METHOD:
            raise MarshalError(f"method {index} is asked for as one of 31 and above", UNSUPPORTED)
        return self.method(index)
