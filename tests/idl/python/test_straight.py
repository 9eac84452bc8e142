"""Methods in a straight line do what the walk through their types does, in every call."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qda
from qda.errors import StatusError
from qda.fastrpc.scalars import Scalars
from qda.idl.python.binding import Binding, BoundMethod
from qda.idl.python.lift import Classes

NUMBERS = """
#include "remote.idl"
enum colour { red, green };
interface numbers : remote_handle64 {
    long nothing();
    long length(in sequence<long> given, rout long count);
    long add(in long a, in octet b, in double c, inrout boolean d, rout long long e);
    long paint(in colour shade, rout colour other);
    long scale(in sequence<short> given, in short factor, rout sequence<short> scaled);
    long copy(in sequence<octet> given, rout sequence<octet> taken, rout octet sum);
};
interface others : remote_handle64 {
    long text(in string text);
    long both(inrout sequence<long> numbers);
    long letter(in char letter);
    long pairs(in sequence<string> words);
};
"""

LOADED: Any = qda.idl.load(NUMBERS, "numbers", name="numbers.idl")
OTHERS: Any = qda.idl.load(NUMBERS, "others", name="numbers.idl")
FIRST = 2
"""The methods of an interface begin behind open and close."""


def methods_of(made: Any) -> dict[str, BoundMethod]:
    """The methods of a class that was made, by name."""
    classes: Classes = made.classes if hasattr(made, "classes") else {}
    binding = Binding(made.interface, classes)
    methods = made.interface.methods[FIRST:]
    return {method.name: binding.method(method.index) for method in methods}


METHODS = methods_of(LOADED)

Outcome = tuple[object, ...]


def outcome(call: Callable[[], object]) -> Outcome:
    """What a call returns or raises, to be compared."""
    try:
        returned = call()
    except Exception as error:
        return type(error), str(error)
    values = returned if isinstance(returned, (tuple, list)) else [returned]
    return tuple(one.tolist() if isinstance(one, np.ndarray) else one for one in values)


numbers = st.integers(-(1 << 33), 1 << 33) | st.integers(-3, 300)
anything = (
    numbers
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.none()
    | st.binary(max_size=5)
    | st.lists(numbers, max_size=3)
    | st.sampled_from([LOADED.colour.red, LOADED.colour.green, LOADED.colour(7)])
    | st.sampled_from(["i4", "i2", "u1", "f8"]).map(lambda kind: np.arange(4, dtype=kind))
    | st.sampled_from(["i4", "i2", "u1"]).map(lambda kind: np.arange(8, dtype=kind)[::2])
    | st.sampled_from(["i4", "i2", "u1"]).map(lambda kind: np.ones((2, 2), kind))
    | st.integers(0, 5).map(np.int32)
)


def test_numbers_and_sequences_of_numbers_are_in_a_straight_line() -> None:
    """All else has to be walked through."""
    assert all(method.server is not None for method in METHODS.values())
    assert all(method.server is None for method in methods_of(OTHERS).values())


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_caller_sends_what_the_walk_sends(name: str, data: st.DataObject) -> None:
    """The same buffers, the same results of the same answer, and the same words."""
    method = METHODS[name].codec.method
    given_ = [one for one in method.parameters if one.direction.goes_in or not one.type.is_simple]
    arguments = [data.draw(anything) for _ in given_]
    fill = data.draw(st.binary(min_size=64, max_size=64))
    sent: list[list[bytes]] = []

    def invoke(
        number: int, ins: Sequence[Any], outs: Sequence[Any], *handles: Sequence[Any], label: str
    ) -> None:
        assert (number, label, list(map(len, handles))) == (method.index, label, [0, 0])
        sent.append([bytes(memoryview(one).cast("B")) if len(one) else b"" for one in ins])
        for out in outs:
            if len(out):
                room = memoryview(out).cast("B")
                room[: len(fill)] = fill[: len(room)]

    def walk() -> object:
        codec = METHODS[name].codec
        by_name = dict(zip((one.name for one in given_), arguments, strict=True))
        values = {one.name: by_name[one.name] for one in given_ if one.direction.goes_in}
        rooms = {one.name: by_name[one.name] for one in given_ if not one.direction.goes_in}
        packed = codec.pack(values, {name: kept(room) for name, room in rooms.items()})
        invoke(method.index, packed.ins, packed.outs, (), (), label=f"numbers.{name}")
        found = codec.unpack(packed)
        return [bool(value) if one == "d" else value for one, value in found.items()]

    def kept(room: object) -> object:
        return room.copy() if isinstance(room, np.ndarray) and room.flags.c_contiguous else room

    judged, by_walk = outcome(walk), sent.copy()
    sent.clear()
    found = outcome(lambda: METHODS[name].caller(invoke, *map(kept, arguments)))
    assert sent == by_walk
    assert found == (judged or (None,))


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_server_serves_what_the_walk_serves(name: str, data: st.DataObject) -> None:
    """The implementation gets the same and runs as often, and so do the caller and its room."""
    bound = METHODS[name]
    counts = bound.codec.counts
    scalars = Scalars(bound.codec.method.index, *counts)
    sizes = st.integers(0, 24)
    head = data.draw(
        st.binary(max_size=40)
        | st.lists(st.integers(0, 4), max_size=8).map(
            lambda row: struct.pack(f"<{len(row)}I", *row)
        )
        | st.just(bytes([2, 0, 0, 0, 3, 0, 0, 0]))
        | st.just(bytes([2, 0, 0, 0]))
    )
    ins = [head, *(data.draw(st.binary(max_size=24)) for _ in range(counts[0] - 1))]
    sizes_out = [data.draw(st.sampled_from([1, 4, 8, 16]) | sizes) for _ in range(counts[1])]
    returned = data.draw(anything | st.tuples(anything, anything) | st.just("target"))

    def serve(through: Callable[..., object]) -> tuple[Outcome, list[Outcome], list[bytes]]:
        got: list[Outcome] = []
        outs = [bytearray(size) for size in sizes_out]

        def run(*arguments: object) -> object:
            got.append(outcome(lambda: arguments))
            if returned != "target":
                return returned
            target = arguments[-1]
            if isinstance(target, np.ndarray) and target.flags.writeable:
                target[:] = 3
            return target

        every: list[Any] = [*ins[: counts[0]], *outs]
        views = [memoryview(one) for one in every]
        ended = outcome(lambda: through(run, views))
        return ended, got, [bytes(out) for out in outs]

    assert bound.server is not None
    assert serve(bound.server) == serve(lambda run, views: bound.serve(run, scalars, views))


def test_a_skeleton_serves_a_second_call_as_the_first() -> None:
    """The second is in a straight line; what a method raises is the same."""

    class Adder(LOADED.Skeleton):  # type: ignore[misc]
        def length(self, given: Any) -> int:
            if not len(given):
                raise StatusError(0x80000401, "nothing to count")
            return len(given)

    skeleton = Adder()
    for _ in range(3):
        out = bytearray(4)
        views = [memoryview(b"\2\0\0\0"), memoryview(bytes(8)), memoryview(out)]
        assert skeleton.invoke(Scalars(3, 2, 1), views) == 0
        assert out == b"\2\0\0\0"
        with pytest.raises(StatusError, match="nothing to count"):
            skeleton.invoke(Scalars(3, 2, 1), [memoryview(bytes(4)), *views[1:]])
        with pytest.raises(StatusError, match="the call"):
            skeleton.invoke(Scalars(3, 1, 1), [views[0], views[2]])


def test_calls_within_calls_have_buffers_of_their_own() -> None:
    """What answers a call may make the same call: each keeps its numbers."""
    caller = METHODS["add"].caller

    def invoke(
        number: int, ins: Sequence[Any], outs: Sequence[Any], *handles: object, label: str
    ) -> None:
        a = struct.unpack_from("<i", ins[0])[0]
        inner = caller(invoke, a - 1, 0, 0.0, True)[1] if a else 0
        struct.pack_into("<?7xq", outs[0], 0, True, a + inner)

    assert caller(invoke, 4, 0, 0.0, True) == (True, 10)
