"""The C back end: what headers say, what is refused, that everything compiles, and drop-in facts.

What the functions do on the wire is proved by the vectors, and by `test_native_marshal`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qda.errors import DSP_OFFSET, UsageError
from qda.errors.statuses import STATUSES, WITHOUT_OFFSET
from qda.idl import Document, IdlError, Interface, parse
from qda.idl.c import INCLUDE, Options, header, prototype, skeleton, stub, write_files
from qda.idl.model import Constant
from tests.idl.native import find_compiler

STANDARD = Options(standard_types=True)
DATA = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")


def parsed(text: str, name: str = "sample.idl") -> Document:
    """A document from a text, with the last interface that it declares."""
    return parse(text, name=name)


def lines_of(text: str, options: Options | None = None) -> list[str]:
    """The header of a text, line by line."""
    return header(parsed(text), options).splitlines()


def last(document: Document) -> Interface:
    """The last interface of a document."""
    return document.interfaces[-1]


# Headers.


@pytest.mark.parametrize(
    ("declaration", "line"),
    [
        ("const long A = 12;", "#define A 12"),
        ("const long A = 0x1F;", "#define A 0x1f"),
        ("const long A = 017;", "#define A 017"),
        ("const long A = (1 << 4) + 3;", "#define A 19"),
        ("const long long A = -5;", "#define A -5ll"),
        ("typedef unsigned long word; const word A = 7;", "#define A 7u"),
        ("const boolean A = TRUE;", "#define A TRUE"),
        ('const string A = "a\\"b\\n";', r'#define A "a\"b\n"'),
        (r"const char A = '\n';", r"#define A '\n'"),
        (r"const char A = '\'';", r"#define A '\''"),
        ('const wstring A = L"x";', '#define A L"x"'),
        ("const long register = 1;", "#define _cxx_register 1"),
        ("module m { const long A = 1; };", "#define m_A 1"),
        ("interface i { const long A = 1; };", "#define i_A 1"),
    ],
)
def test_constants_are_spelled_as_they_were_written(declaration: str, line: str) -> None:
    """With their radix, suffix and escapes (5.1, 10.1)."""
    assert line in lines_of(declaration)


@pytest.mark.parametrize(
    ("element", "name", "kind"),
    [
        ("octet", "octet", "unsigned char*"),
        ("unsigned long long", "unsignedLongLong", "uint64*"),
        ("long", "long", "int*"),
        ("wchar", "wideChar", "_wchar_t*"),
        ("uint8_t", "uint8_t", "uint8_t*"),
        ("boolean", "boolean", "boolean*"),
        ("string", "_cstring1_t", "_cstring1_t*"),
        ("wstring", "_wstring1_t", "_wstring1_t*"),
        ("dmahandle", "_dmahandle1_t", "_dmahandle1_t*"),
        ("pair", "pair", "pair*"),
        ("inner", "inner", "inner*"),
    ],
)
def test_a_named_sequence_is_a_structure(element: str, name: str, kind: str) -> None:
    """Of data and length, with a tag made from the element's name (5.1)."""
    text = (
        f"struct pair {{ long a; }}; typedef sequence<long> inner; typedef sequence<{element}> s;"
    )
    lines = lines_of(text)
    tag = f"_s__seq_{name}"
    assert f"typedef {tag} s;" in lines
    at = lines.index(f"struct {tag} {{")
    assert lines[at + 1 : at + 4] == [f"   {kind} data;", "   int dataLen;", "};"]


def test_an_enumeration_has_32_bits() -> None:
    """A placeholder sees to it."""
    lines = lines_of("interface i { enum color { red, green }; };")
    at = lines.index("enum i_color {")
    placeholder = "   _32BIT_PLACEHOLDER_i_color = 0x7fffffff"
    assert lines[at : at + 5] == ["enum i_color {", "   red,", "   green,", placeholder, "};"]
    assert "typedef enum i_color i_color;" in lines


def test_members_that_vary_have_a_length() -> None:
    """A pointer and an int each; arrays stay arrays."""
    text = "struct s { string t; wstring w; sequence<short> n; long a[2][3]; dmahandle h; };"
    body = "\n".join(lines_of(text)).partition("struct s {\n")[2].partition("\n}")[0]
    assert [line.strip() for line in body.splitlines()] == [
        *("char* t;", "int tLen;", "_wchar_t* w;", "int wLen;", "short* n;", "int nLen;"),
        *("int a[2][3];", "_dmahandle1_t h;"),
    ]


