"""The types of the interface language, as values that refer to each other directly.

Sizes and alignments are those of C on both sides of the wire (64-bit integers and doubles align to
eight bytes).  A type without sequence, string and dmahandle at any depth `is_simple` and has a
fixed layout; all others are complex and have none.

`type.resolved` is the type below all typedef names, which is all that the wire knows; the type as
it stands, perhaps a `Named`, is what was written, for C and for help texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from qda.idl.diagnostics import NOWHERE, Location
from qda.idl.primitives import Primitive

__all__ = [
    "REMOTE_HANDLE64",
    "Array",
    "Case",
    "DmaHandle",
    "Enum",
    "EnumMember",
    "InterfaceType",
    "Member",
    "Named",
    "Native",
    "Resolved",
    "Scope",
    "Sequence",
    "String",
    "Struct",
    "Type",
    "Union",
    "Value",
]

REMOTE_HANDLE64: Final = "remote_handle64"
"""The interface of `remote.idl` whose descendants have a handle as first parameter in C."""

Scope = tuple[str, ...]
"""Names of the modules, and perhaps the interface, around a declaration; the outermost first."""

Value = int | float | bool | str
"""A constant's value: characters and strings are str, enumerators their number."""


class _Type:
    """What all types have in common."""

    __slots__ = ()

    @property
    def is_simple(self) -> bool:
        """Whether there is a fixed layout: no sequence, string or dmahandle at any depth."""
        return False

    @property
    def size(self) -> int:
        """Size in bytes, of simple types.  TypeError for others."""
        self._refuse("size")

    @property
    def alignment(self) -> int:
        """Alignment in bytes, of simple types.  TypeError for others."""
        self._refuse("alignment")

    @property
    def resolved(self) -> Self:
        """The type below all typedef names."""
        return self

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"{self} has no fixed {what}: it is not a simple type")


class _Declared:
    """What all types have in common that a declaration gives a name to."""

    __slots__ = ()

    name: str
    scope: Scope

    @property
    def c_name(self) -> str:
        """Scope and name joined by underscores."""
        return "_".join((*self.scope, self.name))

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class EnumMember:
    """A name of an enumeration; values count from 0."""

    name: str
    value: int
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Enum(_Declared, _Type):
    """An enumeration: four bytes."""

    name: str
    members: tuple[EnumMember, ...]
    scope: Scope = ()
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)

    @property
    def is_simple(self) -> bool:
        return True

    @property
    def size(self) -> int:
        return 4

    @property
    def alignment(self) -> int:
        return 4


@dataclass(frozen=True)
class Array(_Type):
    """A fixed number of elements; more dimensions are arrays of arrays."""

    element: Type
    length: int

    @property
    def is_simple(self) -> bool:
        return self.element.is_simple

    @property
    def size(self) -> int:
        return self.length * self.element.size

    @property
    def alignment(self) -> int:
        return self.element.alignment

    def __str__(self) -> str:
        return f"{self.element}[{self.length}]"


@dataclass(frozen=True)
class Member:
    """A field of a structure, or what a case of a union holds."""

    name: str
    type: Type
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Struct(_Declared, _Type):
    """A structure.  `is_simple`, `size` and `alignment` (C rules) are computed when it is made."""

    name: str
    members: tuple[Member, ...]
    scope: Scope = ()
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)
    offsets: tuple[int, ...] = field(init=False, compare=False, repr=False)
    """Offset of each member in bytes; empty if the structure is not simple."""
    _simple: bool = field(init=False, compare=False, repr=False)
    _size: int = field(init=False, compare=False, repr=False)
    _alignment: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        simple = all(member.type.is_simple for member in self.members)
        offsets: list[int] = []
        end, widest = 0, 1
        for member in self.members if simple else ():
            start = -(-end // member.type.alignment) * member.type.alignment
            offsets.append(start)
            end = start + member.type.size
            widest = max(widest, member.type.alignment)
        object.__setattr__(self, "offsets", tuple(offsets))
        object.__setattr__(self, "_simple", simple)
        object.__setattr__(self, "_size", -(-end // widest) * widest)
        object.__setattr__(self, "_alignment", widest)

    def __hash__(self) -> int:
        # Not over the members: a type that holds a type twice, ten times over, would take ages.
        return hash((self.scope, self.name, len(self.members)))

    @property
    def is_simple(self) -> bool:
        return self._simple

    @property
    def size(self) -> int:
        if not self._simple:
            self._refuse("size")
        return self._size

    @property
    def alignment(self) -> int:
        if not self._simple:
            self._refuse("alignment")
        return self._alignment


@dataclass(frozen=True)
class Sequence(_Type):
    """Any number of elements.  The bound, if one is written, limits nothing (idl.md 4.2)."""

    element: Type
    bound: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"sequence<{self.element}>"


@dataclass(frozen=True)
class String(_Type):
    """Text that ends with NUL: bytes, or 16-bit units if `wide`.  The bound limits nothing."""

    wide: bool = False
    bound: int | None = field(default=None, compare=False)

    @property
    def unit(self) -> int:
        """Size of an element in bytes."""
        return 2 if self.wide else 1

    def __str__(self) -> str:
        return "wstring" if self.wide else "string"


@dataclass(frozen=True)
class DmaHandle(_Type):
    """A piece of a DMA buffer: descriptor, offset and length; travels as a handle."""

    def __str__(self) -> str:
        return "dmahandle"


@dataclass(frozen=True)
class InterfaceType(_Type):
    """An interface as a type; `name` is "interface" for any.  Only `remote_handle64` has a form.

    Elsewhere than in `open` and `close` of `remote_handle64` its use is refused.
    """

    name: str
    scope: Scope = ()

    @property
    def is_handle64(self) -> bool:
        """Whether this is the 64-bit handle that `open` returns."""
        return self.name == REMOTE_HANDLE64 and not self.scope

    def __str__(self) -> str:
        return "::".join((*self.scope, self.name))


@dataclass(frozen=True)
class Case:
    """One case of a union: its labels (None is `default`) and what it holds."""

    label: Value | None
    member: Member


@dataclass(frozen=True)
class Union(_Declared, _Type):
    """A union, which may be declared but not used: it has no form on the wire."""

    name: str
    switch: Type
    cases: tuple[Case, ...]
    scope: Scope = ()
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Native(_Declared, _Type):
    """A type that another language defines, which may be declared but not used."""

    name: str
    scope: Scope = ()
    documentation: str = field(default="", compare=False)
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Named(_Declared):
    """A type called by a typedef name.  For everything but its spelling it is `resolved`."""

    name: str
    type: Type
    scope: Scope = ()

    @property
    def is_simple(self) -> bool:
        return self.type.is_simple

    @property
    def size(self) -> int:
        return self.type.size

    @property
    def alignment(self) -> int:
        return self.type.alignment

    @property
    def resolved(self) -> Resolved:
        """The type below all typedef names (elements and members may again be `Named`)."""
        return self.type.resolved


Resolved = (
    Primitive
    | Enum
    | Array
    | Struct
    | Sequence
    | String
    | DmaHandle
    | InterfaceType
    | Union
    | Native
)
Type = Resolved | Named
