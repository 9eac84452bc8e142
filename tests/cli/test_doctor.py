"""`qda doctor`: what is missing is found, and the command that it names mends it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qda as qda_package
from qda import core
from qda.cli.doctor import Finding, Place, Verdict
from qda.cli.doctor import package as package_module
from qda.cli.doctor.hardware import examine_hardware
from qda.cli.doctor.package import examine_package
from qda.cli.doctor.search_paths import examine_search_paths
from qda.cli.doctor.system import examine_system
from qda.cli.doctor.tools import examine_tools
from tests.cli.command import PROGRAM, environment, qda

GOOD, NOTE, FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT


def one(found: Iterator[Finding], name: str) -> Finding:
    """What was found of one thing."""
    (finding,) = (finding for finding in found if finding.name == name)
    return finding


def after(remedy: str, variables: dict[str, str], folder: Path) -> dict[str, str]:
    """The variables of a shell in which a remedy was given."""
    shown = (
        f'{remedy}\n"{sys.executable}" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    )
    ran = subprocess.run(
        ["/bin/sh", "-ec", shown], env=variables, cwd=folder, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, str] = json.loads(ran.stdout)
    return told


# --- this machine, and a container ----------------------------------------------------------------


def test_on_this_machine(tmp_path: Path) -> None:
    """As tables, with a remedy for each note on a line of its own."""
    ran = qda("doctor", directory=tmp_path)
    assert "came up and answered" in ran.stdout and ran.stdout.endswith("Nothing is wrong.\n")


CONTAINER = """
mount -t tmpfs none /dev
{qda} doctor --json > {folder}/before || echo $? > {folder}/status
sh -ec "$({python} -c '
import json
for one in json.load(open("{folder}/before")):
    if one["verdict"] == "fault" and one["name"] == "/dev": print(one["remedy"])
')"
{qda} doctor --json > {folder}/after
"""


@pytest.mark.timeout(120)
def test_in_a_container_without_devices(tmp_path: Path) -> None:
    """Without a home, too: both are named, the DSP does not come up, and then it does."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("only root can do without /dev")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("there can be no other name spaces here")
    (tmp_path / "qda.py").write_text(PROGRAM)
    names = {"qda": f"{sys.executable} {tmp_path}/qda.py", "python": sys.executable}
    script = CONTAINER.format(folder=tmp_path, **names)
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-ec", script],
        env={"PATH": os.environ["PATH"], "NO_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "status").read_text() == "1\n"
    before = json.loads((tmp_path / "before").read_text())
    verdicts = {finding["name"]: finding["verdict"] for finding in before}
    assert (verdicts["/dev"], verdicts["virtual DSP"], verdicts["home"]) == (FAULT, FAULT, NOTE)
    later = json.loads((tmp_path / "after").read_text())
    assert [finding for finding in later if finding["verdict"] == FAULT] == []


@pytest.mark.parametrize(
    ("variables", "name", "verdict"),
    [
        ({"TMPDIR": "/nowhere"}, "temporary files", FAULT),
        ({}, "home", NOTE),
        ({"HOME": "/dev/null"}, "home", NOTE),
    ],
)
def test_places_for_files(
    variables: dict[str, str], name: str, verdict: Verdict, tmp_path: Path
) -> None:
    """What a container has forgotten is set, and then it is good."""
    found = one(examine_system(Place(variables=variables)), name)
    assert found.verdict is verdict
    mended = after(found.remedy, variables, tmp_path)
    assert one(examine_system(Place(variables=mended)), name).verdict is GOOD


# --- search paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{0}/nowhere", "no such folder: {0}/nowhere"),
        ("{0}/nowhere;{0}/there", "no such folder: {0}/nowhere"),
        ("{0}/there:{0}/there", "(folders stand apart with ;)"),
        ("nowhere", "no such folder: nowhere"),
    ],
)
@pytest.mark.parametrize("variable", ["DSP_LIBRARY_PATH", "ADSP_LIBRARY_PATH"])
def test_a_broken_search_path(variable: str, value: str, words: str, tmp_path: Path) -> None:
    """The remedy keeps the folders that there are."""
    (tmp_path / "there").mkdir()
    variables = {variable: value.format(tmp_path)}
    place = Place(variables=variables, folder=tmp_path)
    faults = [finding for finding in examine_search_paths(place) if finding.verdict is FAULT]
    assert [finding.name for finding in faults] == [variable]
    assert words.format(tmp_path) in faults[0].found
    mended = Place(variables=after(faults[0].remedy, variables, tmp_path), folder=tmp_path)
    found = list(examine_search_paths(mended))
    assert FAULT not in [finding.verdict for finding in found]
    if "there" in value:
        assert f"{tmp_path}/there: no modules" in [finding.found for finding in found]


