"""Search paths: the folders in which the DSP finds modules, and programs their library (U9)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.client.host.search import BUILT_IN, LIBRARY_PATHS
from qda.dsp.library_file import check_library
from qda.errors import StatusError

__all__ = ["examine_search_paths"]

_finding = partial(Finding, "Search paths")
_GOOD, _NOTE, _FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT

_MODULES = ("*_skel.so", "*_skel.py")


def examine_search_paths(place: Place) -> Iterator[Finding]:
    """Look at the variables, and at what lies in their folders."""
    for variable in LIBRARY_PATHS:
        yield from _variable(place, variable)
    found = [path for path in _libraries(place) if path.exists()]
    if found:
        paths = ", ".join(_shown(path) for path in found)
        yield _finding("FastRPC library", _GOOD, paths)
    else:
        words = "no libcdsprpc.so: only programs that link with Qualcomm's library need it"
        remedy = (
            "git clone https://github.com/qualcomm/fastrpc && cd fastrpc && ./gitcompile && "
            + place.as_root("make install")
        )
        yield _finding("FastRPC library", _NOTE, words, remedy)


def _variable(place: Place, variable: str) -> Iterator[Finding]:
    if variable not in place.variables:
        if variable == LIBRARY_PATHS[0]:
            built_in = ", ".join(BUILT_IN)
            yield _finding(variable, _GOOD, f"not set; built in are {built_in}")
        return
    value = place.variables[variable]
    folders = [folder for folder in value.split(";") if folder]
    missing = [folder for folder in folders if not (place.folder / folder).is_dir()]
    if missing:
        kept = ";".join(folder for folder in folders if folder not in missing)
        remedy = f"export {variable}={shlex.quote(kept)}" if kept else f"unset {variable}"
        at_once = ":" in value and ";" not in value
        why = " (folders stand apart with ;)" if at_once else ""
        if at_once and all((place.folder / it).is_dir() for it in value.split(":") if it):
            remedy = f"export {variable}={shlex.quote(value.replace(':', ';'))}"
        yield _finding(variable, _FAULT, f"no such folder: {', '.join(missing)}{why}", remedy)
    for folder in folders:
        if folder not in missing:
            yield _modules(place, variable, folder)


def _modules(place: Place, variable: str, folder: str) -> Finding:
    """What lies in a folder, and whether the virtual DSP runs it."""
    where = place.folder / folder
    if not os.access(where, os.R_OK | os.X_OK):
        remedy = place.as_root(f"chmod a+rx {shlex.quote(folder)}")
        return _finding(variable, _FAULT, f"{folder} cannot be read", remedy)
    modules = sorted(path for pattern in _MODULES for path in where.glob(pattern))
    for path in modules:
        if path.suffix == ".so":
            try:
                check_library(path.read_bytes(), path.name)
            except OSError as error:
                remedy = place.as_root(f"chmod a+r {shlex.quote(str(path))}")
                return _finding(variable, _FAULT, f"{path}: {error.strerror}", remedy)
            except StatusError as error:
                words = f"{folder}: {str(error).splitlines()[0]}"
                return _finding(
                    variable, _NOTE, words, f"build {path.name} for this machine, with cc"
                )
    names = ", ".join(path.name for path in modules)
    return _finding(variable, _GOOD, f"{folder}: {names or 'no modules'}")


def _libraries(place: Place) -> Iterator[Path]:
    """Where the dynamic loader would find Qualcomm's library."""
    named = place.variables.get("LD_LIBRARY_PATH", "").split(":")
    usual = ["/usr/local/lib", "/usr/lib", "/lib", "/usr/lib64"]
    usual += [f"{folder}/{os.uname().machine}-linux-gnu" for folder in ("/usr/lib", "/lib")]
    for folder in [*filter(None, named), *(str(place.path(folder)) for folder in usual)]:
        yield from sorted(Path(folder).glob("lib[acs]dsprpc.so"))


def _shown(path: Path) -> str:
    real = path.resolve()
    return str(path) if real == path else f"{path} ({real.name})"
