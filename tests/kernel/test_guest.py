"""A stock kernel in QEMU: its own driver, our DSP, and the same program as under `qda run`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qda.errors import UsageError
from qda.kernel.machine import find_tools
from qda.kernel.packages import folder_of
from qda.uapi import DIALECTS
from qda.uapi.header import header
from tests.cli.command import PROGRAM

SUITE = "trixie"
PROGRAMS = Path(__file__).parents[1] / "shim" / "programs"


def _lacks() -> str:
    """What is missing, in a sentence."""
    try:
        find_tools()
    except UsageError as error:
        return str(error)
    if not folder_of(SUITE).is_dir():
        return f"no kernel: qda kernel fetch {SUITE}"
    return ""


pytestmark = pytest.mark.skipif(bool(_lacks()), reason=_lacks())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The calculator's program, for the guest."""
    folder = tmp_path_factory.mktemp("guest")
    (folder / "legacy").mkdir()
    (folder / "legacy" / "qda_accel.h").write_text(header(DIALECTS["legacy"]))
    built = folder / "calculator"
    words: list[str | Path] = [find_tools().compiler, "-O1", "-DDIALECT_LEGACY"]
    words += ["-I", folder, "-I", PROGRAMS, PROGRAMS / "calculator.c", "-o", built]
    subprocess.run(words, check=True)
    return built


def in_guest(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, "kernel", "run", f"--package={SUITE}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("options", [[], ["--smmu", "--smp=2"]], ids=["physical", "smmu"])
def test_the_calculator_is_right_on_the_kernels_driver(program: Path, options: list[str]) -> None:
    """Buffers, parts of buffers, errors and statuses: what holds on our driver holds on that."""
    done = in_guest(*options, f"--skeletons={PROGRAMS / 'skeletons'}", "--", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_keeps_its_status_and_its_streams(tmp_path: Path) -> None:
    """Nothing of the kernel's is among its words; how it ended is how the command ends."""
    source = tmp_path / "both.c"
    source.write_text(
        "#include <stdio.h>\n"
        'int main(int n, char **v) { puts(v[n - 1]); fputs("worse\\n", stderr); return 41 + n; }\n'
    )
    compiler = find_tools().compiler
    subprocess.run([compiler, "-static", source, "-o", tmp_path / "both"], check=True)
    done = in_guest("--", tmp_path / "both", "a word")
    assert (done.returncode, done.stdout, done.stderr) == (43, "a word\n", "worse\n")


def test_what_is_no_program_of_the_guest_is_refused() -> None:
    done = in_guest("--", shutil.which("true") or "")
    assert done.returncode == 1
    assert "not a program for arm64" in done.stderr
