"""`qda idl`: the compiler's command line, and the tools for texts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qda.cli.app import app
from qda.idl import parse
from qda.idl.style.document import document_markdown
from tests.cli.command import PROGRAM, environment, qda

FILES = Path(__file__).parent.parent / "idl" / "files"
GOOD = "interface x {\n    long m(in long a);\n};\n"
BAD = "interface x {\n\tlong m(in long a rout long b);\n    long n(in nothing c);\n};\n"


def idl(*arguments: str | Path, status: int = 0, given: str | None = None) -> tuple[str, str]:
    """Run `qda idl` in this process; returns what it has printed, and its messages."""
    runner = CliRunner(env={"NO_COLOR": "1"})
    words = ["idl", *map(str, arguments)]
    result = runner.invoke(app, words, prog_name="qda", input=given)
    assert result.exit_code == status, (result.stdout, result.stderr, result.exception)
    return result.stdout, result.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is not in the one style, but good."""
    path = tmp_path / "a.idl"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.idl"
    path.write_text(BAD)
    return path


def names(folder: Path) -> set[str]:
    """All files of a folder, hidden ones too."""
    return {one.name for one in folder.iterdir()}


# --- help ----------------------------------------------------------------------------------------


def test_help_lists_the_commands() -> None:
    printed, _ = idl("--help")
    for name in ("compile", "check", "format", "doc"):
        assert f" {name} " in printed


@pytest.mark.parametrize("option", ["-h", "compile --help"])
def test_help_lists_the_options_of_the_original(option: str) -> None:
    printed, _ = idl(*option.split())
    for one in ("-mdll", "-o", "-I", "-D", "-ho", "-ro", "-st", "-s", "-i", "-Wu", "-p", "-pa"):
        assert f" {one} " in printed
    for one in ("--preprocess-only", "--idl-files", "--python"):
        assert one in printed


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version_names_the_compiler_that_ours_is_like(option: str) -> None:
    assert idl(option)[0].endswith("interface language of qaic 1.0.51\n")


# --- compile -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    ["-mdll -o {}", "-mdll -o{}", "-mdll -o={}", "--map-dll --output-path={}", "-m dll -o {}"],
)
def test_options_are_spelled_as_the_original_takes_them(
    file: Path, tmp_path: Path, options: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    idl(*options.format(out).split(), file)
    assert names(out) == {"a.h", "x_stub.c", "x_skel.c"}


def test_options_may_stand_behind_files_and_before_the_command(file: Path, tmp_path: Path) -> None:
    idl(file, "-mdll", "-o", tmp_path)
    assert "a.h" in names(tmp_path)
    idl("compile", "-s", file)


@pytest.mark.parametrize(
    ("options", "expected"),
    [("-ho", {"a.h"}), ("-ro", {"x_stub.c", "x_skel.c"}), ("-s", set())],
)
def test_what_is_made_can_be_chosen(
    file: Path, tmp_path: Path, options: str, expected: set[str]
) -> None:
    idl(options, "-o", tmp_path, file)
    assert names(tmp_path) == {"a.idl", *expected}


def test_nothing_cannot_be_chosen(file: Path, tmp_path: Path) -> None:
    _, said = idl("-ho", "-ro", "-o", tmp_path, file, status=1)
    assert "choose one" in said
    assert names(tmp_path) == {"a.idl"}


def test_types_and_indent_reach_the_code(tmp_path: Path) -> None:
    path = tmp_path / "a.idl"
    path.write_text("interface x { long m(in long long a); };")
    idl("-ro", "-o", tmp_path, path)
    legacy = (tmp_path / "x_stub.c").read_text()
    idl("-ro", "-st", "-i=8", "-o", tmp_path, path)
    assert "int64_t" not in legacy.replace("(int64_t)", "")
    assert "int64_t" in (tmp_path / "x_stub.c").read_text()
    assert legacy != (tmp_path / "x_stub.c").read_text()


def test_python_is_made_instead_or_too(file: Path, tmp_path: Path) -> None:
    idl("--python", "-o", tmp_path, file)
    assert names(tmp_path) == {"a.idl", "a_idl.py"}
    compile((tmp_path / "a_idl.py").read_text(), "a_idl.py", "exec")
    idl("--python", "-mdll", "-o", tmp_path, file)
    assert names(tmp_path) == {"a.idl", "a_idl.py", "a.h", "x_stub.c", "x_skel.c"}


@pytest.mark.parametrize("spelling", ["-I {}", "-I{}", "-I={}", "--include-path {}"])
def test_folders_are_searched_in_their_order(tmp_path: Path, spelling: str) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "b.idl").write_text(f"const long FROM = {number};")
    path = tmp_path / "a.idl"
    path.write_text("#include <b.idl>\nconst long A = 3 / (FROM - 1);")
    options = [word for n in ("2", "1") for word in spelling.format(tmp_path / n).split()]
    idl("-s", *options, path)
    _, said = idl("-s", *reversed(options) if len(options) == 2 else options[2:], path, status=1)
    assert "division by zero" in said


