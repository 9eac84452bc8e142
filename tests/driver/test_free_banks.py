"""Context banks that are waited for: whose turn it is, and what becomes of those that give up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from qda.driver.banks import ContextBank
from qda.driver.free_banks import FreeBanks
from qda.driver.memory import KERNEL
from qda.interrupts import Deadline
from tests.waiting import BOUND, until


class Queue:
    """Threads that wait in turn, and give their bank back when they are told."""

    def __init__(self, banks: FreeBanks, pool: ThreadPoolExecutor) -> None:
        self.banks, self._pool = banks, pool
        self.come: list[str] = []

    def wait(self, name: str, use: Callable[[], object]) -> None:
        """Have a thread wait, which `use`s its turn."""
        before = self.banks.waiting

        def run() -> None:
            with self.banks.turn(KERNEL, Deadline(BOUND)) as came:
                assert came
                self.come.append(name)
                use()

        future = self._pool.submit(run)
        until(lambda: self.banks.waiting > before or future.done())


def test_who_has_waited_longest_gets_the_bank() -> None:
    """One after the other, though all are told of the same number of banks."""
    banks = FreeBanks([7])
    bank = banks.take()
    assert bank is not None and banks.take() is None
    with ThreadPoolExecutor() as pool:
        queue = Queue(banks, pool)

        def use() -> None:
            taken = banks.take()
            assert taken is not None and taken.stream_id == 7
            banks.give_back(taken)

        for name in "abcd":
            queue.wait(name, use)
        banks.give_back(bank)
    assert queue.come == ["a", "b", "c", "d"]
    assert (len(banks), banks.waiting) == (1, 0)


def test_a_bank_is_kept_for_whose_turn_it_is() -> None:
    """A thread that has just come does not get it first; it gets one that is free beside."""
    banks = FreeBanks([1])
    first = banks.take()
    assert first is not None
    taken: list[ContextBank | None] = []
    used, go = threading.Event(), threading.Event()
    with ThreadPoolExecutor() as pool:
        queue = Queue(banks, pool)

        def use() -> None:
            used.set()
            assert go.wait(BOUND)
            taken.append(banks.take())

        queue.wait("a", use)
        banks.give_back(first)
        assert used.wait(BOUND)
        assert (len(banks), banks.take()) == (1, None)
        banks.give_back(ContextBank(2))
        assert banks.take() is not None
        go.set()
    assert taken[0] is not None and len(banks) == 0


def test_a_turn_that_is_not_used_goes_to_the_next() -> None:
    """What failed for another reason needs no bank any more."""
    banks = FreeBanks([1])
    bank = banks.take()
    assert bank is not None
    with ThreadPoolExecutor() as pool:
        queue = Queue(banks, pool)
        for name in "abc":
            queue.wait(name, lambda: None)
        banks.give_back(bank)
    assert queue.come == ["a", "b", "c"] and banks.take() is not None


def test_who_has_waited_too_long_is_no_longer_in_the_queue() -> None:
    banks = FreeBanks([1])
    bank = banks.take()
    assert bank is not None
    with banks.turn(KERNEL, Deadline(0)) as came:
        assert not came
    assert banks.waiting == 0
    banks.give_back(bank)
    assert banks.take() is not None


def test_a_wait_that_is_broken_off_leaves_nothing() -> None:
    """What breaks it off is the caller's affair."""

    class Gone:
        def wait(self, answer: object, within: Deadline | None) -> None:
            raise ConnectionResetError

    banks = FreeBanks([1])
    bank = banks.take()
    assert bank is not None
    gone = Gone()
    with pytest.raises(ConnectionResetError), banks.turn(gone, Deadline(BOUND)):  # type: ignore[arg-type]
        raise AssertionError("it is nobody's turn")
    banks.give_back(bank)
    assert banks.waiting == 0 and banks.take() is not None
