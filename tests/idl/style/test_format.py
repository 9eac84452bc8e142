"""Formatting: nothing changes but white space, and twice is as good as once."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qda.idl import Document, IdlError, parse
from qda.idl.model import Declaration, Interface, Method, Module
from qda.idl.style import format as formatting
from qda.idl.style.format import FormatError, format_text
from qda.idl.text.lexer import KEYWORDS
from qda.idl.types import Enum, Struct


def formatted(text: str) -> str:
    """Format a text, which must not change when it is formatted again."""
    result = format_text(textwrap.dedent(text), name="a.idl")
    assert format_text(result, name="a.idl") == result
    return result


def shown(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


# --- the style -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("const long A=1;", "const long A = 1;"),
        ("const long A = -1+2 *(3<<~4)|5 ;", "const long A = -1 + 2 * (3 << ~4) | 5;"),
        ("const long A = - - 5;", "const long A = - -5;"),
        ("const long A = 2* -3;", "const long A = 2 * -3;"),
        ("const long A = -(-1);", "const long A = -(-1);"),
        ("const\n\n\nboolean\tA\r\n=\fTRUE;", "const boolean A = TRUE;"),
        ("typedef sequence < long , 8 >a,b [ 2 ][3];", "typedef sequence<long, 8> a, b[2][3];"),
        ("typedef sequence<sequence<long> > a;", "typedef sequence<sequence<long>> a;"),
        ("typedef string < 3 > a;", "typedef string<3> a;"),
        ("module m{typedef long t;};typedef ::m :: t u;", None),
        ("native  n ;", "native n;"),
        ("interface x;", "interface x;"),
        ("interface x{};", "interface x {};"),
        ("interface x{\n\n};", "interface x {};"),
        ("local  interface x{};interface y:x{};", "local interface x {};\ninterface y : x {};"),
        ("interface y{};interface x: ::y{};", "interface y {};\ninterface x : ::y {};"),
    ],
)
def test_spaces_between_tokens(text: str, expected: str | None) -> None:
    if expected is None:
        expected = "module m {\n    typedef long t;\n};\ntypedef ::m::t u;"
    assert formatted(text) == expected + "\n"


def test_every_statement_member_and_enumerator_has_a_line() -> None:
    text = """
    enum e{A,B,C};struct s{long a;octet b,c;};
    union u switch(e){case A:long a;default:octet b;};
    interface x{[oneway]long m(in sequence<long>vec);async void n();readonly attribute long p;};
    """
    text = "typedef long AEEResult;" + textwrap.dedent(text)
    assert formatted(text) == shown("""
        typedef long AEEResult;
        enum e {
            A,
            B,
            C
        };
        struct s {
            long a;
            octet b, c;
        };
        union u switch (e) {
            case A: long a;
            default: octet b;
        };
        interface x {
            [oneway] long m(in sequence<long> vec);
            async void n();
            readonly attribute long p;
        };
        """)


def test_at_most_one_empty_line_and_none_at_the_ends_of_bodies() -> None:
    text = "\n\n\nconst long A = 1;\n\n\n\nstruct s {\n\n  long a;\n \n\n  long b;\n\n};\n\n\n"
    assert formatted(text) == shown("""
        const long A = 1;

        struct s {
            long a;

            long b;
        };
        """)


def test_long_parameter_lists_have_a_parameter_a_line() -> None:
    names = [f"in sequence<unsigned long long> parameter_{n}" for n in range(3)]
    wide = ",\n        ".join(names)
    text = f"interface x {{ long m({', '.join(names)}); }};"
    assert formatted(text) == f"interface x {{\n    long m(\n        {wide}\n    );\n}};\n"


def test_a_line_of_100_letters_is_not_wrapped() -> None:
    fits = "    long m(in long " + "a" * (100 - 19 - 2) + ");"
    assert len(fits) == 100
    assert formatted(f"interface x {{{fits}}};").split("\n")[1] == fits
    wrapped = formatted(f"interface x {{{fits.replace('aaa', 'aaaa', 1)}}};").split("\n")
    assert wrapped[1] == "    long m("


def test_long_expressions_and_lists_go_on_in_the_next_line() -> None:
    text = f"const long A = {' + '.join(['1000000000 % 7'] * 12)};"
    first, *others = formatted(text).splitlines()
    assert len(first) <= 100
    assert all(len(line) <= 100 and line.startswith("    + ") for line in others)
    members = ", ".join(f"member_{n}" for n in range(30))
    assert all(
        len(line) <= 100 for line in formatted(f"struct s {{ long {members}; }};").split("\n")
    )


# --- comments ------------------------------------------------------------------------------------


def test_comments_stay_where_they_are_between_the_tokens() -> None:
    text = """
    // of the file
    struct s {  // behind the head
      /* before */ long a;   // one
    // alone
          octet bcd;   ///< two
      /** above */
      short e; /**< behind */ // and more
      // the last
    }; // of s
    """
    assert formatted(text) == shown("""
        // of the file
        struct s {  // behind the head
            /* before */ long a;  // one
            // alone
            octet bcd;  ///< two
            /** above */
            short e;  /**< behind */ // and more
            // the last
        };  // of s
        """)


def test_comments_behind_consecutive_lines_stand_below_each_other() -> None:
    text = """
    enum e {
    A,///< the first
    LONGER, ///< the second

    B ///< after an empty line
    };
    """
    assert formatted(text) == shown("""
        enum e {
            A,       ///< the first
            LONGER,  ///< the second

            B  ///< after an empty line
        };
        """)


def test_comments_that_would_get_too_long_are_not_aligned() -> None:
    comment = "// " + "x" * 70
    text = f"const long A = 1; {comment}\nconst long {'B' * 40} = 1; // b\n"
    assert formatted(text).split("\n")[0] == f"const long A = 1;  {comment}"


def test_comments_between_parameters_keep_their_lines() -> None:
    text = """
    interface x { long m(in long a, // the first
      // about the second
      in octet bcd /**< inside */, rout long c ///< the last
      ); };
    """
    assert formatted(text) == shown("""
        interface x {
            long m(
                in long a,  // the first
                // about the second
                in octet bcd /**< inside */,
                rout long c  ///< the last
            );
        };
        """)


def test_comments_that_begin_a_line_stay_in_it_if_the_line_goes_on() -> None:
    text = "/* a */ /* b */ const long A = 1;\n"
    assert formatted(text) == text
    text = "/* a */ /* b\nb */ const long A = 1;\n"
    assert formatted(text) == "/* a */\n/* b\nb */\nconst long A = 1;\n"


def test_lines_of_a_comment_move_together() -> None:
    text = """
    interface x {
            /** Stars.
          *    - a list
            *
           */
            long a();
            /* No stars.
                 deeper
               */
            long b();
    };
    """
    assert formatted(text) == shown("""
        interface x {
            /** Stars.
             *    - a list
             *
             */
            long a();
            /* No stars.
                 deeper
             */
            long b();
        };
        """)


def test_a_comment_of_the_file_is_not_touched() -> None:
    text = "/*=====\n  (c)\n\ttabs\n=====*/\n\nconst long A = 1;\n"
    assert formatted(text) == text


# --- directives ----------------------------------------------------------------------------------


def test_directives_begin_their_lines_and_say_the_same() -> None:
    text = """
      #ifndef A_IDL   // guard
    #define A_IDL \\
       more
    #pragma   once
    #include   "remote.idl"


    interface x : remote_handle64 {
      #ifdef X
        long a();
      #endif
      #ifndef X
        long b();
      #endif
    };
    # 7 "b.idl"
    #endif
    """
    assert formatted(text) == shown("""
        #ifndef A_IDL   // guard
        #define A_IDL \\
           more
        #pragma   once
        #include   "remote.idl"

        interface x : remote_handle64 {
        #ifdef X
            long a();
        #endif
        #ifndef X
            long b();
        #endif
        };
        # 7 "b.idl"
        #endif
        """)


def test_what_conditions_skip_stays_as_it_is() -> None:
    skipped = "  anything  (  {\n\n\n\t#ifdef B\n #endif /* open */\n  'don't  \n"
    text = f"#ifdef A\n{skipped}#endif\nconst long A=1;\n"
    assert formatted(text) == f"#ifdef A\n{skipped}#endif\nconst long A = 1;\n"


def test_definitions_decide_what_is_skipped() -> None:
    text = "#ifdef A\nconst long A=1;\n#endif\n"
    assert format_text(text) == text
    assert format_text(text, defines=["A"]) == "#ifdef A\nconst long A = 1;\n#endif\n"


def test_included_files_decide_too_and_are_not_formatted() -> None:
    files = {"b.idl": "#define B\n   const long   C=1;"}
    text = '#include "b.idl"\n#ifdef B\nconst long A=C;\n#endif\n'
    assert format_text(text, read=files.get).split("\n")[2] == "const long A = C;"


def test_a_condition_between_parameters() -> None:
    text = "interface x { long m(in long a\n#ifdef B\n, in long b\n#endif\n); };"
    assert formatted(text) == shown("""
        interface x {
            long m(
                in long a
        #ifdef B
        , in long b
        #endif
            );
        };
        """)


# --- errors --------------------------------------------------------------------------------------


def test_broken_syntax_is_an_error() -> None:
    with pytest.raises(IdlError, match=r"a\.idl:1:13: error: unexpected"):
        format_text("interface x long", name="a.idl")


@pytest.mark.parametrize("text", ["/* open", "#ifdef\n#endif", "#error x", "struct s { };"])
def test_other_broken_texts_are_errors(text: str) -> None:
    with pytest.raises(IdlError):
        format_text(text)


def test_names_need_no_meaning_and_included_files_need_not_be_there() -> None:
    text = '#include "nowhere.idl"\ninterface x:unknown{AEEResult m();};'
    assert "    AEEResult m();\n" in format_text(text)


def test_empty_texts_stay_empty() -> None:
    assert format_text("") == ""
    assert format_text("\n \n") == ""


def test_a_result_that_would_mean_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If there is a defect, a file is not damaged."""
    for damaged in ("const long A = 2;", "const long A = 1; // new", "const long", ""):
        monkeypatch.setattr(formatting, "_written", lambda _, lines=damaged: iter([lines]))
        with pytest.raises(FormatError, match=r"a\.idl: formatting would"):
            format_text("const long A=1;", name="a.idl")


