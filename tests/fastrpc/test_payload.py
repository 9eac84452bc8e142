"""Rules of the message buffer, for any arguments: what is packed can be found again."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.fastrpc.overlap import overlaps
from qda.fastrpc.payload import Argument, Backing, Layout, decode, header, lay_out, metadata_size
from qda.fastrpc.scalars import Scalars
from qda.memory import PAGE

MEMORY = bytes(index * 7 & 255 for index in range(6000))
"""The caller's memory, from address BASE."""
BASE = 0x10000
DEVICE = 0x5_0000_0000

ranges = st.tuples(st.integers(BASE, BASE + 5000), st.integers(0, 900))
shapes = st.lists(st.tuples(st.booleans(), ranges), max_size=12)


def pack(layout: Layout, arguments: list[Argument]) -> bytearray:
    """A message buffer with the inputs of a call in it."""
    message = bytearray(layout.allocation)
    message[: layout.metadata] = header(layout, arguments, DEVICE, DEVICE)
    for copy in layout.copies_in():
        start = copy.address - BASE
        message[copy.position : copy.position + copy.length] = MEMORY[start : start + copy.length]
    return message


def call_of(shape: list[tuple[bool, tuple[int, int]]]) -> tuple[Scalars, list[Argument]]:
    """Inputs first, then outputs."""
    inputs = [Argument(*place) for is_input, place in shape if is_input]
    outputs = [Argument(*place) for is_input, place in shape if not is_input]
    return Scalars(2, len(inputs), len(outputs)), inputs + outputs


@given(shapes)
def test_the_dsp_finds_every_input_byte(shape: list[tuple[bool, tuple[int, int]]]) -> None:
    """Whatever overlaps, each input arrives whole, at page address plus the low bits of pv."""
    scalars, arguments = call_of(shape)
    layout = lay_out(scalars, arguments)
    message = pack(layout, arguments)
    for argument, wire in zip(
        arguments[: scalars.in_buffers], decode(scalars.length, message), strict=False
    ):
        assert wire.length == argument.length
        if argument.length:
            place = wire.address - DEVICE
            start = argument.address - BASE
            found = message[place : place + argument.length]
            assert found == MEMORY[start : start + argument.length]


@given(shapes)
def test_bytes_that_are_shared_in_memory_are_shared_in_the_message(
    shape: list[tuple[bool, tuple[int, int]]],
) -> None:
    """Two inline buffers have the same distance in the message as in memory, if they overlap."""
    scalars, arguments = call_of(shape)
    layout = lay_out(scalars, arguments)
    for one, first in enumerate(arguments):
        for two, second in enumerate(arguments):
            low = max(first.address, second.address)
            high = min(first.address + first.length, second.address + second.length)
            if low < high:
                distance = layout.positions[two] - layout.positions[one]
                assert distance == second.address - first.address


@given(shapes)
def test_every_byte_is_fetched_once(shape: list[tuple[bool, tuple[int, int]]]) -> None:
    """No byte of the caller is read twice, so no race can make two copies differ (H29)."""
    scalars, arguments = call_of(shape)
    seen: set[int] = set()
    for copy in lay_out(scalars, arguments).copies_in():
        addresses = set(range(copy.address, copy.address + copy.length))
        assert not addresses & seen
        seen |= addresses


@given(shapes)
def test_nothing_lies_outside_the_message_or_over_its_metadata(
    shape: list[tuple[bool, tuple[int, int]]],
) -> None:
    """Positions are after the metadata and end within the size that is announced."""
    scalars, arguments = call_of(shape)
    layout = lay_out(scalars, arguments)
    assert layout.metadata == metadata_size(len(arguments))
    for argument, position in zip(arguments, layout.positions, strict=True):
        if position >= 0:
            assert layout.metadata <= position
            assert position + argument.length <= layout.size
    assert layout.size <= layout.allocation < layout.size + PAGE


@given(st.lists(ranges, max_size=20))
def test_owned_parts_are_disjoint_and_cover_everything(places: list[tuple[int, int]]) -> None:
    """Each byte of the union of all buffers is owned by exactly one (2.2)."""
    owned: list[int] = []
    for overlap in overlaps(places):
        owned += range(overlap.own_start, overlap.own_end)
    covered = {byte for start, length in places for byte in range(start, start + length)}
    assert sorted(owned) == sorted(covered)


@given(st.integers(0, 1 << 16), st.integers(1, 1 << 16), st.integers(1, 1 << 20))
def test_a_buffer_object_is_described_by_its_pages(offset: int, length: int, handle: int) -> None:
    """A descriptor-backed buffer takes no payload; its first byte is object + offset (2.4)."""
    address = 0x7F00_0000_0000 + offset
    backing = Backing(DEVICE, 1 << 20, offset)
    arguments = [Argument(address, length, handle, backing)]
    layout = lay_out(Scalars(2, 1, 0), arguments)
    wire = decode(1, header(layout, arguments, DEVICE, DEVICE))[0]
    assert wire.address == DEVICE + offset
    assert wire.page is not None
    assert wire.page[0] + wire.page[1] >= wire.address + length
    assert not layout.copies_in()


@given(st.integers(0, 40), st.binary(max_size=4000))
def test_arbitrary_metadata_is_decoded_or_refused(count: int, data: bytes) -> None:
    """Reading what a host wrote never fails but for missing bytes."""
    needed = 40 * count
    if len(data) < needed:
        with pytest.raises(struct.error):
            decode(count, data)
        return
    found = decode(count, data)
    assert len(found) == count
    for wire in found:
        assert wire.handle.length >= 0
        assert wire.page is None or wire.address >= 0
