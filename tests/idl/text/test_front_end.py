"""The rules of the language, by name: what is accepted, and what it comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qda.idl import Document, IdlError, Severity, parse
from qda.idl.c.constants import c_text
from qda.idl.model import Constant, Direction, Interface, Method, Module
from qda.idl.primitives import PRIMITIVES
from qda.idl.types import Array, DmaHandle, Enum, Named, Sequence, String, Struct, Union
from tests.idl.text.bad_files import Bad, bad_files
from tests.vectors.runner import run

VECTORS = Path(__file__).parents[2] / "vectors" / "idl"
INTERFACES = sorted(
    path for path in VECTORS.glob("*.json") if json.loads(path.read_text()).get("methods")
)


def one(text: str, **files: str) -> Interface:
    """The last interface of a text; `part="..."` is the file `part.idl`."""
    return document(text, **files).interfaces[-1]


def document(text: str, **files: str) -> Document:
    known = {f"{name}.idl": content for name, content in files.items()}
    return parse(text, name="a.idl", read=lambda name: known.get(name.removeprefix("./")))


def method(text: str) -> Method:
    return one(f"interface x {{ {text} }};").methods[-1]


def constant(text: str) -> Constant:
    found = document(text).declarations[-1]
    assert isinstance(found, Constant)
    return found


def first_error(text: str, **files: str) -> str:
    with pytest.raises(IdlError) as caught:
        document(text, **files)
    return str(caught.value)


# --- the golden data ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("grammar", 194), ("constants", 32)])
def test_every_vector_of_the_front_end_passes(name: str, count: int) -> None:
    """Accepted is what the reference compiler accepts; constants have its values and C texts."""
    report = run(VECTORS / f"{name}.json")
    assert (report.cases, report.failures) == (count, {})


def idl_of(data: dict[str, Any]) -> str:
    """The text that an interface's vectors were made from."""
    name, own = data["interface"], data["methods"]
    lines = [*data["idl_types"], '#include "remote.idl"']
    if not any("AEEResult" in one for one in data["idl_types"]):
        lines.append("typedef long AEEResult;")
    root = data["root_base"]
    for base in data["bases"]:
        if base != root:
            body = [method["idl"] for method in own if method["declared_in"] == base]
            head = f"interface {base}{f' : {root}' if root else ''}"
            lines += [f"{head} {{", *body, "};"]
    base = f": {data['bases'][0]}" if data["bases"] else ""
    head = f"interface {name} {base}"
    body = [method["idl"] for method in own if method["declared_in"] == name]
    return "\n".join([*lines, f"{head} {{", *data["idl_types_in_interface"], *body, "};"])


@pytest.mark.parametrize("path", INTERFACES, ids=lambda path: path.stem)
def test_methods_of_every_interface_have_the_index_on_the_wire(path: Path) -> None:
    """Inherited methods come first; types and constants take no number."""
    data = json.loads(path.read_text())
    interface = one(idl_of(data))
    assert interface.name == data["interface"]
    assert interface.is_handle64 == (data["root_base"] == "remote_handle64")
    assert len(interface.methods) >= len(data["methods"])
    for expected in data["methods"]:
        found = interface.methods[expected["index"]]
        assert found.index == expected["index"]
        assert f" {found.name}(" in expected["idl"]
        assert found.declared_in == expected["declared_in"]
        assert not found.refusal


# --- what is wrong, and where ------------------------------------------------------------------


@pytest.mark.parametrize("bad", bad_files(), ids=lambda bad: bad.rule)
def test_a_broken_rule_is_reported_at_its_place(bad: Bad) -> None:
    """File, line and column, what was found and what was expected."""
    with pytest.raises(IdlError) as caught:
        document(bad.text)
    error = caught.value.diagnostics[0]
    assert (error.location.line, error.location.column) == (bad.line, bad.column)
    assert error.message == bad.message


def test_there_are_enough_broken_files() -> None:
    assert len(bad_files()) >= 60


def test_an_error_shows_the_line_with_a_caret() -> None:
    """Tabs stay, so that the caret stands below its column."""
    assert first_error("interface x {\n\tlong m(long a);\n};") == (
        'a.idl:2:9: error: unexpected "long": expected ")", "in", "inrout" or "rout"\n'
        "    \tlong m(long a);\n"
        "    \t       ^"
    )


