"""Pages of documentation: what a reader finds on them, and that their links lead somewhere."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from qda.idl import parse
from qda.idl.style.comments import explained
from qda.idl.style.document import document_markdown
from tests.idl.interface_files import FILES, document_of


def page(text: str, name: str = "a.idl") -> str:
    return document_markdown(parse(text, name=name))


def page_of(name: str) -> str:
    return document_markdown(document_of(name))


# --- pages ---------------------------------------------------------------------------------------


def test_title_is_the_file_and_says_what_it_includes() -> None:
    found = page_of("calculator.idl")
    assert found.startswith("# calculator.idl\n\nIncludes `remote.idl`.\n\nVersion 1.2.0.\n")
    assert found.endswith("\n")
    assert "\n\n\n" not in found


def test_interface_says_how_it_is_opened() -> None:
    found = page_of("calculator.idl")
    uri = "file:///libcalculator_skel.so?calculator_skel_handle_invoke&_modver=1.0&_idlver=1.2.0"
    assert f"- Derived from `remote_handle64`\n- Opened with `{uri}`\n- Version 1.2.0" in found
    assert "- Opened by its name, `primitives`" in page_of("primitives.idl")


def test_methods_are_listed_with_their_numbers_and_where_they_come_from() -> None:
    found = page_of("calculator.idl")
    assert "| 0 | `open` | `remote_handle64` | Open the implementation" in found
    assert "| 2 | [`sum`](#sum) |  | Add numbers. |" in found


def test_method_has_signature_parameters_results_wire_and_example() -> None:
    chapter = page_of("calculator.idl").partition("#### max\n")[2].partition("#### ")[0]
    assert "```idl\nlong max(in sequence<long> vec, rout long res);\n```" in chapter
    assert "| `vec` | in | sequence of `long` | the numbers |" in chapter
    assert "| `res` | rout | `long` | the largest of them |" in chapter
    assert "| `14` | there are no numbers |" in chapter
    assert "Method 3 on the wire: 2 in-buffers, 1 out-buffer." in chapter
    assert "```python\nres = calculator.max(vec)\n```" in chapter


def test_methods_behind_number_31_say_how_they_travel() -> None:
    found = page_of("registers.idl")
    assert "Method 35 on the wire, sent as 31 with its number in front" in found
    assert "Method 30 on the wire: 0 in-buffers, 1 out-buffer." in found


def test_methods_with_varying_buffers_say_so() -> None:
    assert "on the wire: at least 1 in-buffer" in page_of("catalog.idl")


def test_handles_are_counted() -> None:
    found = page_of("camera.idl")
    assert "on the wire: 1 in-buffer, 0 out-buffers, 2 in-handles, 1 out-handle." in found


def test_interface_that_opens_others_has_a_page_too() -> None:
    text = (resources.files("qda.idl") / "include" / "remote.idl").read_text()
    assert "Method 1 of every interface derived from this one." in page(text, "remote.idl")


def test_methods_without_a_form_say_why() -> None:
    found = page_of("declared.idl")
    assert 'No code is made for this method: parameter "what": union "value"' in found
    assert "Local: it is never called from another processor" in found
    assert "### union value\n\nChosen by [`kind`](#enum-kind)" in found
    assert "### native window" in found


def test_structures_have_offsets_and_sizes() -> None:
    found = page_of("shapes.idl")
    assert "3 bytes, aligned to 1." in found
    assert "96 bytes, aligned to 8." in found
    assert "| `corners` | array of 4 [`vertex`](#other-names) | 4 | 32 |" in found
    assert "Its size varies" in page_of("catalog.idl")


def test_constants_and_enumerators_have_their_values() -> None:
    found = page_of("constants.idl")
    assert "| `OCTAL` | `long` | `0755` |" in found
    assert "| `DEFAULT_LEVEL` | [`level`](#enum-level) | `MIDDLE` |" in found
    assert '| `GREETING` | `string` | `"hello, \\"DSP\\"\\n"` |' in found
    assert "| `MIDDLE` | 1 |" in found
    assert "| `GREEN` | 1 | those that eyes see best |" in page_of("types.idl")


def test_modules_are_chapters() -> None:
    found = page_of("geometry.idl")
    assert "## Module geometry\n" in found
    assert "### Module solids\n" in found
    assert "#### Interface workshop\n" in found
    assert "| [`geometry::solids::workshop`](#interface-workshop) | 2 methods |" in found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_lead_to_headings(file: Path) -> None:
    found = page_of(file.name)
    used: dict[str, int] = {}
    anchors = set()
    outside = re.sub(r"```.*?```", "", found, flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", outside, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = used.get(anchor, 0)
        used[anchor] = number + 1
        anchors.add(f"{anchor}-{number}" if number else anchor)
    links = set(re.findall(r"\]\(#([^)]*)\)", found))
    assert links <= anchors
    assert file.name == "types.idl" or links


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_tables_have_equally_many_cells_in_each_row(file: Path) -> None:
    rows = [line for line in page_of(file.name).split("\n") if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    for before, row, width in zip(widths, rows[1:], widths[1:], strict=False):
        assert before == width or not row.startswith("| ---"), row


def test_text_cannot_break_the_page() -> None:
    found = page(
        'const string A = "a|b`c"; /** <script> | x */ interface x {'
        "/** @param a one | two\n * <b>three</b> */ long m(in long a); };"
    )
    assert '| `A` | `string` | `` "a\\|b`c" `` |' in found
    assert "<script>" not in found.replace("\\<script>", "")
    assert "| `a` | in | `long` | one \\| two \\<b>three\\</b> |" in found


# --- comments ------------------------------------------------------------------------------------


def test_comment_without_tags_is_prose() -> None:
    found = explained("First line, e.g. this,\ncontinues. Not this.\n\n- a list\n  - of two")
    assert found.text == "First line, e.g. this,\ncontinues. Not this.\n\n- a list\n- of two"
    assert found.summary == "First line, e.g. this, continues."


@pytest.mark.parametrize("sign", ["@", "\\"])
def test_tags_are_understood(sign: str) -> None:
    found = explained(
        """@brief Add.
@details More about it,
on two lines.
@param[in]  a the @p left one,
    and more
@param b,c - the others
@param[out] c again
@return the sum
@retval 0 fine
@retval 14
  no numbers
@note Slow.
@ingroup arithmetic

Behind it, @c code and @unknown stay.""".replace("@", sign)
    )
    assert found.text == (
        f"Add.\n\nMore about it,\non two lines.\n\n**Note:** Slow.\n\n"
        f"Behind it, `code` and {sign}unknown stay."
    )
    assert found.parameters == {
        "a": "the `left` one, and more",
        "b": "the others",
        "c": "the others again",
    }
    assert found.result == "the sum"
    assert found.values == [("0", "fine"), ("14", "no numbers")]


def test_lines_with_three_slashes_are_one_comment() -> None:
    found = parse(
        "/// First line\n/// continues.\n///\n/// Second.\ninterface x { /// @param a one\n"
        "///    and more\nlong m(in long a); /** */ long n(); };",
        name="a.idl",
    ).interfaces[0]
    assert found.documentation == "First line\ncontinues.\n\nSecond."
    assert explained(found.methods[0].documentation).parameters == {"a": "one and more"}
    assert found.methods[1].documentation == ""


def test_examples_are_kept_as_they_are() -> None:
    found = explained("Like this:\n@code{.c}\n  @param no tag\n    deeper <b>\n@endcode\nDone.")
    assert found.text == "Like this:\n\n```\n  @param no tag\n    deeper <b>\n```\n\nDone."
    assert found.parameters == {}