def test_a_handle64_interface_has_a_uri() -> None:
    """The library is named after the file, the entry after the interface; the version follows."""
    text = '#include "remote.idl"\nconst string IDL_VERSION = "1.2";\n'
    lines = lines_of(text + "interface one : remote_handle64 { long m(); };")
    uri = "file:///libsample_skel.so?one_skel_handle_invoke&_modver=1.0&_idlver=1.2"
    at = lines.index(f'#define one_URI "{uri}"')
    assert lines[at - 1] == "#ifndef one_URI"
    assert not any("_URI" in line for line in lines_of("interface plain { long m(); };"))


def test_a_header_includes_those_of_included_files() -> None:
    """But not twice what it includes anyway."""
    files = {
        "types.idl": '#include "deep.idl"\nstruct s { d x; };',
        "deep.idl": "typedef long d;",
        "main.idl": '#include "remote.idl"\n#include "types.idl"\ninterface i { long m(in s a); };',
    }
    document = parse("main.idl", read=lambda name: files.get(name.removeprefix("./")))
    included = re.findall(r"#include (.*)", header(document))
    assert included == [
        *("<AEEStdDef.h>", "<AEEStdErr.h>", "<remote.h>", "<stdio.h>", "<stdlib.h>", "<string.h>"),
        *('"deep.h"', '"types.h"'),
    ]
    assert "struct s {" not in header(document)


def test_standard_types_need_no_header_of_their_own() -> None:
    """With -st there are stdint.h and, if there are booleans, stdbool.h (5.1)."""
    text = "interface i { long m(in boolean a, in long long b, in uint8 c, in wchar d); };"
    lines = lines_of(text, STANDARD)
    assert "#include <AEEStdDef.h>" not in lines
    assert "#include <stdint.h>" in lines and "#include <stdbool.h>" in lines
    assert "typedef unsigned short _wchar_t;" in lines
    parameters = prototype(last(parsed(text)), last(parsed(text)).methods[0], STANDARD).arguments
    assert parameters == "bool a, int64_t b, unsigned char c, _wchar_t d"
    assert "#include <stdbool.h>" not in lines_of("interface i { long m(); };", STANDARD)


NUMBERS = ("boolean", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))


def test_numbers_are_declared_where_they_are_used() -> None:
    """The AEEStdDef.h of Qualcomm's library has none of these, an SDK's and ours have all."""
    text = "interface i { long m(in long long a, rout uint32 b); };"
    lines = lines_of(text)
    assert [name for name in NUMBERS if f"#define _{name.upper()}_DEFINED" in lines] == [
        "int64",
        "uint32",
    ]
    assert not any("_DEFINED" in line for line in lines_of(text, STANDARD))
    assert not any("_DEFINED" in line for line in lines_of("interface i { long m(in long a); };"))


