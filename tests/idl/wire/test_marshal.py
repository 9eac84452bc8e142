"""Rules of marshalling, for any types and values: what a stub sends a skeleton gets, and back."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qda.errors import BAD_PARAMETER, UNSUPPORTED, UsageError, UsageTypeError
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.primitives import PRIMITIVES
from qda.idl.types import (
    Array,
    DmaHandle,
    Enum,
    EnumMember,
    Member,
    Named,
    Sequence,
    String,
    Struct,
    Type,
)
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.lifecycle import VERSION_MISMATCH, check_version, opened_uri
from qda.idl.wire.nodes import Dma
from qda.idl.wire.records import MarshalError
from tests.idl.values import as_bytes, plain, room_for, value_of

COLOURS = Enum("colour", (EnumMember("red", 0), EnumMember("green", 1)))


def struct_of(types: list[Type]) -> Struct:
    """A structure with members m0, m1, ..."""
    members = tuple(Member(f"m{index}", kind) for index, kind in enumerate(types))
    return Struct(f"s{zlib.crc32(repr(members).encode()):x}", members)  # equal members, equal name


def scalar_named(name: str) -> Type:
    """A primitive, or the enumeration."""
    return PRIMITIVES.get(name, COLOURS)


def struct_of_parts(parts: tuple[list[Type], list[Type]]) -> Struct:
    """A structure of simple members, then complex ones."""
    return struct_of([*parts[0], *parts[1]])


scalars: st.SearchStrategy[Type] = st.sampled_from([*PRIMITIVES, "colour"]).map(scalar_named)
simple: st.SearchStrategy[Type] = st.recursive(
    scalars,
    lambda inner: (
        st.builds(Array, inner, st.integers(1, 3))
        | st.lists(inner, min_size=1, max_size=3).map(struct_of)
        | st.builds(Named, st.just("alias"), inner)
    ),
    max_leaves=4,
)
strings: st.SearchStrategy[Type] = st.builds(String, st.booleans())
complex_types: st.SearchStrategy[Type] = st.recursive(
    strings | st.builds(Sequence, simple),
    lambda inner: (
        st.builds(Sequence, inner)
        | st.tuples(st.lists(simple, max_size=2), st.lists(inner, min_size=1, max_size=2)).map(
            struct_of_parts
        )
    ),
    max_leaves=4,
)
types = simple | complex_types


def method_of(*parameters: tuple[Direction, Type], index: int = 2) -> Method:
    """A method with parameters p0, p1, ..."""
    made = [Parameter(f"p{i}", direction, kind) for i, (direction, kind) in enumerate(parameters)]
    return Method("method", index, tuple(made), None)


def through(codec: MethodCodec, call: Any, results: dict[str, Any]) -> dict[str, Any]:
    """Carry a call to a skeleton of the same method; returns what that saw."""
    seen: dict[str, Any] = {}

    def run(inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
        seen.update(inputs)
        return results

    ins, outs = (
        [as_bytes(buffer) for buffer in call.ins],
        [as_bytes(buffer) for buffer in call.outs],
    )
    codec.serve(call.scalars, ins, outs, call.in_handles, call.out_handles, run)
    return seen


@settings(max_examples=60)
@given(st.lists(types, max_size=3), st.lists(types, max_size=3), st.data())
def test_arguments_arrive_and_results_come_back(
    ins: list[Type], outs: list[Type], data: st.DataObject
) -> None:
    """Any mix of in and rout parameters, interleaved as they are declared."""
    order = data.draw(
        st.permutations([(Direction.IN, k) for k in ins] + [(Direction.ROUT, k) for k in outs])
    )
    method = method_of(*order, index=data.draw(st.sampled_from([0, 2, 30, 31, 90])))
    codec = MethodCodec(method)
    given_values = {p.name: value_of(p.type, data.draw) for p in method.parameters}
    values = {p.name: given_values[p.name] for p in method.parameters if p.direction.goes_in}
    results = {p.name: given_values[p.name] for p in method.parameters if p.direction.comes_out}
    rooms = {
        p.name: room_for(p.type, results[p.name])
        for p in method.parameters
        if p.direction.comes_out
    }
    call = codec.pack(values, rooms)
    seen = through(codec, call, results)
    for parameter in method.parameters:
        if parameter.direction.goes_in:
            assert plain(parameter.type, seen[parameter.name]) == values[parameter.name]
    found = codec.unpack(call)
    assert list(found) == list(results)
    for parameter in method.parameters:
        if parameter.direction.comes_out:
            assert plain(parameter.type, found[parameter.name]) == results[parameter.name]


@settings(max_examples=60)
@given(st.lists(types, max_size=3), st.integers(0, (1 << 32) - 1), st.data())
def test_arbitrary_requests_never_crash_a_skeleton(
    kinds: list[Type], word: int, data: st.DataObject
) -> None:
    """Random bytes in random buffers: the implementation runs, or the status says why not."""
    directions = st.sampled_from([Direction.IN, Direction.ROUT])
    codec = MethodCodec(method_of(*((data.draw(directions), kind) for kind in kinds)))
    shape = codec.counts if data.draw(st.booleans()) else Scalars.decode(word)[1:5]
    scalars = Scalars(2, *(min(count, 6) for count in shape))
    ins = [memoryview(data.draw(st.binary(max_size=64))) for _ in range(scalars.in_buffers)]
    sizes = [data.draw(st.integers(0, 64)) for _ in range(scalars.out_buffers)]
    outs = [memoryview(bytearray(size)) for size in sizes]
    with suppress(MarshalError):
        codec.serve(scalars, ins, outs, (), (), lambda inputs, targets: {})


def test_numbers_travel_without_a_copy() -> None:
    """An array of the right type is itself the buffer, and a caller's array is filled in place."""
    numbers, room = np.arange(1000, dtype="<i4"), np.zeros(1000, "<i4")
    longs = Sequence(PRIMITIVES["long"])
    codec = MethodCodec(method_of((Direction.IN, longs), (Direction.ROUT, longs)))
    call = codec.pack({"p0": numbers}, {"p1": room})
    assert np.shares_memory(call.ins[1], numbers)
    assert call.outs[0] is room
    through(codec, call, {"p1": numbers})
    assert codec.unpack(call)["p1"] is room
    assert (room == numbers).all()


