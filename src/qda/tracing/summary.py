"""What calls have cost: a table of their methods, and advice."""

from __future__ import annotations

import logging
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from qda import limits
from qda.tracing.events import Call, Event
from qda.tracing.text import named_shortly

__all__ = ["Method", "Summary", "Summing", "summarize"]

_log = logging.getLogger("qda.tracing")


@dataclass(frozen=True, slots=True)
class Method:
    """The calls of one method: how many, bytes of arguments, medians in microseconds.

    `marshalling` is what the driver does before the message leaves and after the answer is there,
    `transport` is the way there and back, `method` the rest; the two are 0 where the DSP has not
    said when the method ran.  `p99` is of whole calls.
    """

    name: str
    calls: int
    failed: int
    copied: int
    shared: int
    longest: int
    total: float
    median: float
    p99: float
    marshalling: float
    transport: float
    method: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The methods of a trace, the most expensive first; `str()` is a table with advice."""

    methods: Sequence[Method]

    @property
    def advice(self) -> list[str]:
        """What could be done, a sentence each."""
        return [
            f"{one.name}: an argument of {_bytes(one.longest)} travels inline: use session.empty, "
            "whose memory is shared"
            for one in self.methods
            if one.longest >= limits.ADVISED_INLINE
        ]

    def __str__(self) -> str:
        titles = (
            *("method", "calls", "failed", "copied", "shared", "total ms"),
            *("median µs", "p99 µs", "marshalling", "transport", "method"),
        )
        rows = [
            (
                *(one.name, f"{one.calls}", f"{one.failed}", _bytes(one.copied)),
                *(_bytes(one.shared), f"{one.total / 1000:.1f}"),
                *(f"{it:.1f}" for it in (one.median, one.p99, one.marshalling)),
                *(f"{it:.1f}" if it else "-" for it in (one.transport, one.method)),
            )
            for one in self.methods
        ]
        widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
        lines = []
        for row in (titles, *rows):
            first, *rest = (
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  ".join((first, *rest)).rstrip())
        return "\n".join([*lines, *self.advice])


class Summing:
    """A sink that writes what the calls have cost to `out`, at `close`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._calls: list[Call] = []
        self._more = 0

    def __call__(self, event: Event) -> None:
        """Keep a call; those beyond limits.TIMELINE_EVENTS are only counted."""
        if isinstance(event, Call):
            if len(self._calls) < limits.TIMELINE_EVENTS:
                self._calls.append(event)
            else:
                self._more += 1

    def close(self) -> None:
        """Write the summary."""
        self._out.write(f"{summarize(self._calls)}\n")
        if self._more:
            _log.warning("the last %d calls are not in the summary", self._more)


def summarize(events: Iterable[Event]) -> Summary:
    """Sum up the calls among events."""
    groups: dict[str, list[Call]] = defaultdict(list)
    for event in events:
        if isinstance(event, Call):
            groups[named_shortly(event)].append(event)
    found = [_method(name, calls) for name, calls in groups.items()]
    return Summary(sorted(found, key=lambda one: -one.total))


def _method(name: str, calls: Sequence[Call]) -> Method:
    taken = sorted((one.ended - one.time) / 1000 for one in calls)
    told = [one for one in calls if one.method_begun]
    inside = [(one.method_ended - one.method_begun) / 1000 for one in told]
    outside = [
        (one.answered - one.sent - one.method_ended + one.method_begun) / 1000 for one in told
    ]
    marshalling = [(one.sent - one.time + one.ended - one.answered) / 1000 for one in calls]
    return Method(
        name,
        len(calls),
        sum(one.result != 0 for one in calls),
        sum(one.copied for one in calls),
        sum(one.shared for one in calls),
        max(one.longest for one in calls),
        sum(taken),
        statistics.median(taken),
        taken[min(len(taken) - 1, len(taken) * 99 // 100)],
        statistics.median(marshalling),
        statistics.median(outside) if told else 0.0,
        statistics.median(inside) if told else 0.0,
    )


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024 or unit == "MiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
