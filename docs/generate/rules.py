"""The page of rules: each number that comments and tests cite, its sentence, and the tests."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docs.generate.citations import Citation, find_citations

__all__ = ["TABLE", "page", "uncited_sections", "unexplained"]

TABLE = "docs/rules.toml"
"""Where the sentences stand."""

_NUMBERED = {
    "hazards": (
        "Hostile input",
        "What a driver may meet and must not fall for. The original driver did; so the golden data "
        "has, beside what it did, what a careful one does.",
    ),
    "review": ("What reviewers of the kernel driver ask for", ""),
    "users": ("What users of the existing stack ask for", ""),
}
_DOCUMENTS = {
    "fastrpc": ("The protocol and its devices", "Cited as `spec/fastrpc.md`, or by the number."),
    "clients": ("What C clients were seen to do", "Cited as `spec/clients.md`."),
    "versions": ("How the interface has moved on", "Cited as `spec/versions.md`."),
    "idl": (
        "The interface language",
        "Cited as `spec/idl.md`; in `src/qda/idl` and its tests by the number.",
    ),
}

_TESTS = ("tests/", "src/qda/conformance/")
"""Where tests are."""

_HEAD = """\
# Rules

Comments and tests cite what they follow: `H09`, `R24`, `spec/fastrpc.md 5.2`. This page says in a \
sentence what each of them is, where the code follows it, and which tests prove it. The documents \
behind the numbers are the project's specification, which is kept beside the repository; what a \
change has to know of them is here and in the tests.

Made by `make docs` from [`rules.toml`](rules.toml) and the citations, which a test compares. A \
new rule is a line there, and a test that cites it where it says what it proves: \
`H09: outside any mapping.`
"""


def page(root: Path) -> str:
    """The page, in Markdown."""
    citations = _by_rule(root)
    parts = [_HEAD]
    for section, sentences in _sentences(root).items():
        title, words = {**_NUMBERED, **_DOCUMENTS}[section]
        parts.append(f"\n## {title}\n\n" + (f"{words}\n\n" if words else ""))
        for number, sentence in sentences.items():
            rule = number if section in _NUMBERED else f"{section}.md {number}"
            parts.append(_entry(number, sentence, citations[rule]))
    return "".join(parts)


def unexplained(root: Path) -> set[str]:
    """Rules that are cited and have no sentence."""
    return _by_rule(root).keys() - _explained(root)


def uncited_sections(root: Path) -> set[str]:
    """Sections of documents that have a sentence and are not cited.

    A numbered rule stays on the page, which then says that nothing proves it.
    """
    return {rule for rule in _explained(root) - _by_rule(root).keys() if ".md " in rule}


def _sentences(root: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((root / TABLE).read_text())


def _explained(root: Path) -> set[str]:
    return {
        number if section in _NUMBERED else f"{section}.md {number}"
        for section, sentences in _sentences(root).items()
        for number in sentences
    }


@cache
def _by_rule(root: Path) -> dict[str, list[Citation]]:
    found: dict[str, list[Citation]] = defaultdict(list)
    for citation in find_citations(root):
        found[citation.rule].append(citation)
    return found


def _entry(number: str, sentence: str, citations: list[Citation]) -> str:
    code = {one.file for one in citations if not one.file.startswith(_TESTS)}
    tests = [one for one in citations if one.file.startswith(_TESTS)]
    lines = [f"- **{number}** {sentence}"]
    if code:
        lines.append("  Code: " + ", ".join(map(_link, sorted(code))) + ".")
    if tests:
        lines.append("  Tests: " + "; ".join(_tests(tests)) + ".")
    elif not code:
        lines.append("  Nothing cites it yet.")
    return "  \n".join(lines) + "\n"


def _tests(citations: list[Citation]) -> Iterator[str]:
    """Each file, and the tests in it if it is not the file as a whole that cites the rule."""
    names: dict[str, list[str]] = defaultdict(list)
    for citation in citations:
        names[citation.file].append(citation.test)
    for file, tests in names.items():
        shown = ", ".join(f"`{test.removeprefix('test_')}`" for test in tests if test)
        yield _link(file) + (f" {shown}" if shown else "")


def _link(file: str) -> str:
    shown = re.sub(r"^(src/qda|tests|native)/", "", file).replace("__", r"\_\_")  # else bold
    return f"[{shown}](../{file})"
