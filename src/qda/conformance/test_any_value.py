"""Any value in any field gives a defined result: never a crash, never a read of foreign memory.

Addresses at which this process happens to have memory are left out, because the device may well
write there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from qda.conformance.interface import (
    PAGE,
    UNKNOWN_MODULE,
    OpenNode,
    Target,
    allocate,
    call,
    inline,
    invoke,
    issue,
    map_object,
    name_of,
    part_of,
)
from qda.conformance.memory import KERNEL_ADDRESSES, Memory, is_mapped
from qda.errors import BAD_HANDLE, as_signed, is_errno
from qda.fastrpc.scalars import Scalars
from qda.layout import Field
from qda.uapi import LEGACY, RFC, drm
from qda.uapi.accel import InvokeElement

pytestmark = pytest.mark.usefixtures("hostile")

# The node is shared by all examples of a test, which is intended.
settle = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])

_EDGES = [
    edge + near for bit in (0, 12, 31, 32, 47, 63) for edge in (1 << bit,) for near in (-1, 0)
]
words = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.sampled_from([*_EDGES, *KERNEL_ADDRESSES, (1 << 64) - 1, (1 << 64) - PAGE]),
)
lengths = st.one_of(st.integers(0, 1 << 16), words)


@pytest.fixture(autouse=True)
def device_works_afterwards(target: Target) -> Iterator[None]:
    """Each test leaves a device that serves the next one."""
    yield
    with target.session() as node:
        assert invoke(node, UNKNOWN_MODULE, 2) == as_signed(BAD_HANDLE)


def unused(address: int) -> bool:
    """Whether the device can write some bytes there without harm to this process."""
    return not is_mapped(address, 1 << 16)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Any value of a field."""
    if field.count:
        return st.binary(max_size=field.size)
    if field.scalar.name == "u64":
        return words
    low, high = field.scalar.range
    small = st.integers(max(low, -3), 8)
    return st.one_of(small, small, st.integers(low, high), st.sampled_from([low, high]))


