"""Items go out to whoever is free, results come back in order, and few are on their way."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from reprlib import Repr
from typing import Protocol, SupportsIndex, TypeVar

from qda.errors import UsageError, UsageTypeError

__all__ = ["count_of", "in_order", "naming_item"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Row = TypeVar("Row")


class Outcome(Protocol[T_co]):
    """What has been submitted: a future of whatever kind."""

    def result(self) -> T_co: ...
    def cancel(self) -> object: ...


class _Line(deque[Outcome[T]]):
    """What has been submitted and not been taken, the oldest first: at most `length`.

    A failure of who gives the items ends them, and is raised when all that came before has been
    taken, as in a loop.
    """

    def __init__(
        self, submit: Callable[[int, Row], Outcome[T]], items: Iterable[Row], length: int
    ) -> None:
        super().__init__()
        self._numbered = enumerate(items)
        self._submit, self._length = submit, length
        self._failure: Exception | None = None

    def fill(self) -> None:
        """Submit what there is room for."""
        while len(self) < self._length and self._failure is None:
            try:
                number, item = next(self._numbered)
            except Exception as error:
                self._failure = error
                return
            self.append(self._submit(number, item))

    def end(self) -> None:
        """Raise what has ended the items, if it was not their end."""
        if not isinstance(self._failure, StopIteration | None):
            raise self._failure


def in_order(
    submit: Callable[[int, Row], Outcome[T]], items: Iterable[Row], length: int
) -> Iterator[T]:
    """The results of items, in their order.

    The first ones are submitted at once, with their numbers, another one whenever a result has
    come; no more than `length` of them have been submitted and not come back.  Who leaves
    the iterator cancels what has not begun.
    """
    line: _Line[T] = _Line(submit, items, length)
    line.fill()

    def results() -> Iterator[T]:
        try:
            while line:
                result = line.popleft().result()
                line.fill()
                yield result
                del result
            line.end()
        finally:
            for waiting in line:
                waiting.cancel()

    return results()


_repr = Repr()
_repr.maxother = 60
_repr.maxstring = 60


def naming_item(function: Callable[..., T], number: int, *arguments: object) -> T:
    """Call a function with an item; an error says which one it was."""
    try:
        return function(*arguments)
    except Exception as error:
        error.add_note(f"in item {number}: {_repr.repr(arguments[1:])}")
        raise


def count_of(what: str, number: SupportsIndex, least: int) -> int:
    """A number that a program has given, as an integer.  UsageTypeError, UsageError."""
    try:
        count = operator.index(number)
    except TypeError as error:
        raise UsageTypeError(f"{what} {number!r:.80}: a number") from error
    if count < least:
        raise UsageError(f"{what} {count}: at least {least}")
    return count
