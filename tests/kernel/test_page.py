"""docs/kernel.md says what there is: options, what a kernel needs, kinds of misbehaviour."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qda.cli.app import app
from qda.cli.commands.kernel import GuestOptions, Trace
from qda.kernel.kernel import NEEDED
from qda.kernel.misbehaviour import Misbehaviour

PAGE = (Path(__file__).parents[2] / "docs" / "kernel.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[str]:
    """The first cells of a section's table, without its head."""
    return re.findall(r"^\| (`.+?`) \|", section(title), re.MULTILINE)


def test_the_page_has_each_option() -> None:
    told = re.findall(r"--([a-z]+)", " ".join(rows("From nothing to a call")))
    assert set(told) == {field.name for field in dataclasses.fields(GuestOptions)}
    for kind in Trace:
        assert f"`{kind}`" in section("From nothing to a call")


def test_the_page_has_each_switch_that_a_kernel_needs() -> None:
    told = section("What a kernel of one's own must have").split("with `--smmu`")[0]
    assert sorted(re.findall("`(CONFIG_[A-Z0-9_]+)`", told)) == sorted(NEEDED)


def test_the_page_has_each_kind_of_misbehaviour() -> None:
    assert rows("A DSP that misbehaves") == [f"`{kind}`" for kind in Misbehaviour]


@pytest.mark.parametrize("words", [["--trace"], ["--trace=glink"], ["--trace", "--smp", "2"]])
def test_a_trace_needs_no_kind(words: list[str]) -> None:
    """As that of `qda run`; the option behind it is not its value."""
    ended = CliRunner().invoke(app, ["kernel", "run", *words, "--", "true"])
    assert ended.exit_code == 1
    assert re.search("qda: (true: no such file|no .*: apt-get install)", ended.stderr)
