"""What the pages promise to readers: generated ones are up to date, links lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import PAGES, ROOT, rules
from docs.generate.citations import Citation, find_citations

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md")])

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def shown(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES)
def test_generated_pages_are_those_of_the_generator(path: str) -> None:
    """`make docs` writes them."""
    assert (ROOT / path).read_text() == PAGES[path](), f"{path} is out of date: make docs"


# --- links ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(
        re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    ):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def dead_links(page: Path) -> Iterator[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue  # somewhere in the world
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file of the project, and to a heading of it."""
    assert list(dead_links(page)) == []


NAMED = re.compile(r"\]\(([^)\s]+\.(?:py|c))\)((?:,? (?:or |and )?`[^`\n]+`)+)")


def missing_names(page: Path) -> Iterator[str]:
    """Names that stand behind a link to a source file, and not in that file."""
    for link, names in NAMED.findall(page.read_text()):
        source = (page.parent / link).read_text()
        for name in re.findall(r"`([^`]+)`", names):
            for part in name.split("."):
                if not re.search(rf"\b{re.escape(part)}\b", source):
                    yield f"{link} {name}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=shown)
def test_names_behind_a_link_to_a_file_are_in_the_file(page: Path) -> None:
    """`[driver/front.py](...) `Front``: a page does not send a reader to what has moved.

    On docs/rules.md they are names of tests, without the word that all of them begin with.
    """
    assert page.name == "rules.md" or list(missing_names(page)) == []


def test_a_missing_name_is_found(tmp_path: Path) -> None:
    """Each of several names, and each part of one."""
    (tmp_path / "a.py").write_text("class Front:\n    def run(self): ...\n")
    page = tmp_path / "page.md"
    page.write_text("[a](a.py) `Front`, `Back` and `Front.run`; [a](a.py) `Front.walk`. `x`\n")
    assert list(missing_names(page)) == ["a.py Back", "a.py Front.walk"]


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """Also one whose file exists and whose heading does not."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A word, `code`\n[a](#a-word-code) [b](#b) [c](page.md#c) [d](d.md) `[e](e)`\n"
    )
    assert list(dead_links(page)) == ["#b", "page.md#c", "d.md"]


def test_the_index_leads_to_every_page() -> None:
    """A page that nobody finds helps nobody."""
    links = LINK.findall((ROOT / "docs/index.md").read_text())
    linked = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links}
    pages = {page for page in DOCUMENTS if page.parent in (ROOT, ROOT / "docs")}
    assert pages - linked == {ROOT / "docs/index.md"}


# --- words ---------------------------------------------------------------------------------------


def test_each_word_is_explained_once() -> None:
    """Two entries of a word say two things of it, sooner or later."""
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    words = Counter(word for row in rows if row != "word" for word in row.split(", "))
    assert words
    assert [word for word, count in words.items() if count > 1] == []


def test_files_of_words_exist() -> None:
    """`driver/file.py` behind a word is where the word is at home."""
    files = re.findall(r"`([\w/]+\.py)`", (ROOT / "docs/glossary.md").read_text())
    assert files
    assert [file for file in files if not (ROOT / "src/qda" / file).is_file()] == []


# --- rules ---------------------------------------------------------------------------------------


def test_every_rule_that_is_cited_is_explained() -> None:
    """A number in a comment or a test leads to a sentence on docs/rules.md."""
    assert rules.unexplained(ROOT) == set()


def test_every_section_that_is_explained_is_cited() -> None:
    """A sentence for a section that nothing follows is a sentence too many."""
    assert rules.uncited_sections(ROOT) == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("EFAULT (H09), R24: see U9.", ["H09", "R24", "U9"]),
        ("U8, U32, R100, XH09, H09-a and H9 are none", []),
        ("fastrpc.md 2.6 to 2.8, 3; H15", ["2.6", "2.7", "2.8", "3", "H15"]),
        ("idl.md 6.1 and 6.6", ["idl.md 6.1", "idl.md 6.6"]),
        ("(spec 3.4); Spec 4.1, 4.2: so", ["3.4", "4.1", "4.2"]),
        (
            "so it is (7.2), or (8.3, H17), or (clients.md 11, 13.6)",
            ["7.2", "8.3", "H17", "clients.md 11", "clients.md 13.6"],
        ),
        ("takes 3.4 ms (7.2 at most)", []),
        ("sleep(1.5); or so (0.5)", []),
    ],
)
def test_citations_are_found_in_texts_and_comments(
    tmp_path: Path, words: str, found: list[str]
) -> None:
    """In each of their forms; what is no citation is none."""
    full = {rule if rule[0] in "HRUci" else f"fastrpc.md {rule}" for rule in found}
    (tmp_path / "tests/vectors/packing").mkdir(parents=True)
    (tmp_path / "tests/vectors/packing/hazards.json").write_text('{"cases": []}')
    file = tmp_path / "tests/test_a.py"
    file.write_text(f'R1 = U8  # {words}\n\n\ndef test_b():\n    """{words}"""\n')
    assert set(find_citations(tmp_path)) == {
        Citation(rule, "tests/test_a.py", test) for rule in full for test in ("", "test_b")
    }


def test_a_section_of_the_interface_language_needs_no_document_in_its_room(tmp_path: Path) -> None:
    """Elsewhere a section without a document is the protocol's."""
    (tmp_path / "tests/vectors/packing").mkdir(parents=True)
    cases = '{"cases": [{"hazard": "H04"}]}'
    (tmp_path / "tests/vectors/packing/hazards.json").write_text(cases)
    for name in ("src/qda/idl/a.py", "src/qda/dsp/b.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text('"""As it is said (6.4)."""\n')
    assert find_citations(tmp_path) == [
        Citation("H04", "tests/vectors/packing/hazards.json"),
        Citation("fastrpc.md 6.4", "src/qda/dsp/b.py"),
        Citation("idl.md 6.4", "src/qda/idl/a.py"),
    ]
