"""The page about speed, `docs/performance.md`: the parts of it that programs write.

A part stands between two marks; the text around it is written by people.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks.bounds import Bound
from benchmarks.plot import draw
from benchmarks.report import sheets_of
from benchmarks.results import Result

__all__ = ["PAGE", "PICTURE", "machine", "replace_part", "write"]

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
PICTURE = DOCS / "performance.svg"


def replace_part(name: str, text: str, page: Path) -> None:
    """Put a text between the marks of that name.  ValueError if the page lacks them."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = page.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{page.name} has no part {name!r}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


def machine() -> str:
    """The machine of a run, in words."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    cpu = names[0] if names else platform.machine()
    return (
        f"{len(os.sched_getaffinity(0))} CPUs ({cpu}), Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}"
    )


def write(result: Result, bounds: list[Bound], page: Path = PAGE, picture: Path = PICTURE) -> None:
    """Write tables and picture.  ImportError without matplotlib."""
    draw(result, picture)
    tables = "\n".join(sheet.as_markdown() for sheet in sheets_of(result, bounds))
    left_out = "\n".join(
        f"Left out: {name}, because {why}." for name, why in result.left_out.items()
    )
    text = (
        f"Measured on {machine()}.\n\n"
        f"![Microseconds of a call by size and by placement]({picture.name})\n\n"
        f"{tables}\n{left_out}"
    )
    replace_part("measured", text, page)
