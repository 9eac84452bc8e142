"""Where the host looks for files that the DSP asks for by name (spec/fastrpc.md 7.5, U9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["BUILT_IN", "LIBRARY_PATHS", "search_folders"]

LIBRARY_PATHS = ("DSP_LIBRARY_PATH", "ADSP_LIBRARY_PATH")
"""The variables for modules, in their order.  A DSP names the second one and means both."""

BUILT_IN = ("/usr/lib/rfsa/adsp", "/usr/lib/dsp")
"""Folders that are searched for modules after those of the variables."""

_DELIMITER = ";"


def search_folders(
    variable: str, delimiter: str, domain: str, environment: Mapping[str, str]
) -> list[str]:
    """The folders in which a file is looked for, in order, each once.

    `variable` lists them, with `delimiter` between; an empty one is the current folder.  Of each
    folder the one named for the DSP comes first, `DIR/cdsp` before `DIR`.
    """
    return list(dict.fromkeys(_folders(variable, delimiter, domain, environment)))


def _folders(
    variable: str, delimiter: str, domain: str, environment: Mapping[str, str]
) -> Iterator[str]:
    is_modules = variable in LIBRARY_PATHS
    for name in LIBRARY_PATHS if is_modules else (variable,):
        value = environment.get(name)
        if value is not None:
            for folder in value.split(delimiter or _DELIMITER):
                yield from _of_domain(folder or ".", domain)
    for folder in BUILT_IN if is_modules else ():
        yield from _of_domain(folder, domain)


def _of_domain(folder: str, domain: str) -> tuple[str, str]:
    folder = folder.rstrip("/") or "/"
    return f"{folder}/{domain}", folder
