"""What an IDL text says, with every name resolved: the values that all back ends work from.

A `Document` holds declarations in their order; types (`qda.idl.types`) stand in parameters and
members as values, so nothing is left to look up.

Where something was declared (`location`) and what was written about it (`documentation`) take no
part in comparisons: two texts that say the same give equal models.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath

from qda.idl.diagnostics import NOWHERE, Diagnostic, Location
from qda.idl.types import Enum, Named, Native, Scope, Struct, Type, Union, Value

__all__ = [
    "Constant",
    "Declaration",
    "Direction",
    "Document",
    "Include",
    "Interface",
    "Method",
    "Module",
    "Parameter",
    "Typedef",
]


class Direction(enum.Enum):
    """Where a parameter travels, seen from the implementation."""

    IN = "in"
    ROUT = "rout"
    INROUT = "inrout"

    @property
    def goes_in(self) -> bool:
        """Whether the implementation gets a value."""
        return self is not Direction.ROUT

    @property
    def comes_out(self) -> bool:
        """Whether the caller gets a value."""
        return self is not Direction.IN


@dataclass(frozen=True)
class Parameter:
    """A parameter of a method."""

    name: str
    direction: Direction
    type: Type
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        return f"{self.direction.value} {self.type} {self.name}"


@dataclass(frozen=True)
class Method:
    """A method.  `index` is its number on the wire, counted over the base interfaces too.

    `returns` is None for `void`.  `attribute` is "", "oneway" or "signal".  `declared_in` is the
    interface's scope and name joined by "::".  `refusal` says why no code can be made for the
    method (idl.md 4.3), or is empty.
    """

    name: str
    index: int
    parameters: tuple[Parameter, ...]
    returns: Type | None
    asynchronous: bool = False
    attribute: str = ""
    declared_in: str = ""
    refusal: str = ""
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.parameters))
        return f"{self.returns or 'void'} {self.name}({shown})"


@dataclass(frozen=True)
class Constant:
    """A named value.  `radix` (8, 10, 16) is that of the literal, if the value is one integer."""

    name: str
    type: Type
    value: Value
    scope: Scope = ()
    radix: int = 10
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def c_name(self) -> str:
        """Scope and name joined by underscores."""
        return "_".join((*self.scope, self.name))


@dataclass(frozen=True)
class Typedef:
    """A typedef: `type.name` stands for `type.type`."""

    type: Named
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def name(self) -> str:
        """The new name."""
        return self.type.name


@dataclass(frozen=True)
class Interface:
    """An interface: `methods` has inherited ones first, so that `methods[n].index` is n.

    `declarations` are the own ones in order: types, constants and methods.  `is_handle64` is true
    of `remote_handle64` and its descendants, whose `open` and `close` are methods 0 and 1.
    `library` is the base name of the IDL file, without its ending; `version` is the file's
    `IDL_VERSION`, or None.  A forward declaration has nothing but its name.
    """

    name: str
    scope: Scope = ()
    base: Interface | None = None
    methods: tuple[Method, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    is_handle64: bool = False
    is_local: bool = False
    is_ext_params: bool = False
    is_forward: bool = False
    version: str | None = None
    library: str = field(default="", compare=False)
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def own_methods(self) -> tuple[Method, ...]:
        """The methods that are not inherited."""
        return self.methods[len(self.base.methods) if self.base else 0 :]

    @property
    def full_name(self) -> str:
        """Scope and name joined by "::"."""
        return "::".join((*self.scope, self.name))

    @property
    def c_name(self) -> str:
        """Scope and name joined by underscores: the prefix of C functions and files."""
        return "_".join((*self.scope, self.name))

    @property
    def uri(self) -> str:
        """Where a caller finds the implementation of a handle64 interface (idl.md 5.3)."""
        version = "" if self.version is None else f"&_idlver={self.version}"
        entry = f"{self.c_name}_skel_handle_invoke"
        return f"file:///lib{self.library}_skel.so?{entry}&_modver=1.0{version}"


@dataclass(frozen=True)
class Module:
    """A module: a name around declarations."""

    name: str
    declarations: tuple[Declaration, ...]
    scope: Scope = ()
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)


Declaration = Typedef | Struct | Union | Enum | Native | Constant | Interface | Module | Method


@dataclass(frozen=True)
class Include:
    """An include directive: the name as written, and the file that was found."""

    name: str
    file: str
    angle: bool = False
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Document:
    """A file with all that it includes.

    `declarations` has everything in order, `own_declarations` only what stands in the file itself
    (code is made for nothing else).  `version` is the file's `IDL_VERSION`.  `text` is the whole
    text after preprocessing, with line markers, from which `parse` makes an equal document.
    """

    file: str
    declarations: tuple[Declaration, ...]
    includes: tuple[Include, ...] = ()
    version: str | None = None
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name of the file, without the folders it is in."""
        return PurePath(self.file).name

    @property
    def library(self) -> str:
        """The base name of the file, without its ending."""
        return PurePath(self.file).stem

    @property
    def own_declarations(self) -> tuple[Declaration, ...]:
        """The declarations that do not come from included files."""
        return tuple(one for one in self.declarations if one.location.file == self.file)

    @cached_property
    def interfaces(self) -> tuple[Interface, ...]:
        """All interfaces of the file itself, also in modules; no forward declarations."""
        return tuple(_interfaces(self.own_declarations))

    def interface(self, name: str) -> Interface:
        """The file's interface of a name, with or without its scope.  KeyError."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Interface]:
        found: dict[str, Interface] = {}
        for one in self.interfaces:
            for name in (one.c_name, one.full_name, one.name):
                found.setdefault(name, one)
        return found


def _interfaces(declarations: tuple[Declaration, ...]) -> Iterator[Interface]:
    for one in declarations:
        if isinstance(one, Interface) and not one.is_forward:
            yield one
        elif isinstance(one, Module):
            yield from _interfaces(one.declarations)
