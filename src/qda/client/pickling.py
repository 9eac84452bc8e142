"""How a class gets to the DSP: by reference if it can be imported there, else by value.  A DSP that
runs in this process, for debugging, gets the class itself.

With a class that goes by value goes the text of its functions where no file has it, as in a
notebook: so tracebacks and debuggers show its lines there too.
"""

from __future__ import annotations

import inspect
import io
import linecache
import os
import sys
import threading
from collections import ChainMap
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import count
from types import CodeType, FunctionType, ModuleType

from qda.errors import UsageTypeError
from qda.fastrpc.loader import HAND_OVER, INSTALL, PYTHON, code_of
from qda.fastrpc.skeleton import AnySkeleton

__all__ = ["forms"]

_registering = threading.Lock()
_keys = count()

_NO_FILE = "<dynamic-code>"
"""What cloudpickle says in the place of a function's file."""


def forms(
    skeleton: type, handed_over: dict[str, type] | None
) -> Generator[tuple[int, bytes], None, None]:
    """The forms in which a class may be sent, in the order in which they are to be tried, each with
    the loader's method for it.  UsageTypeError for a class that cannot be sent.

    `handed_over` is the table by which classes get to a DSP of this process, None if the DSP is
    elsewhere.  The class is in it as long as the form is in use.
    """
    if handed_over is None:
        yield INSTALL, _sent(skeleton)
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
        return _sent(skeleton)


def _modules_of(skeleton: type) -> list[ModuleType]:
    """The modules of a class and of the program's classes that it is derived from, as far as it
    has one: that of an interface from a text is none."""
    package = __name__.partition(".")[0]
    names = {one.__module__ for one in skeleton.__mro__ if issubclass(one, AnySkeleton)}
    ours = {name for name in names if name.partition(".")[0] == package}
    return [sys.modules[name] for name in sorted(names - ours) if name in sys.modules]


def _sent(skeleton: type) -> bytes:
    try:
        return _pickled(skeleton)
    except Exception as error:  # whatever an object says that cannot be pickled
        said = f"{skeleton.__name__} cannot be sent to the DSP: {_culprit(skeleton)}{error}"
        raise UsageTypeError(f"{said}; what belongs to a process is made in `__init__`") from error


def _pickled(skeleton: type) -> bytes:
    """A pair: the class, and by their names the texts of its functions that are in no file."""
    import cloudpickle  # whoever installs no class need not wait for it

    texts: dict[str, str] = {}
    table = cloudpickle.Pickler.dispatch_table
    plain = table[CodeType]

    def reduced(code: CodeType) -> tuple[object, tuple[object, ...]]:
        name = code.co_filename
        if not os.path.exists(name):
            texts[name] = "".join(linecache.getlines(name))
        made, arguments = plain(code)
        named = (name if one == _NO_FILE else one for one in arguments)
        return code_of, (PYTHON, made, *named)

    more = {"dispatch_table": ChainMap({CodeType: reduced}, table)}  # it is read from the class
    into = io.BytesIO()
    type("Pickler", (cloudpickle.Pickler,), more)(into).dump((skeleton, texts))
    return into.getvalue()


def _culprit(skeleton: type) -> str:
    """Which part of a class it is that cannot be pickled, "" if no part alone."""
    for kind in skeleton.__mro__:
        for name, value in vars(kind).items() if kind is not object else ():
            for words, used in ((f"its {name}, ", value), *_used_by(name, value)):
                if not isinstance(used, FunctionType) and not _travels(used):
                    return f"{words}{used!r:.80}: "
    return ""


def _used_by(name: str, value: object) -> Iterator[tuple[str, object]]:
    """What a method uses from around it."""
    if isinstance(value, FunctionType):
        found = inspect.getclosurevars(value)
        for used, it in {**found.globals, **found.nonlocals}.items():
            yield f"its {name} uses {used}, ", it


def _travels(value: object) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True
