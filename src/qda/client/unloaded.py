"""Why a module could not be loaded, and what to do, by what the DSP says of it.

All these refusals have one status, AEE_EUNABLETOLOAD; the texts are those of our DSP, and of the
loader of the C library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

from qda.errors import DspError

__all__ = ["explain_load"]

_CASES = (
    (
        r"not found; searched ",
        "no file of that name is in the folders that were searched",
        "set DSP_LIBRARY_PATH to the folder of the file, with ; between folders; "
        "for an interface NAME the file is libNAME_skel.so, or NAME_skel.py",
    ),
    (
        r" cannot be read: ",
        "the path of the library leads to no file, or to one that this user may not read",
        "compare the path with where the file is",
    ),
    (
        r" has \w+, but hides it",
        "the function is static, or the library was built with -fvisibility=hidden",
        "build it without that option, as `qda idl` has written it",
    ),
    (
        r" has no symbol \w+_skel_handle_invoke; it has \w+_skel_invoke",
        "the interface descends from remote_handle64 in the program's text, and not in the one "
        "that the library was built from",
        "make both of one text: run `qda idl`, and build the library again",
    ),
    (
        r" has no symbol \w+; it has ",
        "the library is that of another interface, or of this one by another name",
        "compare the names of the interface, in its module, in the text and in the library",
    ),
    (
        r" has no symbol ",
        "the generated source of the skeleton is not in the library",
        "compile NAME_skel.c, which `qda idl` writes, together with your own sources",
    ),
    (
        r"undefined symbol: ",
        "the library calls a function that neither it nor the libraries it is linked with have",
        "if it is a method of the interface, define it; else compile its source too, or link its "
        "library; with -Wl,-z,defs the linker says so",
    ),
    (
        r" needs .*cannot open shared object",
        "the skeleton is linked with a library that is not where the system looks",
        "name its folder in LD_LIBRARY_PATH, or link with -Wl,-rpath,FOLDER",
    ),
    (
        r"ELF machine|bytes in another order|wrong ELF class|invalid ELF header",
        "the file was built for another processor",
        "build it with a compiler for this machine: cc -shared -fPIC",
    ),
    (
        r"no shared object|dynamically load|ET_DYN|file too short|cut short",
        "the file is something else, or was not written to its end",
        "link it as a shared object, cc -shared -fPIC, and look at it with `file`",
    ),
    (
        r"_skel\.py: ",
        "the Python file raises an exception when it is loaded",
        "mend what the traceback shows",
    ),
    (
        r"_skel\.py has ",
        "the file has no class of that interface, or several",
        "let one class in it derive from the interface's Skeleton",
    ),
)


def explain_load(error: DspError) -> None:
    """Let the error of an open that is AEE_EUNABLETOLOAD say what fits its case."""
    for pattern, cause, next_step in _CASES:
        if re.search(pattern, error.detail):
            error.cause, error.next_step = cause, next_step
            break
    _, found, searched = error.detail.partition("not found; searched ")
    if found:
        hints = list(_instead([Path(one) for one in searched.split("; ") if one.startswith("/")]))
        if hints:
            error.cause, error.next_step = hints[0]


def _instead(places: list[Path]) -> Iterator[tuple[str, str]]:
    """What lies in the folders that were searched and may have been meant: cause and next step."""
    wanted = list(dict.fromkeys(place.name for place in places))
    for folder in dict.fromkeys(place.parent for place in places):
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue
        for name in names:
            path = folder / name
            if name in wanted:
                yield _of_no_use(path)
            elif any(_is_like(name, one) for one in wanted):
                meant = next(one for one in wanted if _is_like(name, one))
                what = "in upper and lower case" if name.lower() == meant.lower() else "a little"
                yield (
                    f"there is {path}, whose name differs {what}",
                    f"call it {meant}: file and interface have one name",
                )


def _is_like(name: str, wanted: str) -> bool:
    if not name.endswith(os.path.splitext(wanted)[1]):
        return False
    return SequenceMatcher(None, name.lower(), wanted.lower()).ratio() > _LIKE


_LIKE = 0.8


def _of_no_use(path: Path) -> tuple[str, str]:
    """Why a file of the right name was not taken."""
    if not path.exists():
        return f"{path} is a link to {os.readlink(path)}, where nothing is", "mend the link"
    if not path.is_file():
        return f"{path} is no file", "put the library itself there"
    if not os.access(path, os.R_OK):
        return f"{path} may not be read by this user", f"permit it: chmod a+r {path}"
    return f"{path} is there, but could not be read", "look at it with `file`"
