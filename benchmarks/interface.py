"""What interfaces cost: `python -m benchmarks.interface [--quick] [--json]`.

Three questions: how long a file takes to become classes, how much a call's arguments cost beside
an echo through os.pipe, and how much dearer a typed call is than the same call with raw memory.
Everything is measured in turn, round by round, in one run; where the two sides of a call run counts
for more than all else, so calls are measured with all processes on one CPU too.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import qda
from benchmarks.clocks import Call, Samples, timed
from benchmarks.floors import PIPE, pipe
from benchmarks.options import Bounds, as_json, parser, run, show_bounds
from benchmarks.placement import one_cpu
from qda.idl.wire.calls import MethodCodec

__all__ = ["main"]

CALCULATOR = """
#include "remote.idl"
interface calculator : remote_handle64 {
    long sum(in sequence<long> numbers, rout long long total);
    long scale(in sequence<long> numbers, in long factor, rout sequence<long> scaled);
};
"""
ELEMENTS = 1000
LINES = 2000


class Timed(NamedTuple):
    """What is measured: one of those that are compared in a case."""

    case: str
    contender: str
    call: Call


Measured = dict[tuple[str, str], Samples]
"""By case and contender."""

Calculator: Any = qda.idl.load(CALCULATOR, name="calculator.idl")


class Served(Calculator.Skeleton):  # type: ignore[misc]
    """The interface, implemented with as little work as there can be."""

    def sum(self, numbers: Any) -> int:
        """Look at one number."""
        return int(numbers[0])

    def scale(self, numbers: Any, factor: int, scaled: Any) -> None:
        """Write one number."""
        scaled[0] = numbers[0]


class Raw(qda.Skeleton):
    """The same methods, with the memory that an interface makes arrays of."""

    @qda.method(2)
    def sum(self, count: memoryview, numbers: memoryview, total: memoryview) -> None:
        """Look at one number."""
        total[0] = numbers[0]

    @qda.method(3)
    def scale(self, head: memoryview, numbers: memoryview, scaled: memoryview) -> None:
        """Write one number."""
        scaled[0] = numbers[0]


def long_text() -> str:
    """A file of about `LINES` lines: structures, enumerations, and an interface of many methods."""
    lines = ['#include "remote.idl"']
    for number in range(LINES // 20):
        lines += [
            f"/** Structure {number}. */",
            f"struct record{number} {{",
            "    long first;",
            "    unsigned long long second;",
            "    octet name[16];",
            "};",
            f"enum choice{number} {{ yes{number}, no{number} }};",
        ]
    lines.append("interface long_one : remote_handle64 {")
    for number in range(LINES // 20):
        lines += [
            "    /**",
            f"     * Method {number}.",
            "     * @param given  what goes in",
            "     * @param room  what comes out",
            "     */",
            f"    long method{number}(",
            f"        in record{number} one,",
            f"        in choice{number} choice,",
            "        in sequence<long> given,",
            "        in string name,",
            "        rout sequence<octet> room,",
            "        rout long long length);",
            "",
        ]
    return "\n".join([*lines, "};"])


def compiling() -> Iterator[Timed]:
    """Files becoming classes."""
    text = long_text()
    yield Timed("compile", "calculator", lambda: qda.idl.load(CALCULATOR, name="calculator.idl"))
    lines = f"{text.count(chr(10)):,} lines"
    yield Timed("compile", lines, lambda: qda.idl.load(text, name="long_one.idl"))


def marshalling() -> Iterator[Timed]:
    """The stub's and the skeleton's share of a call with 1,000 numbers in and out, and a copy."""
    method = Calculator.interface.methods[3]
    codec = MethodCodec(method)
    numbers, room, other = (np.zeros(ELEMENTS, np.int32) for _ in range(3))
    values, rooms = {"numbers": numbers, "factor": 3}, {"scaled": room}

    def stub() -> None:
        codec.unpack(codec.pack(values, rooms))

    packed = codec.pack(values, rooms)
    ins = [memoryview(bytes(memoryview(one))) for one in packed.ins]
    outs = [memoryview(bytearray(memoryview(one))) for one in packed.outs]

    def skeleton() -> None:
        codec.serve(packed.scalars, ins, outs, (), (), lambda given, targets: {})

    yield Timed("marshal", "copy there and back", lambda: (other.copy(), room.copy()))
    yield Timed("marshal", "stub", stub)
    yield Timed("marshal", "skeleton", skeleton)


def calling(session: qda.Session) -> Iterator[Timed]:
    """Typed calls beside raw ones with the same buffers."""
    typed, raw = session.load(Served), session.load(Raw)
    count = ELEMENTS.to_bytes(4, "little")
    for place, make in (("inline", np.zeros), ("buffer object", session.empty)):
        numbers, room = (make(ELEMENTS, np.int32) for _ in range(2))
        total, head = bytearray(8), count + bytes(4) + count
        calls: dict[str, tuple[Call, Call]] = {
            "sum": (
                _bind(raw.invoke, 2, [count, numbers], [total]),
                _bind(typed.sum, numbers),
            ),
            "scale": (
                _bind(raw.invoke, 3, [head, numbers], [room]),
                _bind(typed.scale, numbers, 3, room),
            ),
        }
        for name, (plain, with_types) in calls.items():
            yield Timed(f"{name}, {place}", "raw", plain)
            yield Timed(f"{name}, {place}", "typed", with_types)


def _bind(function: Callable[..., object], *arguments: object) -> Call:
    return lambda: function(*arguments)


def measure(rounds: int, seconds: float, progress: Progress) -> dict[str, Any]:
    """Run everything; returns what `--json` prints."""
    with ExitStack() as stack:
        session = stack.enter_context(qda.open("cdsp", device="virtual"))
        echo = stack.enter_context(pipe())
        payload = bytes(8)
        calls = [Timed("echo", PIPE, lambda: echo(payload)), *marshalling(), *calling(session)]
        free = _in_turn([*compiling(), *calls], rounds, seconds, progress, "interfaces")
        with one_cpu():
            pinned = _in_turn(calls, rounds, seconds, progress, "interfaces, one CPU")
    return _result(free, pinned)


def _in_turn(
    timed_ones: list[Timed], rounds: int, seconds: float, progress: Progress, words: str
) -> Measured:
    samples = {(o.case, o.contender): Samples(o.contender, timed(o.call)) for o in timed_ones}
    for sample in samples.values():
        sample.warm_up(seconds)
    for _ in progress.track(range(rounds), description=words):
        for sample in samples.values():
            sample.measure()
    return samples


def _result(free: Measured, pinned: Measured) -> dict[str, Any]:
    rows = [
        {
            "case": case,
            "contender": contender,
            "median_us": one.median,
            "one_cpu_us": pinned[case, contender].median if case != "compile" else None,
            "samples": len(one.times),
        }
        for (case, contender), one in free.items()
    ]
    bounds: Bounds = []
    for (case, contender), one in free.items():
        if case == "compile":
            most = 20 if contender == "calculator" else 2000
            bounds.append((f"compile {contender}, ms", one.median / 1000, f"at most {most}"))
    for where, samples in (("", free), (", one CPU", pinned)):
        times = {key: one.median for key, one in samples.items()}
        floor, copy = times["echo", PIPE], times["marshal", "copy there and back"]
        for side in ("stub", "skeleton"):
            share = (times["marshal", side] - copy) / floor
            bounds.append((f"({side} - copy) / os.pipe echo{where}", share, "at most 0.5"))
        ratios = [
            times[case, "typed"] / time for (case, who), time in times.items() if who == "raw"
        ]
        median = statistics.median(ratios)
        bounds.append((f"typed call / raw call{where}", median, "at most 1.5"))
    return {"samples": rows, "bounds": as_json(bounds)}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the result for people."""
    table = Table(title="What interfaces cost")
    for heading in ("case", "contender"):
        table.add_column(heading, no_wrap=True)
    for heading in ("median µs", "one CPU, µs", "samples"):
        table.add_column(heading, justify="right")
    last = ""
    for row in result["samples"]:
        if last and row["case"] != last:
            table.add_section()
        alone = row["one_cpu_us"]
        table.add_row(
            row["case"] if row["case"] != last else "",
            row["contender"],
            f"{row['median_us']:,.1f}",
            f"{alone:,.1f}" if alone else "",
            str(row["samples"]),
        )
        last = row["case"]
    console.print(table)
    show_bounds(result, console)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 130 after Ctrl-C."""
    options = parser("benchmarks.interface", __doc__).parse_args(arguments)
    rounds, seconds = (2, 0.01) if options.quick else (10, 0.05)
    return run(options.json, lambda progress: measure(rounds, seconds, progress), show)


if __name__ == "__main__":
    sys.exit(main())
