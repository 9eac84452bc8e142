"""The address space of a protection domain: what is mapped is accessible, nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qda import limits
from qda.dsp.memory import AddressFault, AddressSpace
from qda.dsp.window import Pages
from qda.errors import BAD_ADDRESS, MAP_FAILED, NO_SUCH_MAP, StatusError
from qda.linux import MapsFile, address_of
from qda.memory import BusAddress, Piece

WINDOW = 64 << 20


def memory(size: int, content: bytes = b"") -> Pages:
    """The pages of a memfd of that size."""
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    os.pwrite(descriptor, content, 0)
    return Pages.of(descriptor, size)


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    address_space = AddressSpace(WINDOW)
    yield address_space
    address_space.close()


def test_announced_memory_is_found_by_its_bus_address(space: AddressSpace) -> None:
    """Any part of it, to the last byte, and not one byte more."""
    space.announce(1, 0x5_0000_0000, 8192, memory(8192, b"hello"))
    assert bytes(space.resolve(0x5_0000_0000, 5)) == b"hello"
    assert len(space.resolve(0x5_0000_0000 + 8191, 1)) == 1
    for bus, length in ((0x5_0000_0000 + 8191, 2), (0x4_FFFF_FFFF, 1), (0x5_0000_2000, 1), (0, 1)):
        with pytest.raises(AddressFault) as caught:
            space.resolve(bus, length)
        assert caught.value.status == BAD_ADDRESS


def test_dsp_addresses_lie_below_4_gib_and_are_real(space: AddressSpace) -> None:
    """An address of the DSP is an address of the process, so that native code can use it."""
    import ctypes

    space.announce(1, 0x1000_0000, 4096, memory(4096, b"native"))
    address = space.map(1, BusAddress(0x1000_0000), 4096, 0, 0, 7)
    assert 0 < address < 1 << 32
    assert ctypes.string_at(address, 6) == b"native"


def test_a_mapping_begins_at_its_offset_and_runs_to_the_end(space: AddressSpace) -> None:
    """vaddrout is the address of byte `offset`, also when that is inside a page."""
    space.announce(1, 0x1000_0000, 0x20000, memory(0x20000, bytes(range(256)) * 512))
    for offset in (0, 1, 4096, 70_001, 0x1FFFF):
        address = space.map(1, BusAddress(0x1000_0000), 0x20000, offset, 0, 7)
        assert space.view(1, address, 1)[0] == offset & 255
        assert len(space.view(1, address, 0x20000 - offset)) == 0x20000 - offset
        with pytest.raises(AddressFault):
            space.view(1, address, 0x20000 - offset + 1)
        space.unmap(1, address)
    with pytest.raises(StatusError) as caught:
        space.map(1, BusAddress(0x1000_0000), 0x20000, 0x20000, 0, 7)
    assert caught.value.status == MAP_FAILED


def test_a_free_hint_is_honoured_and_any_other_is_ignored(space: AddressSpace) -> None:
    """Inside the window, on the granule and free; else the mapping goes elsewhere."""
    space.announce(1, 0x1000_0000, 4096, memory(4096))
    page = BusAddress(0x1000_0000)
    first = space.map(1, page, 4096, 0, 0, 7)
    hint = first + 16 * limits.GRANULE
    assert space.map(1, page, 4096, 0, hint, 7) == hint
    assert space.map(1, page, 4096, 0, hint, 7) not in (hint, 0)
    for nonsense in (1, 1 << 40, (1 << 64) - 1, hint + 5):
        assert 0 < space.map(1, page, 4096, 0, nonsense, 7) < 1 << 32


def test_unmapping_is_by_address_or_by_name_and_only_ones_own(space: AddressSpace) -> None:
    """What is not mapped, or is another client's, is refused."""
    space.announce(1, 0x1000_0000, 4096, memory(4096))
    page = BusAddress(0x1000_0000)
    one, two = space.map(1, page, 4096, 0, 0, 7), space.map(1, page, 4096, 0, 0, 9)
    refusals: list[Callable[[], None]] = [
        lambda: space.unmap(2, one),
        lambda: space.unmap(1, one + 4096),
        lambda: space.unmap_fd(1, 8, 0),
        lambda: space.unmap_fd(1, 7, two),
    ]
    for refused in refusals:
        with pytest.raises(StatusError) as caught:
            refused()
        assert caught.value.status == NO_SUCH_MAP
    assert len(space.view_of_fd(1, 9)) == 4096
    space.unmap_fd(1, 9, 0)
    space.unmap(1, one)
    assert len(space) == 1


