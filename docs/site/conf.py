"""How Sphinx makes the site of the pages: `make site`.

The pages are the Markdown files of the checkout, written to be read there as well: what only a site
has, its menu, is read from the tables of docs/index.md.  What is only on the site is the reference
of the package's Python names and of its commands.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from docs.site import commands, menu  # noqa: E402  # found by the path above

project = "QDA"
author = "the QDA authors"
copyright = author  # noqa: A001  # the name that Sphinx asks for
version = release = metadata.version("qda-accel")

extensions = [
    "myst_parser",  # pages in Markdown
    "sphinx.ext.autodoc",  # docstrings
    "sphinx.ext.napoleon",  # their lists of attributes
    "sphinx.ext.viewcode",  # the source of what has one
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",  # the pictures of states
]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/site/*.md", "docs/site/*.rst"]

smartquotes = False  # much of what is quoted is to be typed
default_role = "code"  # `so` in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "description"

myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

# For pictures that are drawn beforehand: in their own size.
mermaid_params = ["--configFile", str(ROOT / "docs/site/mermaid.json")]

html_theme = "furo"
html_title = "QDA"
html_additional_pages = {"index": "redirect.html"}
html_static_path = ["static"]
html_css_files = ["tables.css"]
templates_path = ["templates"]


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Make of a page what the site needs: a menu, and no links to folders, which are not on it."""
    source[0] = menu.without_folders(source[0])
    if name == root_doc:
        source[0] = menu.with_menu(source[0])
    elif name == "docs/site/commands":
        source[0] += commands.page()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read)