def records(key: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any values for the record of a command; the dialects of the accelerator share the names."""
    commands = {known.key: known for known in (*LEGACY.commands, *drm.CORE.commands, *RFC.commands)}
    record = commands[key].record
    assert record is not None
    return st.fixed_dictionaries({field.name: values_of(field) for field in record.fields})


@settle
@given(address=words)
def test_any_address_of_elements_is_refused(session_node: OpenNode, address: int) -> None:
    """R3, H03."""
    assume(unused(address))
    values = {"scalars": Scalars(2, 3, 2).word, "arguments": address}
    result, _ = call(session_node, "INVOKE", handle=UNKNOWN_MODULE, **values)
    assert is_errno(result)


@settle
@given(address=words, length=st.integers(1, 1 << 16), fd=st.sampled_from([0, -1]))
def test_any_address_of_an_input_is_refused(
    session_node: OpenNode, address: int, length: int, fd: int
) -> None:
    """R3, H01."""
    assume(unused(address))
    element = InvokeElement(ptr=address, length=length, fd=fd)
    assert is_errno(invoke(session_node, UNKNOWN_MODULE, 2, [element]))


@settle
@given(address=words, length=st.integers(1, 1 << 16), fd=st.sampled_from([0, -1]))
def test_any_address_of_an_output_is_refused(
    session_node: OpenNode, address: int, length: int, fd: int
) -> None:
    """R3, H02."""
    assume(unused(address))
    element = InvokeElement(ptr=address, length=length, fd=fd)
    assert is_errno(invoke(session_node, UNKNOWN_MODULE, 2, outs=[element]))


@settle
@given(address=words, length=st.integers(1, 1 << 16), is_output=st.booleans())
def test_any_address_of_a_buffer_in_an_object_is_refused(
    session_node: OpenNode, address: int, length: int, is_output: bool
) -> None:
    """H09, H10: unless it is in the object's mapping, of which there is none."""
    name = name_of(session_node, _object(session_node))
    element = InvokeElement(ptr=address, length=length, fd=name)
    ins, outs = ([], [element]) if is_output else ([element], [])
    assert is_errno(invoke(session_node, UNKNOWN_MODULE, 2, ins, outs))


@settle
@given(offset=words, length=lengths)
def test_any_part_of_an_object_is_checked(session_node: OpenNode, offset: int, length: int) -> None:
    """H13: a handle argument is refused exactly if it goes beyond the object."""
    name = name_of(session_node, _object(session_node))
    part = InvokeElement(ptr=offset, length=length, fd=name)
    result = invoke(session_node, UNKNOWN_MODULE, 2, in_handles=[part])
    assert is_errno(result) == (offset + length > PAGE)


@settle
@given(length=lengths, start=st.integers(0, PAGE - 1), is_output=st.booleans())
def test_any_length_in_an_object_is_checked(
    session_node: OpenNode, length: int, start: int, is_output: bool
) -> None:
    """H05, H06, H11: a buffer is refused exactly if it goes beyond the object."""
    handle = _object(session_node)
    with map_object(session_node, handle) as pages:
        element = part_of(pages, name_of(session_node, handle), start, length)
        ins, outs = ([], [element]) if is_output else ([element], [])
        result = invoke(session_node, UNKNOWN_MODULE, 2, ins, outs)
        assert is_errno(result) == (start + length > PAGE)


def _object(node: OpenNode) -> int:
    """A page, one for all examples."""
    if node.page is None:
        node.page = allocate(node)
    return node.page


@settle
@given(
    elements=st.lists(
        st.builds(
            InvokeElement,
            ptr=words,
            length=lengths,
            fd=st.one_of(st.integers(-3, 5), st.integers(-(1 << 31), (1 << 31) - 1)),
            attr=st.integers(0, (1 << 32) - 1),
        ),
        max_size=8,
    ),
    split=st.lists(st.integers(0, 8), min_size=3, max_size=3),
)
def test_any_elements_give_a_result(
    session_node: OpenNode, elements: list[InvokeElement], split: list[int]
) -> None:
    """R3: whatever the counts and the elements are."""
    assume(all(unused(element.ptr) for element in elements))
    cuts = [0, *sorted(min(cut, len(elements)) for cut in split), len(elements)]
    parts = [elements[start:end] for start, end in itertools.pairwise(cuts)]
    assert invoke(session_node, UNKNOWN_MODULE, 2, *parts) != 0


@settle
@given(
    handle=st.one_of(st.integers(0, 10), st.integers(0, (1 << 32) - 1)),
    scalars=st.integers(0, (1 << 32) - 1),
)
def test_any_scalars_give_a_result(session_node: OpenNode, handle: int, scalars: int) -> None:
    """Spec 1.1: every word is legal; the elements are empty, and some are short."""
    memory = Memory(16)
    count = Scalars.decode(scalars).length
    elements = [inline(memory) if index % 3 == 0 else InvokeElement() for index in range(count)]
    array = Memory(b"".join(element.pack() for element in elements))
    values = {"handle": handle, "scalars": scalars, "arguments": array.address}
    call(session_node, "INVOKE", **values)


@pytest.mark.parametrize(
    "key",
    [
        *("GEM_CREATE", "GEM_CLOSE", "GEM_MMAP_OFFSET", "MAP", "MUNMAP"),
        *("MAP_NEW", "UNMAP_NEW", "MEM_MAP", "MEM_UNMAP", "GET_DSP_INFO"),
    ],
)
def test_any_record_gives_a_result(session_node: OpenNode, key: str) -> None:
    """R3, R4: commands whose fields are no addresses of this process."""

    @settle
    @given(values=records(key))
    def check(values: dict[str, Any]) -> None:
        call(session_node, key, **values)

    check()


@settle
@given(values=records("CREATE"))
def test_any_record_of_create_gives_a_result(node: OpenNode, values: dict[str, Any]) -> None:
    """R3, H21."""
    assume(unused(values["file"]))
    if values["filelen"]:
        assert is_errno(call(node, "CREATE", **values)[0])


@settle
@given(address=words, room=words, field=st.sampled_from(["name", "date", "desc"]))
def test_any_address_of_a_text_gives_a_result(
    node: OpenNode, address: int, room: int, field: str
) -> None:
    """R3: VERSION writes what fits, or refuses."""
    assume(unused(address))
    result, _ = call(node, "VERSION", **{field: address, f"{field}_len": room})
    assert (result == 0) == (not address or not room)


@settle
@given(handle=words, descriptor=st.integers(-(1 << 31), 2), flags=st.integers(0, (1 << 32) - 1))
def test_any_descriptor_gives_a_result(
    node: OpenNode, handle: int, descriptor: int, flags: int
) -> None:
    """R3: PRIME, with names of nothing and with the standard descriptors."""
    handle &= 0xFFFFFFFF
    assert is_errno(call(node, "PRIME_FD_TO_HANDLE", fd=descriptor, flags=flags)[0])
    assert is_errno(call(node, "PRIME_HANDLE_TO_FD", handle=handle, flags=flags)[0])


@settle
@given(
    number=st.integers(0x0, 0xF),
    access=st.integers(0, 3),
    size=st.one_of(st.integers(0, 64), st.integers(0, 0x3FFF)),
    fill=st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]),
)
def test_any_code_gives_a_result(
    session_node: OpenNode, number: int, access: int, size: int, fill: int
) -> None:
    """Spec 4.1: any size and direction, of any command of the driver."""
    first = session_node.dialect.commands[0]
    code = access << 30 | size << 16 | ord(first.type) << 8 | (first.number & 0xF0) + number
    issue(session_node, code, bytearray([fill]) * size)