@pytest.mark.parametrize("spelling", ["-D X", "-DX", "-D=X", "-DX=1", "--define X"])
def test_names_can_be_defined(tmp_path: Path, spelling: str) -> None:
    path = tmp_path / "a.idl"
    path.write_text("#ifdef X\nbroken\n#endif\n")
    idl("-s", path)
    idl("-s", *spelling.split(), path, status=1)


def test_errors_have_file_line_column_source_and_caret(bad: Path, tmp_path: Path) -> None:
    _, said = idl("-mdll", "-o", tmp_path, bad, status=1)
    assert said == (
        f'"{bad}" (line 2, column 19):\n'
        'unexpected "rout": expected ")" or ","\n'
        "    \tlong m(in long a rout long b);\n"
        "    \t                 ^\n"
    )


def test_all_files_are_checked_before_one_is_written(file: Path, bad: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.idl"
    other.write_text("const long A = B;")
    _, said = idl("-mdll", "-o", tmp_path, file, bad, other, status=1)
    assert f'"{bad}" (line 2' in said
    assert f'"{other}" (line 1, column 16):\nnot in scope: B' in said
    assert names(tmp_path) == {"a.idl", "bad.idl", "other.idl"}


def test_no_file_is_written_if_there_can_be_no_code_for_one(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "z.idl"
    path.write_text("union u switch (long) { case 1: long a; }; interface z { long m(in u a); };")
    _, said = idl("-mdll", "-o", tmp_path, file, path, status=1)
    assert 'union "u" has no form on the wire' in said
    assert names(tmp_path) == {"a.idl", "z.idl"}


def test_warnings_do_not_stop(tmp_path: Path) -> None:
    path = tmp_path / "a.idl"
    path.write_text("#ifdef X\n#else\ninterface x { long m(); };\n#endif\n")
    _, said = idl("-s", path)
    assert said.startswith(f'"{path}" (line 2, column 2):\nwarning: ')
    assert "error" not in said


def test_interfaces_that_are_never_defined_get_a_warning_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.idl"
    path.write_text(
        "interface never; interface soon;\nmodule m { interface y; };\ninterface soon {};"
    )
    assert idl("-s", path)[1] == ""
    _, said = idl("-s", "-Wu", path)
    assert 'warning: interface "never" is declared, but never defined' in said
    assert '"m::y"' in said
    assert "soon" not in said


def test_missing_files_are_said(tmp_path: Path) -> None:
    assert "cannot read the file" in idl("-s", tmp_path / "none.idl", status=1)[1]
    assert "no interface files are given" in idl("-mdll", status=1)[1]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path, file: Path) -> None:
    """With those above it, once the files are read and good."""
    folder = tmp_path / "deep" / "build"
    wrong = tmp_path / "wrong.idl"
    wrong.write_text("interface {")
    idl("-o", folder, wrong, status=1)
    idl("-s", "-o", folder, file)
    assert not folder.parent.exists()
    idl("-o", folder, file)
    assert (folder / f"{file.stem}.h").is_file()


@pytest.mark.parametrize("place", ["file", "file/deeper", "/proc/x", "/proc", "taken"])
def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path, file: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken" / f"{file.stem}.h").mkdir(parents=True)
    said = idl("-o", tmp_path / place, file, status=1)[1]
    assert said.startswith(f"qda: -o {tmp_path / place}: ")
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [("-r", "give it on the command line too"), ("-m c++", 'there is "dll" only')],
)
def test_what_is_not_supported_is_refused(file: Path, options: str, message: str) -> None:
    assert message in idl(*options.split(), "-s", file, status=1)[1]


