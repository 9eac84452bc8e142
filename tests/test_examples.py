"""The examples run."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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


def test_darkroom_shows_each_step(tmp_path: Path) -> None:
    """Softened pixels differ less from their neighbours, sharpened ones more."""
    picture = tmp_path / "darkroom.png"
    printed = run("darkroom/darkroom.py", f"--output={picture}", "--device", "virtual")
    assert printed.startswith("512 x 512 pixels in ")
    with Image.open(picture) as sheet:
        steps = np.split(np.asarray(sheet, np.float64), 4, axis=1)
    detail = [np.abs(np.diff(step)).mean() for step in steps]
    assert detail[1] < detail[0] < detail[2]
    assert steps[3][:50, :50].mean() < steps[2][:50, :50].mean()


def test_echo_of_blocks_is_that_of_the_whole(tmp_path: Path) -> None:
    """The program compares them."""
    sound = tmp_path / "echo.wav"
    assert "4.0 s of sound" in run("echo/echo.py", f"--output={sound}", "--device", "virtual")
    with wave.open(str(sound)) as file:
        assert file.getparams()[:4] == (1, 2, 48_000, 191_520)


def test_notebook_prints_what_it_shows() -> None:
    """Each cell: what it prints, and the value of its last expression."""
    cells = json.loads((EXAMPLES / "first_steps.ipynb").read_text())["cells"]
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert evaluated("".join(cell["source"]), names) == shown(cell["outputs"])


def evaluated(source: str, names: dict[str, Any]) -> str:
    """What a cell prints, and behind it its last expression's value, if it has one."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        value = eval(ast.unparse(last), names) if last else None
    return printed.getvalue() + ("" if value is None else re.sub(" at 0x[0-9A-F]+", "", str(value)))


def shown(outputs: list[dict[str, Any]]) -> str:
    """What stands below a cell."""
    texts = (output.get("text") or output["data"]["text/plain"] for output in outputs)
    return "".join("".join(text) for text in texts)


def compiled(folder: Path, name: str, sources: Path) -> None:
    """The library of a skeleton in C, as docs/programs.md says: generate, compile."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    write_files(parse(sources.with_name(f"{name}.idl")), folder)
    options = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}", f"-I{INCLUDE}"]
    library = folder / f"lib{name}_skel.so"
    subprocess.run(
        [compiler, *options, sources, folder / f"{name}_skel.c", "-o", library], check=True
    )


def test_a_skeleton_in_c_is_called_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by the name of its folder."""
    compiled(tmp_path, "calculator", EXAMPLES / "calculator/implementation.c")
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    printed = run("calculator/program.py")
    assert printed.startswith("6 9 by ")
    assert printed.endswith("\nAEE_EBADPARM\n")


@pytest.mark.skipif(not find_spec("torch"), reason="needs PyTorch: pip install torch")
def test_a_layer_of_a_model_is_computed_on_the_dsp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R19: by a kernel in C, called as an operator, also of the exported model."""
    compiled(tmp_path, "linear8", EXAMPLES / "torch_layer/linear8_imp.c")
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    printed = run("torch_layer/layer.py")
    assert printed.startswith("8 inputs on virtual cdsp: largest difference ")
    assert printed.endswith("the exported model gives the same: True\n")


def test_every_example_is_tested() -> None:
    tested = Path(__file__).read_text()
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb")]
    examples = [file for file in EXAMPLES.glob("*/") if file.name not in ("testing", "__pycache__")]
    assert [file.name for file in [*files, *examples] if f'"{file.name}' not in tested] == []
