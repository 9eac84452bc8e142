"""A program for the guest, with what it needs to start.

One of one's own brings its loader and its shared libraries; one of the distribution, as Python, is
in the guest with everything that was fetched with it, and our client beside it.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from qda.errors import UsageError
from qda.kernel.initramfs import Link, tree
from qda.kernel.machine import Tools

__all__ = ["Files", "installed_files", "program_files"]

_ELF, _ARM64 = b"\x7fELF", 183
_MODULES = ("qda", "cloudpickle", "lark")
"""What Python has in the guest besides its own: our client, and what its interfaces need; NumPy is
another one for arm64."""
_PYTHON_PATH = "/usr/lib/python3/dist-packages"

Files = dict[str, Path | bytes | Link]
"""Files by where they stand in the guest."""


def installed_files(root: Path, words: Sequence[str]) -> tuple[list[str], Files]:
    """A command whose program is one of those below `root`: its words in the guest, and the files
    that it needs.  The first argument that is a file here is there as well.  UsageError."""
    program, *arguments = words
    if not (root / "usr/bin" / program).exists():
        raise UsageError(f"{program}: no such file, nor among what was fetched: `qda kernel fetch`")
    files: Files = {"/lib": Link("usr/lib"), **tree(root, "")}
    for module in _MODULES:
        files |= _module(module)
    for index, argument in enumerate(arguments):
        if Path(argument).is_file():
            arguments[index] = f"/qda/{Path(argument).name}"
            files[arguments[index]] = Path(argument)
            break
    return [f"/usr/bin/{program}", *arguments], files


def _module(name: str) -> Files:
    """A package of this Python, without what is compiled for this machine."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        return {}
    files = tree(Path(found.origin).parent, f"{_PYTHON_PATH}/{name}")
    others = (".so", ".pyc", ".c", ".h", ".jpg")
    return {place: file for place, file in files.items() if not place.endswith(others)}


def program_files(program: Path, place: str, tools: Tools) -> Files:
    """A program and what it needs, by where they stand in the guest.

    Libraries are looked for where the guest's compiler looks for them.  UsageError for what is no
    program for arm64, or needs what is not there.
    """
    try:
        head = program.read_bytes()[:64]
    except OSError as error:
        raise UsageError(f"{program}: {error.strerror}") from error
    files: Files = {place: program}
    if head.startswith(b"#!"):
        return files
    if not head.startswith(_ELF) or int.from_bytes(head[18:20], "little") != _ARM64:
        raise UsageError(f"{program}: not a program for arm64, as the guest is: {tools.compiler}")
    _add_needed(program, files, tools)
    return files


def _add_needed(file: Path, files: Files, tools: Tools) -> None:
    text = _read_elf(file, tools)
    loader = re.search(r"program interpreter: (.*)\]", text)
    if loader is not None and loader[1] not in files:
        files[loader[1]] = _library(Path(loader[1]).name, file, tools)
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
        place = f"/lib/{name}"
        if place not in files and f"/{name}" not in (loader[1] if loader else ""):
            library = _library(name, file, tools)
            files[place] = library
            _add_needed(library, files, tools)


def _read_elf(file: Path, tools: Tools) -> str:
    tool = shutil.which(tools.compiler.removesuffix("gcc") + "readelf")
    if tool is None:
        raise UsageError("no aarch64-linux-gnu-readelf: apt-get install binutils-aarch64-linux-gnu")
    done = subprocess.run([tool, "-W", "-l", "-d", file], capture_output=True, text=True)
    return done.stdout


def _library(name: str, needed_by: Path, tools: Tools) -> Path:
    """A library beside who needs it, or where the compiler finds it."""
    beside = needed_by.parent / name
    if beside.is_file():
        return beside
    command = [tools.compiler, f"-print-file-name={name}"]
    found = Path(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    if not found.is_absolute() or not found.is_file():
        raise UsageError(
            f"{needed_by} needs {name}, which is not beside it, nor where {tools.compiler} looks: "
            "apt-get install libc6-dev-arm64-cross"
        )
    return found
