"""Lines of C: blocks, comments, files.  A tab at the beginning of a line is one level."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from qda.idl.c.options import Options

__all__ = ["block", "code", "comment", "extern_c", "finish", "guarded", "indented"]


def indented(lines: Iterable[str]) -> list[str]:
    """Lines one level deeper."""
    return [f"\t{line}" if line else "" for line in lines]


def block(head: str, lines: Iterable[str], end: str = "}") -> list[str]:
    """Lines in braces behind a head."""
    return [f"{head} {{", *indented(lines), end]


def code(text: str) -> list[str]:
    """Lines of a text that is indented by four blanks for each level."""
    lines = textwrap.dedent(text).strip("\n").split("\n")
    return [re.sub(r"^(    )+", lambda found: "\t" * (len(found[0]) // 4), one) for one in lines]


def comment(documentation: str) -> list[str]:
    """What an IDL file says about a declaration, as a documentation comment; nothing for nothing.

    Marks that would begin or end a comment are taken apart.
    """
    text = documentation.strip()
    if not text:
        return []
    safe = text.replace("*/", "* /").replace("/*", "/ *").expandtabs(4)
    lines = [line.rstrip() for line in safe.splitlines()]
    if len(lines) == 1:
        return [f"/** {lines[0]} */"]
    return ["/**", *(f" * {line}".rstrip() for line in lines), " */"]


def guarded(macro: str, lines: Iterable[str]) -> list[str]:
    """Lines that count only once: `macro` says whether they have been seen."""
    return [f"#ifndef {macro}", f"#define {macro}", *lines, "#endif"]


def finish(lines: Iterable[str], options: Options) -> str:
    """A file's text: levels become blanks, and no two lines in sequence are empty."""
    blanks = " " * options.indent
    found: list[str] = []
    for line in lines:
        if line or (found and found[-1]):
            level = len(line) - len(line.lstrip("\t"))
            found.append(blanks * level + line[level:])
    return "\n".join(found).rstrip("\n") + "\n"


def extern_c(lines: Iterable[str]) -> list[str]:
    """Lines in a frame that gives their functions the names of C, also in C++."""
    opening = ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    return [*opening, *lines, "", "#ifdef __cplusplus", "}", "#endif"]
