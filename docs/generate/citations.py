"""Finds the rules that code and tests cite.

A citation stands in a comment or a text and has one of these forms; the rest of the sentence does
not matter:

    H09, R24, U9                      a rule by its number
    spec/fastrpc.md 5.2, idl.md 6.1   a section of a document: several follow after commas and "to"
    spec 2.8, Spec 4.1, 4.2           a section, without its document
    (7.2), (8.3, H17)                 the same, where nothing else stands between parentheses

Without its document a section is one of the interface language's where that is dealt with, and one
of the protocol's everywhere else.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Citation", "find_citations"]

DOCUMENTS = ("fastrpc", "idl", "clients", "kernel", "versions", "dspqueue")
"""Documents whose sections are cited: the stems of their names."""

_RULE = r"(?:H\d\d|R[1-9]\d?|U(?!8|16|32|64)[1-9]\d?)"  # U8 and the like are numbers in records
_SECTION = r"[1-9]\d?(?:\.\d{1,2})?"
_SECTIONS = rf"{_SECTION}(?:(?:, | and | to ){_SECTION})*(?![\d.]*\d)"

_NUMBERED = re.compile(rf"(?<![\w.-])({_RULE})(?![\w-])")
_NAMED = re.compile(rf"\b({'|'.join(DOCUMENTS)})\.md ({_SECTIONS})")
_UNNAMED = re.compile(rf"\b[Ss]pec ({_SECTIONS})")
_ITEM = rf"(?:{_RULE}|[1-9]\d?\.\d{{1,2}}|(?:{'|'.join(DOCUMENTS)})\.md {_SECTION})"
_PARENTHESES = re.compile(rf"(?<!\w)\(({_ITEM}(?:(?:, | and | to ){_ITEM})*)\)")
_ALONE = re.compile(rf"(?<!\.md )(?<![\w.])({_SECTION})(?![\w.])")

_FOLDERS = ("src", "native", "tests", "benchmarks")
_SUFFIXES = (".py", ".c", ".h", ".lark", ".idl", ".toml")
_LEFT_OUT = {"__pycache__", "cmake", "test_documents.py"}
"""Made by tools, or the test of this module."""


@dataclass(frozen=True, order=True, slots=True)
class Citation:
    """`rule` ("H09", "fastrpc.md 5.2") is cited in `file`, which is relative to the checkout.

    `test` is the test whose text or comment this is, or empty if it is no test's.
    """

    rule: str
    file: str
    test: str = ""


def find_citations(root: Path) -> list[Citation]:
    """Find all citations in a checkout, each once, in order."""
    found: set[Citation] = set()
    for file in _files(root):
        shown = file.relative_to(root).as_posix()
        tests = _tests(file)
        for line, words in _texts(file):
            test = next((name for name, lines in tests if line in lines), "")
            found |= {Citation(rule, shown, test) for rule in _rules(words, _default(shown))}
    hazards = root / "tests/vectors/packing/hazards.json"
    cases = json.loads(hazards.read_text())["cases"]
    shown = hazards.relative_to(root).as_posix()
    found |= {Citation(case["hazard"], shown) for case in cases}
    return sorted(found)


def _files(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in _SUFFIXES and not _LEFT_OUT & set(file.parts):
                yield file


def _default(shown: str) -> str:
    """The document of a section that is cited without one."""
    return "idl" if "idl" in Path(shown).parts else "fastrpc"


def _texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines in which something may be cited: of Python the comments and texts."""
    source = file.read_text()
    if file.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (
            token.type == tokenize.STRING and token.string[0] not in "fF"
        ):
            # A sentence goes on in the next line.
            yield token.start[0], " ".join(token.string.split())


def _tests(file: Path) -> list[tuple[str, range]]:
    """The tests of a file with the lines that they take."""
    if file.suffix != ".py" or not file.name.startswith("test_"):
        return []
    return [
        (node.name, range(node.lineno, (node.end_lineno or node.lineno) + 1))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def _rules(words: str, default: str) -> Iterator[str]:
    yield from _NUMBERED.findall(words)
    for document, sections in _NAMED.findall(words):
        yield from (f"{document}.md {section}" for section in _expand(sections))
    for sections in _UNNAMED.findall(words):
        yield from (f"{default}.md {section}" for section in _expand(sections))
    # What follows a document's name is its own, and found already.
    for items in _PARENTHESES.findall(_NAMED.sub("H01", words)):
        yield from (f"{default}.md {section}" for section in _ALONE.findall(items))


def _expand(sections: str) -> Iterator[str]:
    """ "2.6 to 2.8, 3" is 2.6, 2.7, 2.8, 3."""
    for part in re.split(r", | and ", sections):
        first, _, last = part.partition(" to ")
        if not last:
            yield first
            continue
        *chapter, low = first.split(".")
        high = int(last.split(".")[-1])
        yield from (".".join([*chapter, str(number)]) for number in range(int(low), high + 1))