def test_one_run_reports_several_errors() -> None:
    """A broken statement hides nothing but itself; syntax comes before meaning."""
    body = "long m(long a);\nlong n();\nlong o(out long b);\n"
    text = f"struct s {{ long a }};\ninterface x {{\n{body}}};"
    with pytest.raises(IdlError) as caught:
        document(text)
    assert [one.location.line for one in caught.value.diagnostics] == [1, 3, 5]
    with pytest.raises(IdlError) as caught:
        document(
            "interface x {\n long m(in t a, in u b);\n long n(in v c);\n};\nconst octet A = 256;"
        )
    assert [one.location.line for one in caught.value.diagnostics] == [2, 2, 3, 5]


def test_an_error_in_a_declaration_is_reported_once() -> None:
    """What uses a broken name is not wrong itself."""
    text = "struct s { nosuch a; }; typedef s t; interface x { long m(in t a); };"
    with pytest.raises(IdlError) as caught:
        document(text)
    assert len(caught.value.diagnostics) == 1


def test_an_error_in_an_included_file_names_that_file() -> None:
    said = first_error('#include "part.idl"\n', part="\n\nstruct s { long a };\n")
    assert said.startswith("part.idl:3:19: error:")


# --- preprocessor ------------------------------------------------------------------------------


def test_include_in_quotes_looks_beside_the_file_then_in_the_directories() -> None:
    files = {"d/a.idl": '#include "b.idl"\n#include "c.idl"\n', "d/b.idl": "enum b { B };"}
    files |= {"i/b.idl": "junk", "i/c.idl": "enum c { C };"}
    found = parse("d/a.idl", include_dirs=["i"], read=files.get)
    assert [one.name for one in found.declarations] == ["b", "c"]
    assert [one.file for one in found.includes] == ["d/b.idl", "i/c.idl"]
    assert found.own_declarations == ()


def test_include_in_angles_looks_in_the_directories_only() -> None:
    files = {"d/a.idl": "#include <b.idl>\n", "d/b.idl": "enum b { B };"}
    with pytest.raises(IdlError, match="cannot find"):
        parse("d/a.idl", read=files.get)
    assert parse("d/a.idl", include_dirs=["d"], read=files.get).includes[0].angle


def test_include_works_inside_an_interface() -> None:
    interface = one('interface x {\n#include "part.idl"\nlong n(); };', part="long m();\n")
    assert [one.name for one in interface.methods] == ["m", "n"]


def test_a_file_that_includes_itself_is_an_error() -> None:
    assert "includes itself" in first_error('#include "part.idl"\n', part='#include "part.idl"\n')


def test_files_are_read_from_disk(tmp_path: Path) -> None:
    (tmp_path / "inc").mkdir()
    (tmp_path / "inc" / "part.idl").write_text("typedef long t;\n")
    (tmp_path / "x.idl").write_text("#include <part.idl>\ninterface x { t m(); };\n")
    found = parse(tmp_path / "x.idl", include_dirs=[tmp_path / "inc"])
    assert found.interfaces[0].library == "x"
    with pytest.raises(IdlError, match="cannot read"):
        parse(tmp_path / "y.idl")


def test_a_definition_replaces_nothing_and_is_seen_by_ifdef() -> None:
    assert document("#define enum junk\n#ifdef enum\nenum e { A };\n#endif\n").declarations
    assert not document("#ifdef A\nenum e { A };\n#endif\n").declarations
    assert parse("#ifdef A\nenum e { A };\n#endif\n", name="a.idl", defines=["A"]).declarations


def test_directives_in_comments_and_strings_are_text() -> None:
    text = '/*\n#error\n*/ const string S = "a\n#error\n"; // /*\nenum e { A };'
    assert len(document(text).declarations) == 2


def test_else_works_with_a_warning() -> None:
    found = document("#ifdef A\njunk\n#else\nenum e { A };\n#endif\n")
    assert found.declarations
    assert [one.severity for one in found.warnings] == [Severity.WARNING]


def test_line_markers_set_the_position() -> None:
    assert first_error('# 40 "b.idl" 1 3\nenum e { };').startswith("b.idl:40:10:")
    assert first_error("#line 7\nenum e { };").startswith("a.idl:7:10:")


# --- types and layouts -------------------------------------------------------------------------