def test_files_can_be_listed_in_a_file(tmp_path: Path, file: Path, bad: Path) -> None:
    listing = tmp_path / "files.txt"
    listing.write_text(f"{file}\n\n{bad}\n")
    _, said = idl("-s", f"--idl-files={listing}", status=1)
    assert str(bad) in said


def test_preprocessed_text_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / "b.idl").write_text("const long B = 1;\n")
    path = tmp_path / "a.idl"
    path.write_text('#include "b.idl"\n#ifdef X\nconst long X = 1;\n#endif\nconst long A = B;\n')
    assert idl("--preprocess-only", path)[0] == "const long B = 1;\nconst long A = B;\n"
    assert "const long X" in idl("--preprocess-only", "-D", "X", path)[0]
    path.write_text('#include "none.idl"\n')
    assert "cannot find" in idl("--preprocess-only", path, status=1)[1]


def test_another_preprocessor_can_be_used(tmp_path: Path, file: Path) -> None:
    """It gets its arguments, then -I and -D, then the file; its line markers are understood."""
    program = tmp_path / "cpp"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        'print(f\'# 7 "{sys.argv[-1]}"\\nconst string A = "{sys.argv[1:-1]}";\')\n'
    )
    program.chmod(0o755)
    options = [f"-p={program}", "-pa=-E", "-pa", "more", "-Iinc", "-DX"]
    printed, _ = idl("--preprocess-only", *options, file)
    assert "['-E', 'more', '-Iinc', '-DX']" in printed
    idl("-ho", "-o", tmp_path, *options, file)
    assert "-Iinc" in (tmp_path / "a.h").read_text()
    program.write_text("#!/bin/sh\necho broken >&2; exit 3")
    assert "failed on" in idl("-s", *options, file, status=1)[1]
    assert "cannot run it" in idl("-s", "-p", tmp_path / "none", file, status=1)[1]


# --- check ---------------------------------------------------------------------------------------


def test_check_says_nothing_about_good_files() -> None:
    good = [one for one in sorted(FILES.glob("*.idl")) if one.name != "declared.idl"]
    assert idl("check", "-I", FILES, *good) == ("", "")


def test_check_finds_what_no_code_can_be_made_for() -> None:
    _, said = idl("check", FILES / "declared.idl")
    assert 'warning: no code can be made for method "put": parameter "what": union' in said


def test_check_warns_of_what_has_a_form_in_python_only(tmp_path: Path) -> None:
    """The file is good, and compiling it to C would not be."""
    file = tmp_path / "x.idl"
    file.write_text("interface x { long f(in sequence<sequence<long>> a); };")
    assert "warning: no C can be made: " in idl("check", file)[1]


def test_check_as_json(file: Path, bad: Path) -> None:
    assert json.loads(idl("check", "--json", file)[0]) == []
    printed, said = idl("check", "--json", file, bad, status=1)
    assert said == ""
    assert json.loads(printed) == [
        {
            "file": str(bad),
            "line": 2,
            "column": 19,
            "severity": "error",
            "message": 'unexpected "rout": expected ")" or ","',
            "source": "\tlong m(in long a rout long b);",
        }
    ]


# --- format --------------------------------------------------------------------------------------

UGLY = "interface x{long m( in long a );};"


def test_format_changes_files_in_place_and_only_if_it_must(file: Path, tmp_path: Path) -> None:
    ugly = tmp_path / "ugly.idl"
    ugly.write_text(UGLY)
    ugly.chmod(0o640)
    before = file.stat()
    assert idl("format", file, ugly) == ("", "")
    assert ugly.read_text() == GOOD
    assert ugly.stat().st_mode & 0o777 == 0o640
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path) == {"a.idl", "ugly.idl"}


def test_format_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.idl").write_text(UGLY)
    (tmp_path / "link.idl").symlink_to("real.idl")
    idl("format", tmp_path / "link.idl")
    assert (tmp_path / "link.idl").is_symlink()
    assert (tmp_path / "real.idl").read_text() == GOOD


