"""One case of ours, so many times: `python -m benchmarks.repeat ROW CALLS [--threads] [--count]`.

Whoever counts from outside what a call does runs this twice, with two numbers of calls, and takes
the difference: what starting and ending do is in both.  Two things are counted from inside, and
printed as JSON: the functions in Python that are entered, by room, and the time on CPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

import qda
from benchmarks.cases import case
from benchmarks.clocks import Batch
from benchmarks.ours import calls_of
from benchmarks.placement import one_cpu, process_tree

WARM = 50
PACKAGE = str(Path(qda.__file__).parent) + "/"
TICK = 1 / os.sysconf("SC_CLK_TCK")


def functions_by_room(batch: Batch, calls: int, entered: Counter[CodeType]) -> dict[str, float]:
    """Functions that a call enters; `entered` is filled by a profile function in every thread."""
    entered.clear()
    batch(calls)
    rooms: Counter[str] = Counter()
    for code, count in dict(entered).items():  # threads may still enter some
        if code.co_filename.startswith(PACKAGE):
            rooms[code.co_filename.removeprefix(PACKAGE).split("/")[0].removesuffix(".py")] += count
        elif "benchmarks" not in code.co_filename:
            rooms["Python's own library"] += count
    return {room: count / calls for room, count in rooms.items()}


def _profile(entered: Counter[CodeType]) -> Callable[[FrameType, str, object], None]:
    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered[frame.f_code] += 1

    return note


def time_by_side(batch: Batch, calls: int) -> dict[str, float]:
    """Microseconds of a call on one CPU: in program and DSP, by themselves and in the kernel."""
    with one_cpu():
        before, start = _times(), time.perf_counter()
        batch(calls)
        elapsed, after = time.perf_counter() - start, _times()
    spent = {side: (after[side] - before[side]) / calls * 1e6 for side in after}
    return {**spent, "in all": elapsed / calls * 1e6}


def _times() -> dict[str, float]:
    times: dict[str, float] = defaultdict(float)
    own, *others = process_tree(os.getpid())
    for side, processes in (("program", [own]), ("DSP", others)):
        for process in processes:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            times[f"{side}, itself"] += int(fields[11]) * TICK
            times[f"{side}, kernel"] += int(fields[12]) * TICK
    return times


def main() -> None:
    """Warm up, call, end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repeat")
    parser.add_argument("row")
    parser.add_argument("calls", type=int)
    parser.add_argument("--threads", action="store_true", help="the DSP is threads of this process")
    parser.add_argument("--functions", action="store_true", help="count functions in Python")
    parser.add_argument("--time", action="store_true", help="count time on CPUs")
    options = parser.parse_args()
    entered: Counter[CodeType] = Counter()
    if options.functions:
        threading.setprofile(_profile(entered))
        sys.setprofile(_profile(entered))
    with (
        qda.open("cdsp", device="virtual", debug=options.threads) as session,
        calls_of(session) as maker,
    ):
        batch = maker(case(options.row))
        if batch is None:
            raise SystemExit(f"{options.row} cannot be measured here")
        batch(WARM)
        if options.functions:
            print(json.dumps(functions_by_room(batch, options.calls, entered)))
        elif options.time:
            print(json.dumps(time_by_side(batch, options.calls)))
        else:
            batch(options.calls)


if __name__ == "__main__":
    main()