# --- any text --------------------------------------------------------------------------------


def documentation(found: Iterable[Declaration]) -> Iterator[tuple[str, str]]:
    """All names, and what is written about them."""
    for one in found:
        yield one.name, one.documentation
        if isinstance(one, Module | Interface):
            yield from documentation(one.declarations)
        parts = one.members if isinstance(one, Struct | Enum) else ()
        for part in (*parts, *(one.parameters if isinstance(one, Method) else ())):
            yield part.name, part.documentation


def said(found: Document) -> list[tuple[str, str]]:
    return list(documentation(found.declarations))


BLANKS = st.sampled_from(
    [
        *("", "", "", " ", "\t", "\n", "\n\n\n", "  \n "),
        *(" /* c */ ", "// line\n", "\n  // own\n\n", "/* two\n   lines */", " /// said\n"),
        *("/** doc\n * more\n */\n", "/**< behind */", "///< behind\n", "/*! a\n  b\n    c */"),
        *(
            "/* a\n * b\n   c\n*/",
            "\n#ifdef NO\n  { ( \n#endif\n",
            "\n#define YES\n",
            "\n#pragma x\n",
        ),
        *("\n/** a */\n", "\n\t/* tab\n\t\tmore */\n", "\r\n", "/**/", "///\n"),
    ]
)
TYPES = ["long", "octet", "unsigned long long", "sequence<long>", "sequence<sequence<s>, 2>", "e"]


