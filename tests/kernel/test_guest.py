"""A stock kernel in QEMU: its own driver, our DSP, and the same program as under `qda run`."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qda.errors import UsageError
from qda.kernel.initramfs import Link, archive
from qda.kernel.machine import find_tools
from qda.kernel.packages import folder_of, programs_of
from qda.uapi import DIALECTS
from qda.uapi.header import header
from tests.cli.command import PROGRAM

pytestmark = pytest.mark.timeout(
    200
)  # guests are emulated: on a machine that has much to do, slowly

SUITE = "trixie"
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "shim" / "programs"
EDGES = Path(__file__).with_name("edges.c")
EVERYWHERE = "QDA_EVERYWHERE" in os.environ
CROWD = "2000" if EVERYWHERE else "200"
"""How many calls of a crowd have to be right."""
BOARDS = [["--smp=1"], ["--smmu", "--smp=2"], *([["--smp=2"], ["--smmu"]] if EVERYWHERE else [])]
"""Of the guest, on which a crowd calls."""


def _lacks() -> str:
    """What is missing, in a sentence."""
    try:
        find_tools()
    except UsageError as error:
        return str(error)
    if not folder_of(SUITE).is_dir():
        return f"no kernel: qda kernel fetch {SUITE}"
    return ""


needs_kernel = pytest.mark.skipif(bool(_lacks()), reason=_lacks())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs are built, with the older interface's header."""
    made = tmp_path_factory.mktemp("guest")
    (made / "legacy").mkdir()
    (made / "legacy" / "qda_accel.h").write_text(header(DIALECTS["legacy"]))
    return made


def build(compiler: str, source: Path, folder: Path) -> Path:
    built = folder / f"{source.stem}-{Path(compiler).name}"
    words: list[str | Path] = [compiler, "-O1", "-DDIALECT_LEGACY", "-DMEMORY_OF_DRIVER"]
    words += ["-Wno-unused-function"]
    words += ["-I", folder, "-I", PROGRAMS, source, "-o", built]
    subprocess.run(words, check=True)
    return built


def in_guest(*words: str | Path, command: str = "run") -> subprocess.CompletedProcess[str]:
    told = [sys.executable, "-c", PROGRAM, "kernel", command, f"--package={SUITE}", "--limit=150"]
    told += [str(word) for word in words]
    return subprocess.run(told, capture_output=True, text=True, timeout=180)


def answers(printed: str) -> dict[str, str]:
    """What a run of edges.c printed."""
    return dict(line.split(": ", 1) for line in printed.splitlines())


def differences() -> dict[str, tuple[str, str]]:
    """The table of docs/kernel.md: the kernel's answers, and ours."""
    text = (ROOT / "docs" / "kernel.md").read_text()
    table = text.split("## Where our driver differs")[1].split("## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|", table, re.MULTILINE)
    return {question: (kernel, ours) for question, kernel, ours in rows[1:]}


