"""Items that go out to whoever is free: results in order, and few on their way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.pool import in_order


class Refused(Exception):
    """What an item may end with."""


def work(item: int) -> int:
    if item < 0:
        raise Refused(item)
    return item * item


class Submitted:
    """What is done when somebody asks for it."""

    def __init__(self, item: int) -> None:
        self.item = item
        self.cancelled = False

    def result(self) -> int:
        return work(self.item)

    def cancel(self) -> None:
        self.cancelled = True


class Office:
    """Takes items, and remembers them."""

    def __init__(self) -> None:
        self.taken: list[Submitted] = []

    def submit(self, number: int, item: int) -> Submitted:
        assert number == len(self.taken)
        self.taken.append(Submitted(item))
        return self.taken[-1]


def outcome(results: Iterator[int]) -> list[object]:
    """What an iterator gives, and with what it ends."""
    found: list[object] = []
    try:
        for one in results:
            found.append(one)
    except Refused as error:
        found.append(repr(error))
    return found


def given_out(items: list[int], fails_after: int | None) -> Iterator[int]:
    for number, item in enumerate(items):
        if number == fails_after:
            raise Refused("no more items")
        yield item


@given(st.lists(st.integers(-2, 50)), st.integers(1, 9), st.none() | st.integers(0, 9))
def test_what_comes_is_what_a_loop_gives(
    items: list[int], length: int, fails_after: int | None
) -> None:
    """Also when a call fails, or who gives the items."""
    found = outcome(in_order(Office().submit, given_out(items, fails_after), length))
    assert found == outcome(work(item) for item in given_out(items, fails_after))


@given(st.integers(0, 30), st.integers(1, 9))
def test_no_more_items_are_taken_than_may_be_under_way(size: int, length: int) -> None:
    """However many there are."""
    office = Office()
    results = in_order(office.submit, count(), length)
    assert len(office.taken) == length  # at once
    for back, _ in enumerate(islice(results, size), 1):
        assert len(office.taken) == back + length


def test_who_leaves_takes_back_what_has_not_begun() -> None:
    """A loop that breaks, and one that fails."""
    office = Office()
    results = in_order(office.submit, [1, 2, 3, 4, 5], 3)
    assert next(results) == 1
    results.close()  # type: ignore[attr-defined]
    assert [one.cancelled for one in office.taken] == [False, True, True, True]

    office = Office()
    with pytest.raises(Refused):
        list(in_order(office.submit, [1, -1, 3, 4], 3))
    assert [one.cancelled for one in office.taken] == [False, False, True, True]
