"""Names in C: of types, and of whatever an IDL file calls like a keyword of C or C++."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NoReturn

from qda.idl.c.options import Options
from qda.idl.diagnostics import Diagnostic, IdlError, Location
from qda.idl.primitives import Primitive
from qda.idl.types import (
    Array,
    DmaHandle,
    Enum,
    InterfaceType,
    Named,
    Sequence,
    String,
    Struct,
    Type,
)

__all__ = [
    "base_name",
    "declare",
    "element_name",
    "fail",
    "identifier",
    "primitive_name",
    "type_name",
    "unique",
]

_KEYWORDS: Final = re.findall(
    r"\w+",
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
    char32_t class co_await co_return co_yield compl concept const const_cast consteval constexpr
    constinit continue decltype default delete do double dynamic_cast else enum explicit export
    extern false float for friend goto if inline int long mutable namespace new noexcept not
    not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
    restrict return short signed sizeof static static_assert static_cast struct switch template
    this thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned
    using virtual void volatile wchar_t while xor xor_eq
    """,
)


def identifier(name: str) -> str:
    """A name as C and C++ can have it: a keyword of theirs gets the prefix `_cxx_`."""
    return f"_cxx_{name}" if name in _KEYWORDS else name


def unique(name: str, taken: Collection[str]) -> str:
    """A name that is not taken, made with underscores at the end."""
    while name in taken:
        name += "_"
    return name


def fail(location: Location, message: str) -> NoReturn:
    """Say why no C can be written.  IdlError."""
    raise IdlError([Diagnostic(location, message)])


_LEGACY: Final = {
    "octet": "unsigned char",
    "boolean": "boolean",
    "char": "char",
    "wchar": "_wchar_t",
    "short": "short",
    "unsigned short": "unsigned short",
    "long": "int",
    "unsigned long": "unsigned int",
    "long long": "int64",
    "unsigned long long": "uint64",
    "float": "float",
    "double": "double",
}

_STANDARD: Final = {
    "boolean": "bool",
    "long long": "int64_t",
    "unsigned long long": "uint64_t",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "signed short",
    "uint16": "unsigned short",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "uint64": "uint64_t",
}


def primitive_name(kind: Primitive, options: Options) -> str:
    """The C type of a primitive (idl.md 5.1)."""
    if options.standard_types and kind.name in _STANDARD:
        return _STANDARD[kind.name]
    return _LEGACY.get(kind.name, kind.name)


def type_name(kind: Type, options: Options, location: Location) -> str:
    """The C name of a type (idl.md 5.1).  IdlError for one that has none."""
    if isinstance(kind, Primitive):
        return primitive_name(kind, options)
    if isinstance(kind, String):
        return "_wstring1_t" if kind.wide else "_cstring1_t"
    if isinstance(kind, DmaHandle):
        return "_dmahandle1_t"
    if isinstance(kind, InterfaceType):
        if kind.is_handle64:
            return "remote_handle64"
        fail(location, f'interface "{kind}" is no type of C: interfaces cannot be passed')
    if isinstance(kind, Array | Sequence):
        fail(location, f'"{kind}" within another type has no name in C: give it one with "typedef"')
    return identifier(kind.c_name)


def declare(kind: Type, name: str, options: Options, location: Location) -> str:
    """The declaration of a variable or member of a type that is no sequence and no string."""
    dimensions = ""
    while isinstance(kind, Array):
        dimensions += f"[{kind.length}]"
        kind = kind.element
    return f"{type_name(kind, options, location)} {name}{dimensions};"


def element_name(kind: Type) -> str:
    """What the name of a sequence's structure says about its elements (idl.md 5.1)."""
    if isinstance(kind, Primitive):
        words = "wide char" if kind.name == "wchar" else kind.name
        first, *others = words.split()
        return first + "".join(word.capitalize() for word in others)
    return type_name(kind, Options(), Location("", 0, 0))


def base_name(kind: Type, options: Options, location: Location) -> str:
    """The C name of a type, past names that only stand for another one.

    All types that travel in the same way, and are one type in C, have the same.
    """
    while isinstance(kind, Named) and not isinstance(kind.type, Array | Sequence):
        kind = kind.type
    if isinstance(kind, Enum | Struct):
        return identifier(kind.c_name)
    return type_name(kind, options, location)
