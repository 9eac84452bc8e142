"""Interfaces at run time: the module that would be written is executed instead."""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import inspect
import linecache
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any, SupportsIndex, TypeVar
from weakref import WeakValueDictionary

from qda.errors import QdaError, UsageError, bare, did_you_mean
from qda.idl.model import Document, Interface
from qda.idl.names import type_name
from qda.idl.python.module import body, imports
from qda.idl.python.runtime import (
    EnumerationType,
    InterfaceType,
    Remote,
    ResultType,
    Skeleton,
    StructureType,
    remote_of,
)
from qda.idl.text.compile import parse
from qda.idl.text.preprocessor import Reader, read_file

__all__ = ["interface_of", "load", "load_module"]

K = TypeVar("K", bound=type)

_loading = threading.Lock()

_travelling: WeakValueDictionary[tuple[str, str, str], Any] = WeakValueDictionary()
"""Classes of values that were made here, by the name and text of their file and their own name."""

_SHOWN = 20
"""How many interfaces an error names."""


def load(
    source: str | os.PathLike[str],
    interface: str | None = None,
    *,
    name: str | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    defines: Iterable[str] = (),
    read: Reader = read_file,
) -> Any:
    """Make a class of remote objects from an interface in a file or text.

    `session.load` opens it; its `Skeleton` is the base of implementations.  Constants, structures
    and enumerations of the file are reached through it, those that the interface declares without
    the interface's name in front.  `interface` says which one, if there are several.

    Other parameters as in `parse`.  IdlError; UsageError for no or several interfaces.
    """
    try:
        return _load(source, interface, name, include_dirs, defines, read)
    except QdaError as error:
        bare(error)
        raise


def _load(
    source: str | os.PathLike[str],
    interface: str | None,
    name: str | None,
    include_dirs: Sequence[str | os.PathLike[str]],
    defines: Iterable[str],
    read: Reader,
) -> type[Remote]:
    document = parse(source, name=name, include_dirs=include_dirs, defines=defines, read=read)
    found = document.interfaces
    if interface is not None:
        found = tuple(one for one in found if interface in (one.name, one.full_name, one.c_name))
    if not document.interfaces:
        raise UsageError(f"{document.name} has no interface: declare `interface NAME {{ ... }};`")
    if len(found) != 1:
        names = ", ".join(one.full_name for one in document.interfaces[:_SHOWN]) or "none"
        more = len(document.interfaces) - _SHOWN
        meant = did_you_mean(interface, (one.full_name for one in document.interfaces))
        said = f"not {interface!r}{': ' * bool(meant)}{meant}"
        wanted = f"`interface={document.interfaces[0].full_name!r}`"
        raise UsageError(
            f"{document.name} has these interfaces: {names}{f' and {more} more' * (more > 0)}; "
            + (said if interface else f"give the one that is meant, {wanted}")
        )
    # Of the others there are only their types: a file may have thousands.
    module = _module_of(document, found)
    remote: type[Remote] = getattr(module, type_name(found[0].c_name))
    _reach(remote, module)
    key = document.name, document.text, remote.interface.full_name
    _loaded[key] = remote
    made: Any = remote
    made.__idl_source__ = key
    return remote


def _reach(remote: type[Remote], module: ModuleType) -> None:
    """Make the module's declarations attributes of the interface."""
    own = f"{remote.interface.c_name}_"
    # Not by `hasattr`: a name that there is not would be compared with all others, to find out
    # which one is meant.
    taken = {*dir(remote), *dir(type(remote))}
    for full_name, value in vars(module).items():
        name = full_name.removeprefix(own)
        made = isinstance(value, (bool, int, float, str)) or (
            inspect.isclass(value) and value.__module__ == module.__name__
        )
        if made and not full_name.startswith("_") and name not in taken:
            taken.add(name)
            setattr(remote, name, value)


def load_module(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    defines: Iterable[str] = (),
    read: Reader = read_file,
) -> ModuleType:
    """Make the Python module of a file or text: what `qda idl --python` would write.

    Its `IDL` is the document; a class, constant or function in it has its name in C.  Parameters
    as in `parse`.  IdlError.
    """
    document = parse(source, name=name, include_dirs=include_dirs, defines=defines, read=read)
    return _module_of(document, document.interfaces)


