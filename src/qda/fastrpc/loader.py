"""The loader module: how a skeleton class gets into a DSP that is written in Python.

Only our DSP has it; a real one answers its open as it does for any missing module.  It is opened
by URI like every other module and called by normal invocations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType

from qda.fastrpc.uri import skeleton_uri

__all__ = [
    "HAND_OVER",
    "INSTALL",
    "LOADER_URI",
    "PYTHON",
    "READ_LOG",
    "READ_OWN_LOG",
    "READ_SETTLED_LOG",
    "AnotherPython",
    "code_of",
]

LOADER_URI = skeleton_uri("qda_loader")

INSTALL = 2
"""in: pickled, a pair of the class and the texts of functions that are in no file, by the names
that stand for files; and the name to install it under ("": its own).  out: an error text, or a
warning."""

READ_LOG = 3
"""out: length u32, then lines of the client's log since the last read, separated by newlines."""

READ_OWN_LOG = 5
"""As READ_LOG, but only the lines of the last call of this thread that has failed."""

READ_SETTLED_LOG = 6
"""As READ_LOG, but no lines of calls that have failed, or may still: these are for their errors."""

HAND_OVER = 4
"""For a DSP that runs in the client's own process, where a class needs no pickling.  in: the key of
a class in the table that both sides have, and the name to install it under; out: an error text."""


PYTHON = sys.version_info[:2]
"""Which bytecode this process understands."""


class AnotherPython(Exception):
    """Code of a class was made by a Python with other bytecode."""


def code_of(python: tuple[int, int], make: Callable[..., CodeType], *arguments: object) -> CodeType:
    """What code that was sent by value is made from on the DSP.  AnotherPython: it could be made,
    but would fail in the middle of a call."""
    if python != PYTHON:
        theirs, ours = (".".join(map(str, version)) for version in (python, PYTHON))
        raise AnotherPython(
            f"the class has code of Python {theirs}, and the DSP is Python {ours}: put it into a "
            "module that both can import, or run the program with the DSP's Python"
        )
    return make(*arguments)