def test_format_of_standard_input_goes_to_standard_output() -> None:
    assert idl("format", "-", given=UGLY)[0] == GOOD
    assert '"<standard input>" (line 1' in idl("format", "-", given="broken", status=1)[1]


def test_format_check_writes_nothing(file: Path, tmp_path: Path) -> None:
    ugly = tmp_path / "ugly.idl"
    ugly.write_text(UGLY)
    assert idl("format", "--check", file) == ("", "")
    assert idl("format", "--check", file, ugly, status=1)[1] == f"{ugly} would be formatted\n"
    assert ugly.read_text() == UGLY


def test_format_diff_shows_what_would_change(tmp_path: Path) -> None:
    ugly = tmp_path / "ugly.idl"
    ugly.write_text(UGLY)
    printed, _ = idl("format", "--diff", ugly)
    assert printed == textwrap.dedent(f"""\
        --- {ugly}
        +++ {ugly} (formatted)
        @@ -1 +1,3 @@
        -{UGLY}
        \\ No newline at end of file
        +interface x {{
        +    long m(in long a);
        +}};
        """)
    assert ugly.read_text() == UGLY
    assert idl("format", "--diff", "--check", ugly, status=1)[0] == printed


def test_format_changes_no_file_if_one_is_broken(tmp_path: Path, bad: Path) -> None:
    ugly = tmp_path / "ugly.idl"
    ugly.write_text(UGLY)
    assert '"rout"' in idl("format", ugly, bad, status=1)[1]
    assert ugly.read_text() == UGLY


def test_format_keeps_bytes_that_are_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.idl"
    path.write_bytes(b"// gr\xfc\xdf\r\nconst long A=1;")
    idl("format", path)
    assert path.read_bytes() == b"// gr\xfc\xdf\nconst long A = 1;\n"


def test_format_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot read" in idl("format", tmp_path / "none.idl", status=1)[1]


# --- doc -----------------------------------------------------------------------------------------


def test_doc_prints_or_writes_the_page(tmp_path: Path) -> None:
    path = FILES / "calculator.idl"
    expected = document_markdown(parse(path))
    assert idl("doc", path)[0] == expected
    assert idl("doc", path, "-o", tmp_path / "page.md") == ("", "")
    assert (tmp_path / "page.md").read_text() == expected
    assert names(tmp_path) == {"page.md"}


def test_doc_of_a_broken_file_writes_nothing(tmp_path: Path, bad: Path) -> None:
    idl("doc", bad, "-o", tmp_path / "page.md", status=1)
    assert names(tmp_path) == {"bad.idl"}


# --- as a process ----------------------------------------------------------------------------


def test_a_file_called_like_a_command_is_taken_with_its_ending(tmp_path: Path) -> None:
    (tmp_path / "check.idl").write_text(GOOD)
    qda("idl", "check.idl", "-s", directory=tmp_path)
    result = qda("idl", "check.idl", "-ho", directory=tmp_path)
    assert (result.stdout, result.stderr) == ("", "")
    assert names(tmp_path) == {"check.idl", "check.h"}


@pytest.mark.parametrize("command", ["format", "--python"])
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, command: str) -> None:
    """The process stops before it replaces the file, and is interrupted there."""
    path = tmp_path / "a.idl"
    path.write_text(UGLY)
    before = (
        "import os, pathlib, time\n"
        "def stop(*_): print('here', flush=True); time.sleep(30)\n"
        "os.replace = stop; pathlib.Path.replace = stop"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{PROGRAM}", "idl", command, "a.idl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    os.kill(process.pid, signal.SIGINT)
    try:
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "")
    assert names(tmp_path) == {"a.idl"}
    assert path.read_text() == UGLY


def test_a_misspelt_command_is_no_file(file: Path) -> None:
    """Unless there is such a file."""
    for word, command in (("chek", "check"), ("formt", "format"), ("dok", "doc")):
        _, said = idl(word, file, status=2)
        assert f"there is no command '{word}': did you mean '{command}'?" in said
    _, said = idl("nothing", file, status=1)
    assert "there is none of that name" in said
