"""Rounding, and handing out ranges of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.memory import Ranges, align


@given(st.integers(0, 2**64), st.integers(0, 20))
def test_align_rounds_up_to_the_boundary(value: int, power: int) -> None:
    """R5: the next multiple, and never more than one boundary away."""
    aligned = align(value, 1 << power)
    assert aligned % (1 << power) == 0
    assert 0 <= aligned - value < 1 << power


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 5000), st.integers(0, 1 << 16)), max_size=60)
)
def test_ranges_never_overlap_and_never_leave_the_window(
    steps: list[tuple[bool, int, int]],
) -> None:
    """Random takes, with and without a wish, and returns; without one, the first gap is taken."""
    window = Ranges(0x1000, 0x10000, 0x100)
    taken: dict[int, int] = {}
    for take, length, wish in steps:
        if take:
            try:
                start = window.take(length, wish & -0x100)
            except MemoryError:
                continue
            end = start + (length + 0xFF & -0x100)
            if start != wish & -0x100:
                for at in range(window.low, start, 0x100):  # it fits nowhere before
                    assert any(low < at + end - start and at < high for low, high in taken.items())
            assert window.low <= start
            assert end <= window.high
            assert all(end <= low or high <= start for low, high in taken.items())
            taken[start] = end
        elif taken:
            start = list(taken)[wish % len(taken)]
            del taken[start]
            window.give_back(start)
    assert len(window) == len(taken)


def test_a_free_wish_is_granted_and_a_taken_one_is_not() -> None:
    """The wish is for a place, not a demand."""
    window = Ranges(0x1000, 0x10000, 0x100)
    assert window.take(0x100, 0x8000) == 0x8000
    assert window.take(0x100, 0x8000) != 0x8000
    assert window.take(0x100, 0x200) >= 0x1000
    with pytest.raises(KeyError):
        window.give_back(0x5000)
