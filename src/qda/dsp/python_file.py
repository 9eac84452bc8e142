"""Skeletons in a Python file: `NAME_skel.py`, in place of `libNAME_skel.so`.

The file is a module like any other, but it has no place: it comes from the host as bytes, so what
it imports must be importable on the DSP.  Of its skeletons the one is opened that implements the
interface of the URI.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from itertools import count
from traceback import format_exception_only
from types import ModuleType

from qda.dsp.modules import create_skeleton, nothing_to_close, open_skeleton
from qda.dsp.skeleton import DspServices, Skeleton
from qda.dsp.tracebacks import told
from qda.errors import UNABLE_TO_LOAD, StatusError, UsageTypeError
from qda.fastrpc.skeleton import AnySkeleton, Module, check_class
from qda.fastrpc.uri import ModuleUri

__all__ = ["PythonFile"]

_numbers = count(1)

_BASES = (AnySkeleton.__module__, Skeleton.__module__, "qda.idl.python.runtime")
"""Where base classes are; the last, which a file of plain methods does without, by its name."""


class PythonFile:
    """A Python file with skeletons, imported into this process.

    StatusError UNABLE_TO_LOAD, with the traceback, if it cannot be.
    """

    def __init__(self, data: bytes, name: str, services: DspServices) -> None:
        self._name, self._services = name, services
        self._plain: dict[str, AnySkeleton] = {}
        # A name of its own: a file that has changed is another module.
        self._module = ModuleType(f"{name.removesuffix('.py')}_{next(_numbers)}")
        self._module.__file__ = name
        text = data.decode("utf-8", "replace")
        # Tracebacks and debuggers find the lines here, the file being on another machine.
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        sys.modules[self._module.__name__] = self._module  # dataclasses and pickles look there
        try:
            exec(compile(data, name, "exec", dont_inherit=True), self._module.__dict__)
        except BaseException as error:
            self.close()
            first = "".join(format_exception_only(error)).rstrip().rpartition("\n")[2]
            raise StatusError(UNABLE_TO_LOAD, f"{name}: {first}\n{told(error)}") from error

    def module(self, uri: ModuleUri, text: str) -> tuple[Module, Callable[[], None]]:
        """An opened skeleton of an interface, and what closes it.  StatusError."""
        skeleton = self._find(uri.name)
        if uri.handle64:
            return open_skeleton(skeleton, self._services, text)
        if uri.name not in self._plain:
            self._plain[uri.name] = create_skeleton(skeleton, self._services)
        return self._plain[uri.name], nothing_to_close

    def _find(self, name: str) -> type[AnySkeleton]:
        found = [
            one
            for one in vars(self._module).values()
            if isinstance(one, type) and issubclass(one, AnySkeleton) and _is_implementation(one)
        ]
        named = [one for one in found if one.name == name]
        # A class and those that it is derived from have one name: the last one is meant.
        named = [one for one in named if not any(one in other.__mro__[1:] for other in named)]
        if len(named) == 1:
            try:
                check_class(named[0])
            except UsageTypeError as error:
                raise StatusError(UNABLE_TO_LOAD, f"{self._name}: {error}") from error
            return named[0]
        names = ", ".join(f"{one.__name__} ({one.name})" for one in named or found) or "none"
        what = "several skeletons" if named else "no skeleton"
        raise StatusError(
            UNABLE_TO_LOAD, f"{self._name} has {what} of interface {name}; it has {names}"
        )

    def close(self) -> None:
        """Forget the module; objects that live keep what they need of it."""
        sys.modules.pop(self._module.__name__, None)


def _is_implementation(one: type) -> bool:
    """Not a base class that comes with an interface, nor those of this package."""
    return "interface" not in vars(one) and one.__module__ not in _BASES
