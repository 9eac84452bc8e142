"""What interfaces cost: `python -m benchmarks.interface [--quick] [--json]`.

Three questions: how long a file takes to become classes, how much a call's arguments cost beside
an echo through os.pipe, and how much dearer a typed call is than the same call with raw memory.
Everything is measured in turn, round by round, in one run; where the two sides of a call run counts
for more than all else, so calls are measured with all processes on one CPU too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import qda
from benchmarks.invoke import FLOOR, Call, Samples
from benchmarks.peers import PEERS
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


def compiling() -> Iterator[Samples]:
    """Files becoming classes."""
    text = long_text()
    yield Samples("calculator", "compile", lambda: qda.idl.load(CALCULATOR, name="calculator.idl"))
    lines = f"{text.count(chr(10)):,} lines"
    yield Samples(lines, "compile", lambda: qda.idl.load(text, name="long_one.idl"))


def marshalling() -> Iterator[Samples]:
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

    yield Samples("copy there and back", "marshal", lambda: (other.copy(), room.copy()))
    yield Samples("stub", "marshal", stub)
    yield Samples("skeleton", "marshal", skeleton)


def calling(session: qda.Session) -> Iterator[Samples]:
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
            yield Samples("raw", f"{name}, {place}", plain)
            yield Samples("typed", f"{name}, {place}", with_types)


def _bind(function: Callable[..., object], *arguments: object) -> Call:
    return lambda: function(*arguments)


def measure(rounds: int, budget: float, progress: Progress) -> dict[str, Any]:
    """Run everything; returns what `--json` prints."""
    with ExitStack() as stack:
        session = stack.enter_context(qda.open("cdsp", device="virtual"))
        echo = stack.enter_context(PEERS[FLOOR]())
        payload = bytes(8)
        calls = [Samples(FLOOR, "echo", lambda: echo(payload)), *marshalling(), *calling(session)]
        samples = [*compiling(), *calls]
        task = progress.add_task("interfaces", total=len(samples) * rounds + len(calls) * rounds)
        for sample in samples:
            sample.warm_up(budget)
        for _ in range(rounds):
            for sample in samples:
                sample.measure()
                progress.advance(task)
        with one_cpu():
            pinned = [sample.beside_itself() for sample in calls]
            for _ in range(rounds):
                for sample in pinned:
                    sample.measure()
                    progress.advance(task)
    return _result(samples)


def _result(samples: list[Samples]) -> dict[str, Any]:
    free = {(one.case, one.contender): one.median for one in samples}
    pinned = {(o.case, o.contender): o.one_cpu.median for o in samples if o.one_cpu}
    rows = [
        {
            "case": one.case,
            "contender": one.contender,
            "median_us": one.median,
            "one_cpu_us": pinned.get((one.case, one.contender)),
            "samples": len(one.times),
        }
        for one in samples
    ]
    bounds: list[dict[str, Any]] = []

    def bound(what: str, figure: float, words: str) -> None:
        bounds.append({"what": what, "figure": figure, "bound": words})

    for (case, contender), microseconds in free.items():
        if case == "compile":
            most = 20 if contender == "calculator" else 2000
            bound(f"compile {contender}, ms", microseconds / 1000, f"at most {most}")
    for where, times in (("", free), (", one CPU", pinned)):
        floor, copy = times["echo", FLOOR], times["marshal", "copy there and back"]
        for side in ("stub", "skeleton"):
            share = (times["marshal", side] - copy) / floor
            bound(f"({side} - copy) / os.pipe echo{where}", share, "at most 0.5")
        ratios = [
            times[case, "typed"] / time for (case, who), time in times.items() if who == "raw"
        ]
        bound(f"typed call / raw call{where}", statistics.median(ratios), "at most 1.5")
    return {"samples": rows, "bounds": bounds}


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
    for one in result["bounds"]:
        console.print(f"{one['what']}: {one['figure']:.2f} ({one['bound']})")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interface", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, rough")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    rounds, budget = (2, 0.01) if options.quick else (10, 0.05)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            result = measure(rounds, budget, progress)
    except KeyboardInterrupt:
        return 130
    if options.json:
        json.dump(result, sys.stdout, indent=2)
        print()
    else:
        show(result, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
