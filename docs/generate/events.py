"""The pages of the events of traces and of recordings, from their declarations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TypeAlias, get_args, get_type_hints

from qda.recording import events as recorded
from qda.tracing import events as traced

__all__ = ["page", "page_of_recordings"]

_Kind: TypeAlias = type[traced.Event] | type[recorded.Event]

_HEAD = (
    "# Events\n\n"
    "What a [trace](traces.md) has: the objects of `qda.trace().events`, and with the same fields "
    "the lines of `--trace=json`, where `event` says which it is. This page is printed from their "
    "declarations, `qda.tracing.events`, by `make docs`. The version of all of them is "
    f"{traced.SCHEMA}: it is higher where a field means something else, or is gone; a new field, "
    "or a new event, does not change it.\n\n"
    "Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. A structure "
    "of the device interface is an object with the names of its C structure; addresses and bits "
    "are texts in hex.\n"
)


_HEAD_OF_RECORDINGS = (
    "# The format of recordings\n\n"
    "A [recording](recordings.md) is a zip archive. In it, `recording.jsonl` has an object of JSON "
    f'a line: first `{{"recording": {recorded.SCHEMA}}}`, the version of all that follows, then '
    "the events in the order in which they happened. This page is printed from their "
    "declarations, `qda.recording.events`, by `make docs`; writer and reader follow from them, "
    "too. The version is higher where a field means something else, or is gone.\n\n"
    "An event is an object with its kind as `event`, and its fields. Bytes are a text in hex, or, "
    'longer ones, `{"bytes": NAME}`: then they are the file `bytes/NAME` of the archive, which '
    "all have that have the same bytes.\n"
)


def page() -> str:
    """The page of traces, in Markdown."""
    return "\n".join(_lines(_HEAD, traced.Event, traced.EVENTS))


def page_of_recordings() -> str:
    """The page of recordings, in Markdown."""
    lines = [*_lines(_HEAD_OF_RECORDINGS, recorded.Event, recorded.EVENTS)]
    lines.append("## Parts of events\n")
    for part in recorded.PARTS:
        lines += [f"### {part.__name__}\n", f"{_doc(part)}\n", *_table(part, 0)]
    return "\n".join(lines)


def _lines(head: str, base: _Kind, events: Sequence[_Kind]) -> Iterator[str]:
    yield head
    yield "Each event has\n"
    yield from _table(base, 0)
    own = len(dataclasses.fields(base))
    for kind in events:
        yield f"## {kind.kind}\n"
        yield f"{_doc(kind)}\n"
        if len(dataclasses.fields(kind)) > own:
            yield from _table(kind, own)


def _doc(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split())


def _table(kind: type, first: int) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    yield "| field | what it says |"
    yield "|---|---|"
    for field in dataclasses.fields(kind)[first:]:
        yield f"| `{field.name}` | {get_args(hints[field.name])[1]} |"
    yield ""
