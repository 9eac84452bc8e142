"""A program that holds sessions, `python -m benchmarks.holder`: its memory and time are measured.

Each line of its input is a number: so many sessions are opened, and the answer is the milliseconds
that each took; 0 closes them all.  A session makes a call, so that it has all it will have.
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
    """Open and close sessions until the requests end."""
    sessions: list[qda.Session] = []
    say_ready()
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            session = qda.open("cdsp", device="virtual")
            times.append((time.perf_counter() - start) * 1000)
            sessions.append(session)
            session.load(Empty).invoke(2)
        if not times:
            while sessions:
                sessions.pop().close()
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
