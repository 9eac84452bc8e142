"""Properties of records: their layout is C's, packing loses nothing, and no bytes do harm."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import replace
from errno import EINVAL, EPERM
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qda import layout
from qda.layout import (
    ANY,
    IN,
    INOUT,
    OUT,
    ZERO,
    Record,
    at_least,
    between,
    differs,
    octets,
    one_of,
    s32,
    s64,
    u8,
    u16,
    u32,
    u64,
)

C_TYPES: dict[str, Any] = {
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "s32": ctypes.c_int32,
    "u64": ctypes.c_uint64,
    "s64": ctypes.c_int64,
}
SCALARS = {"u8": u8, "u16": u16, "u32": u32, "s32": s32, "u64": u64, "s64": s64}


@st.composite
def shapes(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Lists of (field name, type name, count), with 0 for a plain integer."""
    members = st.tuples(st.sampled_from(sorted(C_TYPES)), st.integers(0, 5))
    return [
        (f"field{i}", kind, count)
        for i, (kind, count) in enumerate(draw(st.lists(members, min_size=1, max_size=8)))
    ]


def record_of(shape: list[tuple[str, str, int]]) -> type[Record]:
    """A record class with the given members."""
    body: dict[str, Any] = {}
    for name, kind, count in shape:
        scalar = SCALARS[kind]
        body[name] = octets(count, "bytes", scalar) if count else scalar("a number")
    return type("Sample", (Record,), body)


def structure_of(shape: list[tuple[str, str, int]]) -> type[ctypes.LittleEndianStructure]:
    """The same members as a C structure."""
    members = [(name, C_TYPES[k] * count if count else C_TYPES[k]) for name, k, count in shape]
    return type("Structure", (ctypes.LittleEndianStructure,), {"_fields_": members})


@given(shapes())
def test_layout_is_that_of_c(shape: list[tuple[str, str, int]]) -> None:
    """R4: offsets, sizes, alignment and tail padding as a C compiler lays them out."""
    record, structure = record_of(shape), structure_of(shape)
    assert record.byte_size == ctypes.sizeof(structure)
    assert record.alignment == ctypes.alignment(structure)
    for field, (name, kind, count) in zip(record.fields, shape, strict=True):
        member = getattr(structure, name)
        assert (field.name, field.offset, field.size) == (name, member.offset, member.size)
        assert field.type_name == (f"{kind}[{count}]" if count else kind)


@given(shapes(), st.data())
def test_unpack_of_pack_is_identity(shape: list[tuple[str, str, int]], data: st.DataObject) -> None:
    """R4: what one side writes the other side reads, field by field, and as C reads it."""
    record = record_of(shape)
    values: dict[str, Any] = {
        field.name: data.draw(
            st.binary(min_size=field.size, max_size=field.size)
            if field.count
            else st.integers(*field.scalar.range)
        )
        for field in record.fields
    }
    first = record(**values)
    packed = first.pack()
    assert len(packed) == record.byte_size
    assert record.unpack(packed) == first
    seen = structure_of(shape).from_buffer_copy(packed)
    for name, _, count in shape:
        value = getattr(seen, name)
        assert (bytes(value) if count else value) == values[name]


