"""One job on several sessions: `python -m benchmarks.pool [--quick] [--json] [--gigabytes 10]`.

Two jobs: *pictures* of 16 MiB, of which each byte is looked up in a table, so that as much goes out
and comes back; and *work*, calls that carry nothing and compute for 5 ms.  Each is done by a loop
without calls, by one session, by `qda.Pool`, and by `multiprocessing.Pool`, in turn, and each time
by a program of its own, so that its largest memory is known.  Pictures are made when they are asked
for: what is not bounded shows as memory.  All results are compared with the loop's.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import qda
from benchmarks.options import as_json, parser, run, show_bounds

__all__ = ["main"]

Octets = NDArray[np.uint8]

SIZE = 16 << 20
"""Bytes of a picture."""
WORK = 5
"""Milliseconds that a call of the other job computes."""

TABLE = np.arange(255, -1, -1).astype(np.uint8)

jobs = qda.idl.load("""
    interface jobs {
        long look_up(in sequence<octet> picture, rout sequence<octet> drawn);
        long work(in long number, in long milliseconds, rout long long result);
    };
""")


def look_up(picture: Octets) -> Octets:
    """The job of a picture."""
    return TABLE[picture]


def work(number: int, milliseconds: int) -> int:
    """The job that only computes: it takes CPU time, whoever else runs."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        pass
    return number * number


class Jobs(jobs.Skeleton):  # type: ignore[misc, name-defined]
    """The jobs on a DSP."""

    def look_up(self, picture: Octets, drawn: int) -> Octets:
        return look_up(picture)

    def work(self, number: int, milliseconds: int) -> int:
        return work(number, milliseconds)


def pictures(count: int) -> Iterator[Octets]:
    """Pictures, each made when it is asked for."""
    for number in range(count):
        yield np.full(SIZE, number % 251, np.uint8)


def call_for(job: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A job as a function, and as one of a remote object."""
    if job == "pictures":
        return look_up, lambda remote, picture: remote.look_up(picture, picture.size)
    return partial(work, milliseconds=WORK), lambda remote, number: remote.work(number, WORK)


def contender(name: str, job: str, count: int, sessions: int) -> Iterator[Iterator[Any]]:
    """The results of a job, once all that does it is up; then its end."""
    items = pictures(count) if job == "pictures" else iter(range(count))
    function, remote_function = call_for(job)
    if name == "loop":
        yield map(function, items)
    elif name == "one session":
        with qda.open("cdsp", device="virtual") as session, session.load(Jobs) as remote:
            yield map(partial(remote_function, remote), items)
    elif name == "qda.Pool":
        opener = partial(qda.open, "cdsp", device="virtual")
        with qda.Pool(sessions, Jobs, opener=opener) as pool:
            yield pool.map(remote_function, items)
    else:
        with multiprocessing.get_context("fork").Pool(sessions) as processes:
            yield processes.imap(function, items)


CONTENDERS = ("loop", "one session", "qda.Pool", "multiprocessing")


def measure_one(name: str, job: str, count: int, sessions: int) -> None:
    """Do a job, and print what it took: for the program that measures."""
    found = contender(name, job, count, sessions)
    results = next(found)
    start, check = time.perf_counter(), 0
    for one in results:
        check = zlib.crc32(
            one[:: SIZE // 64].tobytes() if job == "pictures" else b"%d" % one, check
        )
    seconds = time.perf_counter() - start
    for _ in found:
        raise AssertionError("a contender gives one row of results")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "check": check, "memory": memory}))


def measure(counts: dict[str, int], sessions: int, rounds: int, progress: Progress) -> Any:
    """What `--json` prints: medians of the rounds."""
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for _ in progress.track(range(rounds), description="rounds"):
        for job, count in counts.items():
            for name in CONTENDERS:
                arguments = ["--one", name, job, str(count), str(sessions)]
                ran = subprocess.run(
                    [sys.executable, "-m", "benchmarks.pool", *arguments],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                found[job, name].append(json.loads(ran.stdout))
    times = {key: statistics.median(one["seconds"] for one in each) for key, each in found.items()}
    rows = []
    for (job, name), each in found.items():
        seconds = times[job, name]
        rows.append(
            {
                "job": job,
                "contender": name,
                "seconds": seconds,
                "rate": counts[job] / seconds,
                "memory": max(one["memory"] for one in each),
                "right": all(one["check"] == found[job, "loop"][0]["check"] for one in each),
            }
        )
    gain = times["work", "one session"] / times["work", "qda.Pool"]
    bounds = [(f"work, {sessions} sessions beside one", gain, "at least 1.7 on two CPUs")]
    beside = times["pictures", "multiprocessing"] / times["pictures", "qda.Pool"]
    bounds.append(("pictures, multiprocessing beside a pool", beside, "at least 1"))
    return {"rows": rows, "bounds": as_json(bounds), "counts": counts, "sessions": sessions}


def show(result: dict[str, Any], console: Console) -> None:
    """For people."""
    table = Table("job", "contender", "s", "items/s", "MiB of the program", "as the loop")
    for row in result["rows"]:
        table.add_row(
            row["job"],
            row["contender"],
            f"{row['seconds']:.2f}",
            f"{row['rate']:.0f}",
            f"{row['memory']:.0f}",
            "yes" if row["right"] else "NO",
        )
    console.print(table)
    show_bounds(result, console)


def main() -> int:
    """Measure and report; returns the status of the program."""
    if sys.argv[1:2] == ["--one"]:
        name, job, count, sessions = sys.argv[2:]
        measure_one(name, job, int(count), int(sessions))
        return 0
    options = parser("benchmarks.pool", __doc__)
    options.add_argument("--gigabytes", type=float, default=1, help="of pictures, by default 1")
    options.add_argument("--sessions", type=int, default=os.cpu_count(), help="by default CPUs")
    given = options.parse_args()
    size = 0.1 if given.quick else given.gigabytes
    counts = {"pictures": max(1, int(size * (1 << 30) / SIZE)), "work": 40 if given.quick else 400}
    rounds = 1 if given.quick or given.gigabytes > 1 else 3
    return run(given.json, partial(measure, counts, given.sessions, rounds), show)


if __name__ == "__main__":
    sys.exit(main())
