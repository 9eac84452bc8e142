"""A bar that shows how far a job is, at standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

__all__ = ["length_of", "shown"]

T = TypeVar("T")


def shown(
    results: Iterator[T], function: Callable[..., T], progress: bool | str, total: int | None
) -> Iterator[T]:
    """The results of a function; with `progress` each one moves a bar on, which has its text, or
    the name of the function."""
    if not progress:
        return results
    name = progress if isinstance(progress, str) else getattr(function, "__name__", "map")
    return _shown(results, name, total)


def _shown(results: Iterator[T], name: str, total: int | None) -> Iterator[T]:
    from rich.console import Console  # only who wants a bar waits for this
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        for result in results:
            progress.advance(task)
            yield result


def length_of(iterables: Iterable[Iterable[object]]) -> int | None:
    """How many items there are, as far as it is known: of several iterables the shortest says."""
    return min((len(one) for one in iterables if isinstance(one, Sized)), default=None)
