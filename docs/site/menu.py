"""The site's menu, which is that of the tables in docs/index.md."""

from __future__ import annotations

import re

__all__ = ["with_menu", "without_folders"]

_ONLY_HERE = "| [Python names](site/python.rst)\n| [Commands](site/commands.md)"
_LINK_TO_FOLDER = re.compile(r"\[([^\]]+)\]\(((?:\.\./|[\w-]+/)*[\w-]+)/?\)")
_LINK_TO_PAGE = re.compile(r"^\| \[([^\]]+)\]\(([^)]+)\.(?:md|rst)\)", re.MULTILINE)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


def with_menu(index: str) -> str:
    """The index, with the menu's part of each of its sections behind the section's table."""
    first, *parts = _SECTION.split(index)
    sections = zip(parts[::2], parts[1::2], strict=True)
    whole = "".join(f"## {name}{text}{_part(name, text)}" for name, text in sections)
    return first + whole + _part("Reference", _ONLY_HERE)


def _part(name: str, text: str) -> str:
    """The menu's part of a section: its pages, by the words and in the order of its table."""
    pages = "\n".join(f"{title} <{path}>" for title, path in _LINK_TO_PAGE.findall(text))
    return f"\n```{{toctree}}\n:hidden:\n:caption: {name}\n\n{pages}\n```\n"


def without_folders(page: str) -> str:
    """A page without its links to folders of the checkout, which the site does not have."""
    return _LINK_TO_FOLDER.sub(r"\1", page)
