"""Tools: compilers for skeletons and programs in C, engines for kernels and Hexagon code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.cli.recipe import language_of

__all__ = ["examine_tools"]

_finding = partial(Finding, "Tools")
_GOOD, _NOTE, _FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT

_PROGRAMS = {
    "make": "builds most projects in C",
    "cmake": "builds the package's own C from sources",
    "gdb": "debugs skeletons in C",
    "valgrind": "checks skeletons and programs in C",
    "qemu-system-aarch64": "`qda kernel run`",
    "dtc": "`qda kernel run`",
}
"""Programs that some need, and for what."""

_MODULES = {"pytest": "testing", "hypothesis": "testing", "perfetto": "timeline"}
"""Python packages that some need, and the extra that brings each."""

_HEXAGON = ("hexagon-clang", "hexagon-unknown-linux-musl-clang")


def examine_tools(place: Place) -> Iterator[Finding]:
    """Look for tools.  Who has C in the working folder needs a compiler."""
    compiler = next(filter(None, map(place.which, ("cc", "gcc", "clang"))), None)
    needed = _FAULT if language_of(place.folder) == "c" else _NOTE
    if compiler:
        yield _finding("C compiler", _GOOD, f"{compiler}: {place.version(compiler)}")
    else:
        words = "none: skeletons and programs in C cannot be built"
        yield _finding("C compiler", needed, words, place.install("cc"))
    for program, purpose in _PROGRAMS.items():
        path = place.which(program)
        if path:
            yield _finding(program, _GOOD, path)
        else:
            yield _finding(program, _NOTE, f"none: {purpose}", place.install(program))
    yield _hexagon(place)
    for module, extra in _MODULES.items():
        if find_spec(module) is not None:
            yield _finding(module, _GOOD, "installed")
        else:
            yield _finding(module, _NOTE, "not installed", f"pip install 'qda-accel[{extra}]'")


def _hexagon(place: Place) -> Finding:
    """The compilers for the real DSP: the virtual one does not need them."""
    name = "Hexagon tools"
    root = place.variables.get("HEXAGON_SDK_ROOT", "")
    if root and not os.path.isdir(root):
        return _finding(name, _FAULT, f"HEXAGON_SDK_ROOT: no {root}", "unset HEXAGON_SDK_ROOT")
    found = next(filter(None, map(place.which, _HEXAGON)), None) or root
    if found:
        return _finding(name, _GOOD, found)
    return _finding(
        name,
        _NOTE,
        "none: only who builds for a real DSP needs them",
        "install Qualcomm's Hexagon SDK, then export HEXAGON_SDK_ROOT=FOLDER",
    )