def test_structures_have_the_layout_of_c() -> None:
    declared = "struct p { octet a; long long b; char c; }; struct q { short s[3]; p v[2]; };"
    inner, outer = document(declared).declarations
    assert isinstance(inner, Struct)
    assert isinstance(outer, Struct)
    assert (inner.size, inner.alignment, inner.offsets) == (24, 8, (0, 8, 16))
    assert (outer.size, outer.alignment, outer.offsets) == (56, 8, (0, 8))
    assert outer.is_simple


def test_a_type_with_anything_of_varying_size_is_complex() -> None:
    for inside in ("string s", "wstring s", "sequence<octet> s", "dmahandle s", "string s[2]"):
        found = document(f"struct p {{ long a; {inside}; }};").declarations[0]
        assert isinstance(found, Struct)
        assert not found.is_simple
        with pytest.raises(TypeError, match="no fixed size"):
            _ = found.size


def test_primitives_have_their_sizes_and_codes() -> None:
    sizes = {"octet": 1, "wchar": 2, "long": 4, "unsigned long long": 8, "int16_t": 2, "double": 8}
    for name, size in sizes.items():
        found = method(f"long m(in {name} a);").parameters[0].type
        assert found is PRIMITIVES[name]
        assert (found.size, found.alignment, found.is_simple) == (size, size, True)


def test_typedef_names_are_kept_and_resolved() -> None:
    found = method("typedef sequence<octet> b; typedef b c; long m(in sequence<c> a);")
    kind = found.parameters[0].type
    assert isinstance(kind, Sequence)
    assert isinstance(kind.element, Named)
    assert kind.element.name == "c"
    assert kind.element.resolved == Sequence(PRIMITIVES["octet"])


def test_bounds_are_computed_and_ignored() -> None:
    found = method("long m(in sequence<octet, 1<<3> a, in string<8> b, in sequence<string<4>> c);")
    assert [one.type for one in found.parameters] == [
        Sequence(PRIMITIVES["octet"]),
        String(),
        Sequence(String()),
    ]


def test_brackets_that_close_two_sequences_are_two() -> None:
    inner = Sequence(Sequence(PRIMITIVES["octet"]))
    assert method("long m(in sequence<sequence<octet>> a);").parameters[0].type == inner


def test_an_array_size_may_be_a_constant_of_the_interface() -> None:
    text = "const long N = 4; struct s { long v[N*2+1]; }; long m(in s a);"
    kind = method(text).parameters[0].type
    assert isinstance(kind, Struct)
    assert kind.members[0].type == Array(PRIMITIVES["long"], 9)


def test_dimensions_are_arrays_of_arrays() -> None:
    found = document("typedef octet t[2][3];").declarations[0]
    assert found == document("typedef octet t[2][3];").declarations[0]
    kind = method("typedef octet t[2][3]; long m(in t a);").parameters[0].type.resolved
    assert kind == Array(Array(PRIMITIVES["octet"], 3), 2)


# --- names, methods, interfaces ----------------------------------------------------------------


def test_an_interface_sees_the_types_of_its_base_and_may_shadow_outer_ones() -> None:
    text = "typedef long t; interface b { typedef short t; }; interface x : b { long m(in t a); };"
    assert one(text).methods[0].parameters[0].type.resolved is PRIMITIVES["short"]


def test_names_of_modules_and_interfaces_lead_to_what_is_inside() -> None:
    text = (
        "module a { module b { struct s { long x; }; interface i { enum e { P }; }; }; };"
        "interface x { long m(in ::a::b::s p, in a::b::i::e q); };"
    )
    found = document(text)
    assert isinstance(found.declarations[0], Module)
    kinds = [one.type for one in found.interfaces[-1].methods[0].parameters]
    assert isinstance(kinds[0], Struct)
    assert isinstance(kinds[1], Enum)
    assert (kinds[0].c_name, kinds[1].c_name) == ("a_b_s", "a_b_i_e")


def test_words_that_are_keywords_by_position_are_names() -> None:
    assert method("long oneway(in long dmahandle, in long signal, in long ext_params);").parameters
    assert isinstance(method("long m(in dmahandle dmahandle);").parameters[0].type, DmaHandle)


