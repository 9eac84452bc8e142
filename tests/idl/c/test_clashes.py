"""Names that C derives: what would be there twice is refused, with its place and the reason."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qda.idl import IdlError, parse
from qda.idl.c import INCLUDE, header, write_files
from qda.idl.c.clashes import clashes
from qda.idl.c.taken import is_macro
from tests.idl.native import find_compiler

ROOT = '#include "remote.idl"\n'


@pytest.mark.parametrize(
    ("text", "twice", "column"),
    [
        ("struct s { string name; long nameLen; };", "nameLen", 30),
        ("struct s { sequence<long> x; sequence<long> xLen; };", "xLen", 45),
        ("struct s { long aLen; wstring a; };", "aLen", 31),
        ("typedef sequence<long> t; struct s { t a; octet aLen; };", "aLen", 49),
        ("struct i_f { long a; }; interface i { long f(in i_f x); };", "i_f", 44),
        ("interface i { long f(); }; struct i_f { long a; };", "i_f", 28),
        ("interface a { long b_c(); }; interface a_b { long c(); };", "a_b_c", 51),
        ("const long i_N = 3; interface i { const long N = 4; long f(); };", "i_N", 35),
        ("const long i_f = 3; interface i { long f(); };", "i_f", 40),
        ("interface i { long skel_invoke(); };", "i_skel_invoke", 1),
        ("interface i { long skel_invoke_uri(); };", "i_skel_invoke_uri", 1),
        ("enum i_f { a, b }; interface i { long f(); };", "i_f", 39),
        ("interface a { enum c { red }; }; interface b { enum d { red }; };", "red", 48),
        ("interface i { struct p { long a; }; long f(); }; struct i_p { long a; };", "i_p", 50),
        (ROOT + "interface i : remote_handle64 { long skel_handle_invoke(); };", "invoke", 1),
        (ROOT + "const long i_URI = 1; interface i : remote_handle64 { long f(); };", "i_URI", 23),
        ("const long a = 1; interface i { long f(in long a); };", "macro", 48),
        ("const long a = 1; struct s { long a; };", "macro", 35),
        ("interface i { long f(inrout string a, in long aLen); };", "aLen", 20),
        ("struct s { long errno; };", "errno", 17),
        ("interface i { long f(in long unix); };", "unix", 30),
        ("interface i { enum e { red, stdin }; long f(); };", "stdin", 15),
        ("interface i { long f(in long __x86_64__); };", "__x86_64__", 30),
        ("struct s { long __LINE__; };", "__LINE__", 17),
        ("const long EOF = 3;", "EOF", 1),
        ("struct s { long a; string NULL; };", "NULL", 27),
        ("enum e { LITTLE_ENDIAN, BIG_ENDIAN };", "LITTLE_ENDIAN", 1),
        ("const long AEE_EFAILED = 2;", "AEE_EFAILED", 1),
        ("interface i { long f(in long INT32_MAX); };", "INT32_MAX", 30),
        ("struct FILE { long a; };", "FILE", 1),
        ("enum e { up, index };", "index", 1),
        ("typedef sequence<long> remote_buf;", "remote_buf", 1),
        ("interface remote_handle { long open(); };", "remote_handle_open", 32),
        ("typedef long byte;", "byte", 1),
        ("const long count = 3;", "generated", 1),
        ("interface i { long f(in long memset); };", "memset", 30),
        ("interface i { long f(inrout char _h); };", "_h", 34),
        ("interface i { long f(in long _stub_call); };", "_stub_call", 30),
        ("const long _args = 3;", "_args", 1),
        ("struct _cstring1_t { long a; };", "_cstring1_t", 1),
        ("struct _i_handle { long a; }; interface i { long f(); };", "_i_handle", 1),
        ("enum e { a, _SKEL_BUFFERS };", "_SKEL_BUFFERS", 1),
        ("struct s { long _I_H; };", "_I_H", 17),
    ],
)
def test_a_name_that_c_has_twice_is_refused(text: str, twice: str, column: int) -> None:
    """By `qda idl check` and where C is written (idl.md 5.1 to 5.3)."""
    document = parse(text, name="i.idl")
    found = clashes(document)
    assert found
    assert twice in found[0].message
    assert "choose another name" in found[0].message
    assert found[0].location.column == column
    with pytest.raises(IdlError, match=twice):
        header(document)


@pytest.mark.parametrize(
    "text",
    [
        "struct s { string name; long length; }; struct t { string name; };",
        "interface a; interface a { long f(); }; interface b { long f(); };",
        "interface a { long f(); }; interface b : a { long g(); };",
        "module m { const long N = 1; }; const long N = 2;",
        "typedef long AEEResult; typedef octet byte; const long AEE_SUCCESS = 0;",
        "struct version { long major; long minor; string index; }; interface i { long free(); };",
        "struct s { long __pad; octet _in; string _call; }; interface i { long _h(in s __s); };",
        "interface linux { long errno(in long free, rout long total); };",
        ROOT
        + '#include "AEEStdDef.idl"\ninterface i : remote_handle64 { AEEResult go(in long a); };',
    ],
)
def test_names_that_only_look_alike_are_good(text: str) -> None:
    """Also those of included files, which have headers of their own."""
    document = parse(text, name="i.idl")
    assert not clashes(document)
    assert header(document)


def test_the_types_that_everybody_includes_are_on_board() -> None:
    """As `remote.idl` is; a file of that name in the include path comes first."""
    text = '#include "AEEStdDef.idl"\ninterface i { AEEResult f(); };'
    method = parse(text, name="i.idl").interface("i").methods[0]
    assert str(method) == "AEEResult f()"
    assert method.returns is not None
    assert method.returns.resolved.size == 4


@pytest.mark.parametrize("name", ["remote", "AEEStdErr", 'a"b', "a\nb"])
def test_a_file_whose_header_cannot_be_included_is_refused(name: str) -> None:
    """Generated code would get its own in the place of ours, or none."""
    (found,) = clashes(parse("interface i { long f(); };", name=f"{name}.idl"))
    assert found.message.startswith("in C its header")
    assert not clashes(parse("interface i { long f(); };", name="with space-1.0.idl"))


def test_a_file_is_not_called_like_a_header_of_c() -> None:
    """What is generated includes that one."""
    (found,) = clashes(parse("interface i { long f(); };", name="string.idl"))
    assert found.message.startswith('in C its header would hide "string.h" of the C library')
    assert (found.location.line, found.location.column) == (1, 1)


TRICKY = """
    value record call from to items room count data len buf size error args handle free malloc
    memcpy index abs div time major minor main signal FILE size_t int32_t errno unix linux stdin
    EOF NULL BIG_ENDIAN INT_MAX EINVAL AEE_EFAILED remote_handle class namespace template new
    delete this typename restrict inline _Bool asm register
    _args _call _in _out _h _reply _stub_call _skel_in _i_handle _STUB_BUFFERS _I_H __x86_64__
