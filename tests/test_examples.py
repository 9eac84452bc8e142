"""The examples run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qda.idl import parse
from qda.idl.c import INCLUDE, write_files

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


def test_a_skeleton_in_c_is_called_from_python(tmp_path: Path) -> None:
    """As docs/programs.md says: generate, compile, and name the folder."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = EXAMPLES / "calculator"
    write_files(parse(folder / "calculator.idl"), tmp_path)
    library = tmp_path / "libcalculator_skel.so"
    sources = [folder / "implementation.c", tmp_path / "calculator_skel.c"]
    options = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", f"-I{INCLUDE}"]
    subprocess.run([compiler, *options, *map(str, sources), "-o", str(library)], check=True)
    environment = os.environ | {"DSP_LIBRARY_PATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, str(folder / "program.py")],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
        check=True,
    )
    assert result.stdout.startswith("6 9 by ")
    assert result.stdout.endswith("\nAEE_EBADPARM\n")


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text()
    assert [file.name for file in EXAMPLES.glob("*.py") if f'"{file.name}"' not in tested] == []
