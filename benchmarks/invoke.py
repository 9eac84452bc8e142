"""Time of a call: `python -m benchmarks.invoke [--quick] [--json] [--only NAME]`.

QDA's calls and the echoes of its peers are measured in turn, round by round, in one run: machines
are shared, and only ratios of one run mean something.  Short calls are measured a second time with
every process on one CPU, because their time depends on where the scheduler puts the two sides.

An echo brings the payload there and back.  A QDA call on buffer objects shares the payload; its
skeleton touches the first and the last byte of input and output, and no byte moves.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import qda
from benchmarks.peers import PEERS, Echo, NotInstalled
from benchmarks.placement import one_cpu

__all__ = ["main"]

SIZES = {"empty": 0, "32 B": 32, "4 KiB": 4 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20}
SHORT = 4 << 10
"""Bytes; payloads up to here are measured on one CPU too."""
QDA = "QDA"
FLOOR = "os.pipe"


class Touch(qda.Skeleton):
    """The methods that are measured."""

    def __init__(self) -> None:
        self._gate = threading.Event()
        self._is_parked = False

    @qda.method(2)
    def empty(self) -> None:
        """Do nothing."""

    @qda.method(3)
    def touch(self, given: memoryview, result: memoryview) -> None:
        """Touch the first and the last byte of both."""
        result[0] = given[0]
        result[-1] = given[-1]

    @qda.method(4)
    def park(self) -> None:
        """Wait until `release`."""
        self._is_parked = True
        self._gate.wait()

    @qda.method(5)
    def release(self) -> None:
        """Let parked calls go."""
        self._gate.set()

    @qda.method(6)
    def parked(self, answer: memoryview) -> None:
        """Say whether `park` has begun."""
        answer[0] = self._is_parked


Call = Callable[[], object]


SLOW = 0.05
"""Seconds; a call that takes longer needs no more warming than one call."""


@dataclass
class Samples:
    """Times of one contender in one case, in microseconds."""

    contender: str
    case: str
    call: Call
    per_round: int = 1
    times: list[float] = field(default_factory=list)
    one_cpu: Samples | None = None

    def beside_itself(self) -> Samples:
        """New samples of the same call, for another placement."""
        self.one_cpu = Samples(self.contender, self.case, self.call, self.per_round)
        return self.one_cpu

    def warm_up(self, budget: float) -> None:
        """Call until warm; decide how many calls of a round fit into `budget` seconds."""
        fastest = self._time()
        if fastest > SLOW:
            return
        fastest = min(fastest, *(self._time() for _ in range(4)))
        self.per_round = max(1, min(200, int(budget / fastest)))
        for _ in range(min(50, self.per_round)):
            self.call()

    def _time(self) -> float:
        start = time.perf_counter()
        self.call()
        return time.perf_counter() - start

    def measure(self) -> None:
        """One round."""
        clock, call = time.perf_counter_ns, self.call
        for _ in range(self.per_round):
            start = clock()
            call()
            self.times.append((clock() - start) / 1000)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return float(np.percentile(self.times, 99))


def qda_calls(session: qda.Session, module: qda.RemoteModule) -> dict[str, Call]:
    """QDA's call for each case."""
    small, answer = bytes(range(32)), bytearray(32)
    calls: dict[str, Call] = {
        "empty": lambda: module.invoke(2),
        "32 B": lambda: module.invoke(3, [small], [answer]),
    }
    for case in ("4 KiB", "1 MiB", "64 MiB"):
        given = session.empty(SIZES[case], np.uint8)
        result = session.empty(SIZES[case], np.uint8)
        given[:], result[:] = 1, 0
        calls[case] = _touch(module, given, result)
    return calls


def _touch(module: qda.RemoteModule, given: object, result: object) -> Call:
    return lambda: module.invoke(3, [given], [result])


def _echo(echo: Echo, size: int) -> Call:
    payload = bytes(size)
    return lambda: echo(payload)


