"""Names of an interface in Python: as in the IDL, or with an underscore behind if that is taken."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from functools import cache
from typing import Final

__all__ = [
    "apart",
    "argument_name",
    "capacity_name",
    "member_name",
    "method_name",
    "module_name",
    "skeleton_name",
    "table_name",
    "type_name",
]

ANNOTATIONS: Final = frozenset(("bool", "bytes", "float", "int", "list", "str", "tuple"))
"""Built-in types that stand behind other names in a class."""

OF_CLASSES: Final = ANNOTATIONS | {
    "Skeleton",
    "_binding",
    "_bound",
    "_call",
    "_leave",
    "_misfits",
    "_module",
    "_start",
    "_walk",
    "check_open",
    "classes",
    "close",
    "describe",
    "dsp",
    "interface",
    "invoke",
    "name",
    "open",
    "session",
}
"""What remote objects and skeletons have themselves."""

OF_MODULES: Final = frozenset(
    [
        "Any",
        "Final",
        "IDL",
        "NDArray",
        "NamedTuple",
        "Sequence",
        "TypeAlias",
        "dataclass",
        "np",
        "runtime",
    ]
)
"""What a module of interfaces has itself."""

OF_STRUCTURES: Final = ANNOTATIONS | {"mro"}
"""What structures have themselves, or their type."""

OF_ENUMERATIONS: Final = frozenset(("mro", "name", "value"))


@cache
def _free(name: str, taken: frozenset[str] = frozenset()) -> str:
    if name.startswith("__"):
        # Those that end in the same way are Python's own, and all others get the name of the class
        # in front within one.
        return f"{name}_" if name.endswith("__") else f"{name}____"
    return f"{name}_" if keyword.iskeyword(name) or name in taken else name


def method_name(name: str) -> str:
    """The name of a method, in remote object and skeleton."""
    return _free(name, OF_CLASSES)


def argument_name(name: str) -> str:
    """The name of a method's argument."""
    return _free(name, frozenset(("self",)))


def apart(names: Iterable[str]) -> list[str]:
    """Names as they are, but a further underscore behind one that stands before it."""
    found: dict[str, None] = {}
    for name in names:
        while name in found:
            name += "_"
        found[name] = None
    return list(found)


def capacity_name(name: str) -> str:
    """The name of the argument that offers room for more than an inrout string takes."""
    return f"{name}_capacity"


def member_name(name: str, of_enumeration: bool = False) -> str:
    """The name of a structure's member or of an enumerator."""
    if of_enumeration and re.fullmatch(r"_\w*_", name):
        return f"{name}_"  # such names are reserved by `enum`
    return _free(name, OF_ENUMERATIONS if of_enumeration else OF_STRUCTURES)


def type_name(name: str) -> str:
    """The name of a class or constant, from its name in C: built-in functions stay reachable."""
    return f"{name}_" if hasattr(builtins, name) else _free(name, OF_MODULES)


def skeleton_name(name: str) -> str:
    """The name of the skeleton of an interface, from the name of its class."""
    return f"Skeleton{name}" if name.startswith("__") else f"{name}_Skeleton"


def table_name(name: str) -> str:
    """The name of the table of an interface's classes, from its name in C."""
    return f"_classes{name}" if name.startswith("_") else f"_{name}_classes"


def module_name(library: str) -> str:
    """The name of the module that is written for a file `LIBRARY.idl`."""
    return re.sub(r"\W", "_", f"{library}_idl", flags=re.ASCII)
