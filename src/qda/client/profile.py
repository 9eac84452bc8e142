"""Where the time of a session's calls goes: a table of their methods, and a picture of the times.

with session.profile() as profile:
    ...
print(profile)
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from qda.client.names import name_in
from qda.client.node import Node
from qda.core import Traced
from qda.errors import UsageError

__all__ = ["Profile", "Profiled", "ProfiledMethod"]

_BAR, _EIGHTHS = 32, " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True, slots=True)
class ProfiledMethod:
    """The calls of one method; `times` are those of whole calls in microseconds, in growing order.

    `transport` and `method` are medians of what the DSP has said, None where it has said nothing.
    """

    name: str
    times: tuple[float, ...]
    transport: float | None
    method: float | None

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return len(self.times)

    @property
    def median(self) -> float:
        """The median time of a call."""
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        """The time that one call of a hundred exceeds."""
        return self.times[min(self.calls - 1, self.calls * 99 // 100)]


class Profile:
    """The calls of a session while a block runs; `methods` has them afterwards, those first that
    have taken the most time.  `str()` is a table, and a bar for each range of times."""

    def __init__(self, node: Node, names: Mapping[int, str]) -> None:
        notes = node.notes()
        if notes is None:
            raise UsageError(
                f"{node.name} tells no times: a profile is of a virtual device in this process"
            )
        self._notes, self._names = notes, names
        self._end = ExitStack()
        self.methods: Sequence[ProfiledMethod] = ()

    def __enter__(self) -> Self:
        self._end.enter_context(self._notes)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        groups: dict[str, list[Traced]] = defaultdict(list)
        find = _methods()
        for record in self._notes.records:
            if record.handle in self._names:
                groups[self._name(record, find)].append(record)
        made = [_method(name, records) for name, records in groups.items()]
        self.methods = sorted(made, key=lambda one: -sum(one.times))

    def _name(self, record: Traced, find: Callable[[str, int], str]) -> str:
        uri = self._names[record.handle]
        module = name_in(uri) or uri
        return f"{module}.{find(module, record.number) or f'method {record.number}'}"

    def __str__(self) -> str:
        lines = [f"{'method':32} {'calls':>8} {'median µs':>10} {'p99 µs':>10} transport    method"]
        for one in self.methods:
            told = "".join(f"{'-' if it is None else f'{it:.1f}':>10}" for it in _parts(one))
            lines.append(f"{one.name:32} {one.calls:8} {one.median:10.1f} {one.p99:10.1f}{told}")
        for one in self.methods:
            lines += ["", f"{one.name}, µs of a call", *_bars(one.times)]
        return "\n".join(lines)


class Profiled:
    """What has a session whose calls can be profiled."""

    def __init__(self, node: Node, names: Mapping[int, str]) -> None:
        self._profiled = node, names

    def profile(self) -> Profile:
        """Find out where the time of this session's calls goes, while a block runs.

        UsageError for a node of a kernel, whose driver tells no times, and while this process is
        traced or profiled otherwise.
        """
        return Profile(*self._profiled)


def _parts(one: ProfiledMethod) -> tuple[float | None, float | None]:
    return one.transport, one.method


def _method(name: str, records: Sequence[Traced]) -> ProfiledMethod:
    times = tuple(sorted((one.ended - one.begun) / 1000 for one in records))
    told = [one for one in records if one.method_begun]
    if not told:
        return ProfiledMethod(name, times, None, None)
    inside = [(one.method_ended - one.method_begun) / 1000 for one in told]
    outside = [
        (one.answered - one.sent) / 1000 - within for one, within in zip(told, inside, strict=True)
    ]
    return ProfiledMethod(name, times, statistics.median(outside), statistics.median(inside))


def _methods() -> Callable[[str, int], str]:
    """Finds what a method of a module is called, "" if no interface of the program says it."""
    language = sys.modules.get("qda.idl.python.runtime")
    known = {
        (one.interface.c_name, method.index): method.name
        for one in (language.known_interfaces() if language is not None else ())
        for method in one.interface.methods
    }
    return lambda module, number: known.get((module, number), "")


def _bars(times: Sequence[float]) -> list[str]:
    """How many calls have taken how long, in ranges that double."""
    counted = Counter(max(0, int(time).bit_length()) for time in times)
    most = max(counted.values())
    lines = []
    for power in range(min(counted), max(counted) + 1):
        eighths = 8 * _BAR * counted[power] // most
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        lines.append(f"  below {1 << power:>9,} {counted[power]:>8} {bar}".rstrip())
    return lines