"""

ROLES = {
    "member": ("struct s{0} {{ long {1}; }};", "long f{0}(in s{0} a, rout s{0} b);"),
    "text": ("struct s{0} {{ string {1}; }};", "long f{0}(in s{0} a, in sequence<s{0}> b);"),
    "parameter": ("", "long f{0}(in long {1}, rout string {1}_);"),
    "sequence": ("", "long f{0}(in sequence<string> {1});"),
    "method": ("", "long {1}(in long a);"),
    "structure": ("struct {1} {{ long a; string z; }};", "long f{0}(in {1} a, rout {1} b);"),
    "enumerator": ("enum e{0} {{ x{0}, {1} }};", "long f{0}(in e{0} a, rout e{0} b);"),
    "constant": ("const long {1} = 3;", "long f{0}(in long a, rout string b);"),
}


def good_words(role: str) -> str:
    """A text with all words in one role but those that are refused, a line for each."""
    declared, method = ROLES[role]
    words = dict(enumerate(TRICKY.split()))
    while True:
        lines = [declared.format(place, word) for place, word in words.items()]
        lines += ["interface i {", *(method.format(*one) for one in words.items()), "};"]
        text = "\n".join(lines)
        try:
            found = clashes(parse(text, name="i.idl"))
        except IdlError as error:
            found = list(error.diagnostics)
        if not found:
            return text
        places = list(words)
        for line in {one.location.line - 1 for one in found}:
            words.pop(places[line - (len(places) + 1) * (line > len(places))], None)


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("role", ROLES)
def test_what_is_not_refused_compiles(role: str, tmp_path: Path) -> None:
    """As C, and as C++ if there is a compiler of it."""
    text = good_words(role)
    assert text.count("\n") > 20
    sources = [str(one) for one in write_files(parse(text, name="i.idl"), tmp_path)]
    for compiler in [str(find_compiler()), *filter(None, [shutil.which("c++")])]:
        options = ["-w", "-fsyntax-only", f"-I{INCLUDE}", *(["-xc++"] * compiler.endswith("++"))]
        command = [compiler, *options, *(one for one in sources if one.endswith(".c"))]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_the_macros_of_our_headers_are_known() -> None:
    """Those that take no arguments: the others replace nothing that an interface can name."""
    names = "AEEStdDef.h", "AEEStdErr.h", "remote.h"
    includes = "".join(f"#include <{name}>\n" for name in names)
    command = [str(find_compiler()), "-E", "-dD", f"-I{INCLUDE}", "-xc", "-"]
    done = subprocess.run(command, input=includes, capture_output=True, text=True, check=True)
    lines, here = done.stdout.splitlines(), False
    for line in lines:
        if line.startswith("# "):
            here = any(f"/{name}" in line for name in names)
        found = re.match(r"#define ([A-Za-z]\w*)(?![\w(])", line)
        if here and found and found[1] not in ("bool", "true", "false", "TRUE", "FALSE"):
            assert is_macro(found[1]), line
