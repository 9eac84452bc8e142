"""What is handed out is whole, and runs where it is installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from packages.contents import COMPILED, surprises

PACKAGES: Final = os.environ.get("QDA_PACKAGES", "")


def test_a_wheel_has_what_the_source_has_and_the_c_parts(tmp_path: Path) -> None:
    """No more, no less; folders, bytecode and libraries of an editable installation are none."""
    package = tmp_path / "src/qda"
    package.mkdir(parents=True)
    for name in ("a.py", "a.pyc", "b.toml", "c.so"):
        (package / name).touch()
    wheel = tmp_path / "a.whl"
    with ZipFile(wheel, "w") as archive:
        for name in (*COMPILED, "qda/", "qda/a.py", "qda/b.toml", "qda-1.dist-info/METADATA"):
            archive.writestr(name, "")
    assert surprises(wheel, tmp_path) == []
    (package / "d.idl").touch()
    (package / "a.py").unlink()
    assert surprises(wheel, tmp_path) == [
        "qda/d.idl is missing",
        "qda/a.py does not belong there",
    ]


# --- in environments of their own ----------------------------------------------------------------


def interpreters() -> Iterator[str]:
    """The Pythons of this machine that QDA may be installed for."""
    for minor in range(11, 16):
        python = shutil.which(f"python3.{minor}")
        if (
            python
            and not subprocess.run([python, "-c", "import venv"], capture_output=True).returncode
        ):
            yield python


def wheel() -> Path:
    """The one for this machine."""
    (found,) = Path(PACKAGES).glob(f"*manylinux*_{platform.machine()}.whl")
    return found.resolve()


PROGRAM: Final = """
import qda
from qda.core import IS_COMPILED
calculator = qda.idl.load("interface calculator { long sum(in sequence<long> n, rout long s); };")
class Calculator(calculator.Skeleton):
    def sum(self, n):
        return n.sum()
with qda.open("cdsp") as session, session.load(Calculator) as remote:
    print(remote.sum([1, 2, 3]), IS_COMPILED)
"""


@pytest.mark.timeout(600)
@pytest.mark.skipif(not PACKAGES, reason="QDA_PACKAGES is no folder of packages: make packages")
@pytest.mark.parametrize("python", list(interpreters()) if PACKAGES else [""])
def test_the_wheel_runs_in_a_fresh_environment(python: str, tmp_path: Path) -> None:
    """Calls with the compiled core, the demo, and a program in C that finds nodes; and the doctor
    finds all parts to be of the same sources."""
    subprocess.run([python, "-m", "venv", tmp_path / "env"], check=True)
    binaries = tmp_path / "env/bin"
    subprocess.run([binaries / "pip", "install", "-q", wheel()], check=True)
    source = tmp_path / "see.c"
    source.write_text(
        '#include <fcntl.h>\nint main(void) { return open("/dev/accel/accel1", O_RDWR) < 0; }\n'
    )
    subprocess.run(["cc", "-o", tmp_path / "see", source], check=True)
    commands: tuple[tuple[list[str | Path], str], ...] = (
        ([binaries / "python", "-W", "error", "-c", PROGRAM], "6 True"),
        ([binaries / "qda", "demo", "--output", tmp_path / "a.png"], "bit for bit"),
        ([binaries / "qda", "run", "--", tmp_path / "see"], ""),
        ([binaries / "qda", "doctor"], "Nothing is wrong."),
    )
    for command, words in commands:
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0 and words in ran.stdout, (ran.stdout, ran.stderr)
