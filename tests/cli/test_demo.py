from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qda.cli import demo
from qda.cli.demo import edges
from qda.cli.pictures import read_photograph
from qda.idl import parse
from qda.idl.python import write_module
from qda.uapi import DIALECTS
from tests.cli.command import PROGRAM, environment, processes_with, qda
from tests.waiting import until

EDGE_FILTER = Path(demo.__file__).with_name("edge_filter.idl")
README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_demo_draws_on_the_dsp_what_numpy_draws_here(tmp_path: Path, dialect: str) -> None:
    target = tmp_path / "drawing.png"
    shown = json.loads(
        qda(
            "demo",
            *("--device", "virtual", "--dialect", dialect, "--output", str(target), "--json"),
        ).stdout
    )
    assert (shown["node"], shown["dialect"], shown["equal"]) == ("virtual cdsp", dialect, True)
    assert [way["way"] for way in shown["ways"]] == ["inline", "buffer object", "mapped address"]
    assert {way["bytes"] for way in shown["ways"]} == {512 * 512 * 4}
    assert [way["copied"] for way in shown["ways"]] == [512 * 512 * 4 + 16, 16, 24]
    assert all(way["equal"] and way["milliseconds"] > 0 for way in shown["ways"])
    photograph = read_photograph()
    expected = np.empty(photograph.shape[:2], np.uint8)
    edges(photograph, expected)
    with Image.open(target) as picture:
        assert np.array_equal(np.asarray(picture), expected)


def test_demo_says_where_the_time_goes(tmp_path: Path) -> None:
    """A row for each method of the filter, and a bar for each range of times; `--profile` that
    names no system is understood as well."""
    printed = qda("demo", "--profile", "--device", "virtual", directory=tmp_path).stdout
    assert re.search(r"edge_filter\.draw +36 ", printed)
    assert "edge_filter.draw_at, µs of a call" in printed and "█" in printed


def test_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    printed = qda("demo", "--device", "virtual", directory=tmp_path).stdout
    assert (tmp_path / "qda-demo.png").exists()
    shown = re.search(r"```text\n(Edges of.*?)```", README.read_text(), re.DOTALL)
    assert shown

    def without_times(text: str) -> str:
        return re.sub(r"[ ─━]+", " ", re.sub(r"\d+\.\d\d", "TIME", text))

    assert without_times(printed) == without_times(shown[1])


def test_demo_fails_if_the_dsp_draws_something_else(tmp_path: Path) -> None:
    other_host = (
        "import numpy, qda.cli.demo\n"
        "qda.cli.demo.filter_on_host = lambda picture: (numpy.ones((512, 512), 'u1'), 1.0)"
    )
    result = qda("demo", directory=tmp_path, before=other_host, status=1)
    assert (
        "Not what NumPy draws on the host: inline, buffer object, mapped address" in result.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "drawing"], "ends in .png"),
        (["--output", "nowhere/drawing.png"], "there is no directory 'nowhere'"),
        (["--profile", "sm1"], "profile 'sm1': there are generic, "),
        (["--device", "/dev/null"], "/dev/null is no node of a DSP"),
        (["--device", "/dev/accel/none"], "ENOENT"),
    ],
)
def test_demo_says_what_is_wrong(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = qda("demo", *arguments, directory=tmp_path, status=1)
    assert result.stderr.startswith("qda: ")
    assert words in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_interrupted_demo_ends_quietly_and_leaves_no_process(tmp_path: Path) -> None:
    marker = f"QDA_TEST_MARKER={uuid.uuid4()}"
    name, _, value = marker.partition("=")
    endless = "import qda.cli.demo\nqda.cli.demo.CALLS = 1 << 40\n"
    endless += "qda.cli.demo.filter_on_host = lambda picture: (picture[:, :, 0].copy(), 1.0)"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{endless}\n{PROGRAM}", "demo", "--device", "virtual"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment(**{name: value}),
    )
    # The command, the processor, its root process, the session's process.
    until(lambda: len(processes_with(marker)) >= 4)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()  # it calls for ever
    assert (process.returncode, output, errors) == (130, "", "")
    until(lambda: not processes_with(marker))
    assert list(tmp_path.iterdir()) == []


def test_the_interface_in_python_is_the_one_that_is_written() -> None:
    """`qda idl --python` makes it again from the IDL beside it."""
    written = EDGE_FILTER.with_name("edge_filter_idl.py").read_text()
    assert written == write_module(parse(EDGE_FILTER))


def test_edges_are_dark_where_the_picture_changes() -> None:
    picture = np.zeros((6, 8, 3), np.uint8)
    picture[:, 4:] = 255
    drawing = np.zeros((6, 8), np.uint8)
    edges(picture, drawing)
    assert drawing.tolist() == [
        [255] * 8,
        *([[255, 255, 255, 0, 0, 255, 255, 255]] * 4),
        [255] * 8,
    ]
