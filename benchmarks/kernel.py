"""What a call of a real kernel's driver costs (docs/kernel.md), and of what it consists.

A program in the guest measures its calls; here the doorbell is heard, and the message and its
response are seen to cross GLINK.  What is left of a call is the guest's: an emulated processor.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from benchmarks import options
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.glink import Code, Command
from qda.kernel.attached import Attached
from qda.kernel.kernel import Kernel
from qda.kernel.machine import Tools, find_tools
from qda.kernel.packages import folder_of
from qda.kernel.program import program_files
from qda.kernel.run import Plan, run
from qda.uapi import DIALECTS
from qda.uapi.header import header
from qda.virtual import load_profile

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "tests" / "shim" / "programs"
RINGS = 200
ROWS = ("32 B", "64 KiB", "1 MiB")
CALLS = 400
"""Of each row, see c/guest.c; they are the last messages that cross, but for `ENDING`."""
ENDING = 1
"""Messages behind the calls: the release."""


class Watched:
    """A guest that is watched: when it rang, and when messages crossed, in nanoseconds."""

    def __init__(self) -> None:
        self.heard = 0
        self.glink: list[int] = []
        self.dsp: list[int] = []
        self.rings: list[int] = []
        self.calls: dict[str, list[int]] = {row: [] for row in ROWS}
        self.idle = 0.0
        self._come: dict[bytes, int] = {}
        self._rang = threading.Event()
        self._attached: Sequence[Attached] = ()
        self._rest = ""
        self._thread: threading.Thread | None = None

    def up(self, attached: Sequence[Attached]) -> None:
        self._attached = attached
        attached[0].heard = self._hear

    def _hear(self) -> None:
        self.heard = time.perf_counter_ns()
        self._rang.set()

    def seen(self, dsp: str, command: Command, come: bool) -> None:
        """Sizes are eight bytes; the context follows a message's first eight, or is the first of a
        response."""
        if command.code is Code.DATA and come:
            self._come[command.data[16:24]] = at = time.perf_counter_ns()
            self.glink.append(at - self.heard)
        elif command.code is Code.DATA:
            self.dsp.append(time.perf_counter_ns() - self._come.pop(command.data[8:16]))

    def out(self, name: str, data: bytes) -> None:
        *lines, self._rest = (self._rest + data.decode()).split("\n")
        for line in lines:
            row, _, number = line.rpartition(" ")
            if row in self.calls:
                self.calls[row].append(int(number))
            elif line == "idle":
                self._thread = threading.Thread(target=self._measure)
                self._thread.start()
            else:
                sys.stderr.write(f"{line}\n")

    def _measure(self) -> None:
        """What this process takes of a CPU while nobody calls, and how long rings take."""
        before, start = time.process_time(), time.perf_counter()
        time.sleep(2)
        self.idle = (time.process_time() - before) / (time.perf_counter() - start)
        for _ in range(RINGS):
            self._rang.clear()
            start_ns = time.perf_counter_ns()
            self._attached[0].ask_for_ring()
            if not self._rang.wait(1):
                return
            self.rings.append(self.heard - start_ns)

    def parts(self) -> dict[str, Any]:
        """Medians, in microseconds."""
        found: dict[str, Any] = {"idle": self.idle}
        rings = statistics.median(self.rings) / 1000
        behind = len(self.dsp)
        for index, row in enumerate(ROWS):
            first = behind - (len(ROWS) - index) * CALLS - ENDING
            whole, glink, dsp = (
                statistics.median(times) / 1000
                for times in (
                    self.calls[row],
                    self.glink[first : first + CALLS],
                    self.dsp[first : first + CALLS],
                )
            )
            found[row] = {
                "call": whole,
                "guest": whole - rings - glink - dsp,
                "doorbells": rings,
                "GLINK": glink,
                "DSP": dsp,
            }
        return found


def _program(tools: Tools, folder: Path) -> Path:
    (folder / "legacy").mkdir()
    (folder / "legacy" / "qda_accel.h").write_text(header(DIALECTS["legacy"]))
    built = folder / "guest"
    words: list[str | Path] = [tools.compiler, "-O2", "-DDIALECT_LEGACY", "-DMEMORY_OF_DRIVER"]
    words += ["-I", folder, "-I", PROGRAMS, Path(__file__).parent / "c" / "guest.c", "-o", built]
    subprocess.run(words, check=True)
    return built


def _measure(suite: str, processors: int) -> dict[str, Any]:
    tools = find_tools()
    os.environ[FOLDERS_VARIABLE] = str(PROGRAMS / "skeletons")
    dsps = [dsp for dsp in load_profile("generic").dsps if dsp.name == "cdsp"]
    watched = Watched()
    with tempfile.TemporaryDirectory() as place:
        program = _program(tools, Path(place))
        plan = Plan(
            kernel=Kernel.of_package(folder_of(suite)),
            dsps=dsps,
            command=["/bin/guest"],
            files=program_files(program, "/bin/guest", tools),
            nodes=["/dev/fastrpc-cdsp-secure"],
            processors=processors,
        )
        ended = run(plan, tools, watched.out, watched.seen, watched.up)
    if ended.status:
        raise SystemExit(f"the program ended with {ended.status}: {ended.console}")
    return watched.parts()


def _show(result: dict[str, Any], console: Console) -> None:
    console.print("| call | microseconds | guest | doorbells | GLINK | DSP |")
    console.print("| --- | --: | --: | --: | --: | --: |")
    for row in ROWS:
        cells = " | ".join(f"{figure:,.0f}" for figure in result[row].values())
        console.print(f"| {row} | {cells} |")
    console.print(f"This process while nobody calls: {result['idle']:.1%} of a CPU")


def main() -> int:
    """Measure and print; returns the status of the program."""
    parser = options.parser("benchmarks.kernel", __doc__)
    parser.add_argument("--package", default="trixie", help="the suite of the kernel")
    parser.add_argument("--smp", type=int, default=1, help="processors of the guest")
    asked = parser.parse_args()

    def measured(progress: Progress) -> dict[str, Any]:
        return _measure(asked.package, asked.smp)

    return options.run(asked.json, measured, _show)


if __name__ == "__main__":
    raise SystemExit(main())