def asked_here(folder: Path, *options: str) -> dict[str, str]:
    """The answers of our driver."""
    program = build("gcc", EDGES, folder)
    command: list[str | Path] = [sys.executable, "-c", PROGRAM, "run", *options, "--", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return answers(done.stdout)


@pytest.fixture(scope="module")
def ours(folder: Path) -> dict[str, str]:
    return asked_here(folder)


def test_our_driver_differs_as_the_page_says(ours: dict[str, str]) -> None:
    """And the page says how many questions there are."""
    for question, (_, answer) in differences().items():
        assert ours[question] == answer
    assert f"asks {len(ours)} questions" in (ROOT / "docs" / "kernel.md").read_text()


def test_our_driver_answers_as_the_kernels_if_it_is_to(folder: Path, ours: dict[str, str]) -> None:
    """But for a second session, which the kernel asks the DSP for."""
    kernels = {question: kernel for question, (kernel, _) in differences().items()}
    del kernels["attach after create"]
    assert asked_here(folder, "--as-kernel") == ours | kernels


@needs_kernel
def test_the_kernels_driver_differs_in_nothing_else(folder: Path, ours: dict[str, str]) -> None:
    done = in_guest("--", build(find_tools().compiler, EDGES, folder))
    assert (done.returncode, done.stderr) == (0, "")
    kernels = {question: kernel for question, (kernel, _) in differences().items()}
    assert answers(done.stdout) == ours | kernels


@needs_kernel
@pytest.mark.parametrize("options", [[], ["--smmu", "--smp=2"]], ids=["physical", "smmu"])
def test_the_calculator_is_right_on_the_kernels_driver(folder: Path, options: list[str]) -> None:
    """Buffers, parts of buffers, errors and statuses: what holds on our driver holds on that."""
    program = build(find_tools().compiler, PROGRAMS / "calculator.c", folder)
    done = in_guest(*options, f"--skeletons={PROGRAMS / 'skeletons'}", "--", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_kernel
def test_threads_call_at_once_on_the_kernels_driver(folder: Path) -> None:
    """A blocked call of one holds up no other."""
    program = build(find_tools().compiler, PROGRAMS / "threads.c", folder)
    done = in_guest("--smp=2", f"--skeletons={PROGRAMS / 'skeletons'}", "--", program)
    assert (done.returncode, done.stderr) == (0, "")


@needs_kernel
@pytest.mark.parametrize("options", BOARDS, ids=" ".join)
def test_processes_of_a_crowd_are_killed_on_the_kernels_driver(
    folder: Path, options: list[str]
) -> None:
    """Under three processes of four threads that call, one after the other; the others' calls stay
    right, everybody calls as at first afterwards, and no session or context bank is left."""
    program = build(find_tools().compiler, PROGRAMS / "crowd.c", folder)
    done = in_guest(*options, f"--skeletons={PROGRAMS / 'skeletons'}", "--", program, CROWD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_kernel
@pytest.mark.skipif(
    not programs_of(SUITE).is_dir(), reason=f"no Python: qda kernel fetch {SUITE} python3"
)
@pytest.mark.skipif(not EVERYWHERE, reason="16 s: QDA_EVERYWHERE=1")
def test_python_runs_our_client_in_the_guest() -> None:
    """It finds the kernel's node by itself, and needs no more than the standard library."""
    client = Path(__file__).with_name("client.py")
    skeletons = f"--skeletons={PROGRAMS / 'skeletons'}"
    done = in_guest(skeletons, "--trace=wire", "--", "python3", client)
    assert (done.returncode, done.stdout) == (0, "/dev/fastrpc-cdsp-secure -4 6\nFalse\n")
    assert re.search(r"cdsp <- call 0x\w+ of session \d+, thread \d+: init create", done.stderr)
    assert re.search(r"cdsp -> call 0x\w+ is answered: 0\n", done.stderr)


@needs_kernel
@pytest.mark.parametrize("options", [[], ["--smmu"]], ids=["physical", "smmu"])
def test_a_static_process_has_memory_of_the_remote_heap(folder: Path, options: list[str]) -> None:
    """Its address has no stream id: it is physical, with an SMMU as well."""
    program = build(find_tools().compiler, Path(__file__).with_name("static.c"), folder)
    skeletons = f"--skeletons={PROGRAMS / 'skeletons'}"
    done = in_guest(*options, "--dsp=adsp", skeletons, "--", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_kernel
def test_the_dsp_calls_the_program(folder: Path) -> None:
    """A thread is parked in the kernel until a skeleton asks for a module of the program."""
    program = build(find_tools().compiler, Path(__file__).with_name("reverse.c"), folder)
    skeletons = Path(__file__).with_name("skeletons")
    done = in_guest("--smp=2", "--smmu", f"--skeletons={skeletons}", "--", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_kernel
def test_the_dsp_dies_and_comes_back(folder: Path) -> None:
    """Its channel closes and opens: to the driver it has gone, and another one has come."""
    program = build(find_tools().compiler, Path(__file__).with_name("restart.c"), folder)
    skeletons = Path(__file__).with_name("skeletons")
    done = in_guest(f"--skeletons={skeletons}", "--", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "call: Broken pipe\nlater: Broken pipe\n" * 3


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    """A program without libraries, which says something on both streams."""
    source = folder / "both.c"
    source.write_text(
        "#include <stdio.h>\n"
        'int main(int n, char **v) { puts(v[n - 1]); fputs("worse\\n", stderr); return 41 + n; }\n'
    )
    command: list[str | Path] = [find_tools().compiler, "-static", source]
    subprocess.run([*command, "-o", folder / "both"], check=True)
    return folder / "both"


@needs_kernel
def test_a_program_keeps_its_status_and_its_streams(both: Path) -> None:
    """Nothing of the kernel's is among its words; how it ended is how the command ends."""
    done = in_guest("--", both, "a word")
    assert (done.returncode, done.stdout, done.stderr) == (43, "a word\n", "worse\n")


@needs_kernel
def test_a_program_is_in_an_initial_file_system_of_ones_own(both: Path, folder: Path) -> None:
    base = folder / "base.cpio.gz"
    base.write_bytes(gzip.compress(archive({"/opt/both": both, "/bin": Link("opt")})))
    done = in_guest(f"--initramfs={base}", "--", "/bin/both", "a word")
    assert (done.returncode, done.stdout, done.stderr) == (43, "a word\n", "worse\n")


@needs_kernel
def test_what_is_no_program_of_the_guest_is_refused() -> None:
    done = in_guest("--", shutil.which("true") or "")
    assert done.returncode == 1
    assert "not a program for arm64" in done.stderr


@needs_kernel
def test_a_module_that_cannot_be_loaded_ends_the_guest(folder: Path) -> None:
    """With the kernel's reason, and at once: no rule waits for a node that will not come."""
    module = folder / "odd.ko"
    module.write_bytes(b"\x7fELF, but not much of it")
    done = in_guest(f"--module={module}", command="conformance")
    assert done.returncode == 70
    assert "a module cannot be loaded" in done.stderr
    assert "qda: cannot load /qda/modules.d/odd.ko" in done.stderr