@given(shapes(), st.data())
def test_arbitrary_bytes_are_read_without_harm(
    shape: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    """R3: any bytes make a record, too few make a struct.error; padding is ignored, then zero."""
    record = record_of(shape)
    content = data.draw(st.binary(max_size=2 * record.byte_size))
    offset = data.draw(st.integers(0, len(content)))
    if len(content) - offset < record.byte_size:
        with pytest.raises(struct.error):
            record.unpack(content, offset)
        return
    found = record.unpack(content, offset)
    assert found.breach() == 0
    assert repr(found).startswith("Sample(")
    owned = bytearray(record.byte_size)
    for field in record.fields:
        part = slice(field.offset, field.offset + field.size)
        owned[part] = content[offset:][part]
    assert found.pack() == bytes(owned)
    around = bytearray(b"\xff" * (record.byte_size + 2))
    found.pack_into(around, 1)
    assert around == b"\xff" + owned + b"\xff"


@given(st.sampled_from(sorted(SCALARS)), st.integers(-(2**70), 2**70))
def test_values_that_do_not_fit_are_refused(kind: str, value: int) -> None:
    """R3: no number is cut to its field silently."""
    record = record_of([("only", kind, 0)])
    low, high = record.fields[0].scalar.range
    assume(not low <= value <= high)
    with pytest.raises(struct.error):
        record(only=value).pack()


class Request(Record, spelling="request"):
    """A record with each kind of rule."""

    kind: int = u32("One of two", legal=one_of(1, 2), breach=EINVAL)
    handle: int = u32("Not the first", legal=at_least(2), breach=EPERM)
    length: int = u64("Bounded", unit="bytes", legal=between(0, 100), breach=EINVAL)
    hint: int = u64("Legal values are told, not checked", legal=between(0, 1), direction=INOUT)
    place: int = u64("Filled by the other side", direction=OUT, points_to="something")
    spare: int = u32("Reserved", legal=ZERO, breach=EINVAL)


@given(
    kind=st.integers(0, 4),
    handle=st.integers(0, 4),
    length=st.one_of(st.integers(99, 102), st.integers(0, 2**64 - 1)),
    hint=st.integers(0, 2**64 - 1),
    spare=st.integers(0, 2),
)
def test_breach_is_that_of_the_first_illegal_field(
    kind: int, handle: int, length: int, hint: int, spare: int
) -> None:
    """R4: the errno of the first field, in layout order, whose value is not legal."""
    expected = [
        number
        for bad, number in (
            (kind not in (1, 2), EINVAL),
            (handle < 2, EPERM),
            (length > 100, EINVAL),
            (spare != 0, EINVAL),
        )
        if bad
    ]
    request = Request(kind=kind, handle=handle, length=length, hint=hint, spare=spare)
    assert request.breach() == (expected[0] if expected else 0)


@given(low=st.integers(-5, 5), high=st.integers(-5, 5), value=st.integers(-7, 7))
def test_legal_values_agree_with_their_words_and_samples(low: int, high: int, value: int) -> None:
    """R4: predicate, words and samples of a rule say the same."""
    assume(low <= high)
    span, floor, choice = between(low, high), at_least(low), one_of(low, high)
    assert span.holds(value) == (low <= value <= high)
    assert span.words == f"{low} to {high}"
    assert floor.holds(value) == (value >= low)
    assert str(low) in floor.words
    assert choice.holds(value) == (value in (low, high))
    for legal in (span, floor, choice, ANY, ZERO):
        assert all(map(legal.holds, legal.samples))


def test_fields_carry_their_declaration() -> None:
    """R4: direction, unit, breach, and what an address points to can be asked for."""
    fields = {field.name: field for field in Request.fields}
    assert [f.direction for f in Request.fields] == [IN, IN, IN, INOUT, OUT, IN]
    assert fields["length"].unit == "bytes"
    assert fields["length"].breach == EINVAL
    assert fields["place"].points_to == "something"
    assert Request.spelling == "request"
    assert Request(length=7).length == 7


class Moved(
    Request,
    spelling="moved",
    layout=("length", "place", "hint", "kind", "handle", "spare"),
):
    """The same attributes in another order and with other C names."""

    kind: int = differs(text="Another sentence")
    spare: int = differs(spelling="pad")


def test_a_dialect_moves_renames_and_explains_anew() -> None:
    """R4: what differs is what C sees, never the attribute."""
    assert [f.spelling for f in Moved.fields] == [
        "length",
        "place",
        "hint",
        "kind",
        "handle",
        "pad",
    ]
    assert [f.offset for f in Moved.fields] == [0, 8, 16, 24, 28, 32]
    texts = {f.name: f.text for f in Moved.fields}
    assert texts["kind"] == "Another sentence"
    assert texts["handle"] == "Not the first"
    assert Request.fields[0].text == "One of two"
    assert Request.fields[-1].spelling == "spare"
    values = {"kind": 1, "handle": 2, "length": 3, "hint": 0, "place": 5, "spare": 0}
    assert Moved.unpack(Moved(**values).pack()).values() == [3, 5, 0, 1, 2, 0]
    assert Moved(**values) != Request(**values)
    assert repr(Moved(spare=9)).startswith("moved(length=0, place=0x0")
    assert "pad=9" in repr(Moved(spare=9))


def test_a_field_declared_anew_keeps_its_place() -> None:
    """R4: a dialect that checks what another does not redeclares one field, and moves nothing."""

    class Strict(Request):
        """As Request, with a rule for the hint."""

        hint: int = u64("Checked now", legal=ZERO, breach=EINVAL)

    assert [(f.name, f.offset) for f in Strict.fields] == [
        (f.name, f.offset) for f in Request.fields
    ]
    record = {"kind": 1, "handle": 2, "hint": 1}
    assert Strict(**record).breach() == EINVAL
    assert Request(**record).breach() == 0


def test_a_wrong_order_is_refused() -> None:
    """R25: a layout that is not one of the record's fields is an error of the declaration."""
    with pytest.raises(TypeError, match="Wrong: layout"):

        class Wrong(Request, layout=("kind", "handle")):
            """Lacks fields."""


class Grown(
    Request, without=("spare",), layout=("kind", "extra", "handle", "length", "hint", "place")
):
    """A field more, a field less."""

    extra: int = u32("Only here")


def test_a_dialect_has_more_fields_or_fewer() -> None:
    """R4: what one dialect's record says is put into another's, as far as it has a place."""
    assert [(f.name, f.offset) for f in Grown.fields] == [
        ("kind", 0),
        ("extra", 4),
        ("handle", 8),
        ("length", 16),
        ("hint", 24),
        ("place", 32),
    ]
    request = Request(kind=1, handle=2, length=3)
    form = Grown.of(request)
    assert form == Grown(kind=1, handle=2, length=3)
    form.place, form.extra = 7, 9
    request.update(form)
    assert request == Request(kind=1, handle=2, length=3, place=7)
    with pytest.raises(TypeError, match="Grown has no field 'spare'"):
        Grown.of(Request(spare=1))


def test_unknown_names_are_quoted() -> None:
    """An error of use says what was given."""
    misspelt = {"lenght": 1}  # which a type checker would see otherwise
    with pytest.raises(TypeError, match="Request has no field 'lenght'"):
        Request(**misspelt)


def test_records_are_compared_by_value_and_not_hashed() -> None:
    """Records are mutable values."""
    assert Request(kind=1) == Request(kind=1) != Request(kind=2)
    assert Request(kind=1) != "request"
    with pytest.raises(TypeError):
        hash(Request())


def test_every_public_name_exists() -> None:
    """The module's list of names is complete enough to be imported from."""
    assert all(hasattr(layout, name) for name in layout.__all__)
    assert replace(ZERO, words="nothing").holds(0)
