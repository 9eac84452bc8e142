"""The benchmarks run and report what they measured; how fast is not a test's business."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bounds import bounds_of, fitted
from benchmarks.cases import GROUPS
from benchmarks.page import replace_part
from benchmarks.placement import Column, columns
from benchmarks.pool import measure_one
from benchmarks.results import Result, Row
from benchmarks.steps import in_log, in_profile
from tests.shim.system import needs_library
from tests.waiting import until

ROOT = Path(__file__).parents[1]


def command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", "--quick", *arguments]


def quick_run(module: str, *arguments: str) -> Any:
    """What a benchmark prints for programs."""
    run = subprocess.run(
        command(module, "--json", *arguments), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_quick_run_reports_its_rows_and_every_figure() -> None:
    """Each contender in each placement; what was not measured is a figure that is not there."""
    chosen = ["empty", "typed", "work", "idle"]
    peer = "multiprocessing.Pipe"
    result = quick_run("invoke", "--only", peer, "--rows", ",".join(chosen))
    rows = {(row["row"], row["column"], row["contender"]): row for row in result["rows"]}
    for column in columns():
        for contender in ("QDA", "os.pipe", peer):
            for name in ("empty", "work/20 us", "work/1000 us"):
                row = rows[name, column, contender]
                assert 0 < row["value"] <= row["p99"] and row["unit"] == "us"
        assert rows["typed/array", column, "QDA"]["value"] > 0
    assert rows["idle/session", "", "QDA"]["value"] >= 0
    assert {row["group"] for row in result["rows"]} == set(chosen)

    bounds = {bound["key"]: bound for bound in result["bounds"]}
    measured = {"one-empty", "one-typed", "one-array", "work", "idle"}
    for key in measured:
        assert bounds[key]["figure"] >= 0 and bounds[key]["met"] in (True, False)
    for key in ("one-32", "grpc", "arguments-c", "threads", "sessions-8", "memory-first", "loaded"):
        assert bounds[key]["figure"] is None and bounds[key]["met"] is None


def test_groups_of_rows_are_known_by_name() -> None:
    """A name that is no group is refused, with those that are."""
    run = subprocess.run(
        command("invoke", "--rows", "empty,never"), capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 2
    assert "'never'" in run.stderr and all(group in run.stderr for group in GROUPS)


def commands_with(variable: str) -> list[bytes]:
    """Commands of the processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            arguments = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended, or is not ours
            continue
        if variable.encode() in variables:
            found.append(arguments)
    return found


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Neither processes nor files, in the middle of a run."""
    mark = f"QDA_BENCH_MARK={tmp_path}"
    name, _, value = mark.partition("=")
    variables = {**os.environ, name: value, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        command("invoke", "--only", "os.pipe", "--rows", "quota,empty"),
        env=variables,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: any(b"benchmarks.floors" in command for command in commands_with(mark)))
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    until(lambda: not commands_with(mark))
    assert list(tmp_path.iterdir()) == []


def result_of(*rows: Row) -> dict[str, Any]:
    """The bounds of a result with these rows, by key."""
    return {bound.key: bound for bound in bounds_of(Result(list(rows)))}


def test_a_bound_is_met_or_not_or_was_not_measured() -> None:
    """A ratio of two rows of one placement, beside its bound."""
    pipe = Row("empty", Column.ONE, "os.pipe", 4.0)
    key = "one-empty"
    assert result_of(pipe, Row("empty", Column.ONE, "QDA", 6.0))[key].met is True
    assert result_of(pipe, Row("empty", Column.ONE, "QDA", 6.1))[key].met is False
    assert result_of(pipe, Row("empty", Column.TWO, "QDA", 6.0))[key].met is None


def test_a_figure_of_several_places_is_the_worst_and_says_where() -> None:
    """Among placements, sizes and peers."""
    rows = [
        Row("empty", Column.ONE, "QDA", 5.0),
        Row("empty", Column.ONE, "gRPC", 100.0),
        Row("empty", Column.FREE, "QDA", 5.0),
        Row("empty", Column.FREE, "ZeroMQ", 4.0),
        Row("every/4 KiB", Column.ONE, "QDA", 5.0),
        Row("ends/4 KiB", Column.ONE, "ZeroMQ", 50.0),
        Row("threads/1", Column.ONE, "QDA", 100.0, "calls/s"),
        Row("threads/8", Column.ONE, "QDA", 95.0, "calls/s"),
        Row("threads/8", Column.FREE, "QDA", 80.0, "calls/s"),
    ]
    bounds = result_of(*rows)
    assert bounds["peers"].figure == 1.25 and bounds["peers"].where == "empty, unpinned, ZeroMQ"
    assert bounds["threads"].figure == 0.8 and bounds["threads"].where == "unpinned"


def test_runs_of_two_rows_are_compared_run_by_run() -> None:
    """The scheduler places processes anew in each, so the worst of each row tells nothing."""
    bounds = result_of(
        Row("threads/1", Column.FREE, "QDA", 90.0, "calls/s", runs=(90.0, 200.0)),
        Row("threads/8", Column.FREE, "QDA", 90.0, "calls/s", runs=(90.0, 190.0)),
        Row("threads/1 beside a parked call", Column.FREE, "QDA", 90.0, "calls/s", runs=(90, 160)),
    )
    assert bounds["threads-placed"].figure == 0.95
    assert bounds["parked"].figure == 1.25 and bounds["parked"].where == "1 threads, unpinned"


def test_the_cost_of_an_argument_is_the_slope_of_a_line() -> None:
    """And what is off the line is a share of its rise."""
    slope, off = fitted((1, 2, 3), (10.5, 11.0, 11.5))
    assert slope == pytest.approx(0.5) and off == pytest.approx(0, abs=1e-9)
    slope, off = fitted((0, 1, 2), (0, 2, 2))
    assert slope == pytest.approx(1) and off == pytest.approx(1 / 3)


def test_a_part_of_a_page_is_written_between_its_marks(tmp_path: Path) -> None:
    """What people wrote stays; a page without the marks is refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    replace_part("a", "new", page)
    assert page.read_text() == "before\n<!-- a -->\n\nnew\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="'b'"):
        replace_part("b", "new", page)