_HEAD = ("enum e { P , Q } ;", "struct s { long a , b [ 2 ] ; } ;")


@st.composite
def tokens(draw: st.DrawFn) -> list[str]:
    """The tokens of a small interface file."""
    found = [word for line in _HEAD for word in line.split()]
    for number in range(draw(st.integers(0, 2))):
        value = draw(st.sampled_from(["- 1", "~ ( 2 + - 3 )", "1 << 2 * 3", "0x1F & 7", "- - 1"]))
        found += f"const long C{number} = {value} ;".split()
    found += ["interface", "x", "{"]
    for number in range(draw(st.integers(0, 2))):
        ways = draw(st.lists(st.sampled_from(["in", "rout", "inrout"]), max_size=4))
        length = draw(st.sampled_from([1, 1, 40]))
        parts = [
            f"{way} {draw(st.sampled_from(TYPES))} {'p' * length}{n}" for n, way in enumerate(ways)
        ]
        found += f"long m{number} ( {' , '.join(parts)} ) ;".replace("<", " < ").split()
    return [*found, "}", ";"]


def separated(words: list[str], blanks: list[str]) -> str:
    """Tokens with white space and comments between them, and a space where they would merge."""
    text = ""
    for word, blank in zip(words, blanks, strict=True):
        merges = text[-1:].isalnum() and word[0].isalnum()
        merges = merges or text[-1:] in ("/", "_", "<", ">") or text[-1:] == word[0] == "-"
        text += f"{' ' if merges else ''}{word}{blank}"
    return text


@settings(max_examples=80)
@given(st.data())
def test_any_text_keeps_its_meaning_and_is_formatted_once(data: st.DataObject) -> None:
    words = data.draw(tokens())
    blanks = data.draw(st.lists(BLANKS, min_size=len(words), max_size=len(words)))
    text = separated(words, blanks)
    before = parse(text, name="a.idl")
    result = format_text(text, name="a.idl")
    after = parse(result, name="a.idl")
    assert before == after
    assert said(before) == said(after)
    assert format_text(result, name="a.idl") == result


SCRAPS = [*sorted(KEYWORDS), "a", "1", *"{}()[]<>,;:=-~\n", "::", "// c\n", "/* c */", "\n#x\n"]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(SCRAPS), max_size=40).map(" ".join))
def test_any_other_text_is_an_error_and_nothing_worse(text: str) -> None:
    try:
        result = format_text(text, name="a.idl")
    except IdlError:
        return
    assert format_text(result, name="a.idl") == result
