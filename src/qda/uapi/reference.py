"""Prints an interface as a page of documentation, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from qda.layout import Record
from qda.uapi.header import (
    FILE_NAME,
    SCALARS,
    aspects,
    constant_words,
    has_scalars,
    refusals,
    sentence,
    summary,
)
from qda.uapi.interface import Command, Constant, Interface
from qda.uapi.ioctl import Access

__all__ = ["reference"]

_ACCESS = {
    Access.NONE: "none",
    Access.WRITE: "read by the driver",
    Access.READ: "written by the driver",
    Access.BOTH: "read and written by the driver",
}


_MARKS = re.compile(r"[|*<]")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_MARKS.sub(r"\\\g<0>", cell) for cell in cells) + " |"

    return [line(titles), line(["---"] * len(titles)), *map(line, rows), ""]


def _record(record: type[Record]) -> list[str]:
    titles = ("field", "type", "offset", "direction", "unit", "legal", "errno", "meaning")
    rows = [
        (
            f"`{field.spelling}`",
            field.type_name,
            str(field.offset),
            *aspects(field),
            sentence(field),
        )
        for field in record.fields
    ]
    about = f"{summary(record)} {record.byte_size} bytes, aligned to {record.alignment}."
    return [f"### struct {record.spelling}", "", about, "", *_table(titles, rows)]


def _command(command: Command[Record]) -> list[str]:
    argument = f"`{command.argument}`"
    about = f"Code `0x{command.code:08x}`, argument {argument}, {_ACCESS[command.access]}."
    if not command.argument:
        about = f"Code `0x{command.code:08x}`, no argument."
    return [
        f"### {command.spelling}",
        "",
        " ".join(command.text.split()),
        "",
        about,
        "",
        *_table(("errno", "when"), refusals(command)),
    ]


def _overview(commands: Iterable[Command[Record]]) -> list[str]:
    rows = [
        (
            f"0x{command.number:02x}",
            f"`{command.spelling}`",
            f"`0x{command.code:08x}`",
            f"`{command.argument}`" if command.argument else "",
        )
        for command in commands
    ]
    return _table(("number", "command", "code", "argument"), rows)


def _constants(title: str, group: Iterable[Constant]) -> list[str]:
    rows = [(f"`{c.spelling}`", constant_words(c), c.text) for c in group]
    return [f"### {title}", "", *_table(("name", "value", "meaning"), rows)]


def _chapter(commands: Iterable[Command[Record]], records: Iterable[type[Record]]) -> list[str]:
    """Overview, commands and structures, in this order."""
    commands = list(commands)
    lines = _overview(commands)
    for command in commands:
        lines += _command(command)
    for record in dict.fromkeys(records):
        lines += _record(record)
    return lines


def reference(interface: Interface) -> str:
    """The reference page of `interface` as Markdown: prose, commands, structures, constants."""
    lines = [f"# {interface.title}", "", *interface.prose.splitlines(), ""]
    lines += ["## Commands and structures", ""]
    lines += _chapter(interface.commands, interface.records)
    lines += ["## Constants", ""]
    for title, group in interface.constants:
        lines += _constants(title, group)
    if has_scalars(interface):
        rows = [(f"`{called}`", text) for called, text in SCALARS]
        lines += ["### Macros over the scalars word", "", *_table(("macro", "gives"), rows)]
    companion = interface.companion
    if companion:
        lines += [f"## Commands of the {companion.title}", ""]
        lines += _chapter(companion.commands, companion.records)
    if companion and companion.constants:
        lines += _constants(f"Constants of the {companion.title}", companion.constants)
    if interface.example:
        lines += ["## Example", "", f"With the header as `{FILE_NAME}`, in C99 or C++:", ""]
        lines += ["```c", *interface.example.splitlines(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"
