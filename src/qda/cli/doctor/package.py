"""The package: whether its compiled parts are there and of these sources, and a DSP comes up."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import qda
from qda import core
from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.cli.recipe import language_of
from qda.core.version import VERSION
from qda.shim.names import LIBRARY, LIBRARY_MARK

__all__ = ["examine_package"]

_SUBJECT = "Package"
_finding = partial(Finding, _SUBJECT)
_GOOD, _NOTE, _FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT
_QUESTION = b"how are you?"


def examine_package(place: Place) -> Iterator[Finding]:
    """Look at the installed package."""
    root = Path(qda.__file__).parent
    python = f"Python {platform.python_version()}, {sys.executable}"
    yield _finding("qda", _GOOD, f"{metadata.version('qda-accel')} in {root}; {python}")
    yield _core(place, root)
    yield _preload_library(place, root)
    yield _native_runtime(place, root)
    yield _virtual_dsp()


def _again(place: Place, root: Path) -> str:
    """How the package is installed again, so that C is compiled."""
    compiler = place.which("cc") or place.which("gcc") or place.which("clang")
    first = "" if compiler else f"{place.install('cc')} && "
    python = shlex.quote(sys.executable)
    checkout = root.parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"{first}{python} -m pip install -e {shlex.quote(str(checkout))}"
    return f"{first}{python} -m pip install --force-reinstall --no-deps qda-accel"


def _core(place: Place, root: Path) -> Finding:
    name = "core"
    if core.IS_COMPILED:
        return _finding(name, _GOOD, f"compiled, of these sources ({VERSION:#010x})")
    if place.variables.get("QDA_CORE") == "python":
        words = "in Python, and slow, because QDA_CORE says so"
        return _finding(name, _NOTE, words, "unset QDA_CORE")
    if find_spec("qda.core._core") is not None:
        words = "compiled from other sources, so it is in Python, and slow"
        return _finding(name, _FAULT, words, _again(place, root))
    words = "in Python, and slow: C was not compiled when the package was installed"
    return _finding(name, _NOTE, words, _again(place, root))


def _preload_library(place: Place, root: Path) -> Finding:
    """What lets other programs in.  Who has C in the working folder needs it."""
    name, path = "qda run", root / "shim" / LIBRARY
    needed = _FAULT if language_of(place.folder) == "c" else _NOTE
    if not path.is_file():
        words = f"no {LIBRARY}: C was not compiled when the package was installed"
        return _finding(name, needed, words, _again(place, root))
    if f"{LIBRARY_MARK} {VERSION:#010x}u".encode() not in path.read_bytes():
        return _finding(name, _FAULT, f"{path} is of other sources", _again(place, root))
    return _finding(name, _GOOD, f"{LIBRARY}, of these sources")


def _native_runtime(place: Place, root: Path) -> Finding:
    name, path = "runtime of skeletons in C", root / "dsp" / "libqda_runtime.so"
    if path.is_file():
        return _finding(name, _GOOD, path.name)
    needed = _FAULT if language_of(place.folder) == "c" else _NOTE
    words = f"no {path.name}: C was not compiled when the package was installed"
    return _finding(name, needed, words, _again(place, root))


def _virtual_dsp() -> Finding:
    """Start one, and ask it something."""
    name, begin = "virtual DSP", time.monotonic()
    try:
        with qda.open("cdsp", device="virtual") as session, session.load(_Doctor) as remote:
            (answer,) = remote.invoke(2, [_QUESTION], [len(_QUESTION)])
    except Exception as error:  # whatever it is, it is what the user would have met
        said = str(error).splitlines() or [""]
        words = f"does not come up: {type(error).__name__}: {said[0]}"
        return _finding(
            name, _FAULT, words, "mend the other faults first, then run qda doctor again"
        )
    if answer != _QUESTION:
        return _finding(name, _FAULT, f"answers {answer!r}, not {_QUESTION!r}", "report this")
    return _finding(name, _GOOD, f"came up and answered within {time.monotonic() - begin:.1f} s")


class _Doctor(qda.Skeleton, name="doctor"):
    """What is asked on the DSP."""

    @qda.method(2)
    def echo(self, said: memoryview, answer: memoryview) -> None:
        answer[:] = said
