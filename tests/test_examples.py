"""The examples run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def run(name: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_calculator() -> None:
    assert run("calculator.py") == "6\n"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_matrix(threads: str) -> None:
    printed = run("matrix.py", "--size", "200", "--threads", threads, "--device", "virtual")
    assert printed.startswith(f"200 x 200 on virtual cdsp, {threads} threads: ")
    assert "largest difference from the host" in printed


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text()
    assert [file.name for file in EXAMPLES.glob("*.py") if f'"{file.name}"' not in tested] == []