def test_the_calculator_of_the_specification() -> None:
    """sum(in sequence<long>, rout long long): 0x02020100, count, data, 8 bytes (9)."""
    method = method_of(
        (Direction.IN, Sequence(PRIMITIVES["long"])), (Direction.ROUT, PRIMITIVES["long long"])
    )
    call = MethodCodec(method).pack({"p0": [1, 2, 3]}, {})
    assert call.scalars.word == 0x02020100
    assert bytes(call.ins[0]) == b"\3\0\0\0"
    assert len(call.outs[0]) == 8


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        (PRIMITIVES["octet"], 256, UsageError),
        (PRIMITIVES["octet"], -1, UsageError),
        (PRIMITIVES["long"], "x", UsageError),
        (PRIMITIVES["short"], 40000, UsageError),
        (String(), 5, UsageTypeError),
        (Sequence(PRIMITIVES["long"]), [1 << 40], UsageError),
        (Sequence(PRIMITIVES["long"]), np.zeros(3), UsageTypeError),
        (struct_of([PRIMITIVES["long"]]), {}, UsageError),
        (Array(PRIMITIVES["long"], 2), [1], UsageError),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_quoted(
    kind: Type, value: Any, error: type[Exception]
) -> None:
    """Nothing is sent."""
    with pytest.raises(error):
        MethodCodec(method_of((Direction.IN, kind))).pack({"p0": value}, {})


def test_more_buffers_or_handles_than_a_call_has_are_refused() -> None:
    """255 buffers and 15 handles each way (6.7)."""
    texts = MethodCodec(method_of((Direction.IN, Sequence(String()))))
    assert texts.pack({"p0": ["x"] * 253}, {}).scalars.in_buffers == 255
    with pytest.raises(UsageError, match="256 in-buffers"):
        texts.pack({"p0": ["x"] * 254}, {})
    handles = MethodCodec(method_of((Direction.IN, Sequence(DmaHandle()))))
    assert handles.pack({"p0": [Dma(3)] * 15}, {}).scalars.in_handles == 15
    with pytest.raises(UsageError, match="16 in-handles"):
        handles.pack({"p0": [Dma(3)] * 16}, {})


def test_a_count_of_handles_is_not_believed() -> None:
    """A sequence of handles has no record to compare its count with."""
    codec = MethodCodec(method_of((Direction.IN, Sequence(DmaHandle()))))
    count = memoryview(b"\xff\xff\xff\xff")
    with pytest.raises(MarshalError, match="at most 15"):
        codec.serve(Scalars(2, 1), [count], [], (), (), lambda inputs, targets: {})


def test_methods_from_31_on_are_found_by_the_first_word() -> None:
    """And only by it (6.6)."""
    methods = tuple(method_of(index=index) for index in range(40))
    codec = InterfaceCodec(Interface("many", methods=methods))
    word = memoryview((35).to_bytes(4, "little"))
    assert codec.requested(Scalars(31, 1), [word]).method.index == 35
    for ins, status in (
        ([], BAD_PARAMETER),
        ([memoryview(b"abc")], BAD_PARAMETER),
        ([memoryview(bytes(4))], UNSUPPORTED),
        ([memoryview(b"\xff\0\0\0")], UNSUPPORTED),
    ):
        with pytest.raises(MarshalError) as caught:
            codec.requested(Scalars(31, len(ins)), ins)
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("asked", "accepted"),
    [
        ("2.3.4", True),
        ("2.3", True),
        ("", True),
        ("2.3.5", False),
        ("x", False),
        ("1.2.3.4", False),
    ],
)
def test_a_skeleton_serves_callers_that_are_not_newer(asked: str, accepted: int) -> None:
    """Versions compare part by part (7)."""
    uri = f"file:///libx_skel.so?x&_idlver={asked}"
    data = uri.encode() + b"\0"
    assert opened_uri(Scalars(0, 2, 0, 0, 1), [len(data).to_bytes(4, "little"), data]) == uri
    if accepted:
        check_version(uri, "2.3.4")
        return
    with pytest.raises(MarshalError) as caught:
        check_version(uri, "2.3.4")
    assert caught.value.status == VERSION_MISMATCH
