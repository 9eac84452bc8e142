"""Recipes for CI services: files that run a project's tests on a virtual DSP."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PLACES", "language_of", "recipe"]

PLACES = {"github": ".github/workflows/tests.yml", "gitlab": ".gitlab-ci.yml"}
"""The services, and where in a project each looks for its recipe."""

_FOLDER = Path(__file__).parent / "recipes"


def recipe(service: str, language: str) -> str:
    """The recipe of a service for a project in "c" or "python"."""
    return (_FOLDER / f"{service}-{language}.yml").read_text("utf-8")


def language_of(folder: Path) -> str | None:
    """In what a project is written, from what lies in its folder: "c" if something is to be built,
    else "python"; None if it does not look like either."""
    built = ("Makefile", "GNUmakefile", "makefile", "CMakeLists.txt", "meson.build", "*.c")
    if any(True for name in built for _ in folder.glob(name)):
        return "c"
    tested = ("pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "*.py")
    return "python" if any(True for name in tested for _ in folder.glob(name)) else None
