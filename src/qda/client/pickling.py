"""How a class gets to the DSP: by reference if it can be imported there, else by value.  A DSP that
runs in this process, for debugging, gets the class itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from uuid import uuid4

import cloudpickle

from qda.fastrpc.skeleton import AnySkeleton

__all__ = ["by_reference_then_by_value", "handed_over"]

_registering = threading.Lock()


def by_reference_then_by_value(skeleton: type) -> Iterator[bytes]:
    """The two ways to pickle a class, in the order in which they are to be tried.  TypeError,
    PicklingError."""
    yield bytes(cloudpickle.dumps(skeleton))
    with _registering, ExitStack() as undo:
        for module in _modules_of(skeleton):
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                undo.callback(cloudpickle.unregister_pickle_by_value, module)
        pickled = bytes(cloudpickle.dumps(skeleton))
    yield pickled


def _modules_of(skeleton: type) -> list[ModuleType]:
    """The modules of a class and of the program's classes that it is derived from, as far as it
    has one: that of an interface from a text is none."""
    package = __name__.partition(".")[0]
    names = {one.__module__ for one in skeleton.__mro__ if issubclass(one, AnySkeleton)}
    ours = {name for name in names if name.partition(".")[0] == package}
    return [sys.modules[name] for name in sorted(names - ours) if name in sys.modules]


@contextmanager
def handed_over(table: dict[str, type], skeleton: type) -> Iterator[bytes]:
    """Leave a class for a DSP of this process in the table that both have; its key, with a NUL.

    A pickle would not do, even for a copy: of a class that it knows, cloudpickle makes no new one
    but writes all attributes anew, into the program's own.
    """
    key = uuid4().hex
    table[key] = skeleton
    try:
        yield key.encode() + b"\0"
    finally:
        del table[key]