def _module_of(document: Document, interfaces: Iterable[Interface]) -> ModuleType:
    code = body(document, interfaces)
    text = f"from __future__ import annotations\n\n{imports(code)}\n\n\n{code}"
    module = ModuleType(document.name, f"Interfaces of {document.name}.")
    module.__dict__["IDL"] = document
    # A debugger, a traceback and inspect.getsource find the text by this name.
    file = f"<Python of {document.name}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    with _loading:
        # Dataclasses look for their module there.  It does not stay: what is sent to a DSP has to
        # go by value, since the module can be imported nowhere.
        before = sys.modules.get(module.__name__)
        sys.modules[module.__name__] = module
        try:
            exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
        finally:
            if before is None:
                del sys.modules[module.__name__]
            else:
                sys.modules[module.__name__] = before
    _results_with_a_type(module)
    for one in list(vars(module).values()):
        if not inspect.isclass(one) or one.__module__ != module.__name__:
            continue
        made: Any = one
        if issubclass(one, Skeleton):
            made.__idl_source__ = document.name, document.text, one.interface.full_name
        elif not issubclass(one, Remote):
            _travelling[document.name, document.text, one.__name__] = one
            made.__idl_source__ = document.name, document.text
            made.__reduce_ex__ = _reduce
    return module


def _results_with_a_type(module: ModuleType) -> None:
    """Put in the place of each tuple of results one whose class has a type, by which it pickles."""
    names = vars(module)
    for name, one in list(names.items()):
        if inspect.isclass(one) and issubclass(one, tuple):
            parts = {"__slots__": (), "__module__": one.__module__, "__doc__": one.__doc__}
            names[name] = made = ResultType(name, (one,), parts)
            for classes in names.values():
                if isinstance(classes, dict) and classes.get(name) is one:
                    classes[name] = made


def interface_of(skeleton: type[Skeleton[object]]) -> type[Remote] | None:
    """The interface that a skeleton implements, if it was made here or has its text with it, as a
    class has that came from another process by value."""
    found = remote_of(skeleton)
    source: tuple[str, str, str] | None = getattr(skeleton, "__idl_source__", None)
    return found if found is not None or source is None else _load_again(*source)


def _reduce_interface(
    made: InterfaceType,
) -> str | tuple[Callable[..., type[Remote]], tuple[str, ...]]:
    source = vars(made).get("__idl_source__")
    return made.__qualname__ if source is None else (_load_again, source)


def _load_again(name: str, text: str, interface: str) -> type[Remote]:
    found = _loaded.get((name, text, interface))
    return load(text, interface, name=name) if found is None else found


copyreg.pickle(InterfaceType, _reduce_interface)


def _reduce_class(kind: K) -> str | tuple[Callable[..., K], tuple[str, ...]]:
    """A class of values as its instances: with the text of its interface."""
    name, text = vars(kind).get("__idl_source__", ("", ""))
    if _travelling.get((name, text, kind.__name__)) is not kind:
        return kind.__qualname__  # a class that a program has derived
    return _class_again, (name, text, kind.__name__)


def _class_again(name: str, text: str, made: str) -> Any:
    return _travelling.get((name, text, made)) or getattr(load_module(text, name=name), made)


# A base of skeletons has no type of its own, with which no class could be both such and abstract or
# a protocol; so one pickles by its name, or by value with cloudpickle.
for _type in (EnumerationType, ResultType, StructureType):
    copyreg.pickle(_type, _reduce_class)

_loaded: WeakValueDictionary[tuple[str, str, str], type[Remote]] = WeakValueDictionary()
"""Interfaces that `load` has made, by the name and text of their file and their own name."""


def _reduce(value: Any, protocol: SupportsIndex) -> Any:
    """How a structure, enumerator or tuple of results is pickled: with the text of its interface,
    since its class can be imported nowhere."""
    kind = type(value)
    name, text = kind.__idl_source__
    if _travelling.get((name, text, kind.__name__)) is not kind:
        base: type[Any] = next(one for one in kind.__mro__ if "__idl_source__" in vars(one))
        return super(base, value).__reduce_ex__(protocol)  # a class that a program has derived
    if isinstance(value, enum.Enum):
        parts: Iterable[Any] = (value.value,)
    elif isinstance(value, tuple):
        parts = value
    else:
        parts = (getattr(value, one.name) for one in dataclasses.fields(value))
    return _restore, (name, text, kind.__name__, *parts)


def _restore(name: str, text: str, made: str, *parts: Any) -> Any:
    return _class_again(name, text, made)(*parts)
