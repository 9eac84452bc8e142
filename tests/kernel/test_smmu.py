"""The SMMU's tables, written as a kernel writes them, and as none would."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from qda.kernel.guest import AddressFault, GuestMemory, PhysicalBus, Run, read
from tests.kernel.tables import BASE, CONTEXT, STREAMS, TABLES, Tables, at

SIZE = 1 << 20


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    guest = GuestMemory(BASE, SIZE)
    yield guest
    guest.close()


def test_pages_are_found_and_neighbours_are_one_run(memory: GuestMemory) -> None:
    tables = Tables(memory)
    for index, physical in enumerate([0x80000, 0x81000, 0x90000]):
        tables.map(0xFFFF_E000 - 0x1000 + 0x1000 * index - 0x2000, BASE + physical)
    assert tables.bus.runs(at(0xFFFF_B000 + 0x10), 0x2800) == [
        Run(0x80010, 0x1FF0),
        Run(0x90000, 0x810),
    ]
    memory.view[0x81FFF:0x82000] = b"a"
    memory.view[0x90000:0x90001] = b"b"
    assert read(memory, tables.bus, at(0xFFFF_CFFF), 2) == b"ab"


def test_a_block_of_two_mebibytes_is_one_run(memory: GuestMemory) -> None:
    tables = Tables(memory)
    tables.map(0x20_0000, BASE, block=True)
    assert tables.bus.runs(at(0x20_0000 + 0x1234), 0x10000) == [Run(0x1234, 0x10000)]


def test_a_mapping_is_what_the_tables_say_now(memory: GuestMemory) -> None:
    """Nothing is remembered."""
    tables = Tables(memory)
    tables.map(0x1000, BASE + 0x80000)
    assert tables.bus.runs(at(0x1000), 8) == [Run(0x80000, 8)]
    tables.map(0x1000, BASE + 0x90000)
    assert tables.bus.runs(at(0x1000), 8) == [Run(0x90000, 8)]
    tables.write(tables.root, 0)
    with pytest.raises(AddressFault, match="0x1000 is not mapped"):
        tables.bus.runs(at(0x1000), 8)


@pytest.mark.parametrize(
    ("address", "length", "words"),
    [
        (at(0x5000), 1, "is not mapped"),
        (at(0x1000), 0x1001, "0x2000 is not mapped"),
        (at(0x1000, 4), 1, "stream 0x504 is not translated"),
        (at(0x1000, 0x300), 1, "stream 0x800 has no entry"),
        (at(0x1000, 0x1_0000), 1, "stream 0x10500 is beyond"),
        (at(0x3000), 1, "are no memory"),
    ],
)
def test_what_leads_nowhere_is_a_fault(
    memory: GuestMemory, address: int, length: int, words: str
) -> None:
    tables = Tables(memory)
    tables.map(0x1000, BASE + 0x80000)
    tables.map(0x3000, 0x1000)
    with pytest.raises(AddressFault, match=words):
        tables.bus.runs(address, length)


def test_tables_of_any_content_lead_inside_or_to_a_fault(memory: GuestMemory) -> None:
    """The guest writes them: every walk ends, and what is found lies in the guest's memory."""
    chance = random.Random(3)
    for _ in range(400):
        tables = Tables(memory)
        tables.map(0x1000, BASE + 0x80000)
        for _ in range(chance.randrange(1, 6)):
            place = chance.choice([STREAMS, BASE + 0x4000, CONTEXT, TABLES])
            place += 8 * chance.randrange(512)
            bit = 1 << chance.randrange(64)
            word = chance.choice([tables.word(place) ^ bit, chance.getrandbits(64), BASE | 3])
            tables.write(place, word)
        for word in (STREAMS + 8 * 5, CONTEXT, CONTEXT + 8):
            if chance.random() < 0.3:
                tables.write(word, tables.word(word) ^ 1 << chance.randrange(64))
        try:
            runs = tables.bus.runs(at(chance.choice([0, 0x1000, 0xFFFF_F000])), 4096)
        except AddressFault:
            pass
        else:
            assert all(0 <= run.offset <= run.offset + run.size <= SIZE for run in runs)
        memory.view[:0x20000] = bytes(0x20000)


def test_memory_of_no_bank_is_physical(memory: GuestMemory) -> None:
    """The remote heap: its address has no stream id (spec/kernel.md)."""
    assert Tables(memory).bus.runs(BASE + 0x123, 9) == [Run(0x123, 9)]


def test_without_an_smmu_an_address_is_physical(memory: GuestMemory) -> None:
    bus = PhysicalBus(memory)
    assert bus.runs(at(BASE + 0x123), 9) == [Run(0x123, 9)]
    for address, length in ((at(BASE + SIZE - 4), 8), (at(BASE - 1), 1), (at(0), 1)):
        with pytest.raises(AddressFault, match="are no memory"):
            bus.runs(address, length)
