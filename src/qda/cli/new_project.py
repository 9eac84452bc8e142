"""A new project, from the templates in the folder `project`: an interface, skeletons in C and in
Python, a program, and tests that pass."""

from __future__ import annotations

import keyword
import os
import re
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from qda.cli.recipe import PLACES, recipe
from qda.errors import UsageError
from qda.idl import IdlError, parse
from qda.idl.c import INCLUDE, header
from qda.idl.c.names import identifier
from qda.idl.text.lexer import KEYWORDS

__all__ = ["create", "files_of"]

_TEMPLATES = Path(__file__).parent / "project"
_SUFFIX = ".template"
_PLACEHOLDER = "NAME"
_LONGEST = 40


def files_of(name: str) -> dict[str, str]:
    """The files of a project, by their paths in its folder."""
    files = {
        template.name.removesuffix(_SUFFIX): template.read_text("utf-8")
        for template in sorted(_TEMPLATES.glob(f"*{_SUFFIX}"))
    }
    files[PLACES["github"]] = recipe("github", "c")
    return {
        path.replace(_PLACEHOLDER, name): text.replace(_PLACEHOLDER, name)
        for path, text in files.items()
    }


def create(folder: Path) -> list[str]:
    """Make the folder with a project of its name in it; returns the paths of its files.

    All of it is made, or nothing.  UsageError for a name that cannot be, and for a folder that is
    there already or cannot be made.
    """
    folder = Path(os.path.abspath(folder))
    check_name(folder.name)
    if os.path.lexists(folder):
        raise UsageError(f"{folder} is there already: choose another name, or another folder")
    files = files_of(folder.name)
    try:
        with ExitStack() as undo:
            made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            undo.callback(shutil.rmtree, made, ignore_errors=True)
            for path, text in files.items():
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, "utf-8")
            made.chmod(0o777 & ~_umask())
            made.rename(folder)
            undo.pop_all()
    except OSError as error:
        raise UsageError(
            f"{folder.parent}: no project can be made there: {error.strerror}; "
            "choose a folder that exists and that you can write to"
        ) from error
    return list(files)


def check_name(name: str) -> None:
    """UsageError for a name that IDL, C or Python have no use for."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        better = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lstrip("0123456789_")
        meant = f": did you mean {better}?" if better else ""
        raise UsageError(
            f"{name!r} is no name for an interface: letters, digits and _, a letter first{meant}"
        )
    if len(name) > _LONGEST:
        raise UsageError(f"{name!r}: a name has at most {_LONGEST} characters, this {len(name)}")
    headers = {header.stem.lower() for header in INCLUDE.glob("*.h")}
    reasons = {
        "a word of IDL": name in KEYWORDS,
        "a word of C": identifier(name) != name,
        "a word of Python": keyword.iskeyword(name),
        "the name of a header on the DSP": name.lower() in headers,
        "the name of the package itself": name.lower() == "qda",
        "the name of another file of the project": name.lower() in ("program", "build", "makefile"),
    }
    instead = f"choose another, such as my_{name.lower()}"
    for reason, applies in reasons.items():
        if applies:
            raise UsageError(f"{name!r} is {reason}: {instead}")
    interface = f"{name}.idl"
    try:
        header(parse(files_of(name)[interface], name=interface))
    except IdlError as error:
        why = error.diagnostics[0].message.removesuffix("; choose another name")
        raise UsageError(f"{name!r} is no name for an interface: {why}: {instead}") from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