def test_open_and_close_come_first_in_handle64_interfaces() -> None:
    text = '#include "remote.idl"\nconst string IDL_VERSION = "1.2.3";\n'
    interface = one(text + "interface x : remote_handle64 { long m(); };")
    assert [(one.index, one.name) for one in interface.methods] == [
        (0, "open"),
        (1, "close"),
        (2, "m"),
    ]
    assert [one.name for one in interface.own_methods] == ["m"]
    assert interface.is_handle64
    assert interface.version == "1.2.3"
    assert interface.uri == ("file:///liba_skel.so?x_skel_handle_invoke&_modver=1.0&_idlver=1.2.3")


def test_an_attribute_is_one_or_two_methods() -> None:
    text = "typedef long AEEResult; interface x { readonly attribute long a; attribute short b; };"
    found = one(text).methods
    assert [one.name for one in found] == ["Geta", "Getb", "Setb"]
    assert [one.index for one in found] == [0, 1, 2]
    assert [one.parameters[0].direction for one in found] == [
        Direction.ROUT,
        Direction.ROUT,
        Direction.IN,
    ]


def test_async_oneway_and_void_are_kept() -> None:
    found = method("async [oneway] void m(in long a);")
    assert (found.asynchronous, found.attribute, found.returns) == (True, "oneway", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("struct s { string v[2]; }; long m(in s a);", "varies in size"),
        ("struct s { dmahandle v; }; long m(in sequence<s> a);", "no members but dmahandles"),
        ("union u switch (long) { case 1: long a; }; long m(in u a);", "no form on the wire"),
        ("native n; long m(in n a);", "no form on the wire"),
        ("long m(in interface a);", "interfaces cannot be passed"),
        ("long m(inrout dmahandle a);", "cannot be inrout"),
        ("long m(inrout sequence<string> a);", "cannot be inrout"),
        ("async long m(rout long a);", "nothing but sequences"),
    ],
)
def test_what_has_no_form_on_the_wire_is_refused_where_it_is_used(text: str, words: str) -> None:
    assert words in method(text).refusal


def test_a_result_that_is_no_long_is_a_warning() -> None:
    found = document("interface x { short m(); };")
    assert [one.message for one in found.warnings] == [
        'the result of a call is a "long", whatever "short" says'
    ]


def test_forward_declarations_are_completed() -> None:
    found = document("interface x; interface x { long m(); };")
    assert [one.name for one in found.interfaces] == ["x"]


def test_an_unused_union_is_tolerated() -> None:
    found = document("enum e { A, B }; union u switch (e) { case B: long a; default: octet b; };")
    assert isinstance(found.declarations[1], Union)
    assert [one.label for one in found.declarations[1].cases] == [1, None]


# --- constants ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "spelled"),
    [
        ("const long A = 2 * -3 - -1;", -5, "-5"),
        ("const long A = 1 | 2 ^ 3 & 4;", 3, "3"),
        ("const short A = 0xffff;", -1, "-0x1"),
        ("const octet A = 017;", 15, "017"),
        ("const boolean A = TRUE;", True, "TRUE"),
        ("const char A = '\\n';", "\n", "'\\n'"),
        ("const wchar A = L'\\u00e9';", "\u00e9", "L'\\351'"),
        ('const wstring A = L"a";', "a", 'L"a"'),
        ("const double A = -2.5e3 / .5;", -5000.0, "-5000.0"),
        ("const unsigned long A = 1 << 31;", 1 << 31, "2147483648"),
    ],
)
def test_constants_have_value_and_c_text(text: str, value: object, spelled: str) -> None:
    found = constant(text)
    assert (found.value, c_text(found)) == (value, spelled)


# --- documentation -----------------------------------------------------------------------------


def test_documentation_comments_are_kept() -> None:
    text = """
    /** A machine.
     *
     *  It adds. */
    interface x {
        /// Where it is.
        struct s {
            long a;  ///< the first
            /*! the second */ long b;
        };
        /** Add.
         *    - indented
         */
        long sum(in long a,   /**< left */
                 in long b);  // nothing
        enum e { P, /**< yes */ Q };
    };
    """
    found = one(text)
    assert found.documentation == "A machine.\n\nIt adds."
    struct, summing, enum = found.declarations
    assert isinstance(struct, Struct)
    assert isinstance(enum, Enum)
    assert isinstance(summing, Method)
    assert struct.documentation == "Where it is."
    assert [one.documentation for one in struct.members] == ["the first", "the second"]
    assert summing.documentation == "Add.\n- indented"
    assert [one.documentation for one in summing.parameters] == ["left", ""]
    assert [one.documentation for one in enum.members] == ["yes", ""]
