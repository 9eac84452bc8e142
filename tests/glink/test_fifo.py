"""A FIFO in memory that the other end writes, too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.glink import INDEXES, Fifo, GlinkFault


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60))
def test_bytes_come_as_they_were_written(counts: list[int]) -> None:
    """Around the end and over it; what does not fit is never more than `room` says."""
    memory = memoryview(bytearray(INDEXES + 96))
    writer, reader = Fifo(memory), Fifo(memory)
    written = read = b""
    for number, count in enumerate(counts):
        command = bytes([number]) * (8 * count)
        if len(command) <= writer.room:
            writer.write(command)
            written += command
        if number % 3:
            taken = min(reader.filled, 8 * (number % 5))
            read += reader.peek(taken)
            reader.skip(taken)
    assert read + reader.peek(reader.filled) == written


def test_a_full_fifo_does_not_look_empty_and_has_room_for_one_word() -> None:
    memory = memoryview(bytearray(INDEXES + 64))
    fifo = Fifo(memory)
    assert fifo.room == fifo.capacity == 48
    fifo.write(bytes(48))
    assert fifo.room == 0
    fifo.write(bytes(8))  # READ_NOTIFICATION
    assert fifo.filled == 56


@pytest.mark.parametrize("index", [64, 4, 1 << 31, 0xFFFFFFFF])
@pytest.mark.parametrize("which", [0, 1])
def test_an_index_outside_is_a_fault(index: int, which: int) -> None:
    """Nothing is read or written by it (H15)."""
    memory = memoryview(bytearray(INDEXES + 64))
    fifo = Fifo(memory)
    memory[:INDEXES].cast("I")[which] = index
    for name in ("filled", "room"):
        with pytest.raises(GlinkFault, match="an index of"):
            getattr(fifo, name)


@pytest.mark.parametrize("size", [0, 8, 24, 36])
def test_a_fifo_has_whole_words(size: int) -> None:
    with pytest.raises(ValueError, match="a multiple of 8"):
        Fifo(memoryview(bytearray(INDEXES + size)))
