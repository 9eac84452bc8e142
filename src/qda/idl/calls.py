"""Calls: a method's arguments as scalars, buffers and handles, at the stub and at the skeleton.

    codec = MethodCodec(method)
    call = codec.pack({"vec": numbers}, {})         # stub: what to invoke with
    ... the call travels, call.outs are filled ...
    codec.unpack(call)                              # stub: {"res": 6}

    codec.serve(scalars, ins, outs, (), (), run)    # skeleton: run(inputs, targets) -> outputs

Both ends work from the nodes of `qda.idl.marshal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from qda.errors import UNSUPPORTED, UsageError
from qda.fastrpc.scalars import EXTENDED_METHOD, MAX_BUFFERS, MAX_HANDLES, Scalars
from qda.idl.marshal import node_of
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.nodes import Dma, Incoming, Node, Outgoing
from qda.idl.records import Buffers, Extent, MarshalError, RecordReader, RecordWriter, stack
from qda.idl.types import DmaHandle

__all__ = ["InterfaceCodec", "MethodCodec", "PackedCall", "Run"]

Run = Callable[[dict[str, Any], dict[str, Any]], Mapping[str, Any]]
"""An implementation: gets inputs and targets by parameter name, returns results by name."""

_WORD = Extent(4, 4)


@dataclass
class PackedCall:
    """A call ready to be invoked.  `outs` are writable; `offered` is what `unpack` reads from."""

    scalars: Scalars
    ins: list[Any]
    outs: list[Any]
    in_handles: list[Dma]
    out_handles: list[Dma]
    offered: dict[str, Any] = field(default_factory=dict)


class _Shape(NamedTuple):
    """How many buffers and handles a method has at least; exactly, if it is plain."""

    ins: int
    outs: int
    in_handles: int
    out_handles: int


class MethodCodec:
    """Marshals the calls of one method.  TypeError for a type that has no form on the wire."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self._parameters: list[tuple[Parameter, Node]] = [
            (parameter, node_of(parameter.type)) for parameter in method.parameters
        ]
        self._extended = method.index >= EXTENDED_METHOD
        self._in_end, _ = stack(self._in_fields())
        self._out_end, self._out_extent = stack(
            node.out_record for parameter, node in self._parameters if parameter.direction.comes_out
        )
        self._is_plain = all(node.is_plain for _, node in self._parameters)
        self._shape = self._count_shape()

    def _in_fields(self) -> Iterable[Extent]:
        if self._extended:
            yield _WORD
        for parameter, node in self._parameters:
            if parameter.direction.goes_in:
                yield node.in_record
            if parameter.direction.comes_out:
                yield node.room_record

    def _count_shape(self) -> _Shape:
        ins, outs = int(self._in_end > 0), int(self._out_end > 0)
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

    def pack(self, values: Mapping[str, Any], rooms: Mapping[str, Any]) -> PackedCall:
        """Marshal arguments: `values` for in and inrout, `rooms` for rout and inrout parameters.

        A room is a capacity in elements (of strings: in units with the NUL), a writable buffer, or
        for structures and sequences of such a structure or list of rooms.  Simple results need
        none; an inrout sequence needs none beyond its value.  UsageError, UsageTypeError.
        """
        record, call = RecordWriter(), Outgoing()
        offered: dict[str, Any] = {}
        if self._extended:
            record.count(self.method.index)
        for parameter, node in self._parameters:
            name, direction = parameter.name, parameter.direction
            if direction.goes_in:
                value = _argument(values, name)
                node.write_in(value, record)
                node.send(value, call)
            if direction.comes_out:
                room = rooms.get(name)
                if direction is Direction.INROUT and room is None and node.room_record != Extent():
                    room = len(values[name])
                elif room is None and not parameter.type.is_simple:
                    raise UsageError(f"{self.method.name}: no room is given for {name}")
                node.write_room(room, record)
                offered[name] = node.offer(room, call)
        ins = [record.finish(), *call.ins] if self._in_end else call.ins
        outs = [bytearray(self._out_extent.size), *call.outs] if self._out_end else call.outs
        for number, limit, what in (
            (len(ins), MAX_BUFFERS, "in-buffers"),
            (len(outs), MAX_BUFFERS, "out-buffers"),
            (len(call.in_handles), MAX_HANDLES, "in-handles"),
            (len(call.out_handles), MAX_HANDLES, "out-handles"),
        ):
            if number > limit:
                raise UsageError(f"{self.method.name}: {number} {what}, a call has at most {limit}")
        scalars = Scalars(
            min(self.method.index, EXTENDED_METHOD),
            len(ins),
            len(outs),
            len(call.in_handles),
            len(call.out_handles),
        )
        return PackedCall(scalars, ins, outs, call.in_handles, call.out_handles, offered)

    def unpack(self, call: PackedCall) -> dict[str, Any]:
        """The results of a call that has succeeded, by parameter name in declaration order."""
        record = RecordReader(memoryview(call.outs[0] if self._out_end else b""))
        return {
            parameter.name: node.collect(call.offered[parameter.name], record)
            for parameter, node in self._parameters
            if parameter.direction.comes_out
        }

    # The skeleton's side.

    def serve(
        self,
        scalars: Scalars,
        ins: list[memoryview],
        outs: list[memoryview],
        in_handles: Iterable[Dma],
        out_handles: Iterable[Dma],
        run: Run,
    ) -> None:
        """Check and unmarshal a request, run the implementation, marshal its results.

        Nothing that arrives is trusted.  MarshalError before the implementation has run;
        UsageError, UsageTypeError for results that do not fit; whatever `run` raises.
        """
        self._check_shape(scalars)
        record = RecordReader(self._head(ins, self._in_end))
        if self._extended:
            record.count()
        heads: dict[str, Any] = {}
        rooms: dict[str, Any] = {}
        call = Incoming(
            Buffers(ins[int(self._in_end > 0) :], "in-buffer"),
            Buffers(outs[int(self._out_end > 0) :], "out-buffer"),
            iter(in_handles),
            iter(out_handles),
        )
        for parameter, node in self._parameters:
            if parameter.direction.goes_in:
                heads[parameter.name] = node.read_in(record, call)
            if parameter.direction.comes_out:
                rooms[parameter.name] = node.read_room(record)
        out_record = self._head(outs, self._out_end)
        inputs: dict[str, Any] = {}
        targets: dict[str, Any] = {}
        for parameter, node in self._parameters:
            name = parameter.name
            if parameter.direction.goes_in:
                inputs[name] = node.receive(heads[name], call)
            if parameter.direction.comes_out:
                targets[name] = node.open_room(rooms[name], call)
            if parameter.direction is Direction.INROUT and targets[name] is not None:
                if rooms[name] < heads[name]:
                    raise MarshalError(f"{name}: room for {rooms[name]} of {heads[name]} elements")
                node.write_out(inputs[name], targets[name], RecordWriter())
        results = run(inputs, targets)
        writer = RecordWriter()
        for parameter, node in self._parameters:
            if parameter.direction.comes_out:
                node.write_out(results.get(parameter.name), targets[parameter.name], writer)
        data = writer.finish()[: len(out_record)]
        out_record[: len(data)] = data

    def _check_shape(self, scalars: Scalars) -> None:
        found = _Shape(*scalars[1:5])
        if self._is_plain and found != self._shape:
            raise MarshalError(f"{self.method.name} has {self._shape}, the call {found}")
        if any(has < needs for has, needs in zip(found, self._shape, strict=True)):
            raise MarshalError(f"{self.method.name} has {self._shape}, the call {found}")

    def _head(self, buffers: list[memoryview], end: int) -> memoryview:
        """The buffer of primIn or primROut; empty if there is no such record."""
        if not end:
            return memoryview(bytearray())
        if len(buffers[0]) < end:
            raise MarshalError(f"a record of {len(buffers[0])} bytes, {end} are needed")
        return buffers[0]


def _argument(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise UsageError(f"no value is given for {name}")
    return values[name]


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
        if scalars.method != EXTENDED_METHOD:
            return self.method(scalars.method)
        if EXTENDED_METHOD not in self._methods:
            raise MarshalError(f"{self.interface.name} has no method 31", UNSUPPORTED)
        if not ins or len(ins[0]) < 4:
            raise MarshalError("method 31 and above need a first in-buffer of 4 bytes")
        index = int.from_bytes(ins[0][:4], "little")
        if index < EXTENDED_METHOD:
            raise MarshalError(f"method {index} is asked for as one of 31 and above", UNSUPPORTED)
        return self.method(index)
