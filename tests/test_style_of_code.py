"""How large a part may become before it is two parts, and how little may go unsaid.

Each limit has exceptions, by name and with their reason.  An exception that is needed no more is a
failure too, so that the lists only get shorter.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = Path(__file__).resolve().parents[1] / "src" / "qda"

Function = ast.FunctionDef | ast.AsyncFunctionDef

LINES_OF_A_MODULE: Final = 400
LONG_MODULES: Final = {
    "errors/statuses.py": "a table: an entry for each code",
    "limits.py": "a table: an entry for each limit",
}

METHODS_OF_A_CLASS: Final = 15
"""Public ones: what its users have to know of it."""
LARGE_CLASSES: Final = {
    "client/host/apps_std.py AppsStd": "a skeleton: a method for each method of the interface",
    "idl/text/builder.py Builder": "a method for each rule of the grammar",
}

LINES_OF_A_FUNCTION: Final = 60
LONG_FUNCTIONS: Final[dict[str, str]] = {}

PARAMETERS_OF_A_FUNCTION: Final = 9
"""What belongs together is one value: `options: ProgramOptions`."""
WIDE_FUNCTIONS: Final = {
    "opening.py open": "a program's choices, each by its name and with a default",
}

ANYTHING: Final = 49
"""Lines of signatures in which something may be anything.  It goes down: a line that says more
lowers it."""

UNCHECKED: Final = {"cast(": 2, "# type: ignore": 2}
"""Places at which the type checker has to believe us; each says something that it cannot see."""


def modules() -> list[Path]:
    """Each module of the package, but those of the tests that are shipped in it."""
    return [
        file
        for file in sorted(PACKAGE.rglob("*.py"))
        if PACKAGE / "conformance" not in file.parents
    ]


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Each module of the package with its path below it."""
    for file in modules():
        yield file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text())


def long_modules() -> Iterator[tuple[str, int]]:
    for file in modules():
        yield file.relative_to(PACKAGE).as_posix(), len(file.read_text().splitlines())


def classes() -> Iterator[tuple[str, int]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                methods = {part.name for part in node.body if isinstance(part, Function)}
                yield f"{path} {node.name}", len([m for m in methods if not m.startswith("_")])


def functions() -> Iterator[tuple[str, int]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{path} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def signatures() -> Iterator[tuple[str, int]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                every = (node.args.posonlyargs, node.args.args, node.args.kwonlyargs)
                yield f"{path} {node.name}", sum(map(len, every))


@pytest.mark.parametrize(
    ("sizes", "limit", "exceptions"),
    [
        pytest.param(long_modules, LINES_OF_A_MODULE, LONG_MODULES, id="lines of a module"),
        pytest.param(classes, METHODS_OF_A_CLASS, LARGE_CLASSES, id="methods of a class"),
        pytest.param(functions, LINES_OF_A_FUNCTION, LONG_FUNCTIONS, id="lines of a function"),
        pytest.param(
            signatures, PARAMETERS_OF_A_FUNCTION, WIDE_FUNCTIONS, id="parameters of a function"
        ),
    ],
)
def test_nothing_grows_past_its_limit(
    sizes: Callable[[], Iterator[tuple[str, int]]], limit: int, exceptions: Mapping[str, str]
) -> None:
    """What does holds more than one idea, or is an exception with a reason."""
    too_large = {name: size for name, size in sizes() if size > limit}
    assert too_large.keys() - exceptions.keys() == set(), too_large
    assert exceptions.keys() - too_large.keys() == set(), "these are exceptions no more"


def lines_with_any(tree: ast.Module) -> set[int]:
    """The lines of a module's signatures on which `Any` stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, Function):
            arguments = node.args
            named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            named += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
            for said in (*(one.annotation for one in named), node.returns):
                if said is not None:
                    words = (word for word in ast.walk(said) if isinstance(word, ast.Name))
                    found |= {word.lineno for word in words if word.id == "Any"}
    return found


def test_signatures_say_what_goes_in_and_what_comes_out() -> None:
    """`Any` stands only where something may truly be anything, and there is less of it."""
    lines = {path: len(lines_with_any(tree)) for path, tree in trees()}
    assert sum(lines.values()) <= ANYTHING, {path: n for path, n in lines.items() if n}


@pytest.mark.parametrize("mark", UNCHECKED)
def test_the_type_checker_is_rarely_told_to_believe(mark: str) -> None:
    """Less `Any` is worth nothing if what is said instead is not checked."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(mark)}")
    said = (said_to_the_checker(file.read_text()) for file in modules())
    assert sum(len(pattern.findall(text)) for text in said) <= UNCHECKED[mark]


def said_to_the_checker(source: str) -> str:
    """A module without its texts: what they say is written elsewhere."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    plain = (one._replace(string="0") if one.type == tokenize.STRING else one for one in tokens)
    return tokenize.untokenize(plain)


def test_what_a_text_says_is_not_said_to_the_checker() -> None:
    """But to who reads the file that it is written to."""
    assert "# type: ignore" not in said_to_the_checker('written = "# type: ignore"\n')
    assert "# type: ignore" in said_to_the_checker("made = 3  # type: ignore\n")


def test_lines_with_any_are_found() -> None:
    """In parameters of all kinds and in results, once for each line; not in bodies."""
    source = """
def a(x: Any, /, y: dict[str, Any], *z: Any,
      k: Any = 0, **w: Any) -> Any:
    v: Any = 0
async def b(x: int) -> list[Any]: ...
"""
    assert lines_with_any(ast.parse(source)) == {2, 3, 5}
