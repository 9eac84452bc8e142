"""Prints an interface as a C header that is complete: a program needs nothing else to be written.

The structures, the numbers and every sentence come from the declarations; nothing is said here
about a particular command.  The functions that put a declaration into words are shared with
`qda.uapi.reference`.
"""

from __future__ import annotations

import errno
import inspect
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping

from qda.layout import ANY, Direction, Field, Record
from qda.uapi import drm
from qda.uapi.interface import Command, Companion, Constant, Interface
from qda.uapi.ioctl import Access

__all__ = [
    "FILE_NAME",
    "SCALARS",
    "aspects",
    "constant_words",
    "has_scalars",
    "header",
    "number_of",
    "refusals",
    "sentence",
    "summary",
]

FILE_NAME = "qda_accel.h"

_WIDTH = 92
_MACROS = {Access.NONE: "_IO", Access.WRITE: "_IOW", Access.READ: "_IOR", Access.BOTH: "_IOWR"}
_DIRECTIONS = {Direction.IN: "in", Direction.OUT: "out", Direction.INOUT: "in and out"}
_PARTS = ("ATTRIBUTES", "METHOD", "IN", "OUT", "IN_HANDLES", "OUT_HANDLES")

SCALARS = (
    (
        "QDA_SCALARS_WITH_HANDLES(method, in, out, in_handles, out_handles)",
        "The word sc of a call, from its method and the numbers of its arguments",
    ),
    ("QDA_SCALARS(method, in, out)", "The word sc of a call that has no handle arguments"),
    ("QDA_SCALARS_ATTRIBUTES(sc)", "Attributes of a call"),
    ("QDA_SCALARS_METHOD(sc)", "Method of a call"),
    ("QDA_SCALARS_IN(sc)", "Number of input buffers"),
    ("QDA_SCALARS_OUT(sc)", "Number of output buffers"),
    ("QDA_SCALARS_IN_HANDLES(sc)", "Number of input handles"),
    ("QDA_SCALARS_OUT_HANDLES(sc)", "Number of output handles"),
    ("QDA_SCALARS_LENGTH(sc)", "Number of elements that the array at args must have"),
)
"""The function-like macros over the scalars word: how they are called, and what they give."""


def summary(record: type[Record]) -> str:
    """The first sentence of the record's docstring."""
    return (inspect.getdoc(record) or "").partition("\n")[0]


def aspects(field: Field) -> tuple[str, str, str, str]:
    """Direction, unit, legal values of a field, and the errno of an illegal one ("" if none)."""
    refused = errno.errorcode[field.breach] if field.breach else ""
    legal = "" if field.legal.words == ANY.words else field.legal.words
    return _DIRECTIONS[field.direction], field.unit, legal, refused


def _details(field: Field) -> str:
    """The aspects of a field in one phrase."""
    direction, unit, legal, refused = aspects(field)
    words = f"{direction}, {unit}" if unit else direction
    words += f"; {legal}" if legal else ""
    return words + (f", else {refused}" if refused else "")


def sentence(field: Field) -> str:
    """What a field means, and what lies at the address that it holds."""
    return field.text + (f". Points to {field.points_to}." if field.points_to else ".")


def refusals(command: Command[Record]) -> list[tuple[str, str]]:
    """All errors of a command by number: (symbol, condition), illegal fields first."""
    fields = command.record.fields if command.record else ()
    found = [
        (field.breach, f"{field.spelling} is illegal (legal: {field.legal.words})")
        for field in fields
        if field.breach
    ]
    return [
        (errno.errorcode[number], condition)
        for number, condition in sorted([*found, *command.errors], key=lambda pair: pair[0])
    ]


def constant_words(constant: Constant) -> str:
    """The value of a constant as C writes it."""
    return hex(constant.value) if constant.hexadecimal else str(constant.value)


def number_of(command: Command[Record]) -> str:
    """The name of a driver's command number, "DRM_QDA_QUERY" for "DRM_IOCTL_QDA_QUERY"."""
    return command.spelling.replace("_IOCTL_", "_", 1)


def has_scalars(interface: Interface) -> bool:
    """Whether the interface declares the parts of the scalars word."""
    return any(
        c.spelling == "QDA_SCALARS_IN_MASK" for _, group in interface.constants for c in group
    )


