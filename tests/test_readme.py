"""What the documentation shows is what happens: its Python runs, its output is the real one.

All ```python blocks of a page run in one namespace, in a process of their own.  A ```text block
that follows a block at once is what it prints; "..." stands for anything.  ```sh blocks with such a
text are run after them in the same folder, which has the files of examples/calculator.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs.generate import PAGES as GENERATED
from tests.shim.system import has_gcc_library

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
    """A block: its line in the page, source, and the output that is shown."""

    line: int
    source: str
    output: str | None


def blocks(page: Path, language: str = "python") -> list[Block]:
    """The blocks of a page in a language."""
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found[2], found[3])
        for found in BLOCK.finditer(text)
        if found[1] == language
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


def compare(page: Path, block: Block, printed: str) -> None:
    """Check the output of a block that shows one."""
    if block.output is not None:
        checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
        assert checker.check_output(block.output, printed, flags), (
            f"{page.name}:{block.line} shows\n{block.output}but this was printed\n{printed}"
        )


class Played:
    """The Python of pages, each run once, in a folder with the files of examples/calculator."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._printed: dict[Path, list[str]] = {}
        self._ran: dict[tuple[Path, int], subprocess.CompletedProcess[str]] = {}

    def folder(self, page: Path) -> Path:
        """The folder of a page."""
        return self._root / page.stem

    def printed(self, page: Path) -> list[str]:
        """What its blocks print."""
        if page not in self._printed:
            shutil.copytree(ROOT / "examples/calculator", self.folder(page))
            self._printed[page] = run(page, blocks(page), self.folder(page))
        return self._printed[page]

    def ran(self, page: Path, block: Block) -> subprocess.CompletedProcess[str]:
        """How commands of it have ended.  Those before them come first: another worker may have
        been given their test."""
        self.printed(page)
        for one in (other for where, other in SHELL if where == page and other.line <= block.line):
            if (page, one.line) not in self._ran and not missing_tool(one.source):
                self._ran[page, one.line] = run_commands(one.source, self.folder(page))
        return self._ran[page, block.line]


def run_commands(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder, with those of this environment first."""
    environment = os.environ | {"PATH": f"{COMMANDS}:{os.environ['PATH']}"}
    environment.pop("DSP_LIBRARY_PATH", None)
    return subprocess.run(
        ["sh", "-c", source],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=190,
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played(tmp_path_factory.mktemp("pages"))


def needs_tools(page: Path, source: str) -> None:
    """Skip where a program is missing that a page or a block asks for."""
    if '["cc"' in page.read_text() and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    if "from dask" in page.read_text() and find_spec("distributed") is None:
        pytest.skip("Dask is not installed: pip install 'qda-accel[farm]'")
    if missing := missing_tool(source):
        pytest.skip(f"there is no {missing}")


def missing_tool(source: str) -> str | None:
    """What commands ask for that is not there."""
    for tool in TOOLS:
        if re.search(rf"(^|[ (]){tool} ", source, re.MULTILINE) and shutil.which(tool) is None:
            return tool
    if "libasan" in source and not has_gcc_library("libasan.so"):
        return "AddressSanitizer"
    return None


COMMANDS = Path(sys.executable).parent
TOOLS = "cc", "gcc", "gdb", "valgrind"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda page: page.name
)
def test_python_on_the_page_runs_and_prints_what_is_shown(page: Path, played: Played) -> None:
    needs_tools(page, "")
    for block, printed in zip(blocks(page), played.printed(page), strict=True):
        compare(page, block, printed)


SHELL = [(page, block) for page in PAGES for block in blocks(page, "sh") if block.output]


@pytest.mark.timeout(200)  # valgrind takes twenty times as long as what it looks at
@pytest.mark.parametrize(
    ("page", "block"), SHELL, ids=[f"{page.name}-{block.line}" for page, block in SHELL]
)
def test_commands_on_the_page_work_as_written(page: Path, block: Block, played: Played) -> None:
    needs_tools(page, block.source)
    if not (COMMANDS / "qda").exists():
        pytest.skip("the package is not installed, so there is no qda command")
    ran = played.ran(page, block)
    assert ran.stderr == ""
    compare(page, block, ran.stdout)


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
