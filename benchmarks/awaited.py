"""Calls that are awaited: many tasks on one session, a third of whose calls they do not wait for.

Of three calls one is cancelled or timed out, in turns; the DSP takes its time over those, so that
they are on their way, or in line, when they are let go of.  Every result is compared, and what the
device holds at the end with what it held before.  All of it:

    python -m benchmarks.awaited
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import Any

from rich.console import Console
from rich.progress import Progress

import qda
from benchmarks import options
from qda.virtual import machine

__all__ = ["Squares", "storm"]

squares: Any = qda.idl.load(
    '#include "remote.idl"\n'
    "interface squares : remote_handle64 {"
    " long square(in long x, in long milliseconds, rout long long y); };",
    name="squares.idl",
)

SLOW = 5
"""Milliseconds that the DSP takes over a call that nobody waits for."""


class Squares(squares.Skeleton):  # type: ignore[misc]
    """Squares, that may take some time."""

    def square(self, x: int, milliseconds: int) -> int:
        if milliseconds:
            time.sleep(milliseconds / 1000)
        return x * x


async def storm(remote: Any, calls: int, tasks: int) -> Counter[str]:
    """Make so many calls in so many tasks; how many were right, wrong, cancelled, timed out.

    A call that is let go of and is over all the same counts with those that are waited for.
    """
    ends: Counter[str] = Counter()
    numbers = iter(range(calls))

    async def work() -> None:
        for number in numbers:
            ends[await _end_of_one(remote, number)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())
    return ends


async def _end_of_one(remote: Any, number: int) -> str:
    """Make one call, and let go of it if it is its turn."""
    is_left = number % 3 == 2
    pending = qda.start(remote.square, number, SLOW if is_left else 0)
    try:
        if not is_left:
            result = await pending
        elif number % 2:
            async with asyncio.timeout(0.001):
                result = await pending
        else:
            waiting = asyncio.ensure_future(pending)
            asyncio.get_running_loop().call_later(0.001, waiting.cancel)
            result = await waiting
    except TimeoutError:
        return "timed out"
    except asyncio.CancelledError:
        return "cancelled"
    return "right" if result == number * number else "wrong"


def _measure(calls: int, tasks: int) -> dict[str, Any]:
    with qda.open("cdsp", device="virtual") as session, session.load(Squares) as remote:
        device = machine().devices["cdsp"]
        before = device.census()
        start = time.perf_counter()
        ends = asyncio.run(storm(remote, calls, tasks))
        seconds = time.perf_counter() - start
        while device.census().calls != before.calls:  # those that nobody waited for
            time.sleep(0.01)
        left = device.census() == before
    return {"ends": ends, "seconds": seconds, "nothing left": left}


def _show(result: dict[str, Any], console: Console) -> None:
    for end, count in sorted(result["ends"].items()):
        console.print(f"{end}: {count}")
    console.print(f"{result['seconds']:.2f} s; nothing left: {result['nothing left']}")


def main() -> int:
    """Measure and print."""
    parser = options.parser("benchmarks.awaited", __doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=100)
    given = parser.parse_args()
    calls = min(given.calls, 600) if given.quick else given.calls

    def measure(_: Progress) -> dict[str, Any]:
        return _measure(calls, given.tasks)

    return options.run(given.json, measure, _show)


if __name__ == "__main__":
    sys.exit(main())
