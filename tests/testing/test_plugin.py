"""The plugin for pytest, as a project of somebody else has it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from qda.testing.choices import choices_for
from qda.uapi import DIALECTS
from tests.cli.command import PROGRAM, environment
from tests.shim.system import needs_library

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLE: Final = ROOT / "examples" / "testing"

PASSED: Final = f"{4 + len(DIALECTS)} passed"

PYTEST: Final = ("-m", "pytest", "-p", "qda.testing", "-p", "no:cacheprovider", "-p", "no:xdist")


def run(folder: Path, *arguments: str, before: tuple[str, ...] = (), status: int = 0) -> str:
    """Run pytest in a project; returns what it prints."""
    ran = subprocess.run(
        [sys.executable, *before, *PYTEST, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert ran.returncode == status, (ran.stdout, ran.stderr)
    assert "Exception ignored" not in ran.stderr  # what a test has left open dies without a word
    return ran.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, somewhere else: an interface, a skeleton, and tests with each fixture."""
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("project") / "testing"))


def test_the_example_passes(project: Path) -> None:
    """With output and log where its tests look for them, in each dialect that it asks for."""
    printed = run(project, "-v")
    for name in DIALECTS:
        assert f"test_shared_memory_in_each_dialect[generic-{name}] PASSED" in printed
    assert PASSED in printed


FAILING = '''
import os
import pytest
import qda

class Bad(qda.Skeleton):
    """Each of its methods is wrong in a way of its own."""

    @qda.method(2)
    def fail(self):
        print("it was printed")
        self.dsp.log.warning("it was logged")
        raise KeyError("it was raised")

    @qda.method(3)
    def die(self):
        os.abort()

    @qda.method(4)
    def log(self):
        self.dsp.log.warning("it went well")

def test_failure(dsp):
    module = dsp.load(Bad)
    module.invoke(4)
    module.invoke(2)

def test_quiet_success(dsp):
    dsp.load(Bad).invoke(4)

def test_death(dsp):
    dsp.load(Bad).invoke(3)

def test_death_that_nobody_looks_at(dsp):
    with pytest.raises(qda.DspError):
        dsp.load(Bad).invoke(3)

@pytest.mark.dsp(dies=True)
def test_meant_death(dsp):
    with pytest.raises(qda.DspError):
        dsp.load(Bad).invoke(3)

def test_all_fixtures_together(virtual_machine, dsp, dsp_debug):
    with qda.open("adsp"):  # the first session there brings pages, for whichever system
        pass
    assert dsp.load(Bad).handle and dsp_debug.load(Bad).handle

kept = []

def test_leak(virtual_machine):
    kept.extend([qda.open("adsp"), qda.open("adsp")])
    kept.insert(0, kept[0].alloc(4096))  # it and its session are left for the end of the program

def test_after_the_leak(virtual_machine):
    kept.pop().close()
    with qda.open("cdsp"):
        pass

def test_failure_that_holds_a_buffer(dsp):
    buffer = dsp.alloc(4096)
    assert len(buffer) == 0

def test_system_that_is_closed(virtual_machine):
    virtual_machine.close()
    virtual_machine.close()

@pytest.mark.dsp("nsp")
def test_no_such_dsp(dsp):
    pass

@pytest.mark.dsp("adsp", profiles=["sm8650"], dialects="v1")
def test_choice(dsp, dsp_choice):
    assert (dsp.domain, dsp.dialect, dsp_choice.profile) == ("adsp", "v1", "sm8650")
'''