@needs_compiler
@pytest.mark.parametrize("numbers", ["none", "all"])
def test_headers_compile_with_either_standard_header(tmp_path: Path, numbers: str) -> None:
    """One that defines the numbers, behind these macros, and one that does not."""
    text = "interface i { long m(" + ", ".join(f"in {one} x{one}" for one in NUMBERS) + "); };"
    (tmp_path / "i.c").write_text(header(parsed(text)))
    ours = (INCLUDE / "AEEStdDef.h").read_text()
    if numbers == "none":
        ours = (
            "#include <stdint.h>\ntypedef int AEEResult;\ntypedef uint16_t AECHAR;\n"
            "#define __QIDL_WCHAR_T_DEFINED__\ntypedef unsigned short _wchar_t;\n"
        )
    (tmp_path / "AEEStdDef.h").write_text(ours)
    for name in ("AEEStdErr.h", "remote.h"):
        (tmp_path / name).write_text((INCLUDE / name).read_text())
    compiler = find_compiler()
    assert compiler is not None
    command = [compiler, *WARNINGS, "-fsyntax-only", f"-I{tmp_path}", str(tmp_path / "i.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


OLD_STDDEF = """
#include <stdint.h>
typedef int AEEResult;
typedef uint32_t AEEUID, AEEIID, AEECLSID, AEEPRIVID;
typedef uint16_t AECHAR;
#define __QIDL_WCHAR_T_DEFINED__
typedef unsigned short _wchar_t;
"""
"""Of Qualcomm's library: no numbers, and no byte."""

NAMES = """
#include "remote.idl"
#include "AEEStdDef.idl"
const string IDL_VERSION = "1.2.3";
struct names { byte a; AECHAR b; AEEUID c; AEEIID d; AEECLSID e; AEEPRIVID f; };
interface old : remote_handle64 {
    AEEResult m(in byte a, rout AECHAR b, in sequence<AEECLSID> c, inrout AEEUID d, in names e);
};
interface older {
    AEEResult m(in sequence<byte> a, rout names b, in boolean c);
};
"""


@needs_compiler
@pytest.mark.parametrize("stddef", ["library", "ours"])
def test_names_of_the_standard_file_compile_with_headers_of_old(
    tmp_path: Path, stddef: str
) -> None:
    """Those of the library, and an AEEStdErr.h of the first SDKs, which lacks two statuses."""
    write_files(parsed(NAMES), tmp_path)
    lacking = ("AEE_EINVHANDLE", "AEE_ESTUBSKELVERMISMATCH")
    statuses = (INCLUDE / "AEEStdErr.h").read_text().splitlines()
    kept = [line for line in statuses if not any(name in line for name in lacking)]
    assert len(kept) == len(statuses) - 2
    (tmp_path / "AEEStdErr.h").write_text("\n".join(kept) + "\n")
    ours = (INCLUDE / "AEEStdDef.h").read_text()
    (tmp_path / "AEEStdDef.h").write_text(OLD_STDDEF if stddef == "library" else ours)
    (tmp_path / "remote.h").write_text((INCLUDE / "remote.h").read_text())
    compiler = find_compiler()
    assert compiler is not None
    sources = sorted(map(str, tmp_path.glob("*.c")))
    assert len(sources) == 4
    command = [compiler, "-std=c99", *WARNINGS, "-fsyntax-only", f"-I{tmp_path}", *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_compiler
def test_headers_of_hap_compile_with_the_librarys_standard_header(tmp_path: Path) -> None:
    """It comes first on the path, and has hardly a number of those that they need."""
    (tmp_path / "AEEStdDef.h").write_text(
        "#ifndef AEESTDDEF_H\n#define AEESTDDEF_H\n#include <stdbool.h>\n#include <stdint.h>\n"
        "typedef uint16_t AECHAR;\ntypedef int AEEResult;\n#endif\n"
    )
    names = sorted(one.name for one in INCLUDE.glob("*.h"))
    (tmp_path / "all.c").write_text("".join(f'#include "{name}"\n' for name in names))
    flags = [*WARNINGS, "-fsyntax-only", f"-I{tmp_path}", f"-I{INCLUDE}"]
    command = [find_compiler() or "", *flags, str(tmp_path / "all.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_statuses_of_the_standard_file_are_those_of_the_table() -> None:
    """`AEEStdErr.idl` is on board, as `AEEStdErr.h` is."""
    document = parse('#include "AEEStdErr.idl"\ninterface i { long m(); };', name="i.idl")
    found = {one.name: one.value for one in document.declarations if isinstance(one, Constant)}
    wanted = {name: one.number for one in STATUSES for name in (one.symbol, one.also) if name}
    assert found == wanted
    assert "AEE_EFAILED" not in header(document)


def test_names_of_the_standard_file_are_declared_with_standard_types_too() -> None:
    """`AEEResult` comes from AEEStdDef.idl, and in C from the header of that name."""
    read = {"AEEStdDef.idl": "typedef long AEEResult;"}.get
    text = '#include "AEEStdDef.idl"\ninterface i { AEEResult m(in uint8 a); };'
    document = parse(text, name="i.idl", include_dirs=[""], read=read)
    assert "#include <AEEStdDef.h>" in header(document, STANDARD)


def test_documentation_is_copied() -> None:
    """Marks within it cannot end the comment."""
    text = """/// ends here */ not /* yet
    interface i {
        /**
         * Add.
         * @param a one
         */
        long m(in long a);
    };"""
    shown = header(parsed(text))
    assert "/** ends here * / not / * yet */" in shown
    assert "/**\n * Add.\n * @param a one\n */\n__QAIC_HEADER_EXPORT int" in shown


def test_inherited_methods_get_the_name_of_the_heir() -> None:
    """Each is emitted again (5.2), with a handle only if there is one."""
    text = """#include "remote.idl"
    interface root { long one(in long x); };
    interface heir : root { long two(); };
    interface handled : remote_handle64 { long three(); };
    interface more : handled { };
    """
    shown = header(parsed(text.replace("interface more : handled { };", "")))
    for function in ("root_one)(int x)", "heir_one)(int x)", "heir_two)(void)"):
        assert f"__QAIC_HEADER({function}" in shown
    for function in (
        "handled_open)(const char* uri, remote_handle64* h)",
        "handled_close)(remote_handle64 h)",
        "handled_three)(remote_handle64 _h)",
    ):
        assert f"__QAIC_HEADER({function}" in shown


def test_keywords_get_a_prefix() -> None:
    """Parameters, members, enumerators and types; a joined name is none (10.1)."""
    text = """struct class { long new; };
    interface i { long register(in class this, in sequence<long> int_); };"""
    shown = header(parsed(text))
    assert "struct _cxx_class {\n   int _cxx_new;" in shown
    assert "(i_register)(const _cxx_class* _cxx_this, const int* int_, int int_Len)" in shown


# What cannot be written.

_COMPLEX = "typedef sequence<octet> bytes; struct c { long n; bytes b; };"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("union u switch (long) { case 1: long a; }; interface i { long m(in u a); };", "union"),
        ("interface i { long m(in long a, inrout sequence<string> b); };", "cannot be inrout"),
        ("local interface i { long m(); };", "local"),
        ('#include "remote.idl"\next_params interface i { long m(); };', "ext_params"),
        ("interface i { async long m(rout long a); };", "async"),
        (_COMPLEX + "interface i { async long m(rout sequence<c> a); };", "async"),
        ("interface i { long m(in sequence<sequence<octet>> a); };", "typedef"),
        ("struct s { long a; }; interface i { s m(); };", 'returns "long"'),
        ("interface i { float m(); };", 'returns "long"'),
        ("interface i { long m(in sequence<long> a, in long aLen); };", 'called "aLen"'),
        (
            "enum e { x }; interface i { long m(in e e, in e f); };",
            'hides the type of parameter "f"',
        ),
        (
            f"interface i {{ long m({', '.join(f'in dmahandle h{n}' for n in range(16))}); }};",
            "at most 15",
        ),
        ('const string IDL_VERSION = "one"; #', ""),
    ],
)
def test_what_has_no_form_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """With a place, and before anything is written (4.3, 8)."""
    if text.endswith("#"):
        text = (
            '#include "remote.idl"\n' + text[:-1] + "interface i : remote_handle64 { long m(); };"
        )
        words = "no version"
    document = parsed(text)
    with pytest.raises(IdlError, match=words) as caught:
        write_files(document, tmp_path)
    assert caught.value.diagnostics[0].location.file == "sample.idl"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "union u switch (long) { case 1: long a; }; interface i { long m(in u a); };",
        "interface i { long m(inrout sequence<string> b); };",
        "local interface i { long m(); };",
        "interface later; interface i { long m(); };",
        "interface i { async long m(rout long a); };",
    ],
)
def test_a_header_alone_can_have_more(text: str, tmp_path: Path) -> None:
    """What no call can carry may still be declared (4.3)."""
    paths = write_files(parsed(text), tmp_path, Options(header_only=True))
    assert [path.name for path in paths] == ["sample.h"]


def test_which_files_there_are(tmp_path: Path) -> None:
    """A header, and a stub and a skeleton for each interface; modules are in their names (5.3)."""
    document = parsed("module mo { interface a { long m(); }; }; interface b { long m(); };")
    names = [path.name for path in write_files(document, tmp_path)]
    assert names == ["sample.h", "mo_a_stub.c", "mo_a_skel.c", "b_stub.c", "b_skel.c"]
    assert all((tmp_path / name).stat().st_size for name in names)
    without = write_files(document, tmp_path, Options(no_header=True))
    assert [path.name for path in without] == names[1:]
    assert write_files(parsed("typedef long a;"), tmp_path) == [tmp_path / "sample.h"]
    assert write_files(parsed("typedef long a;"), tmp_path, Options(no_header=True)) == []


def test_options_that_make_no_sense() -> None:
    """Are quoted."""
    with pytest.raises(UsageError, match="nothing to write"):
        Options(header_only=True, no_header=True)
    with pytest.raises(UsageError, match="-1"):
        Options(indent=-1)


def test_the_indent_can_be_chosen() -> None:
    """Three blanks, unless something else is asked for."""
    document = parsed("struct s { long a; }; interface i { long m(in s a); };")
    assert "\n   int a;" in header(document)
    assert "\n        int a;" in header(document, Options(indent=8))
    for text in (stub(document, last(document)), skeleton(document, last(document))):
        assert "\t" not in text


# The headers that come along.


def test_the_error_numbers_are_those_of_the_table() -> None:
    """All of them, with the same offset for the same ones."""
    text = (INCLUDE / "AEEStdErr.h").read_text()
    plain = {
        name: int(value, 0)
        for name, value in re.findall(r"#define (\w+) \(?(-?\w+)\)?\n", text)
        if name in WITHOUT_OFFSET
    }
    moved = {
        name: int(value, 0)
        for name, value in re.findall(r"#define (\w+) \(AEE_EOFFSET \+ (\w+)\)", text)
    }
    assert plain == {one.symbol: one.number for one in STATUSES if one.symbol in WITHOUT_OFFSET}
    assert moved == {one.symbol: one.number for one in STATUSES if one.symbol not in WITHOUT_OFFSET}
    assert f"#define DSP_AEE_EOFFSET {DSP_OFFSET:#x}" in text
    second = dict(re.findall(r"#define (AEE_\w+) (AEE_\w+)\n", text))
    assert second == {one.also: one.symbol for one in STATUSES if one.also}


# The compiler's opinion.


def compile_all(folder: Path, language: tuple[str, ...], options: Options) -> str:
    """Compile the files of an IDL text that has everything; returns what the compiler says."""
    document = parse(DATA / "everything.idl")
    paths = write_files(document, folder, options)
    sources = [str(path) for path in paths if path.suffix == ".c"]
    sources.append(str(DATA / "headers.c"))
    includes = [f"-I{INCLUDE}", f"-I{folder}"]
    command = [*language, "-c", "-O1", *WARNINGS, *includes, *sources]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    return result.stderr + ("" if result.returncode == 0 else "\nfailed")


@needs_compiler
@pytest.mark.parametrize("options", [Options(), STANDARD], ids=["legacy", "standard"])
def test_everything_compiles_as_c99_without_warnings(options: Options, tmp_path: Path) -> None:
    """With all warnings that gcc has reason for."""
    assert compile_all(tmp_path, (find_compiler() or "", "-std=c99"), options) == ""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.parametrize(
    ("options", "standard"), [(Options(), "c++11"), (STANDARD, "c++20")], ids=["legacy", "standard"]
)
def test_everything_compiles_as_cpp(options: Options, standard: str, tmp_path: Path) -> None:
    """The same files."""
    assert compile_all(tmp_path, ("g++", "-xc++", f"-std={standard}"), options) == ""


def _can_sanitize(folder: Path) -> bool:
    """Whether programs with sanitizers can be linked and run here."""
    source = folder / "probe.c"
    source.write_text("int main(void) { return 0; }\n")
    command = [find_compiler() or "", *SANITIZERS, "-o", str(folder / "probe"), str(source)]
    built = subprocess.run(command, capture_output=True, check=False).returncode == 0
    return built and subprocess.run([folder / "probe"], check=False).returncode == 0


@needs_compiler
@pytest.mark.parametrize("options", [Options(), STANDARD], ids=["legacy", "standard"])
def test_a_program_calls_through_renamed_functions(options: Options, tmp_path: Path) -> None:
    """Stub, skeleton and implementation in one program, told apart by the macros; see its text."""
    write_files(parse(DATA / "everything.idl"), tmp_path, options)
    compiler = [find_compiler() or "", "-std=gnu11", f"-I{INCLUDE}", f"-I{tmp_path}"]
    careful = options is STANDARD and _can_sanitize(tmp_path)  # once is enough, it takes long
    compiler += SANITIZERS if careful else ["-O2"]
    for command in (
        [
            *compiler,
            "-c",
            *(f"-D__QAIC_{side}(ff)=implementation_##ff" for side in ("HEADER", "IMPL")),
            "everything_skel.c",
        ],
        [
            *compiler,
            *("-D_const_fixed_handle=3", "-o", "program", str(DATA / "program.c")),
            *("everything_stub.c", "named_stub.c", "fixed_stub.c", "everything_skel.o"),
        ],
    ):
        built = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (built.returncode, built.stderr) == (0, "")
    ran = subprocess.run([tmp_path / "program"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
