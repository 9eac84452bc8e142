"""One contender in a process of its own, which makes calls when it is told to.

`python -m benchmarks.worker NAME [--cpu N] [--buffers N --mappings N]`; then each line names a row
and seconds, and is answered with the calls that were made in that time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager as Block
from contextlib import contextmanager

import qda
from benchmarks.calls import EVERYONE, contender
from benchmarks.cases import case
from benchmarks.clocks import Batch, for_seconds
from benchmarks.contenders import LeftOut, Maker
from benchmarks.ours import calls_of
from benchmarks.placement import on_cpu
from benchmarks.processes import answer, python, receive, say_ready, send

__all__ = ["Worker", "worker"]


class Worker:
    """A worker, as whoever measures holds it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def begin(self, row: str, seconds: float) -> None:
        """Let it make calls of that row for so long; `calls_per_second` waits for the end."""
        send(self._process, [row, seconds])

    def calls_per_second(self) -> float:
        """Wait until what was begun is done."""
        calls, seconds, _ = receive(self._process)
        return float(calls / seconds)

    def rate(self, row: str, seconds: float) -> float:
        """Make calls for so long; returns how many a second."""
        calls, took, _ = answer(self._process, [row, seconds])
        return float(calls / took)

    def median(self, row: str, seconds: float) -> float:
        """Make calls for so long; returns the median of their microseconds."""
        return float(answer(self._process, [row, seconds])[2])


@contextmanager
def worker(
    name: str,
    *,
    cpu: int | None = None,
    buffers: int = 0,
    mappings: int = 0,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Worker]:
    """A worker for that contender, kept on a CPU if one is given; QDA's session may have some
    buffers and mappings besides.  LeftOut."""
    options = [] if cpu is None else ["--cpu", str(cpu)]
    options += ["--buffers", str(buffers), "--mappings", str(mappings)]
    with python(__name__, name, *options, variables=variables) as process:
        why = receive(process)
        if why:
            raise LeftOut(why)
        yield Worker(process)


@contextmanager
def _loaded(buffers: int, mappings: int) -> Iterator[Maker]:
    """A session with so many buffers, of which so many are mapped."""
    with qda.open("cdsp", device="virtual") as session, calls_of(session) as maker:
        held = [session.alloc(4096) for _ in range(buffers)]
        mapped = [session.map(buffer) for buffer in held[:mappings]]
        yield maker
        del mapped


def _work(maker: Maker) -> None:
    batches: dict[str, Batch] = {}
    for line in sys.stdin:
        row, seconds = json.loads(line)
        if row not in batches:
            batch = maker(case(row))
            assert batch is not None
            batch(20)
            batches[row] = batch
        calls, took, times = for_seconds(batches[row], seconds)
        print(json.dumps([calls, took, statistics.median(times)]), flush=True)


def main() -> None:
    """Open the contender, say so or why not, and work until the requests end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worker")
    parser.add_argument("name", choices=[one.name for one in EVERYONE])
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--buffers", type=int, default=0)
    parser.add_argument("--mappings", type=int, default=0)
    options = parser.parse_args()
    say_ready()
    try:
        opened: Block[Maker] = (
            _loaded(options.buffers, options.mappings)
            if options.buffers
            else contender(options.name).opened()
        )
        with opened as maker:
            if options.cpu is not None:
                on_cpu(options.cpu)
            print(json.dumps(""), flush=True)
            _work(maker)
    except LeftOut as error:
        print(json.dumps(str(error)), flush=True)


if __name__ == "__main__":
    main()
