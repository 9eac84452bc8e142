"""The runtime that skeletons of an SDK expect: QuRT, power, VTCM, timers, messages, mappings.

Six skeletons do what the examples of an SDK do, compiled once as C and once as C++; and a program
without a DSP has the runtime's threads compete, under sanitizers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda.client import Session
from qda.idl.c import INCLUDE, write_files
from tests.dsp.test_loader import RUNTIME, runtime_library
from tests.idl.native.compiler import find_compiler

HERE = Path(__file__).parent / "runtime"
NAMES = ["voter", "vtcm", "pool", "timers", "messages", "maps"]
WARNINGS = ("-Wall", "-Wextra", "-Werror")

if find_compiler() is None:
    pytest.skip("there is no C compiler", allow_module_level=True)

pytestmark = pytest.mark.timeout(240)  # compilers have to share the machine

document = qda.idl.parse(HERE / "skeletons.idl")
interfaces: Any = qda.idl.load_module(HERE / "skeletons.idl")


def compile_all(commands: list[list[str]]) -> None:
    """Run compilers side by side."""

    def compile_one(command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(os.cpu_count()) as compilers:
        list(compilers.map(compile_one, commands))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated files."""
    folder = tmp_path_factory.mktemp("runtime")
    write_files(document, folder)
    return folder


@pytest.fixture(scope="module", params=["C", "C++"])
def session(request: pytest.FixtureRequest, generated: Path) -> Iterator[Session]:
    """A session whose search path has the six skeletons, of one language."""
    language = [find_compiler() or "", "-std=gnu11"]
    if request.param == "C++":
        if not shutil.which("g++"):
            pytest.skip("there is no C++ compiler")
        language = ["g++", "-xc++", "-std=gnu++17"]
    folder = generated / request.param
    folder.mkdir()
    flags = [*WARNINGS, "-fPIC", f"-I{generated}", f"-I{INCLUDE}"]
    sources = [(name, generated / f"{name}_skel.c") for name in NAMES]
    sources += [(f"{name}_impl", HERE / f"{name}.c") for name in NAMES]
    objects = [str(folder / f"{name}.o") for name, _ in sources]
    compile_all(
        [
            [*language, *flags, "-c", str(source), "-o", made]
            for made, (_, source) in zip(objects, sources, strict=True)
        ]
    )
    library = str(folder / "libskeletons_skel.so")
    compile_all([[language[0], "-shared", *objects, "-o", library]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QDA_RUNTIME", str(runtime_library(generated)))
        patch.setenv("DSP_LIBRARY_PATH", str(folder))
        with qda.open("cdsp", device="virtual") as session:
            yield session


def test_a_vote_in_open_moves_the_clock_and_stands_in_the_log(session: Session) -> None:
    """The highest vote of all clients counts; one that has closed has none."""
    session.read_log()
    with session.load(interfaces.voter) as first:
        idle_and_turbo = first.clock()
        with session.load(interfaces.voter) as second:
            first.vote(1)
            assert second.clock() == idle_and_turbo
        assert first.clock() < idle_and_turbo
        first.vote(2)
        assert first.clock() < idle_and_turbo
    log = "\n".join(session.read_log())
    for words in (
        "client class 0x4",
        "DCVS v3, enabled, option 0x10",
        "HVX on",
        "HAP_power_destroy",
    ):
        assert words in log


def test_vtcm_is_as_large_as_it_is(session: Session) -> None:
    """One user after the other has all of it; what does not fit is refused."""
    with session.load(interfaces.vtcm) as remote:
        given = np.arange(100_000, dtype=np.uint32).view(np.uint8)
        assert np.array_equal(remote.reverse(given, len(given)), given[::-1])
        assert remote.crowd() == remote.crowd() == 8
        with pytest.raises(qda.DspError, match="AEE_ENOMEMORY"):
            remote.reverse(np.zeros(9 << 20, np.uint8), 9 << 20)
    assert any("acquired" in line for line in session.read_log())


def test_a_pool_of_threads_works_together(session: Session) -> None:
    """Threads, a mutex, a signal, a semaphore and a barrier; closing joins the threads."""
    with session.load(interfaces.pool) as remote:
        numbers = np.arange(10_000, dtype=np.int32)
        for jobs in (1, 7, 64):
            total, threads = remote.sum(numbers, jobs)
            assert total == numbers.sum()
            assert 1 <= threads <= 3


def test_timers_set_signals_and_waits_run_out(session: Session) -> None:
    """Again and again, of a period; a tick is a 19.2-millionth of a second."""
    with session.load(interfaces.timers) as remote:
        assert remote.periods(5, 1000) >= 4 * 1000 * 192 // 10
        assert remote.give_up(1000) == 47  # QURT_ETIMEDOUT


def test_messages_have_levels_and_the_reader_chooses_some(session: Session) -> None:
    """What is not compiled in is not evaluated; a level may be one's own."""
    with session.load(interfaces.messages) as remote:
        session.read_log()
        remote.say()
        own = ["WARNING high 1", "ERROR error 2", "CRITICAL mine 3", "WARNING always"]
        always = ["WARNING printf of QuRT"]
        runtime = ["DEBUG runtime low", "WARNING runtime high"]
        assert session.read_log() == own + runtime + always
        for mask, wanted in ((0, []), (4, runtime[1:]), (0x1F, runtime)):
            remote.choose(mask)
            remote.say()
            assert session.read_log() == own + wanted + always


def test_a_buffer_stays_mapped_between_calls(session: Session) -> None:
    """By its DMA handle, in a thread of QuRT, and not after HAP_munmap."""
    with session.load(interfaces.maps) as remote:
        buffer = session.empty(8192, np.uint8)
        buffer[:] = 3
        remote.keep(buffer[4096:])
        remote.invert()
        assert (buffer[:4096] == 3).all() and (buffer[4096:] == 252).all()
        remote.drop()
        with pytest.raises(qda.DspError, match="AEE_EBADSTATE"):
            remote.invert()
    assert any("qurt_mem_cache_clean: called 1 times" in line for line in session.read_log())


@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_threads_that_compete_touch_nothing_that_they_should_not(
    sanitizer: str, tmp_path: Path
) -> None:
    """All of QuRT and the resource manager, in a program of its own."""
    program = tmp_path / "program"
    flags = ["-g", "-O1", "-D_GNU_SOURCE", *WARNINGS, f"-I{INCLUDE}", f"-fsanitize={sanitizer}"]
    sources = [*RUNTIME, str(HERE / "program.c")]
    command = [find_compiler() or "", *flags, "-fno-sanitize-recover=all", *sources, "-pthread"]
    built = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True)
    if built.returncode and "cannot find" in built.stderr:
        pytest.skip(f"this compiler has no sanitizer for {sanitizer}")
    assert built.returncode == 0, built.stderr
    run = subprocess.run([program], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
