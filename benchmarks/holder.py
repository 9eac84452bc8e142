"""A program that holds sessions, `python -m benchmarks.holder`: its memory and time are measured.

Each line of its input is a list of two.  `["open", N]` opens so many sessions, one after the other,
and is answered with the milliseconds of each; `["call", 0]` makes a call on each that has made none
yet, so that it has all that it will have.
"""

from __future__ import annotations

import json
import sys
import time

import qda
from benchmarks.processes import say_ready


class Empty(qda.Skeleton):
    """What is called."""

    @qda.method(2)
    def empty(self) -> None:
        """Do nothing."""


def main() -> None:
    """Open sessions and call until the requests end."""
    sessions: list[qda.Session] = []
    called = 0
    say_ready()
    for line in sys.stdin:
        what, count = json.loads(line)
        times = []
        for _ in range(count):
            start = time.perf_counter()
            sessions.append(qda.open("cdsp", device="virtual"))
            times.append((time.perf_counter() - start) * 1000)
        if what == "call":
            for session in sessions[called:]:
                session.load(Empty).invoke(2)
            called = len(sessions)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