def _blocks(prose: str) -> Iterator[tuple[str, str]]:
    """Take prose apart into ("##" or "" or "-" or "1.", text on one line)."""
    for paragraph in prose.split("\n\n"):
        kind = ""
        lines: list[str] = []
        for line in paragraph.splitlines():
            mark, _, rest = line.partition(" ")
            if mark in ("##", "-") or (mark[:-1].isdigit() and mark.endswith(".")):
                if lines:
                    yield kind, " ".join(lines)
                kind, lines = mark, [rest]
            else:
                lines.append(line)
        yield kind, " ".join(lines)


def _wrap(text: str, first: str = "", then: str = "") -> list[str]:
    """Comment lines of `text`, behind `first` on the first line and `then` on the others."""
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent=" * " + first,
        subsequent_indent=" * " + then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _comment(lines: Iterable[str]) -> list[str]:
    return ["/**", *lines, " */"]


def _guide(prose: str) -> list[str]:
    """The rules of use, each section as a comment of its own."""
    lines: list[str] = []
    section: list[str] = []
    previous = ""
    for kind, text in _blocks(prose):
        if kind == "##":
            if section:
                lines += [*_comment(section), ""]
            section = [f" * DOC: {text}"]
        else:
            listed = kind and previous and kind[-1] == previous[-1]
            section += [] if listed else [" *"]
            section += _wrap(
                text, f"{kind} " if kind else "", " " * (len(kind) + 1) if kind else ""
            )
        previous = kind
    return [*lines, *_comment(section), ""] if section else lines


def _constants(title: str, group: Iterable[Constant], guarded: bool = False) -> list[str]:
    lines = [f"/* {title} */"]
    for constant in group:
        define = f"#define {constant.spelling} {constant_words(constant)}"
        lines.append(f"#ifndef {constant.spelling}" if guarded else "")
        beside = f"{define:<40} /* {constant.text} */"
        lines += [beside] if len(beside) <= _WIDTH else [f"/* {constant.text} */", define]
        lines.append("#endif" if guarded else "")
    return [*filter(None, lines), ""]


def _scalars() -> list[str]:
    called, told = zip(*SCALARS, strict=True)

    def put(part: str, value: str) -> str:
        name = f"QDA_SCALARS_{part}"
        return f"((((__u32)({value})) & {name}_MASK) << {name}_SHIFT)"

    values = ("method", "in", "out", "in_handles", "out_handles")
    terms = " | \\\n\t ".join(put(p, v) for p, v in zip(_PARTS[1:], values, strict=True))
    counts = " + \\\n\t ".join(f"QDA_SCALARS_{part}(sc)" for part in _PARTS[2:])
    bodies = [
        f"({terms})",
        "QDA_SCALARS_WITH_HANDLES(method, in, out, 0, 0)",
        *(
            f"((((__u32)(sc)) >> QDA_SCALARS_{part}_SHIFT) & QDA_SCALARS_{part}_MASK)"
            for part in _PARTS
        ),
        f"({counts})",
    ]
    lines: list[str] = []
    for macro, text, body in zip(called, told, bodies, strict=True):
        lines += [f"/* {text} */", f"#define {macro} \\", f"\t{body}"]
    return [*lines, ""]


def _struct(record: type[Record], used_by: str, types: Mapping[str, str]) -> list[str]:
    lines = _wrap(f"struct {record.spelling} - {summary(record)}", "", "    ")
    for field in record.fields:
        lines += _wrap(f"@{field.spelling}: ({_details(field)}) {sentence(field)}", "", "    ")
    lines += [" *", *_wrap(f"{used_by}; {record.byte_size} bytes.")]
    body = []
    for field in record.fields:
        kind = types.get(field.name, f"__{field.scalar.name}")
        space = "" if kind.endswith("*") else " "
        count = f"[{field.count}]" if field.count else ""
        body.append(f"\t{kind}{space}{field.spelling}{count};")
    return [*_comment(lines), f"struct {record.spelling} {{", *body, "};", ""]


def _command(command: Command[Record], number: str) -> list[str]:
    argument = f", {command.argument}" if command.argument else ""
    lines = _wrap(f"{command.spelling} - {command.text}", "", "    ")
    lines += [" *", *_wrap(f"Code 0x{command.code:08x}. Errors:")]
    for symbol, condition in refusals(command):
        lines += _wrap(condition, f"- {symbol}: ", "    ")
    macro = f"{_MACROS[command.access]}('{command.type}', {number}{argument})"
    define = f"#define {command.spelling} {macro}"
    if len(define) > _WIDTH:
        define = f"#define {command.spelling} \\\n\t{macro}"
    return [*_comment(lines), define, ""]


