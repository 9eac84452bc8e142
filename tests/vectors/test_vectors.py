"""Every golden vector passes, and the runner notices when one does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.idl.native import find_compiler
from tests.vectors.runner import prepare, run

FOLDER = Path(__file__).parent
FILES = sorted((*FOLDER.glob("packing/*.json"), *FOLDER.glob("idl/*.json")))


@pytest.fixture(scope="module")
def _compiled() -> None:
    """The C of all files that are about interfaces, where there is a compiler."""
    prepare(FILES)


@pytest.mark.timeout(300)  # the first one waits for the compiler
@pytest.mark.usefixtures("_compiled")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_case_of_the_file_passes(path: Path) -> None:
    """Bytes are those of the original driver, outcomes on hostile input the careful ones.

    Calls of interfaces go through Python, and through generated C where there is a compiler; so
    do messages through the driver in Python and through the core.
    """
    report = run(path)
    print(f"{path.name}: {report.cases} cases")
    assert report.cases > 0
    assert not report.failures


def _spoil(path: Path, folder: Path) -> Path:
    """A copy of an INVOKE or control file with one byte of one wire message changed."""
    data = json.loads(path.read_text())
    case = next(case for case in data["cases"] if "wire_hex" in case["out"])
    wire = bytearray.fromhex(case["out"]["wire_hex"])
    wire[20] ^= 1
    case["out"]["wire_hex"] = wire.hex()
    spoiled = folder / path.name
    spoiled.write_text(json.dumps(data))
    return spoiled


@pytest.mark.parametrize("name", ["invoke_basic", "control"])
def test_a_wrong_byte_is_a_failure(name: str, tmp_path: Path) -> None:
    """The runner compares: a vector that is changed by one bit fails."""
    path = next(path for path in FILES if path.stem == name)
    assert len(run(_spoil(path, tmp_path)).failures) == 1


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    ("case_id", "spoil", "words"),
    [
        ("b_one.0", {"in_bufs": ["68000000"]}, "in C: in-buffers"),
        ("b_two.0", {"server_sets": {"r": {"hex": "143cf5"}}}, "in C: reply"),
        ("b_two.0", {"outputs": {"r": {"hex": "143cf5"}}}, "in C: r at the stub"),
        ("b_two.missing_in_buf", {"reply_rc": 0}, "in C: reply_rc"),
        ("close_wide_handle", {"close_sees_handle": "0x1"}, "in C: handle"),
    ],
)
def test_a_wrong_outcome_in_c_is_a_failure(
    case_id: str, spoil: dict[str, object], words: str, tmp_path: Path
) -> None:
    """C is compared as Python is, and a case fails if either does."""
    data = json.loads(next(path for path in FILES if path.stem == "t_derived").read_text())
    case = next(case for case in data["vectors"] if case["id"] == f"t_derived.{case_id}")
    data["vectors"] = [case | spoil]
    path = tmp_path / "spoiled.json"
    path.write_text(json.dumps(data))
    (found,) = run(path).failures.values()
    assert any(line.startswith(words) for line in found), found


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_a_wrong_byte_of_the_core_is_a_failure(tmp_path: Path) -> None:
    """It is compared as the driver in Python is."""
    path = next(path for path in FILES if path.stem == "invoke_basic")
    (found,) = run(_spoil(path, tmp_path)).failures.values()
    assert any(line.startswith("in the core: wire message") for line in found), found


def test_a_wrong_outcome_of_a_hazard_is_a_failure(tmp_path: Path) -> None:
    """A hazard case that asks for another errno than the driver's fails."""
    data = json.loads(next(path for path in FILES if path.stem == "hazards").read_text())
    data["cases"] = data["cases"][:1]
    data["cases"][0]["careful"]["errno"] = -95
    path = tmp_path / "hazards.json"
    path.write_text(json.dumps(data))
    assert len(run(path).failures) == 1


def test_a_file_of_another_format_is_a_failure(tmp_path: Path) -> None:
    """Nothing is skipped silently."""
    path = tmp_path / "other.json"
    path.write_text('{"format": 2, "cases": []}')
    assert run(path).failures


def test_the_command_prints_counts_and_exits_with_1_on_failure(tmp_path: Path) -> None:
    """`python -m tests.vectors PATH...` can be used by hand and by CI."""
    good = next(path for path in FILES if path.stem == "invoke_errors")
    bad = _spoil(next(path for path in FILES if path.stem == "control"), tmp_path)
    command = [sys.executable, "-m", "tests.vectors", str(good), str(bad)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert result.returncode == 1
    assert "16 cases, 0 failed" in result.stdout
    assert "71 passed, 1 failed" in result.stdout
