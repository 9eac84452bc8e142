"""The page of `qda`'s commands, from what the commands say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from qda.cli.app import app

__all__ = ["page"]


def page() -> str:
    """The part of the page that is not on it, in Markdown."""
    command = get_command(app)
    return "\n".join(_lines(command, typer.Context(command, info_name="qda"), "##"))


def _lines(command: Any, context: typer.Context, heading: str) -> Iterator[str]:
    for name in command.list_commands(context):
        part = command.get_command(context, name)
        inner = typer.Context(part, info_name=name, parent=context)
        yield f"{heading} {inner.command_path}\n"
        yield f"```\n{part.get_usage(inner).removeprefix('Usage: ')}\n```\n"
        yield f"{_paragraphs(part.help)}\n"
        yield from _parameters(part, inner)
        if hasattr(part, "list_commands"):
            yield from _lines(part, inner, heading + "#")


def _parameters(command: Any, context: typer.Context) -> Iterator[str]:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    rows = [record for record in records if record and not record[0].endswith("--help")]
    if rows:
        yield "| argument or option | what it says |"
        yield "|---|---|"
        yield from (f"| `{_cell(name)}` | {_cell(words)} |" for name, words in rows)
        yield ""


def _paragraphs(text: str | None) -> str:
    """A command's words, without the marks that keep lines of a terminal apart."""
    return (text or "").replace("\b\n", "").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
