"""What commands print: texts as they are, JSON, and on a terminal tables and progress."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Rich is loaded by commands that print tables
    from rich.console import RenderableType
    from rich.progress import Progress

__all__ = ["show", "steps", "write", "write_exactly", "write_json"]


def write(text: str) -> None:
    """Write text as it is: no colours, no line breaks that are not in it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_exactly(text: str) -> None:
    """Write text with the bytes that it was read from: `read_exactly`."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", errors="surrogateescape"))
    sys.stdout.buffer.flush()


def write_json(value: object) -> None:
    """Write a value for programs."""
    write(json.dumps(value, indent=2) + "\n")


def show(*parts: RenderableType) -> None:
    """Print tables and texts with Rich's marks, each on lines of its own."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    for part in parts:
        console.print(part)


def steps() -> Progress:
    """Progress on standard error, if that is a terminal; nothing is left of it."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True, highlight=False)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
