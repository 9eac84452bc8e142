"""What the documentation shows is what happens: its Python runs, its output is the real one.

All ```python blocks of a page run in one namespace, in a process of their own.  A ```text block
that follows a block at once is what it prints; "..." stands for anything.
"""

from __future__ import annotations

import doctest
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs.generate import PAGES as GENERATED

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted(ROOT.glob("docs/*.md")) if f"docs/{page.name}" not in GENERATED),
]

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

# Runs sources in the namespace of __main__, where a program's own skeletons are too.
RUNNER = """
import contextlib, io, json, sys
printed = []
for name, source in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(source, name, "exec"), globals())
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


@dataclass(frozen=True)
class Block:
    """A ```python block: its line in the page, source, and the output that is shown."""

    line: int
    source: str
    output: str | None


def blocks(page: Path) -> list[Block]:
    """The ```python blocks of a page."""
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found[2], found[3])
        for found in BLOCK.finditer(text)
        if found[1] == "python"
    ]


def run(page: Path, found: list[Block], directory: Path) -> list[str]:
    """Run the blocks; returns what each has printed.  Tracebacks show lines of the page."""
    sources = [(str(page), "\n" * block.line + block.source) for block in found]
    result = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", RUNNER],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=50,
    )
    assert result.returncode == 0, result.stderr
    printed: list[str] = json.loads(result.stdout)
    return printed


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda page: page.name
)
def test_python_on_the_page_runs_and_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    if '["cc"' in page.read_text() and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    found = blocks(page)
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
    for block, printed in zip(found, run(page, found, tmp_path), strict=True):
        if block.output is not None:
            assert checker.check_output(block.output, printed, flags), (
                f"{page.name}:{block.line} shows\n{block.output}but this was printed\n{printed}"
            )


def test_blocks_are_found_with_their_output(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```python\na = 1\n```\n\n```sh\nls\n```\n```python\nb\n```\n```text\nc\n```\n"
    )
    assert blocks(page) == [Block(3, "a = 1\n", None), Block(10, "b\n", "c\n")]


def test_readme_shows_the_example() -> None:
    """The ten lines of the README are those of examples/calculator.py."""
    example = (ROOT / "examples" / "calculator.py").read_text()
    for line in blocks(ROOT / "README.md")[0].source.splitlines():
        assert line.strip() in example
