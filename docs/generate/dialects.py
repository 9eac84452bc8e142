"""The page of dialects: the device interfaces side by side, from their declarations."""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from qda.layout import Record
from qda.uapi import ACCEL_DIALECTS, DIALECTS, LEGACY, LEGACY_73, Command, Interface, Semantics
from qda.uapi.semantics import ERRNOS

__all__ = ["TABLE", "page"]

TABLE = "docs/dialects.toml"
"""What the declarations do not say: what was announced, and what reviewers asked."""

_HEAD = """\
# Dialects

The device interface has changed with every posting, and the older driver has grown. Here are all \
of them side by side: which commands there are, what their structures look like, what they mean \
otherwise, and which of them answers what reviewers have asked. Each has a page of its own: \
{pages}. The last column is {announced}, as its mails describe it: no header of it was seen, so it \
cannot be spoken, but what it means otherwise is a switch that any device can have \
(`[dsp.switches]` in a [profile](profiles.md)).

Made by `make docs` from the declarations in `qda.uapi` and from [`dialects.toml`](dialects.toml).
"""

_LEGACY_KEYS = {"MAP": ("MEM_MAP", "MAP_NEW"), "MUNMAP": ("MEM_UNMAP", "UNMAP_NEW")}
"""Commands of the older driver that stand for one of the accelerator's."""


def page(root: Path) -> str:
    """The page, in Markdown."""
    said = tomllib.loads((root / TABLE).read_text("utf-8"))
    return "\n".join(_lines(said)).rstrip() + "\n"


def _lines(said: dict[str, Any]) -> Iterator[str]:
    pages = ", ".join(f"[{name}](uapi-{name}.md)" for name in DIALECTS)
    yield _HEAD.format(pages=pages, announced=said["announced"]["title"])
    yield "## What they are\n"
    yield from _overview(said)
    yield "## Commands\n"
    yield from _commands(said)
    yield "## What commands mean otherwise\n"
    yield from _semantics(said)
    yield "## Structures, field by field\n"
    yield from _structures()
    yield "## What reviewers asked\n"
    yield from _reviews(said)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---|' * len(titles)}"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def _columns(said: dict[str, Any]) -> list[str]:
    return [*DIALECTS, said["announced"]["posted"]]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _overview(said: dict[str, Any]) -> Iterator[str]:
    spoken = list(DIALECTS.values())
    announced = said["announced"]
    rows = [
        ["of", *(one.title.rpartition(", ")[2] for one in spoken), announced["title"]],
        ["buffers are named by", *(one.buffers_by.value for one in spoken), announced["buffers"]],
        ["commands are found by", *(_found_by(one) for one in spoken), "number"],
        ["calls have sequence numbers", *(_yes(one.numbers_calls) for one in spoken), "yes"],
        ["our client packs small arguments", *(_yes(one.packs) for one in spoken), "would"],
        [
            "bytes of a process's image at most",
            *(str(one.image_limit) for one in spoken),
            "unknown",
        ],
    ]
    yield from _table(["", *_columns(said)], rows)


def _found_by(interface: Interface) -> str:
    return "whole code" if interface.by_code else "number"


def _of(interface: Interface, key: str) -> list[Command[Record]]:
    keys = (key, *_LEGACY_KEYS.get(key, ())) if interface.by_code else (key,)
    return [command for command in interface.commands if command.key in keys]


def _commands(said: dict[str, Any]) -> Iterator[str]:
    standing = {key for keys in _LEGACY_KEYS.values() for key in keys}
    every = [command.key for one in DIALECTS.values() for command in one.commands]
    keys = [key for key in dict.fromkeys(every) if key not in standing]
    rows = []
    for key in keys:
        cells = [
            ", ".join(f"`{command.spelling}` `0x{command.code:08x}`" for command in _of(one, key))
            for one in DIALECTS.values()
        ]
        rows.append([key, *cells, said["announced"]["commands"].get(key, "")])
    yield from _table(["command", *_columns(said)], rows)
    forms = [
        f"`{name}` also takes {command.key} by a code of direction {command.access.name}"
        for name, one in DIALECTS.items()
        for command in one.older
    ]
    yield f"{'; '.join(forms)}: the question of the dialects before it.\n"


def _setting(name: str, semantics: Semantics) -> str:
    value = getattr(semantics, name)
    return errno.errorcode[value] if name in ERRNOS else _yes(value)


def _semantics(said: dict[str, Any]) -> Iterator[str]:
    rows = []
    for field in fields(Semantics):
        cells = [_setting(field.name, one.semantics) for one in DIALECTS.values()]
        words = f"{said['switches'][field.name]} (`{field.name}`)"
        rows.append([words, *cells, said["announced"]["semantics"][field.name]])
    yield from _table(["when, or whether", *_columns(said)], rows)


def _structures() -> Iterator[str]:
    for key in ("QUERY", "GEM_CREATE", "GEM_MMAP_OFFSET", "CREATE", "MAP", "MUNMAP", "INVOKE"):
        records = {name: one.command(key).record for name, one in ACCEL_DIALECTS.items()}
        yield f"### {key}\n"
        yield from _fields({name: record for name, record in records.items() if record})
    yield "### Elements of a call\n"
    spoken = {**ACCEL_DIALECTS, LEGACY.name: LEGACY}
    yield from _fields({name: one.elements[0] for name, one in spoken.items()})
    more = [command for command in LEGACY_73.commands if not LEGACY.has(command.key)]
    for command in more:
        if command.record:
            yield f"### {command.key}\n"
            yield from _fields({LEGACY_73.name: command.record})


def _fields(records: dict[str, type[Record]]) -> Iterator[str]:
    """A row for each attribute, with what the C structure has of it in each dialect."""
    names = dict.fromkeys(field.name for record in records.values() for field in record.fields)
    rows = []
    for name in names:
        cells = []
        for record in records.values():
            there = [field for field in record.fields if field.name == name]
            cells.append("".join(f"`{it.spelling}` {it.type_name} at {it.offset}" for it in there))
        rows.append([f"`{name}`", *cells])
    sizes = [f"{record.byte_size} bytes" for record in records.values()]
    yield from _table(["in Python", *records], [*rows, ["", *sizes]])


def _reviews(said: dict[str, Any]) -> Iterator[str]:
    columns = ("rfc", "v1", "handle", "legacy", "announced")
    titles = ["rule", "asked", *columns[:-1], said["announced"]["posted"]]
    rows = [
        [f"[{number}](rules.md)", answer["asked"], *(answer[column] for column in columns)]
        for number, answer in said["review"].items()
    ]
    yield from _table(titles, rows)
