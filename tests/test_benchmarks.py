"""The benchmark runs and reports what it measured; how fast is not a test's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.shim.system import needs_library


def quick_run(module: str, *arguments: str) -> Any:
    """What a benchmark prints for programs."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--quick", "--json", *arguments]
    root = Path(__file__).parents[1]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_quick_run_reports_every_case_as_json() -> None:
    """Positive times, ratios to the floor, and the bounds."""
    result = quick_run("invoke", "--only", "multiprocessing.Pipe")
    rows = {(row["contender"], row["case"]): row for row in result["calls"]}
    for contender in ("QDA", "os.pipe", "multiprocessing.Pipe"):
        for case in ("empty", "32 B", "4 KiB", "1 MiB", "64 MiB"):
            row = rows[contender, case]
            assert 0 < row["median_us"] <= row["p99_us"]
            assert row["to_pipe"] > 0
    assert rows["os.pipe", "empty"]["to_pipe"] == 1
    for case in ("empty", "32 B", "4 KiB"):
        assert rows["QDA", case]["one_cpu_us"] > 0
    assert rows["QDA", "64 MiB"]["one_cpu_us"] is None
    assert all(bound["ratio"] > 0 and bound["bound"] for bound in result["bounds"])
    assert len({bound["what"] for bound in result["bounds"]}) == 5


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
    """Calls from C beside os.pipe, and files without a node with and without the library."""
    result = quick_run("programs")
    cases = {row["case"].removesuffix(", one CPU") for row in result["calls"]}
    assert cases == {"os.pipe", "empty", "4KiB", "64MiB"}
    assert all(0 < row["median_us"] <= row["p99_us"] for row in result["calls"])
    assert all(bound["ratio"] > 0 and bound["bound"] for bound in result["bounds"])
    assert len({bound["what"] for bound in result["bounds"]}) == 4