def _structs(
    records: Collection[type[Record]],
    commands: Iterable[Command[Record]],
    types: Mapping[type[Record], Mapping[str, str]],
) -> list[str]:
    """The structures, each with the commands that take it or the field that points to it."""
    users: dict[str, list[str]] = {}
    for command in commands:
        if command.record:
            users.setdefault(command.record.spelling, []).append(command.spelling)
    pointers = {
        record.spelling: f"{user.spelling}.{field.spelling}"
        for record in records
        for user in records
        for field in user.fields
        if f"struct {record.spelling}," in field.points_to
    }
    lines: list[str] = []
    for record in dict.fromkeys(records):
        used_by = f"Argument of {' and '.join(users.get(record.spelling, ()))}"
        if record.spelling in pointers:
            used_by = f"Element of the array at {pointers[record.spelling]}"
        lines += _struct(record, used_by, types.get(record, {}))
    return lines


def _companion(companion: Companion) -> list[str]:
    """The companion's part: taken from its own header where that is to be had, so either order
    works."""
    file = companion.files[0].rpartition("/")[2]
    lines = [
        f"#ifndef {companion.guard}",
        "",
        "/*",
        f" * Commands of the {companion.title}, for systems without {file}. They are printed here",
        f" * so that nothing else need be read; {file} declares the same.",
        " */",
        "",
        *_structs(companion.records, companion.commands, companion.c_types),
    ]
    for command in companion.commands:
        lines += _command(command, f"0x{command.number:02x}")
    lines += [f"#endif /* {companion.guard} */", ""]
    if companion.constants:
        lines += _constants(companion.title, companion.constants, True)
    return lines


def _find(companion: Companion) -> list[str]:
    file = companion.files[0].rpartition("/")[2]
    told = f"{file}, if there is one, has the commands of the {companion.title}; otherwise they "
    lines = ["/*", *_wrap(told + "are declared below."), " */"]
    lines.append(f"#if !defined({companion.guard}) && defined(__has_include)")
    for index, path in enumerate(companion.files):
        lines.append(f"#{'elif' if index else 'if'} __has_include(<{path}>)")
        lines.append(f"#include <{path}>")
    return [*lines, "#endif", "#endif"]


def _opening(interface: Interface) -> list[str]:
    mark = "QDA_DIALECT_" + re.sub(r"\W", "_", interface.name.upper())
    return [
        "/* SPDX-License-Identifier: BSD-3-Clause */",
        *_comment(
            [
                *_wrap(f"{interface.title}."),
                " *",
                *_wrap(
                    "This file is generated from the declarations of the interface. In "
                    "parentheses after a field's name: which side fills it (in: the program, out: "
                    "the driver), its unit, its legal values, and the errno of an illegal one."
                ),
            ]
        ),
        f"#if defined(QDA_ACCEL_H) && !defined({mark})",
        '#error "another dialect of the interface was included before"',
        "#endif",
        "#ifndef QDA_ACCEL_H",
        "#define QDA_ACCEL_H",
        f"#define {mark} 1",
        "",
        "#include <linux/ioctl.h>",
        "#include <linux/types.h>",
        "",
        *(_find(interface.companion) if interface.companion else []),
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
    ]


def header(interface: Interface) -> str:
    """The C header of `interface`: self-contained, C99 and C++, with full documentation."""
    companion, core = interface.companion, interface.companion is drm.CORE
    lines = [*_opening(interface), *_guide(interface.prose)]
    lines += _companion(companion) if companion else []
    for title, group in interface.constants:
        lines += _constants(title, group)
    lines += _scalars() if has_scalars(interface) else []
    lines += _structs(interface.records, interface.commands, {})
    if core:
        lines.append("/* Numbers of the commands, from DRM_COMMAND_BASE on */")
        for command in interface.commands:
            offset = command.number - next(
                c.value for c in drm.CONSTANTS if c.spelling == "DRM_COMMAND_BASE"
            )
            lines.append(f"#define {number_of(command)} 0x{offset:02x}")
        lines.append("")
    for command in interface.commands:
        number = f"DRM_COMMAND_BASE + {number_of(command)}" if core else f"0x{command.number:02x}"
        lines += _command(command, number)
    if interface.example:
        told = [" * DOC: How to use", " *", " * A complete program part, for C99 and C++:", " *"]
        told += [f" *\t{line}".rstrip() for line in interface.example.splitlines()]
        lines += [*_comment(told), ""]
    lines += ["#ifdef __cplusplus", "}", "#endif", "", "#endif /* QDA_ACCEL_H */"]
    return "\n".join(lines) + "\n"
