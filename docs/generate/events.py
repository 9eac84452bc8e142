"""The page of a trace's events, from their declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import get_args, get_type_hints

from qda.tracing.events import EVENTS, SCHEMA, Event

__all__ = ["page"]

_HEAD = (
    "# Events\n\n"
    "What a [trace](traces.md) has: the objects of `qda.trace().events`, and with the same fields "
    "the lines of `--trace=json`, where `event` says which it is. This page is printed from their "
    "declarations, `qda.tracing.events`, by `make docs`. The version of all of them is "
    f"{SCHEMA}: it is higher where a field means something else, or is gone; a new field, or a new "
    "event, does not change it.\n\n"
    "Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. A structure "
    "of the device interface is an object with the names of its C structure; addresses and bits "
    "are texts in hex.\n"
)


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "Each event has\n"
    yield from _table(Event, 0)
    own = len(dataclasses.fields(Event))
    for kind in EVENTS:
        yield f"## {kind.kind}\n"
        yield f"{' '.join((kind.__doc__ or '').split())}\n"
        if len(dataclasses.fields(kind)) > own:
            yield from _table(kind, own)


def _table(kind: type[Event], first: int) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    yield "| field | what it says |"
    yield "|---|---|"
    for field in dataclasses.fields(kind)[first:]:
        yield f"| `{field.name}` | {get_args(hints[field.name])[1]} |"
    yield ""
