"""What is sent arrives as it is, or is refused by the name of its parameter: nothing is lost."""

from __future__ import annotations

import array
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qda.errors import UsageError, UsageTypeError
from qda.idl.model import Direction
from qda.idl.primitives import PRIMITIVES, Kind, Primitive
from qda.idl.types import Array, Enum, Sequence, String, Struct, Type
from qda.idl.wire.calls import MethodCodec
from tests.idl.values import plain
from tests.idl.wire.test_marshal import COLOURS, method_of, struct_of, through, types

TEXT, WIDE, LONG, OCTET = String(), String(wide=True), PRIMITIVES["long"], PRIMITIVES["octet"]
FLOAT, DOUBLE, CHAR = PRIMITIVES["float"], PRIMITIVES["double"], PRIMITIVES["char"]

any_text = st.text(st.characters(exclude_categories=[]), max_size=4) | st.text(
    st.sampled_from("\0a\xe9\ud83d\ude00\udcc3\udca9\U0001f600"), max_size=5
)
whole = st.integers(-(1 << 70), 1 << 70) | st.integers(-200, 300)
numbers = whole | st.floats() | st.booleans() | st.sampled_from([2**24 + 1, 2**53 + 1, 2**63])
anything: st.SearchStrategy[Any] = st.recursive(
    numbers
    | any_text
    | st.binary(max_size=6)
    | st.none()
    | st.builds(
        lambda items, kind, shape: np.resize(np.array(items).astype(kind), shape),
        st.lists(st.integers(-200, 300), min_size=1, max_size=4),
        st.sampled_from(["?", "i1", "u1", ">i2", "<i4", ">i4", "<u8", "<f4", ">f8"]),
        st.sampled_from([(), (0,), (1,), (2,), (3,), (2, 1), (2, 2), (1, 2, 3), (2, 0)]),
    )
    | st.just(np.arange(12, dtype="<i4").reshape(4, 3)[::2, ::-2])
    | st.lists(st.integers(-5, 300), max_size=3).map(lambda one: array.array("i", one))
    | st.sets(st.integers(0, 9), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["m0", "m1", "m2", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def _name(one: Any) -> str:
    """A name for a case, the same in each process: without addresses."""
    return ascii(one)[:40].partition(" at 0x")[0]


def same(kind: Type, sent: Any, came: Any) -> bool:
    """Whether a value arrived as it was sent."""
    resolved = kind.resolved
    if isinstance(resolved, Struct | Sequence | Array) and isinstance(sent, int | np.integer):
        # One byte of a memory whose elements are structures or arrays of one byte.
        return same_byte(resolved, int(sent), came)
    if isinstance(resolved, Struct):
        assert isinstance(sent, dict)
        members = {member.name: member.type for member in resolved.members}
        assert sent.keys() == members.keys() == came.keys()
        return all(same(members[name], sent[name], came[name]) for name in members)
    if isinstance(resolved, Sequence | Array):
        element = resolved.element
        flat = isinstance(resolved, Sequence) and not isinstance(
            element.resolved, Array | Struct | String | Sequence
        )
        assert not isinstance(sent, (dict, set))
        values = np.asarray(sent).reshape(-1).tolist() if flat and _is_deep(sent) else list(sent)
        return len(values) == len(came) and all(map(same, [element] * len(came), values, came))
    if isinstance(resolved, String):
        if isinstance(sent, bytes | bytearray):
            coding = (
                ("utf-16-le", "surrogatepass") if resolved.wide else ("utf-8", "surrogateescape")
            )
            return bool(came.encode(*coding) == sent)
        return bool(sent == came)
    assert isinstance(resolved, Primitive | Enum)
    return _same_number(resolved, sent, came)


def same_byte(resolved: Struct | Sequence | Array, sent: int, came: Any) -> bool:
    """Whether a byte arrived as the one thing that a structure or an array has."""
    if isinstance(resolved, Struct):
        ((name, one),) = came.items()
        (member,) = resolved.members
        return bool(name == member.name) and same(member.type, sent, one)
    (one,) = came
    return same(resolved.element, sent, one)


def _is_deep(sent: Any) -> bool:
    if isinstance(sent, np.ndarray):
        return True
    deep = (list, np.ndarray, array.array, bytearray, memoryview)
    return isinstance(sent, list) and any(isinstance(one, deep) for one in sent)


def _same_number(kind: Primitive | Enum, sent: Any, came: Any) -> bool:
    if isinstance(kind, Enum):
        return bool(came == sent or came + (1 << 32) == sent)
    if isinstance(sent, (str, bytes)):
        sent = ord(sent)
    if kind.kind is Kind.CHAR and sent > 127:
        sent -= 256
    if kind.kind is Kind.FLOAT and isinstance(sent, (float, np.floating)):
        if math.isnan(sent):
            return math.isnan(came)
        sent = struct.unpack("<" + kind.code, struct.pack("<" + kind.code, sent))[0]
    return bool(sent == came)


def expect(error: Exception, *words: str) -> None:
    """That an error says one of these."""
    assert any(one in str(error) for one in words), error


@settings(max_examples=300)
@given(types, anything, st.data())
def test_anything_arrives_as_it_was_sent_or_is_refused(
    kind: Type, value: Any, data: st.DataObject
) -> None:
    """As an argument and as a result, whatever the type and whatever is given."""
    sends = MethodCodec(method_of((Direction.IN, kind)))
    try:
        call = sends.pack({"p0": value}, {})
    except (UsageError, UsageTypeError) as error:
        expect(error, "method: parameter p0: ", "in-buffers")
    else:
        assert same(kind, value, plain(kind, through(sends, call, {})["p0"]))
    if not kind.is_simple:
        return
    gives = MethodCodec(method_of((Direction.ROUT, kind)))
    call = gives.pack({}, {})
    if value is None:
        return
    try:
        through(gives, call, {"p0": value})
    except (UsageError, UsageTypeError) as error:
        expect(error, "method: result p0: ")
    else:
        assert same(kind, value, plain(kind, gives.unpack(call)["p0"]))


def refused(kind: Type, value: Any) -> str:
    """What is said of an argument."""
    with pytest.raises((UsageError, UsageTypeError)) as caught:
        MethodCodec(method_of((Direction.IN, kind))).pack({"p0": value}, {})
    assert str(caught.value).startswith("method: parameter p0: ")
    return str(caught.value)


def arrives(kind: Type, value: Any) -> Any:
    """What a skeleton sees of an argument."""
    codec = MethodCodec(method_of((Direction.IN, kind)))
    return plain(kind, through(codec, codec.pack({"p0": value}, {}), {})["p0"])


@pytest.mark.parametrize("kind", [TEXT, WIDE], ids=str)
@pytest.mark.parametrize("text", ["\0", "a\0", "\0a", "a\0b"], ids=repr)
def test_a_text_with_nul_is_refused(kind: String, text: str) -> None:
    """A text ends at its first NUL (6.8), wherever the text stands, as str and as bytes."""
    data = text.encode("utf-16-le" if kind.wide else "utf-8")
    nested = struct_of([kind, LONG])
    for value in (text, data):
        assert "NUL" in refused(kind, value)
        assert "element 1: " in refused(Sequence(kind), ["x", value])
        assert "member m0: " in refused(nested, {"m0": value, "m1": 1})
        assert "element 0: member m0: " in refused(Sequence(nested), [{"m0": value, "m1": 1}])
        assert "NUL" in refused(Sequence(Sequence(kind)), [[value]])
    codec = MethodCodec(method_of((Direction.ROUT, kind)))
    with pytest.raises(UsageError, match=r"result p0: .*NUL"):
        through(codec, codec.pack({}, {"p0": 9}), {"p0": text})
    both = MethodCodec(method_of((Direction.INROUT, kind)))
    with pytest.raises(UsageError, match=r"parameter p0: .*NUL"):
        both.pack({"p0": text}, {})


def test_a_wide_text_may_have_bytes_that_are_zero() -> None:
    """Only a unit that is zero ends it."""
    assert arrives(WIDE, "a\u0100\u0001") == "a\u0100\u0001"
    assert arrives(WIDE, b"\0\1\1\0") == "\u0100\u0001"


@pytest.mark.parametrize(
    ("kind", "text"),
    [(TEXT, "\ud83d"), (TEXT, "\udcc3\udca9"), (WIDE, "\ud83d\ude00")],
    ids=ascii,
)
def test_surrogates_that_would_become_characters_are_refused(kind: String, text: str) -> None:
    """And those that stand for themselves arrive."""
    assert "surrogates" in refused(kind, text)
    assert arrives(TEXT, "name\udcff") == "name\udcff"
    assert arrives(WIDE, "\ude00\ud83d") == "\ude00\ud83d"


def test_a_text_that_fills_its_room_is_refused() -> None:
    """The caller's end mark would replace its last unit (6.3)."""
    pair = struct_of([TEXT, WIDE])
    for kind, room, value in (
        (TEXT, 5, "hello"),
        (WIDE, 5, "hello"),
        (Sequence(TEXT), [9, 5], ["x", "hello"]),
        (pair, {"m0": 9, "m1": 5}, {"m0": "x", "m1": "hello"}),
        (Sequence(pair), [{"m0": 5, "m1": 9}], [{"m0": "hello", "m1": ""}]),
    ):
        codec = MethodCodec(method_of((Direction.ROUT, kind)))
        call = codec.pack({}, {"p0": room})

        def run(inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
            codec.check_texts({"p0": value}, targets)  # noqa: B023
            raise AssertionError("it was taken")

        views = [memoryview(one).cast("B") for one in call.outs]
        ins = [memoryview(one) for one in call.ins]
        with pytest.raises(UsageError, match=r"result p0: .*6 units with its NUL, and has 5"):
            codec.serve(call.scalars, ins, views, (), (), run)


def test_an_inrout_array_has_room_for_all_its_elements() -> None:
    """A picture of any shape, a strided one, a list of rows, and what can be read only once."""
    codec = MethodCodec(method_of((Direction.INROUT, Sequence(LONG))))
    picture = np.arange(12, dtype="<i4").reshape(3, 4)
    rows: list[tuple[Any, list[int]]] = [
        (picture, list(range(12))),
        (picture.T, picture.T.reshape(-1).tolist()),
        (picture[:, ::2], picture[:, ::2].reshape(-1).tolist()),
        (picture.astype(">i2"), list(range(12))),
        ([[1, 2, 3], [4, 5, 6]], [1, 2, 3, 4, 5, 6]),
        (iter([1, 2, 3]), [1, 2, 3]),
        (array.array("h", [1, -2]), [1, -2]),
        (np.zeros((2, 0), "<i4"), []),
    ]
    for value, wanted in rows:
        call = codec.pack({"p0": value}, {})
        assert through(codec, call, {})["p0"].tolist() == wanted
        assert codec.unpack(call)["p0"].tolist() == wanted


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FLOAT, True),
        (COLOURS, True),
        (CHAR, True),
        (CHAR, "ab"),
        (CHAR, ""),
        (PRIMITIVES["wchar"], "\U0001f600"),
        (LONG, None),
        (LONG, 1.0),
        (LONG, math.nan),
        (LONG, np.array([1, 2])),
        (FLOAT, 2**24 + 1),
        (FLOAT, 2**200),
        (DOUBLE, 2**53 + 1),
        (DOUBLE, 10**400),
        (FLOAT, 1e39),
        (FLOAT, np.array([1.0])),
        (COLOURS, 1.5),
        (COLOURS, 1 << 32),
        (Sequence(LONG), {1: 2}),
        (Sequence(LONG), {1, 2}),
        (Sequence(LONG), [1, None]),
        (Sequence(LONG), np.array([1, 2**40])),
        (Sequence(LONG), np.array([1.5])),
        (Sequence(LONG), np.array([math.nan])),
        (Sequence(LONG), np.array([1 + 2j])),
        (Sequence(LONG), np.array([1, "x"], object)),
        (Sequence(LONG), np.array(5)),
        (Sequence(LONG), np.array(["2020-01-01"], "M8[D]")),
        (Sequence(LONG), np.ma.masked_array([1, 2], [False, True], dtype="<i4")),
        (Sequence(LONG), 5),
        (Sequence(LONG), "abc"),
        (Sequence(OCTET), np.array([256])),
        (Sequence(OCTET), np.array([-1], "i1")),
        (Sequence(OCTET), array.array("i", [1, 256])),
        (Sequence(OCTET), array.array("b", [-1])),
        (Sequence(FLOAT), np.array([2**24 + 1])),
        (Sequence(DOUBLE), np.array([2**53 + 1])),
        (Sequence(DOUBLE), [2**53 + 1]),
        (Sequence(DOUBLE), [2**53 + 1, 0.5]),
        (Sequence(FLOAT), [1e39]),
        (Sequence(PRIMITIVES["int64"]), [2**63]),
        (Sequence(PRIMITIVES["uint64"]), [-1, 2**63]),
        (Array(LONG, 2), [1, 2, 3]),
        (Array(LONG, 2), [[1], [2]]),
        (Array(LONG, 2), 5),
        (Array(Array(LONG, 2), 2), [1, 2, 3, 4]),
        (Sequence(Array(LONG, 2)), [1, 2]),
        (Sequence(TEXT), "abc"),
        (Sequence(TEXT), {"a": 1}),
        (Sequence(TEXT), [b"a", 5]),
        (Sequence(TEXT), 7),
        (TEXT, None),
        (TEXT, memoryview(b"x")),
        (WIDE, b"odd"),
        (struct_of([LONG]), {"m0": []}),
        (struct_of([LONG]), {"m0": [5]}),
        (struct_of([LONG]), {"m0": 1, "typo": 2}),
        (struct_of([LONG]), [5]),
        (struct_of([LONG, TEXT]), {"m0": "x", "m1": ""}),
        (struct_of([LONG, TEXT]), {"m0": 1, "m1": "", "typo": 2}),
        (Sequence(struct_of([LONG, OCTET])), np.zeros(2, [("m0", "<i4"), ("x", "u1")])),
        (Sequence(struct_of([LONG, OCTET])), np.full(2, 999, [("m0", "<i4"), ("m1", "<i4")])),
        (Sequence(struct_of([LONG, TEXT])), [{"m0": 1, "m1": ""}, {"m0": 1 << 31, "m1": ""}]),
    ],
    ids=_name,
)
def test_what_would_arrive_as_something_else_is_refused(kind: Type, value: Any) -> None:
    """Ranges, kinds, shapes, names: each with the parameter's name."""
    assert refused(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        (LONG, np.int64(-5), -5),
        (LONG, True, 1),
        (OCTET, np.True_, 1),
        (CHAR, "\xe9", 0xE9 - 256),
        (CHAR, b"\xff", -1),
        (FLOAT, 2**24 + 2, 2.0**24 + 2),
        (DOUBLE, 1 << 1000, 2.0**1000),
        (FLOAT, math.inf, math.inf),
        (PRIMITIVES["boolean"], np.True_, 1),
        (Sequence(OCTET), bytearray(b"ab"), [97, 98]),
        (Sequence(OCTET), memoryview(b"abcd")[::2], [97, 99]),
        (Sequence(OCTET), array.array("i", [1, 255]), [1, 255]),
        (Sequence(OCTET), np.array([True, False]), [1, 0]),
        (Sequence(CHAR), "a\xe9", [97, 0xE9 - 256]),
        (Sequence(LONG), b"ab", [97, 98]),
        (Sequence(LONG), [[], []], []),
        (Sequence(LONG), np.array([1, -2], ">i8"), [1, -2]),
        (Sequence(LONG), np.arange(6, dtype="<i4")[::-2], [5, 3, 1]),
        (Sequence(LONG), (one for one in (1, 2)), [1, 2]),
        (Sequence(FLOAT), [1, 2.5], [1.0, 2.5]),
        (Sequence(Array(LONG, 2)), [], []),
        (Sequence(Array(LONG, 2)), np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    ],
    ids=_name,
)
def test_what_means_the_same_arrives(kind: Type, value: Any, wanted: Any) -> None:
    """Conversions that lose nothing."""
    assert arrives(kind, value) == wanted


def test_structured_arrays_go_by_the_names_of_their_fields() -> None:
    """Not by their order, which may be another one."""
    kind = Sequence(struct_of([LONG, PRIMITIVES["unsigned long"]]))
    swapped = np.array([(1, 2), (3, 4)], [("m1", "<u4"), ("m0", "<i4")])
    assert arrives(kind, swapped) == [{"m0": 2, "m1": 1}, {"m0": 4, "m1": 3}]
    more = np.array([(1, 2, 3)], [("m0", "<i4"), ("m1", "<u4"), ("m2", "<i4")])
    assert "'m2', which is no member" in refused(kind, more)
    assert "'m2', which is no member" in refused(kind.element, more[0])


@pytest.mark.parametrize(
    ("kind", "room"),
    [
        (Sequence(LONG), array.array("d", [0.0] * 4)),
        (Sequence(LONG), np.zeros(4, ">i4")),
        (Sequence(LONG), np.zeros(4, "<i8")),
        (Sequence(LONG), np.zeros((4, 4), "<i4")[:, ::2]),
        (Sequence(LONG), np.zeros((), "<i4")),
        (Sequence(LONG), bytearray(5)),
        (Sequence(LONG), bytes(8)),
        (Sequence(LONG), True),
        (Sequence(LONG), -1),
        (Sequence(LONG), 1 << 32),
        (Sequence(LONG), 2.0),
        (Sequence(Array(LONG, 2)), np.zeros(4, "<i4")),
        (TEXT, -1),
        (TEXT, 1 << 32),
        (TEXT, True),
        (TEXT, bytearray(5)),
        (Sequence(TEXT), 5),
        (Sequence(TEXT), [5, -5]),
        (struct_of([TEXT]), {"m0": 5, "m1": 5}),
        (struct_of([TEXT]), {}),
    ],
    ids=_name,
)
def test_a_room_of_another_kind_is_refused(kind: Type, room: Any) -> None:
    """Type, byte order, strides, size, sign."""
    with pytest.raises((UsageError, UsageTypeError), match="method: parameter p0: "):
        MethodCodec(method_of((Direction.ROUT, kind))).pack({}, {"p0": room})


def test_memory_of_the_right_elements_is_filled() -> None:
    """Raw bytes of any type, typed buffers of theirs."""
    codec = MethodCodec(method_of((Direction.ROUT, Sequence(LONG))))
    for room in (bytearray(8), array.array("i", [0, 0]), np.zeros((2, 1), "<i4"), np.int64(2)):
        call = codec.pack({}, {"p0": room})
        through(codec, call, {"p0": [7, -7]})
        assert np.asarray(codec.unpack(call)["p0"]).reshape(-1).tolist() == [7, -7]


@pytest.mark.parametrize("kind", [TEXT, Sequence(LONG)], ids=str)
def test_a_room_that_does_not_hold_the_value_is_refused(kind: Type) -> None:
    """An inrout parameter comes in there (6.8)."""
    codec = MethodCodec(method_of((Direction.INROUT, kind)))
    value = "abc" if kind is TEXT else [1, 2, 3, 4]
    with pytest.raises(UsageError, match="parameter p0: room for 3 of the 4"):
        codec.pack({"p0": value}, {"p0": 3})