def test_memory_that_the_process_keeps_stays_when_its_client_goes(space: AddressSpace) -> None:
    """R21: the remote heap, which comes with a session and is the process's."""
    descriptors = len(os.listdir("/proc/self/fd"))
    for bus in (0x1000_0000, 0x2000_0000):
        space.announce(1, bus, 4096, memory(4096))
    with pytest.raises(AddressFault):
        space.keep(0x0FFF_F000, 1)
    space.keep(0x1000_0000, 4096)
    space.forget(1)
    assert len(os.listdir("/proc/self/fd")) == descriptors + 1
    with pytest.raises(AddressFault):
        space.resolve(0x1000_0000, 1)


def test_a_client_that_goes_takes_its_memory_along(space: AddressSpace) -> None:
    """And leaves that of others."""
    descriptors = len(os.listdir("/proc/self/fd"))
    for client, bus in ((1, 0x1000_0000), (2, 0x2000_0000)):
        space.announce(client, bus, 4096, memory(4096))
        space.map(client, BusAddress(bus), 4096, 0, 0, 7)
    space.forget(1)
    assert len(space) == 2
    assert len(space.resolve(0x2000_0000, 1)) == 1
    space.forget(2)
    assert len(os.listdir("/proc/self/fd")) == descriptors


@settings(max_examples=30, stateful_step_count=30)
class SpaceMachine(RuleBasedStateMachine):
    """Random legal and illegal sequences against a model in plain Python."""

    def __init__(self) -> None:
        super().__init__()
        self.space = AddressSpace(WINDOW)
        self.announced: dict[int, int] = {}
        self.mapped: dict[int, tuple[int, int]] = {}
        self.count = 0

    @rule(pages=st.integers(1, 40))
    def announce(self, pages: int) -> None:
        self.count += 1
        bus = self.count << 32
        mark = self.count.to_bytes(4, "little")
        self.space.announce(1, bus, pages * 4096, memory(pages * 4096, mark))
        self.announced[bus] = pages * 4096

    @precondition(lambda self: self.announced)
    @rule(data=st.data())
    def map(self, data: st.DataObject) -> None:
        bus = data.draw(st.sampled_from(sorted(self.announced)))
        hint = data.draw(
            st.sampled_from([0, self.space._window._base + 32 * limits.GRANULE, 12345])
        )
        address = self.space.map(1, BusAddress(bus), self.announced[bus], 0, hint, self.count)
        assert address not in self.mapped
        self.mapped[address] = (bus >> 32, self.announced[bus])

    @precondition(lambda self: self.mapped)
    @rule(data=st.data())
    def unmap(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.mapped)))
        self.space.unmap(1, address)
        del self.mapped[address]
        with pytest.raises(StatusError):
            self.space.unmap(1, address)
        with pytest.raises(AddressFault):
            self.space.view(1, address, 1)

    @precondition(lambda self: self.announced)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        bus = data.draw(st.sampled_from(sorted(self.announced)))
        self.space.withdraw(1, bus)
        del self.announced[bus]
        with pytest.raises(AddressFault):
            self.space.resolve(bus, 1)

    @rule(bus=st.integers(0, 1 << 40), length=st.integers(1, 1 << 40))
    def resolve_anything(self, bus: int, length: int) -> None:
        inside = any(
            start <= bus and bus + length <= start + size for start, size in self.announced.items()
        )
        if inside:
            assert len(self.space.resolve(bus, length)) == length
        else:
            with pytest.raises(AddressFault):
                self.space.resolve(bus, length)

    @invariant()
    def mappings_show_their_memory(self) -> None:
        for address, (mark, size) in self.mapped.items():
            view = self.space.view(1, address, size)
            assert int.from_bytes(view[:4], "little") == mark
        assert len(self.space) == len(self.announced) + len(self.mapped)

    def teardown(self) -> None:
        self.space.close()


