"""`qda new` and `qda ci`: a project that passes its tests, by the commands of its recipe."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from qda.cli import new_project
from qda.cli.recipe import PLACES, language_of, recipe
from qda.errors import UsageError
from tests.cli.test_commands import here
from tests.shim.system import needs_library

INSTALL = 'pip install "qda-accel[testing]"'
"""What a recipe does first, and this environment has done."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    new_project.create(tmp_path / "gain")
    return tmp_path / "gain"


def commands_of(service: str, language: str) -> list[str]:
    """What a recipe runs."""
    read = yaml.safe_load(recipe(service, language))
    if service == "gitlab":
        return list(read["tests"]["script"])
    return [step["run"] for step in read["jobs"]["tests"]["steps"] if "run" in step]


def run(command: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)


@needs_library
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.timeout(200)
def test_a_new_project_passes_by_the_commands_of_its_recipes(project: Path) -> None:
    """One command after the other, as the service would; but for installing what is installed."""
    commands = commands_of("github", "c")
    assert commands[0] == INSTALL
    assert (project / PLACES["github"]).read_text() == recipe("github", "c")
    for command in commands[1:]:
        run(command, project)
    assert (project / "build" / "libgain_skel.so").is_file()
    (tests,) = commands_of("github", "python")[2:]
    assert tests.removeprefix("python") in (project / "Makefile").read_text()  # so it has run
    if os.environ.get("QDA_EVERYWHERE"):
        run(tests, project)


@pytest.mark.parametrize("language", ["c", "python"])
def test_services_run_the_same_commands(language: str) -> None:
    """What was tried for one holds for the other."""
    assert commands_of("gitlab", language) == commands_of("github", language)
    assert commands_of("github", "python")[:2] == commands_of("github", "c")[:2]


def test_a_new_project_has_ten_files_of_its_name(tmp_path: Path) -> None:
    """And no placeholder is left in any."""
    printed, _ = here("new", str(tmp_path / "Reverb_2"))
    files = [path for path in (tmp_path / "Reverb_2").rglob("*") if path.is_file()]
    assert len(files) == 10
    for path in files:
        assert str(path.relative_to(tmp_path / "Reverb_2")) in printed
        assert "NAME" not in path.name + path.read_text()
    assert os.listdir(tmp_path) == ["Reverb_2"]
    assert (tmp_path / "Reverb_2").stat().st_mode & 0o777 == 0o777 & ~new_project._umask()


def test_a_new_project_is_as_linters_want_it(project: Path) -> None:
    """Those of most, without settings."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--isolated"], ["format", "--check", "--isolated"]):
        ran = subprocess.run([*ruff, *command], cwd=project, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a-b", "did you mean a_b"),
        ("2nd", "a letter first: did you mean nd"),
        ("-", "no name for an interface"),
        ("größe", "no name for an interface"),
        ("_private", "did you mean private"),
        ("x" * 41, "at most 40 characters, this 41"),
        ("interface", "a word of IDL"),
        ("int", "a word of C"),
        ("template", "a word of C"),
        ("lambda", "a word of Python"),
        ("remote", "a header on the DSP: choose another, such as my_remote"),
        ("hap_farf", "a header on the DSP"),
        ("qda", "the package itself"),
        ("program", "another file of the project"),
        ("Makefile", "another file of the project"),
        ("stdio", 'would hide "stdio.h" of the C library: choose another, such as my_stdio'),
        ("int64", '"int64", which is a reserved word'),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        new_project.create(tmp_path / name)
    assert words in str(refused.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_there_already_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "gain"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    before = place.lstat()
    _, said = here("new", str(place), status=1)
    assert f"{place} is there already: choose another name" in said.replace("\n", " ")
    assert place.lstat() == before


def test_nothing_is_made_where_not_all_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the last file."""
    files = new_project.files_of("gain")
    files["there/is/no room\0"] = ""
    monkeypatch.setattr(new_project, "files_of", lambda name: files)
    with pytest.raises((UsageError, ValueError)):
        new_project.create(tmp_path / "gain")
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="No such file or directory; choose a folder that exists"):
        new_project.create(tmp_path / "nowhere" / "gain")


@pytest.mark.parametrize(
    ("names", "language"),
    [
        (["Makefile", "pyproject.toml"], "c"),
        (["program.c"], "c"),
        (["CMakeLists.txt"], "c"),
        (["pyproject.toml"], "python"),
        (["test_it.py"], "python"),
        (["README.md"], None),
    ],
)
def test_the_language_is_found_from_what_lies_there(
    names: list[str], language: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert language_of(tmp_path) == language
    monkeypatch.chdir(tmp_path)
    if language is None:
        assert "say --language c" in here("ci", "github", status=1)[1].replace("\n", " ")
    else:
        assert here("ci", "github")[0] == recipe("github", language)