def test_modules_that_the_virtual_dsp_does_not_run(tmp_path: Path) -> None:
    """Those in Hexagon machine code, which a real one wants."""
    header = b"\x7fELF\1\1\1" + bytes(9) + bytes([3, 0, 164, 0])
    (tmp_path / "libgain_skel.so").write_bytes(header.ljust(64, b"\0"))
    place = Place(variables={"DSP_LIBRARY_PATH": str(tmp_path)})
    found = one(examine_search_paths(place), "DSP_LIBRARY_PATH")
    assert found.verdict is NOTE and "Hexagon machine code" in found.found
    (tmp_path / "libgain_skel.so").unlink()
    (tmp_path / "gain_skel.py").touch()
    assert one(examine_search_paths(place), "DSP_LIBRARY_PATH").found == f"{tmp_path}: gain_skel.py"


def test_the_library_that_programs_get_is_named(tmp_path: Path) -> None:
    """The loader's order: LD_LIBRARY_PATH first; and what a link leads to."""
    (tmp_path / "libcdsprpc.so.1.0.0").touch()
    (tmp_path / "libcdsprpc.so").symlink_to("libcdsprpc.so.1.0.0")
    found = one(
        examine_search_paths(Place(variables={"LD_LIBRARY_PATH": str(tmp_path)})), "FastRPC library"
    )
    assert found.verdict is GOOD
    assert found.found.startswith(f"{tmp_path}/libcdsprpc.so (libcdsprpc.so.1.0.0)")


# --- tools, and the package -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "verdict"), [("Makefile", FAULT), ("README.md", NOTE)])
@pytest.mark.parametrize(
    ("manager", "remedy"),
    [
        ("apt-get", "apt-get install -y gcc libc6-dev"),
        ("apk", "apk add gcc musl-dev"),
        ("dnf", "dnf install -y gcc"),
    ],
)
def test_without_a_compiler(
    manager: str, remedy: str, name: str, verdict: Verdict, tmp_path: Path
) -> None:
    """The remedy is of the machine's own package manager; here one that installs at once."""
    (tmp_path / name).touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    install = programs / manager
    install.write_text('#!/bin/sh\necho "$0 $@" > bin/said; ln -s /bin/sh bin/cc\n')
    sudo = programs / "sudo"
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    for program in (install, sudo):
        program.chmod(0o755)
    (programs / "ln").symlink_to(shutil.which("ln") or "")
    place = Place(variables={"PATH": str(programs)}, folder=tmp_path)
    found = one(examine_tools(place), "C compiler")
    assert found.verdict is verdict and found.remedy.removeprefix("sudo ") == remedy
    after(found.remedy, dict(place.variables), tmp_path)
    assert (programs / "said").read_text().strip().endswith(remedy.removeprefix(manager))
    assert one(examine_tools(place), "C compiler").verdict is GOOD


def test_hexagon_tools_that_are_gone(tmp_path: Path) -> None:
    variables = {"HEXAGON_SDK_ROOT": str(tmp_path / "sdk")}
    found = one(examine_tools(Place(variables=variables)), "Hexagon tools")
    assert found.verdict is FAULT
    mended = after(found.remedy, variables, tmp_path)
    assert one(examine_tools(Place(variables=mended)), "Hexagon tools").verdict is NOTE


