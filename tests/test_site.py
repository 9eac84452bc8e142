"""What the site adds to the pages, and that Sphinx can make it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import qda
from docs.generate import ROOT
from docs.site.commands import page
from docs.site.menu import with_menu, without_folders


def test_the_menu_has_the_pages_of_the_tables() -> None:
    """Under the names of the sections, in their order; what is only on the site comes last."""
    index = "# A\n\nWords.\n\n## First\n\n| page | x |\n|---|---|\n| [Word](a.md) | [no](b.md) |\n"
    menu = with_menu(index)
    assert menu.startswith(index)
    assert "```{toctree}\n:hidden:\n:caption: First\n\nWord <a>\n```\n" in menu
    assert menu.endswith("\n\nPython names <site/python>\nCommands <site/commands>\n```\n")


def test_folders_are_not_linked() -> None:
    page = "[a](../src/qda) [b](../src/qda/) [c](c.md) [d](../d.py)"
    assert without_folders(page) == "a b [c](c.md) [d](../d.py)"


def test_commands_and_their_options_are_on_a_page() -> None:
    """Those of groups too."""
    text = page()
    assert "## qda run\n\n```\nqda run " in text
    assert "### qda idl check\n" in text
    assert "| `--trace-file PATH` | Where the trace goes" in text


@pytest.mark.skipif(not find_spec("sphinx"), reason="needs Sphinx: make site installs it")
def test_site_is_made_without_a_warning(tmp_path: Path) -> None:
    """Each public name is on it."""
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E"]
    made = subprocess.run(
        [*sphinx, "-c", "docs/site", "-d", tmp_path / "trees", ".", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    names = (tmp_path / "site/docs/site/python.html").read_text()
    assert [name for name in qda.__all__ if f'id="qda.{name}"' not in names] == ["idl"]