@needs_library
def test_the_example_runs_on_a_node(tmp_path: Path) -> None:
    """What needs a virtual system is skipped, and says so; a failing skeleton is shown once."""
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "testing"))
    (folder / "test_bad.py").write_text(FAILING)
    node = "/dev/accel/accel1"
    tests = "-rs", "test_meter.py", "test_bad.py::test_failure"
    before = "-c", PROGRAM, "run", sys.executable
    printed = run(folder, f"--dsp-device={node}", *tests, before=before, status=1)
    assert f"needs a virtual device, and --dsp-device is {node}" in printed
    assert "1 failed, 2 passed, 3 skipped" in printed
    for once in ("it was logged", "Traceback (most recent call last)", "in fail\n"):
        assert printed.count(once) == 1


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The parts of a report on tests that fail, by their titles."""
    folder = tmp_path_factory.mktemp("failing")
    (folder / "test_bad.py").write_text(FAILING)
    printed = run(folder, status=1)
    titles = re.split(r"^_{3,} (.*?) _{3,}$", printed, flags=re.MULTILINE)
    parts = dict(zip(titles[1::2], titles[2::2], strict=True))
    parts["summary"] = printed.partition("short test summary info")[2]
    return parts


def test_a_failing_skeleton_is_shown_once(failures: dict[str, str]) -> None:
    """What it printed, what it logged and its traceback; and what went well before, as pytest
    shows such things."""
    report = failures["test_failure"]
    assert "AEE_EFAILED: KeyError: 'it was raised'" in report
    assert "Captured stdout call" in report
    assert report.count("it was printed") == 1
    assert report.count("it was logged") == 1
    assert report.count("Traceback (most recent call last)") == 1
    assert report.count("in fail\n") == 1
    log = report.partition("Captured log call")[2]
    assert "it went well" in log and "it was logged" not in log
    assert "runtime.py" not in report and "calls.py" not in report


def test_a_death_is_the_tests_failure(failures: dict[str, str]) -> None:
    """With its backtrace, whether somebody has looked at the error or not, and once."""
    for name in ("test_death", "test_death_that_nobody_looks_at"):
        assert failures[name].count("the protection domain died of SIGABRT, in die at") == 1
        assert failures[name].count("Backtrace of Python") == 1
    assert "@pytest.mark.dsp(dies=True)" in failures["test_death_that_nobody_looks_at"]
    assert "FAILED test_bad.py::test_death_that_nobody_looks_at" in failures["summary"]


def test_a_leak_is_an_error_of_the_test_that_left_it(failures: dict[str, str]) -> None:
    """Of no other, nor of one that has failed anyway."""
    report = failures["ERROR at teardown of test_leak"]
    assert "the test has left behind: 2 x adsp: session" in report
    assert "4 failed, 7 passed" in failures["summary"] and "2 errors" in failures["summary"]
    assert "AssertionError" in failures["test_failure_that_holds_a_buffer"]


def test_a_fixture_that_fails_is_shown_without_ours(failures: dict[str, str]) -> None:
    """No line of the plugin is the test's affair."""
    report = failures["ERROR at setup of test_no_such_dsp"]
    assert "'nsp' is no DSP: there are adsp" in report and "watching.py" not in report


INTERRUPTED = """
import signal
import qda

def test_interrupted(virtual_machine):
    with qda.open("cdsp") as session:
        buffer = session.alloc(4096)
        signal.raise_signal(signal.SIGINT)
"""


def test_ctrl_c_is_no_leak(tmp_path: Path) -> None:
    """What the test holds is in the traceback, and pytest ends as ever."""
    (tmp_path / "test_interrupted.py").write_text(INTERRUPTED)
    printed = run(tmp_path, status=pytest.ExitCode.INTERRUPTED)
    assert "KeyboardInterrupt" in printed and "left behind" not in printed


def test_systems_and_dialects_are_asked_for(project: Path) -> None:
    """On the command line or in the configuration; the test's own mark has the last word."""
    configured = "dsp_profiles=sm8650\nqcs6490"
    printed = run(project, "--collect-only", "-q", "--dsp-dialect=v1", "-o", configured)
    assert "test_level[sm8650-v1]" in printed and "test_level[qcs6490-v1]" in printed
    assert "test_shared_memory_in_each_dialect[sm8650-legacy]" in printed
    assert "rfc" in printed and "test_level[sm8650-rfc]" not in printed


@pytest.mark.parametrize("wrong", ["--dsp-profile=sm1", "--dsp-dialect=v9"])
def test_a_name_that_there_is_not_is_refused_with_those_that_there_are(
    request: pytest.FixtureRequest, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wrong usage, before anything runs."""
    option, _, name = wrong.removeprefix("--").replace("-", "_").partition("=")
    monkeypatch.setattr(request.config.option, option, [name], raising=False)
    with pytest.raises(pytest.UsageError, match=f"{option}: '{name}': there are .*(rfc|generic)"):
        choices_for(request.node)


def test_projects_that_do_not_use_it_do_not_pay() -> None:
    """pytest loads the plugin in every run where QDA is installed: nothing else comes with it."""
    source = (
        "import json, sys, pytest; before = set(sys.modules); import qda.testing\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == ["qda", "qda.testing"]


def test_the_page_shows_the_example() -> None:
    """Each of its blocks of a test stands there as it is."""
    tests = (EXAMPLE / "test_meter.py").read_text()
    blocks = re.findall(r"^```py\n(.*?)^```", (ROOT / "docs/testing.md").read_text(), re.M | re.S)
    assert len(blocks) == 5
    for part in "\n\n\n".join(blocks).split("\n\n\n"):
        assert part.strip() in tests


WHEEL: Final = os.environ.get("QDA_WHEEL", "")


@pytest.mark.timeout(600)
@pytest.mark.skipif(not WHEEL, reason="QDA_WHEEL names no wheel that is to be installed")
def test_the_example_passes_from_an_installed_wheel(project: Path, tmp_path: Path) -> None:
    """In an environment that has nothing else; pytest finds the plugin by its entry point."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", f"{WHEEL}[testing]"], check=True)
    commands: list[tuple[list[str | Path], str]] = [
        ([python, "-m", "pytest", "-p", "no:cacheprovider"], PASSED),
        ([python.with_name("qda"), "conformance", "--", "-k", "poll"], "passed"),
    ]
    for command, words in commands:
        ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and words in ran.stdout, (ran.stdout, ran.stderr)
