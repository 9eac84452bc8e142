"""The texts of a program's code, as a protection domain has them.

What a class refers to is imported here when the class is first installed, and stays as it was then:
who changes the file afterwards runs the old code without noticing.  And a class from a notebook has
its lines in no file at all.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping

__all__ = ["Sources", "keep_lines"]

_OTHERS = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    *(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
"""Where code is that no program of a user's own consists of."""


def keep_lines(texts: Mapping[str, str]) -> None:
    """Let tracebacks and debuggers find texts that are in no file, by the names that code has."""
    for name, text in texts.items():
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name


class Sources:
    """The program's files that have been imported here, as they were when they were first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def changed(self) -> list[str]:
        """Look at the files; returns those that have changed since they were first looked at."""
        found = []
        for name in _imported():
            try:
                now = os.stat(name)
            except OSError:
                continue
            mark = now.st_mtime_ns, now.st_size
            if self._seen.setdefault(name, mark) != mark:
                found.append(name)
        return sorted(found)


def _imported() -> Iterator[str]:
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and not name.startswith(_OTHERS):
            yield name
