"""What all benchmarks share: their options, progress, output, and a clean end.

A benchmark measures and gives what `--json` prints, or shows it to people.  Ctrl-C ends it with
status 130, and a request to end with its own; blocks are left on the way, so nothing stays behind.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import Progress

__all__ = ["Bounds", "as_json", "parser", "run", "show_bounds"]

Bounds = list[tuple[str, float, str]]
"""What was judged, the figure, and its bound in words."""


def parser(module: str, words: str | None) -> argparse.ArgumentParser:
    """The options that all have."""
    made = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=words,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help="a few seconds, rough")
    made.add_argument("--json", action="store_true", help="for programs")
    return made


def run(
    as_json: bool,
    measure: Callable[[Progress], dict[str, Any]],
    show: Callable[[dict[str, Any], Console], None],
) -> int:
    """Measure and print; returns the status of the program."""
    signal.signal(signal.SIGTERM, _end)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            result = measure(progress)
    except KeyboardInterrupt:
        return 130
    if as_json:
        json.dump(result, sys.stdout, indent=2)
        print()
    else:
        show(result, Console())
    return 0


def _end(number: int, _: object) -> None:
    sys.exit(128 + number)


def as_json(bounds: Bounds) -> list[dict[str, Any]]:
    """Bounds as `--json` prints them."""
    return [{"what": what, "figure": figure, "bound": bound} for what, figure, bound in bounds]


def show_bounds(result: dict[str, Any], console: Console) -> None:
    """Print the bounds for people."""
    for one in result["bounds"]:
        console.print(f"{one['what']}: {one['figure']:.2f} ({one['bound']})")