def test_steps_of_a_call_are_counted() -> None:
    """Functions in Python, by room: both sides are seen."""
    counted = quick_run("steps", "--only", "functions")["counts"]["functions"]
    assert counted["empty"]["client"] > 0 and counted["empty"]["dsp"] > 0


def test_a_profile_counts_instructions_where_they_are() -> None:
    """Names are numbered, and what a callee did is not its caller's."""
    profile = """
positions: line
ob=(1) /usr/lib/libc.so.6
fn=(1) send
0 10
ob=(2) /usr/lib/qda/core.abi3.so
fn=(2) ring
0 5
cob=(1)
cfn=(1)
calls=1 0
0 10
+3 2
"""
    assert in_profile(profile) == {"libc.so.6": 10, "core.abi3.so: ring": 7}


def test_system_calls_of_a_log_belong_to_program_or_dsp() -> None:
    """The first thread is the program; a call that is resumed was counted when it began."""
    log = "7 read(3) = 1\n12 recvfrom(4 <unfinished ...>\n7 read(3) = 1\n12 <... recvfrom resumed>"
    assert in_log(log) == {"program: read": 2, "DSP: recvfrom": 1}


def test_the_cost_of_interfaces_is_reported_with_its_bounds() -> None:
    """Compiling, marshalling, and typed calls beside raw ones."""
    result = quick_run("interface")
    cases = {(row["case"], row["contender"]) for row in result["samples"]}
    assert {("compile", "calculator"), ("marshal", "stub"), ("echo", "os.pipe")} <= cases
    assert {(f"sum, {place}", "typed") for place in ("inline", "buffer object")} <= cases
    assert all(row["median_us"] > 0 for row in result["samples"])
    assert len({bound["what"] for bound in result["bounds"]}) == 8


@needs_library
def test_programs_in_c_are_measured_with_their_bounds() -> None:
    """Calls from C on both ways beside an echo, files without a node with and without the library,
    and what `qda run` takes by itself."""
    result = quick_run("programs")
    rows = {(row["case"], row["way"], row["column"]) for row in result["calls"]}
    cases = ("pipe", "query", "empty", "32B", "4KiB", "1MiB", "64MiB", "scratch")
    steps = ("create", "offset", "map", "call", "unmap", "close")
    measured = [*cases, *(f"scratch,{step}" for step in steps)]
    assert rows == set(product(measured, ("lanes", "server"), columns()))
    assert all(0 < row["median_us"] <= row["p99_us"] for row in result["calls"])
    assert all(bound["figure"] > 0 and bound["bound"] for bound in result["bounds"])
    assert len({bound["what"] for bound in result["bounds"]}) == 9 + len(columns()) - 1


def test_queues_bring_all_packets_whatever_pauses_there_are() -> None:
    """The C program needs a build of the client library, and is not run here."""
    assert quick_run("queues", "--delays", "300") == {"came": {"Python": 300}}


def test_a_job_has_the_same_results_whoever_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    """One session and a pool beside a loop; each says what it took."""
    found = []
    for name in ("loop", "one session", "qda.Pool"):
        measure_one(name, "pictures", 3, 2)
        measure_one(name, "work", 3, 2)
        found.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    checks = [[one["check"] for one in each] for each in found]
    assert checks[1] == checks[2] == checks[0]
    assert all(one["seconds"] > 0 and one["memory"] > 0 for each in found for one in each)