def throughput(module: qda.RemoteModule, threads: int, calls: int) -> float:
    """Empty calls per second that so many threads make together on one session."""

    def work() -> None:
        for _ in range(calls // threads):
            module.invoke(2)

    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        workers = [pool.submit(work) for _ in range(threads)]
        for worker in workers:
            worker.result()
        return calls / (time.perf_counter() - start)


@contextmanager
def parked_call(session: qda.Session, uri: str) -> Iterator[None]:
    """While the block runs, a call on the session is parked on the DSP."""
    # The gate stays open once it was opened: every time needs a module of its own.
    with session.load(uri) as module, ThreadPoolExecutor(1) as pool:
        try:
            call = pool.submit(module.invoke, 4)
            while not call.done() and not module.invoke(6, outs=[1])[0][0]:
                time.sleep(0.001)
            yield
        finally:
            module.invoke(5)
        call.result()


def measure(rounds: int, budget: float, only: str | None, progress: Progress) -> dict[str, object]:
    """Run everything; returns what `--json` prints."""
    missing: list[str] = []
    with ExitStack() as stack:
        session = stack.enter_context(qda.open("cdsp", device="virtual"))
        module = stack.enter_context(session.load(Touch))
        samples = [Samples(QDA, case, call) for case, call in qda_calls(session, module).items()]
        for name, peer in PEERS.items():
            if only not in (None, name) and name != FLOOR:
                continue
            try:
                echo = stack.enter_context(peer())
            except NotInstalled:
                missing.append(name)
                continue
            samples += [Samples(name, case, _echo(echo, size)) for case, size in SIZES.items()]
        task = progress.add_task("calls", total=len(samples) * (rounds + 1))
        for sample in samples:
            sample.warm_up(budget)
            progress.advance(task)
        for _ in range(rounds):
            for sample in samples:
                sample.measure()
                progress.advance(task)
        threads = _measure_threads(module, rounds, budget, progress)
        with one_cpu():
            short = [sample for sample in samples if SIZES[sample.case] <= SHORT]
            again = [sample.beside_itself() for sample in short]
            for _ in progress.track(range(rounds), description="one CPU"):
                for sample in again:
                    sample.measure()
            parked = _measure_parked(session, module, rounds, budget, progress)
    return _result(samples, missing, threads, parked)


def _measure_threads(
    module: qda.RemoteModule, rounds: int, budget: float, progress: Progress
) -> dict[str, float]:
    calls = 8 * max(50, int(budget * 2500))
    one, eight = [], []
    for _ in progress.track(range(rounds), description="threads"):
        one.append(throughput(module, 1, calls))
        eight.append(throughput(module, 8, calls))
    return {"1 thread": statistics.median(one), "8 threads": statistics.median(eight)}


def _measure_parked(
    session: qda.Session,
    module: qda.RemoteModule,
    rounds: int,
    budget: float,
    progress: Progress,
) -> dict[str, float]:
    """Median of an empty call alone, and while another call of the session is parked.

    It is measured on one CPU, where anything that a parked call does would be in the way.
    """
    alone = Samples(QDA, "alone", lambda: module.invoke(2))
    beside = Samples(QDA, "beside a parked call", lambda: module.invoke(2))
    alone.warm_up(budget)
    beside.per_round = alone.per_round
    for _ in progress.track(range(rounds), description="parked"):
        alone.measure()
        with parked_call(session, module.uri):
            beside.measure()
    return {"alone": alone.median, "beside": beside.median}


def _result(
    samples: list[Samples], missing: list[str], threads: dict[str, float], parked: dict[str, float]
) -> dict[str, object]:
    pinned = {
        sample.contender: sample.one_cpu.median
        for sample in samples
        if sample.case == "empty" and sample.one_cpu
    }
    median = {(sample.contender, sample.case): sample.median for sample in samples}
    rows = [
        {
            "case": sample.case,
            "contender": sample.contender,
            "median_us": sample.median,
            "p99_us": sample.p99,
            "to_pipe": sample.median / median[FLOOR, sample.case],
            "to_qda": sample.median / median[QDA, sample.case],
            "one_cpu_us": sample.one_cpu.median if sample.one_cpu else None,
            "samples": len(sample.times),
        }
        for sample in sorted(samples, key=lambda sample: list(SIZES).index(sample.case))
    ]
    bounds = [
        ("empty call / os.pipe echo", median[QDA, "empty"] / median[FLOOR, "empty"], "at most 12"),
        ("the same on one CPU", pinned[QDA] / pinned[FLOOR], "at most 12"),
        (
            "64 MiB / 4 KiB by buffer object",
            median[QDA, "64 MiB"] / median[QDA, "4 KiB"],
            "at most 1.5",
        ),
        (
            "throughput of 8 threads / 1 thread",
            threads["8 threads"] / threads["1 thread"],
            "at least 1",
        ),
        ("empty call beside a parked call / alone", parked["beside"] / parked["alone"], "about 1"),
    ]
    return {
        "calls": rows,
        "not_installed": missing,
        "threads_calls_per_second": threads,
        "parked_us": parked,
        "bounds": [{"what": what, "ratio": ratio, "bound": bound} for what, ratio, bound in bounds],
    }


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.1g}"


def show(result: dict[str, object], console: Console) -> None:
    """Print the result for people."""
    table = Table(
        title="Time of a call, there and back",
        caption="QDA shares payloads of 4 KiB and more: it touches first and last byte, no byte "
        "moves. The others copy them there and back. Last column: median with all processes on one "
        "CPU; elsewhere the scheduler decides, and wake-ups across CPUs are most of a short echo.",
    )
    for heading in ("payload", "contender"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    for heading in ("median µs", "p99 µs", "÷ os.pipe", "÷ QDA", "samples", "one CPU, µs"):
        table.add_column(heading, justify="right")
    last = ""
    for row in result["calls"]:  # type: ignore[attr-defined]
        if last and row["case"] != last:
            table.add_section()
        table.add_row(
            row["case"] if row["case"] != last else "",
            row["contender"],
            f"{row['median_us']:,.0f}",
            f"{row['p99_us']:,.0f}",
            _ratio(row["to_pipe"]),
            _ratio(row["to_qda"]),
            str(row["samples"]),
            f"{row['one_cpu_us']:,.0f}" if row["one_cpu_us"] else "",
        )
        last = row["case"]
    if result["not_installed"]:
        table.add_section()
    for name in result["not_installed"]:  # type: ignore[attr-defined]
        table.add_row("any", name, "not installed")
    console.print(table)
    for bound in result["bounds"]:  # type: ignore[attr-defined]
        console.print(f"{bound['what']}: {bound['ratio']:.2f} ({bound['bound']})")


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 130 after Ctrl-C.  Nothing is left behind."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.invoke", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, rough")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--only", choices=list(PEERS), help="this peer alone, beside os.pipe")
    options = parser.parse_args(arguments)
    rounds, budget = (2, 0.01) if options.quick else (10, 0.1)
    console = Console(stderr=options.json)
    signal.signal(signal.SIGTERM, _end)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            result = measure(rounds, budget, options.only, progress)
    except KeyboardInterrupt:
        return 130
    if options.json:
        json.dump(result, sys.stdout, indent=2)
        print()
    else:
        show(result, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
