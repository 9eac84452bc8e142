"""A program for the guest, with what it needs to start: its loader and its shared libraries."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from qda.errors import UsageError
from qda.kernel.machine import Tools

__all__ = ["program_files"]

_ELF, _ARM64 = b"\x7fELF", 183


def program_files(program: Path, place: str, tools: Tools) -> dict[str, Path | bytes]:
    """A program and what it needs, by where they stand in the guest.

    Libraries are looked for where the guest's compiler looks for them.  UsageError for what is no
    program for arm64, or needs what is not there.
    """
    try:
        head = program.read_bytes()[:64]
    except OSError as error:
        raise UsageError(f"{program}: {error.strerror}") from error
    files: dict[str, Path | bytes] = {place: program}
    if head.startswith(b"#!"):
        return files
    if not head.startswith(_ELF) or int.from_bytes(head[18:20], "little") != _ARM64:
        raise UsageError(f"{program}: not a program for arm64, as the guest is: {tools.compiler}")
    _add_needed(program, files, tools)
    return files


def _add_needed(file: Path, files: dict[str, Path | bytes], tools: Tools) -> None:
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
