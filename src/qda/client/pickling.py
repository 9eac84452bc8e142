"""How a class gets to the DSP: by reference if it can be imported there, else by value.  A DSP that
runs in this process, for debugging, gets the class itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack
from itertools import count
from types import ModuleType

from qda.fastrpc.loader import HAND_OVER, INSTALL
from qda.fastrpc.skeleton import AnySkeleton

__all__ = ["forms"]

_registering = threading.Lock()
_keys = count()


def forms(
    skeleton: type, handed_over: dict[str, type] | None
) -> Generator[tuple[int, bytes], None, None]:
    """The forms in which a class may be sent, in the order in which they are to be tried, each with
    the loader's method for it.  TypeError, PicklingError.

    `handed_over` is the table by which classes get to a DSP of this process, None if the DSP is
    elsewhere.  The class is in it as long as the form is in use.
    """
    if handed_over is None:
        import cloudpickle  # whoever installs no class need not wait for it

        yield INSTALL, bytes(cloudpickle.dumps(skeleton))
        yield INSTALL, _by_value(skeleton)
        return
    # A pickle would not do, even for a copy: of a class that it knows, cloudpickle makes no new
    # one but writes all attributes anew, into the program's own.
    key = str(next(_keys))
    handed_over[key] = skeleton
    try:
        yield HAND_OVER, key.encode() + b"\0"
    finally:
        del handed_over[key]


def _by_value(skeleton: type) -> bytes:
    import cloudpickle

    with _registering, ExitStack() as undo:
        for module in _modules_of(skeleton):
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                undo.callback(cloudpickle.unregister_pickle_by_value, module)
        return bytes(cloudpickle.dumps(skeleton))


def _modules_of(skeleton: type) -> list[ModuleType]:
    """The modules of a class and of the program's classes that it is derived from, as far as it
    has one: that of an interface from a text is none."""
    package = __name__.partition(".")[0]
    names = {one.__module__ for one in skeleton.__mro__ if issubclass(one, AnySkeleton)}
    ours = {name for name in names if name.partition(".")[0] == package}
    return [sys.modules[name] for name in sorted(names - ours) if name in sys.modules]
