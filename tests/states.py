"""Prints docs/states.md from the tables of states:

python -m tests.states > docs/states.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from qda.states import Transitions

__all__ = ["MACHINES", "PAGE", "page"]

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "states.md"

MACHINES: Final[dict[str, Transitions[Any, Any]]] = {}
"""The machines of the page, by the module that has the table."""

_HEAD = (
    "# States\n\n"
    "What has states in this project has a table of them, which the code asks at every step. "
    "This page is printed from these tables (`python -m tests.states > docs/states.md`), and "
    "tests walk each of them at random, over legal and illegal steps.\n"
)


def page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for module, machine in MACHINES.items():
        title = f"## {machine.name[:1].upper()}{machine.name[1:]}"
        parts.append(f"{title}\n\nThe rules in prose: `{module}`.\n\n{machine.page()}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
