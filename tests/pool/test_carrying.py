"""What a pool puts into shared memory arrives, and comes back, as it would in a message."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import qda
from qda import limits
from qda.client import Bytes, HandleLike, Invoke
from qda.pool.carrying import Shelf

LARGE = 16
"""Bytes from which on the tests carry an argument."""


class Dsp:
    """A method that fills its results by its inputs, as far as they reach, and may fail."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.seen: list[Bytes] = []

    def invoke(
        self,
        handle: int,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes | int],
        in_handles: Sequence[HandleLike],
        out_handles: Sequence[HandleLike],
        timeout: float | None,
        label: str | None,
        /,
    ) -> list[Bytes]:
        """As `Calls.invoke`, in a message: results begin as zeros, unless they are inputs too."""
        rooms = [bytearray(one) if isinstance(one, int) else one for one in outs]
        self.seen = [*ins, *rooms]
        views = [memoryview(one).cast("B") for one in rooms]
        total = sum(bytes(memoryview(one).cast("B")).count(1) for one in ins) % 256
        for view in views:
            view[: len(view) // 2] = bytes([total]) * (len(view) // 2)
        if self.status:
            raise qda.DspError("call", "cdsp", self.status)
        return rooms


class Memory:
    """Buffers of a session; how many there have been."""

    def __init__(self) -> None:
        self.made: list[NDArray[np.uint8]] = []

    def empty(self, size: int, dtype: str) -> NDArray[np.uint8]:
        self.made.append(np.full(size, 77, dtype))  # what an earlier call has left
        return self.made[-1]

    def has(self, one: Bytes) -> bool:
        return any(
            np.shares_memory(one, pages) for pages in self.made if isinstance(one, np.ndarray)
        )


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POOL_CARRIED", LARGE)


def call(invoke: Invoke, ins: Sequence[Bytes], outs: Sequence[Bytes | int]) -> list[Bytes]:
    return invoke(3, 2, ins, outs, (), (), None, None)


KINDS: list[Callable[[bytes], Bytes]] = [
    bytes,
    bytearray,
    lambda data: np.frombuffer(bytearray(data), np.uint8),
    lambda data: np.frombuffer(bytearray(data), np.uint8).reshape(-1, 1).T,
    lambda data: memoryview(bytearray(data)),
]


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.binary(min_size=1, max_size=40)), max_size=4),
    st.lists(st.tuples(st.sampled_from(KINDS[1:]), st.integers(1, 40)), max_size=4),
)
def test_a_call_gives_what_it_gives_without_a_pool(
    given_ins: list[tuple[Callable[[bytes], Bytes], bytes]],
    given_outs: list[tuple[Callable[[bytes], Bytes], int]],
) -> None:
    """Whatever the arguments are, and however long: the bytes, and the very objects."""
    memory, dsp = Memory(), Dsp()
    carried = Shelf(memory.empty).carrier(dsp.invoke)
    for _ in range(2):  # the second time in memory that has been used
        ins = [kind(data) for kind, data in given_ins]
        outs = [kind(bytes(size)) for kind, size in given_outs]
        plain = [kind(bytes(size)) for kind, size in given_outs]
        call(Dsp().invoke, ins, plain)
        results = call(carried, ins, outs)
        assert all(one is other for one, other in zip(results, outs, strict=True))
        assert [bytes(one) for one in results] == [bytes(one) for one in plain]
        large = [len(bytes(one)) >= LARGE for one in [*ins, *outs]]
        assert [memory.has(one) for one in dsp.seen] == large


def test_room_that_is_a_number_is_memory() -> None:
    """As long as it says, whether it is large or not."""
    memory, dsp = Memory(), Dsp()
    carried = Shelf(memory.empty).carrier(dsp.invoke)
    small, large = call(carried, [b"\1" * LARGE], [4, 2 * LARGE])
    assert bytes(small) == bytes([LARGE, LARGE, 0, 0])
    assert bytes(large) == bytes([LARGE] * LARGE + [0] * LARGE)


def test_what_is_given_twice_is_the_same_memory_to_the_method() -> None:
    """As an input that is an output, too: what it says stays where nothing is written."""
    memory, dsp = Memory(), Dsp()
    both = np.full(40, 5, np.uint8)
    call(Shelf(memory.empty).carrier(dsp.invoke), [both], [both])
    assert np.shares_memory(*dsp.seen)
    assert both.tolist() == [0] * 20 + [5] * 20


def test_what_overlaps_travels_as_it_is() -> None:
    """Which bytes are the same is for the driver to find out."""
    memory, dsp = Memory(), Dsp()
    whole = np.zeros(60, np.uint8)
    call(Shelf(memory.empty).carrier(dsp.invoke), [whole[:40]], [whole[20:]])
    assert memory.made == []


def test_a_method_that_fails_leaves_what_it_has_written() -> None:
    """All outputs come back, whatever the status is (H18)."""
    room = np.full(40, 9, np.uint8)
    with pytest.raises(qda.DspError):
        call(Shelf(Memory().empty).carrier(Dsp(14).invoke), [b"\1"], [room])
    assert room.tolist() == [1] * 20 + [0] * 20


def test_memory_goes_from_call_to_call() -> None:
    """Of similar sizes; what the DSP may still write to goes to nobody."""
    memory, dsp = Memory(), Dsp()
    carried = Shelf(memory.empty).carrier(dsp.invoke)
    for size in (33, 64, 40):
        call(carried, [bytes(size)], [])
    assert [len(one) for one in memory.made] == [64]

    def abandoned(*_: object) -> list[Bytes]:
        raise qda.CallTimeout("call", 1)

    shelf = Shelf(memory.empty)
    with pytest.raises(qda.CallTimeout):
        call(shelf.carrier(abandoned), [bytes(64)], [])
    before = len(memory.made)
    call(shelf.carrier(dsp.invoke), [bytes(64)], [])
    assert len(memory.made) == before + 1


def test_what_cannot_be_written_is_left_to_be_refused() -> None:
    """With the words that it always has."""
    memory, dsp = Memory(), Dsp()
    with pytest.raises(TypeError, match="read-only"):
        call(Shelf(memory.empty).carrier(dsp.invoke), [], [bytes(40)])
    assert memory.made == []
