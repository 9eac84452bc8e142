"""Types that need functions of their own in C, each once, those it is made of first.

An element or structure that is not simple has records (`layouts`), and functions that go from a
value to its records and buffers, or back.  Which of them a file needs is found by asking.
"""

from __future__ import annotations

from collections.abc import Callable

from qda.idl.c.extents import extent, is_handle, is_items, is_variable
from qda.idl.c.names import base_name
from qda.idl.c.options import Options
from qda.idl.c.taken import is_used
from qda.idl.diagnostics import Location
from qda.idl.types import Enum, Sequence, String, Struct, Type

__all__ = ["Functions", "declared_type", "element_type", "least"]


class Functions:
    """Functions that were asked for, by name, in an order in which C can read them."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def need(self, name: str, write: Callable[[], list[str]]) -> str:
        """Have `write` called unless that was done for this name; returns the name.

        What `write` itself needs comes before it.
        """
        if name not in self._lines:
            lines = write()
            self._lines[name] = lines
        return name

    @property
    def lines(self) -> list[str]:
        """All functions."""
        return [line for one in self._lines.values() for line in [*one, ""]]


def least(kind: Type, layouts: tuple[str, ...]) -> str:
    """What every value of a type takes at least: "buffer", "handle" or, for some, "".

    `layouts` are those whose records go out in buffers of their own.
    """
    inner = kind.resolved
    if is_variable(kind):
        return "buffer"
    if is_handle(kind):
        return "handle"
    if is_items(kind):
        assert isinstance(inner, Sequence)
        return "buffer" if any(extent(inner.element, one).size for one in layouts) else ""
    if isinstance(inner, Struct) and not inner.is_simple:
        found = {least(member.type, layouts) for member in inner.members}
        return "buffer" if "buffer" in found else "handle" if "handle" in found else ""
    return ""


def element_type(kind: Type, options: Options, place: Location) -> str:
    """The C type of a value that is an element or a structure."""
    inner = kind.resolved
    if isinstance(inner, String):
        return "_wstring1_t" if inner.wide else "_cstring1_t"
    return base_name(kind, options, place)


def declared_type(kind: Type, options: Options, place: Location) -> str:
    """The C type, to declare something with where generated code has words of its own: a structure
    that is called like one of them is named by its tag."""
    name, inner = element_type(kind, options, place), kind.resolved
    if is_used(name) and isinstance(inner, Struct | Enum):
        return f"{'struct' if isinstance(inner, Struct) else 'enum'} {name}"
    return name
