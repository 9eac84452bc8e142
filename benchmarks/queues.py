"""Queues of packets: `python -m benchmarks.queues [--quick] [--json] [--library PATH]`.

A packet of 64 bytes goes to the DSP and back, beside an echo of as many bytes through two pipes, in
turn, because only ratios of one run mean something; and packets are written as fast as the DSP
takes them, so that the ring is full.  First a program and a skeleton in Python, then both in C,
with the public client library, whose build `--library` names: without it C is left out.

`--delays N` measures nothing: so many packets go there and back through short rings, with pauses by
chance on both sides, and each that waits must be woken.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import qda
from benchmarks.calls import contender
from benchmarks.cases import Case, Form
from benchmarks.clocks import Samples, take_turns, timed
from benchmarks.floors import PIPE
from benchmarks.options import Bounds, as_json, parser, run, show_bounds
from benchmarks.placement import Column, placed
from qda.client.queues import HostQueue
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.idl.c import INCLUDE

__all__ = ["main"]

SOURCES = Path(__file__).with_name("c")
SIZE, RING = 64, 65536
COLUMNS = Column.ONE, Column.FREE

SWALLOWED, ANSWERED, DELAYED = (bytes([how]) + bytes(SIZE - 1) for how in range(3))
SMALL_RING, PATIENCE = 1024, 60.0

Times = dict[tuple[str, str, str], list[float]]
"""Microseconds by language, placement and case."""


class Answers(qda.Skeleton):
    """Swallows packets that begin with 0, and sends others back; those with 2 after a pause."""

    @qda.method(2)
    def start(self, number: memoryview) -> None:
        """Open the queue of that number."""
        self._queue = self.dsp.queue(int.from_bytes(number, "little"))
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        chance = random.Random(1)
        for packet in self._queue:
            if packet.message[0] == DELAYED[0]:
                _pause(chance)
            if packet.message[0] != SWALLOWED[0]:
                self._queue.write(packet.message)

    @qda.method(3)
    def stop(self) -> None:
        """Close it."""
        self._queue.close()


def _pause(chance: random.Random) -> None:
    if chance.randrange(64) == 0:
        time.sleep(chance.randrange(200) / 1e6)


@contextmanager
def _queue(ring: int = RING) -> Iterator[HostQueue]:
    with (
        qda.open("cdsp", device="virtual") as session,
        session.load(Answers) as remote,
        session.queue(ring, ring) as queue,
    ):
        remote.invoke(2, [queue.id.to_bytes(8, "little")])
        yield queue
        remote.invoke(3)


def _measure_python(column: Column, rounds: int, packets: int, times: Times) -> None:
    with _queue() as queue, contender(PIPE).opened() as maker:

        def ping_pong() -> None:
            queue.write(ANSWERED)
            queue.read()

        echo = maker(Case("inline", Form.INLINE, SIZE))
        assert echo is not None
        samples = [Samples("ping-pong", timed(ping_pong)), Samples("pipe", echo)]
        with placed(column):
            take_turns(samples, rounds, 0.02)
            for _ in range(rounds):
                start = time.perf_counter()
                for _ in range(packets - 1):
                    queue.write(SWALLOWED)
                ping_pong()
                times["Python", column, "full"].append(
                    (time.perf_counter() - start) / packets * 1e6
                )
        for sample in samples:
            times["Python", column, sample.contender] += sample.times


def _build(folder: Path, library: Path) -> Path:
    program = folder / "queue"
    flags: list[str | Path] = ["-O2", "-I", INCLUDE]
    skeleton: list[str | Path] = ["-shared", "-fPIC", "-DAEE_EOFFSET=0x80000400"]
    skeleton += [SOURCES / "queue_skel.c", "-o", folder / "libqueue_skel.so"]
    subprocess.run(["gcc", *flags, *skeleton], check=True)
    links: list[str | Path] = [library, f"-Wl,-rpath,{library.parent}", "-lpthread"]
    command = ["gcc", *flags, SOURCES / "queue.c", *links, "-o", program]
    subprocess.run(command, check=True)
    return program


def _run_c(program: Path, dialect: str, *arguments: str) -> Iterator[tuple[str, float]]:
    """Run the program in C; gives the names and numbers that it prints."""
    qda_run = ["from qda.cli import main; main()", "run", "--dialect", dialect, "--", str(program)]
    variables = {**os.environ, FOLDERS_VARIABLE: str(program.parent)}
    ran = subprocess.run(
        [sys.executable, "-c", *qda_run, *arguments],
        env=variables,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in ran.stdout.splitlines():
        name, number = line.split()
        yield name, float(number)


def delay(packets: int, library: Path | None, dialect: str, progress: Progress) -> dict[str, Any]:
    """Send so many packets with pauses; returns how many came, by language.  QueueTimeout or
    CalledProcessError for a thread that was not woken."""
    came: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="qda-bench-") as folder:
        if library is not None:
            program = _build(Path(folder), library.resolve())
            came["C"] = int(dict(_run_c(program, dialect, str(packets), "delays"))["came"])
    with _queue(SMALL_RING) as queue:

        def write_all() -> None:
            chance = random.Random(2)
            for number in range(packets):
                _pause(chance)
                queue.write(DELAYED[:4] + number.to_bytes(4, "little"), timeout=PATIENCE)

        writer = threading.Thread(target=write_all)
        writer.start()
        chance = random.Random(3)
        for number in progress.track(range(packets), description="delays"):
            _pause(chance)
            assert queue.read(PATIENCE).message[4:] == number.to_bytes(4, "little")
        writer.join()
        came["Python"] = packets
    return {"came": came}


def measure(
    rounds: int, packets: int, library: Path | None, dialect: str, progress: Progress
) -> dict[str, Any]:
    """Run everything; returns what `--json` prints."""
    times: Times = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="qda-bench-") as folder:
        program = _build(Path(folder), library.resolve()) if library is not None else None
        for column in progress.track(COLUMNS, description="queues"):
            _measure_python(column, rounds, packets, times)
            if program is not None:
                with placed(column):  # a new process is where its parent is
                    for case, microseconds in _run_c(program, dialect, str(packets)):
                        times["C", column, case].append(microseconds)
    return _result(times)


def _result(times: Times) -> dict[str, Any]:
    median = {key: statistics.median(samples) for key, samples in times.items()}
    bounds: Bounds = [
        (
            f"{column}: ping-pong in {language} / echo through pipes",
            median[language, column, "ping-pong"] / median[language, column, "pipe"],
            "at most 4",
        )
        for language, column, case in median
        if case == "pipe" and column == Column.ONE
    ]
    rows = [
        {
            "language": language,
            "column": column,
            "case": case,
            "median_us": value,
            "samples": len(times[language, column, case]),
        }
        for (language, column, case), value in median.items()
    ]
    return {"queues": rows, "bounds": as_json(bounds)}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the result for people."""
    table = Table(title=f"Median µs of {SIZE} bytes: there and back, and one packet of a full ring")
    table.add_column("in")
    cases = "ping-pong", "pipe", "full"
    for column in COLUMNS:
        for case in cases:
            table.add_column(f"{column}\n{case}", justify="right")
    found = {(row["language"], row["column"], row["case"]): row for row in result["queues"]}
    for language in dict.fromkeys(row["language"] for row in result["queues"]):
        shown = [found[language, column, case] for column in COLUMNS for case in cases]
        table.add_row(language, *(f"{one['median_us']:,.2f}" for one in shown))
    console.print(table)
    show_bounds(result, console)


def _show_delays(result: dict[str, Any], console: Console) -> None:
    for language, came in result["came"].items():
        console.print(f"{language}: {came:,} packets came, in order")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 130 after Ctrl-C."""
    options = parser("benchmarks.queues", __doc__)
    options.add_argument("--library", type=Path, help="libcdsprpc.so, for the program in C")
    options.add_argument("--dialect", default="legacy", help="which node that library opens")
    options.add_argument("--delays", type=int, metavar="N", help="packets with pauses")
    chosen = options.parse_args(arguments)
    if chosen.delays is not None:
        sent = chosen.delays, chosen.library, chosen.dialect
        return run(chosen.json, lambda progress: delay(*sent, progress), _show_delays)
    rounds, packets = (2, 500) if chosen.quick else (10, 20000)
    return run(
        chosen.json,
        lambda progress: measure(rounds, packets, chosen.library, chosen.dialect, progress),
        show,
    )


if __name__ == "__main__":
    sys.exit(main())