@pytest.mark.parametrize("name", ["Makefile", "README.md"])
def test_a_package_without_its_parts_in_c(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For who has C to build it is a fault; the remedy brings the compiler as well."""
    (tmp_path / name).touch()
    folder = tmp_path / "qda"
    folder.mkdir()
    monkeypatch.setattr(qda_package, "__file__", str(folder / "__init__.py"))
    monkeypatch.setattr(core, "IS_COMPILED", False)
    monkeypatch.setattr(package_module, "find_spec", lambda name: None)
    monkeypatch.setattr(package_module, "_virtual_dsp", lambda: Finding("", "DSP", GOOD, ""))
    place = Place(variables={"PATH": ""}, folder=tmp_path)
    found = {finding.name: finding for finding in examine_package(place)}
    expected = FAULT if name == "Makefile" else NOTE
    assert found["qda run"].verdict is found["runtime of skeletons in C"].verdict is expected
    assert found["core"].verdict is NOTE
    assert found["qda run"].remedy.startswith("install cc && ")
    assert "pip install --force-reinstall --no-deps qda-accel" in found["qda run"].remedy


def test_the_twin_that_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(core, "IS_COMPILED", False)
    monkeypatch.setattr(package_module, "_virtual_dsp", lambda: Finding("", "DSP", GOOD, ""))
    variables = {"QDA_CORE": "python", "PATH": os.environ["PATH"]}
    found = one(examine_package(Place(variables=variables)), "core")
    assert (found.verdict, found.remedy) == (NOTE, "unset QDA_CORE")
    assert "QDA_CORE" not in after(found.remedy, variables, tmp_path)


# --- hardware -------------------------------------------------------------------------------------


class Board:
    """A machine from literals, below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("sys/firmware/devicetree/base/model", "Robotics RB3gen2\0")
        self.write(
            "sys/firmware/devicetree/base/compatible", "qcom,qcs6490-rb3gen2\0qcom,qcm6490\0"
        )
        self.write("sys/class/remoteproc/remoteproc0/name", "cdsp\n")
        self.write("sys/class/remoteproc/remoteproc0/state", "running\n")
        self.write("sys/class/remoteproc/remoteproc0/firmware", "qcom/cdsp.mbn\n")
        self.write("proc/modules", "fastrpc 40960 0 - Live 0x0\n")
        for name in ("fastrpc-cdsp", "fastrpc-cdsp-secure", "dma_heap/system"):
            self.write(f"dev/{name}", "")
        self.write("usr/lib/dsp/cdsp/fastrpc_shell_unsigned_3", "image")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def faults(self, **variables: str) -> list[Finding]:
        path = {"PATH": os.environ["PATH"]}
        found = list(examine_hardware(Place(self.root, path | variables)))
        assert found[0].found == "Robotics RB3gen2"
        return [finding for finding in found if finding.verdict is not GOOD]


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """Permissions are those of the files, whoever runs the tests."""
    monkeypatch.setattr(os, "access", lambda path, mode: os.stat(path).st_mode & 0o006 == 0o006)
    board = Board(tmp_path)
    for path in (tmp_path / "dev").rglob("*"):
        path.chmod(0o666)
    return board


def test_a_board_on_which_all_is_there(board: Board) -> None:
    assert board.faults() == []


def test_a_node_that_is_not_for_this_user(board: Board, tmp_path: Path) -> None:
    """The remedy names its group, or lets everybody in if it has none."""
    node = tmp_path / "dev/fastrpc-cdsp-secure"
    node.chmod(0o600)
    (fault,) = board.faults()
    assert fault.name == "/dev/fastrpc-cdsp-secure" and "not for this user" in fault.found
    after(fault.remedy.removeprefix("sudo "), dict(os.environ), tmp_path)
    assert stat.S_IMODE(node.stat().st_mode) == 0o666 and board.faults() == []


def test_a_node_of_a_group(board: Board, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a node to a group")
    node = tmp_path / "dev/fastrpc-cdsp"
    node.chmod(0o660)
    os.chown(node, -1, 1)
    (fault,) = board.faults()
    assert fault.remedy.startswith("sudo usermod -aG daemon $(id -un)")


def test_a_processor_that_is_offline(board: Board, tmp_path: Path) -> None:
    """With the firmware, if that is missing; and what starts it."""
    state = board.write("sys/class/remoteproc/remoteproc0/state", "offline\n")
    (fault,) = board.faults()
    assert fault.name == "cdsp" and "which is not in" in fault.found
    assert "linux-firmware" in fault.remedy
    board.write("lib/firmware/qcom/cdsp.mbn.zst", "image")
    (fault,) = board.faults()
    assert fault.found == "offline, firmware qcom/cdsp.mbn"
    after(fault.remedy.removeprefix("sudo "), dict(os.environ), tmp_path)
    assert state.read_text() == "start\n"


def test_a_board_without_driver_heap_or_shell(board: Board, tmp_path: Path) -> None:
    (tmp_path / "dev/dma_heap/system").unlink()
    shutil.rmtree(tmp_path / "usr")
    assert [finding.name for finding in board.faults()] == ["/dev/dma_heap/system", "shell"]
    for node in (tmp_path / "dev").glob("fastrpc-*"):
        node.unlink()
    board.write("proc/modules", "")
    assert next(finding.remedy for finding in board.faults()).endswith("modprobe fastrpc")


def test_a_machine_name_that_was_set(board: Board, tmp_path: Path) -> None:
    """The library believes it, whatever the board is."""
    (note,) = board.faults(MACHINE_NAME="other")
    assert note.verdict is NOTE and "other" in note.found
    assert "MACHINE_NAME" not in after(note.remedy, {"MACHINE_NAME": "other"}, tmp_path)


def test_a_machine_without_a_dsp_is_as_good_as_any(tmp_path: Path) -> None:
    (found,) = examine_hardware(Place(tmp_path, {}))
    assert found.verdict is GOOD


# --- what is printed ------------------------------------------------------------------------------


def test_a_fault_ends_with_1_and_remedies_are_whole_lines(tmp_path: Path) -> None:
    """However narrow the terminal is: they are to be copied."""
    long = tmp_path / ("x" * 90)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "doctor", "--brief"],
        env=environment(DSP_LIBRARY_PATH=f"{long};{tmp_path}"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stderr
    assert f"\n    export DSP_LIBRARY_PATH={tmp_path}\n" in ran.stdout
    assert "came up" not in ran.stdout