TestSpace = SpaceMachine.TestCase


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 32))
def test_any_dsp_address_is_a_view_or_a_fault(address: int, length: int) -> None:
    """A skeleton may ask for anything."""
    space = AddressSpace(limits.GRANULE)
    try:
        with pytest.raises(AddressFault):
            space.view(1, address, length)
    finally:
        space.close()


def test_window_stays_as_long_as_a_call_has_memory_in_it() -> None:
    """Then it goes as a whole, and nothing is left where somebody else's memory may be next."""
    space = AddressSpace(1 << 20)
    space.announce(1, 0x1000_0000, 4096, memory(4096))
    view = space.resolve(0x1000_0000, 1)
    kept = space._announced(1, 0x1000_0000)
    place = address_of(view)
    space.withdraw(1, 0x1000_0000)
    space.close()
    maps = MapsFile(os.getpid())
    assert maps.area(place) is not None
    del kept
    assert maps.area(place) is None
    maps.close()


def test_window_is_given_back_once() -> None:
    """Two threads may find that a protection domain has ended, and then it may be another's."""
    first = AddressSpace(1 << 20)
    first.close()
    second = AddressSpace(1 << 20)
    second.announce(1, 0x1000_0000, 4096, memory(4096))
    place = address_of(second.resolve(0x1000_0000, 1))
    first.close()
    maps = MapsFile(os.getpid())
    assert maps.area(place) is not None
    maps.close()
    second.close()


def test_memory_in_pieces_is_one_to_the_dsp_and_to_its_mappings() -> None:
    """As an SMMU makes one range of pages that lie apart, in any order."""
    space = AddressSpace(WINDOW)
    descriptor = memory(0x6000, bytes(0x1000) + b"b" * 0x2000 + bytes(0x2000) + b"a" * 0x1000)
    pages = Pages(descriptor.descriptor, (Piece(0x5000, 0x1000), Piece(0x1000, 0x2000)))
    space.announce(1, 0x1000_0000, 0x3000, pages)
    assert bytes(space.resolve(0x1000_0FFF, 0x1002)) == b"a" + b"b" * 0x1001
    address = space.map(1, BusAddress(0x1000_0000), 0x3000, 0x800, 0, 5)
    assert bytes(space.view(1, address, 0x2800)) == b"a" * 0x800 + b"b" * 0x2000
    space.view(1, address, 0x1000)[0x800] = ord("c")
    assert space.resolve(0x1000_1000, 1)[0] == ord("c")
    address = space.map(1, BusAddress(0x1000_0000), 0x3000, 0x2000, 0, 6)
    assert bytes(space.view(1, address, 0x1000)) == b"b" * 0x1000
    space.close()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_a_part_of_pieces_has_its_bytes(sizes: list[int], data: st.DataObject) -> None:
    pieces = tuple(Piece(100 * number, size) for number, size in enumerate(sizes))
    places = [piece.offset + at for piece in pieces for at in range(piece.size)]
    offset = data.draw(st.integers(0, len(places) - 1))
    size = data.draw(st.integers(1, len(places) - offset))
    found = [
        (at + within, piece.offset + within)
        for at, piece in Pages(-1, pieces).part(offset, size)
        for within in range(piece.size)
    ]
    assert found == list(enumerate(places[offset : offset + size]))
