"""`NAME.h`: constants, types, prototypes and URIs of an IDL file (idl.md 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Final

from qda.idl.c.checks import refuse_ext_params
from qda.idl.c.clashes import clashes
from qda.idl.c.constants import c_text
from qda.idl.c.names import declare, element_name, identifier, type_name
from qda.idl.c.options import Options
from qda.idl.c.prototypes import prototype
from qda.idl.c.text import block, comment, finish, guarded
from qda.idl.diagnostics import IdlError
from qda.idl.model import Constant, Declaration, Document, Interface, Method, Module, Typedef
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import (
    REMOTE_HANDLE64,
    Array,
    DmaHandle,
    Enum,
    Member,
    Named,
    Native,
    Sequence,
    String,
    Struct,
    Type,
    Union,
)

__all__ = ["header", "is_root"]

_STANDARD_HEADERS: Final = ("AEEStdDef", "AEEStdErr", "remote")
"""IDL files whose header is included anyway."""

_SIDES: Final = ("HEADER", "IMPL", "STUB", "SKEL")
"""Who can rename or export functions with macros `__QAIC_...`; `remote.h` does it for REMOTE."""


def header(document: Document, options: Options | None = None) -> str:
    """The header of a file.  IdlError for what C cannot say."""
    options = options or Options()
    found = clashes(document)
    if found:
        raise IdlError(found)
    own = document.own_declarations
    types = list(_types_in(own))
    declared = [*_helper_types(types, options), *_all(own, options)]
    lines = [
        *_includes(document, types, options),
        "",
        *_numbers(document, declared, options),
        *_macros(document),
        *_extern_c("{"),
        *declared,
        "",
        *_extern_c("}"),
    ]
    macro = re.sub(r"[^A-Z0-9]", "_", document.library.upper())
    return finish([f"#ifndef _{macro}_H", f"#define _{macro}_H", "", *lines, "#endif"], options)


def is_root(interface: Interface) -> bool:
    """Whether this is `remote_handle64` itself, which the client library declares and defines."""
    return interface.name == REMOTE_HANDLE64 and not interface.scope


def _includes(document: Document, types: list[Type], options: Options) -> list[str]:
    files = dict.fromkeys(PurePath(one.location.file).stem for one in document.declarations)
    others = [one for one in files if one not in (document.library, *_STANDARD_HEADERS)]
    booleans = any(isinstance(one, Primitive) and one.kind is Kind.BOOLEAN for one in types)
    standard = ["<stdint.h>", *(["<stdbool.h>"] if booleans else [])]
    if "AEEStdDef" in files:  # AEEResult and the like are named, whatever numbers are called
        standard.append("<AEEStdDef.h>")
    names = [
        *(standard if options.standard_types else ["<AEEStdDef.h>"]),
        *("<AEEStdErr.h>", "<remote.h>", "<stdio.h>", "<stdlib.h>", "<string.h>"),
        *(f'"{one}.h"' for one in others),
    ]
    return [f"#include {one}" for one in names]


_NUMBERS: Final = {
    "boolean": "unsigned char",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
}
"""What AEEStdDef.h has in an SDK and here, each behind a macro, but not in Qualcomm's library."""


_NAMED: Final = {"AEEResult", "AEEUID", "AEEIID", "AEECLSID", "AEEPRIVID", "AECHAR", "byte"}
"""Other types that an AEEStdDef.h may have."""


def _numbers(document: Document, declared: list[str], options: Options) -> list[str]:
    """The types of numbers that the declarations use and not every AEEStdDef.h has."""
    numbers = {} if options.standard_types else dict(_NUMBERS)
    if any(PurePath(one.location.file).stem == "AEEStdDef" for one in document.declarations):
        numbers["byte"] = "unsigned char"
    used = set(re.findall(r"\w+", "\n".join(declared)))
    lines: list[str] = []
    for name, kind in numbers.items():
        if name in used:
            macro = f"_{name.upper()}_DEFINED"
            lines += [f"#ifndef {macro}", f"#define {macro}", f"typedef {kind} {name};", "#endif"]
    return [*lines, ""] if lines else []


def _macros(document: Document) -> list[str]:
    """Macros that a build may have defined, to rename or export functions."""
    if not document.interfaces:
        return []
    lines = ["/* Define these before, to rename or export functions. */"]
    for side in _SIDES:
        for define in (
            f"__QAIC_{side}(ff) ff",
            f"__QAIC_{side}_EXPORT",
            f"__QAIC_{side}_ATTRIBUTE",
        ):
            name = define.partition("(")[0].partition(" ")[0]
            lines += [f"#ifndef {name}", f"#define {define}", "#endif"]
    return [*lines, ""]


def _extern_c(brace: str) -> list[str]:
    return ["#ifdef __cplusplus", 'extern "C" {' if brace == "{" else "}", "#endif", ""]


# What the declarations use.


def _types_in(declarations: Iterable[Declaration]) -> Iterator[Type]:
    """All types that are written anywhere in declarations, and those within them."""
    for one in declarations:
        if isinstance(one, Typedef):
            yield from _parts(one.type.type)
        elif isinstance(one, Struct):
            yield from (part for member in one.members for part in _parts(member.type))
        elif isinstance(one, Union):
            yield from _parts(one.switch)
            yield from (part for case in one.cases for part in _parts(case.member.type))
        elif isinstance(one, Constant):
            yield from _parts(one.type)
        elif isinstance(one, Method):
            yield from (part for item in one.parameters for part in _parts(item.type))
        elif isinstance(one, Module):
            yield from _types_in(one.declarations)
        elif isinstance(one, Interface) and not is_root(one):
            yield from _types_in((*one.methods, *one.declarations))


def _parts(kind: Type) -> Iterator[Type]:
    yield kind
    if isinstance(kind, Array | Sequence):
        yield from _parts(kind.element)
    elif isinstance(kind, Named):
        yield from _parts(kind.type)


def _helper_types(types: list[Type], options: Options) -> list[str]:
    """Types that several headers may declare: strings and handles as elements and members."""
    lines: list[str] = []
    wide = any(isinstance(one, String) and one.wide for one in types)
    if options.standard_types and (
        wide or any(isinstance(one, Primitive) and one.kind is Kind.WCHAR for one in types)
    ):
        typedef = "typedef unsigned short _wchar_t;"
        lines += [*guarded("__QIDL_WCHAR_T_DEFINED__", [typedef]), ""]
    if any(isinstance(one, String) and not one.wide for one in types):
        lines += _shared("STRING1", "_cstring1", ["char* data;", "int dataLen;"])
    if wide:
        lines += _shared("WSTRING1", "_wstring1", ["_wchar_t* data;", "int dataLen;"])
    if any(isinstance(one, DmaHandle) for one in types):
        word = "uint32_t" if options.standard_types else "uint32"
        members = ["int fd;", f"{word} offset;", f"{word} len;"]
        lines += _shared("DMAHANDLE1", "_dmahandle1", members)
    return lines


def _shared(macro: str, name: str, members: list[str]) -> list[str]:
    first, second = f"__QAIC_{macro}_OBJECT_DEFINED__", f"__{macro}_OBJECT__"
    return [
        f"#if !defined({first}) && !defined({second})",
        f"#define {first}",
        f"#define {second}",
        *block(f"typedef struct {name}_s", members, f"}} {name}_t;"),
        "#endif",
        "",
    ]


# The declarations.


def _all(declarations: Iterable[Declaration], options: Options) -> list[str]:
    lines: list[str] = []
    for one in declarations:
        if isinstance(one, Module):
            lines += _all(one.declarations, options)
        elif isinstance(one, Interface):
            lines += _interface(one, options)
        elif isinstance(one, Constant):
            define = f"#define {identifier(one.c_name)} {c_text(one)}"
            lines += [*comment(one.documentation), define]
        elif not isinstance(one, Method):
            lines += ["", *comment(one.documentation), *_declaration(one, options), ""]
    return lines


def _interface(interface: Interface, options: Options) -> list[str]:
    if interface.is_forward or is_root(interface):
        return []
    refuse_ext_params(interface)
    lines = comment(interface.documentation)
    inherited = interface.base.methods if interface.base else ()
    for one in (*inherited, *interface.declarations):
        if isinstance(one, Method):
            lines += ["", *comment(one.documentation), *_function(interface, one, options), ""]
        else:
            lines += _all([one], options)
    if interface.is_handle64:
        macro = f"{interface.c_name}_URI"
        lines += ["", f"#ifndef {macro}", f'#define {macro} "{interface.uri}"', "#endif", ""]
    return lines


def _function(interface: Interface, method: Method, options: Options) -> list[str]:
    one = prototype(interface, method, options)
    head = f"__QAIC_HEADER_EXPORT {one.returns} __QAIC_HEADER({one.name})"
    return [f"{head}({one.arguments}) __QAIC_HEADER_ATTRIBUTE;"]


def _declaration(one: Typedef | Struct | Union | Enum | Native, options: Options) -> list[str]:
    if isinstance(one, Typedef):
        return _typedef(one, options)
    if isinstance(one, Native):
        return []
    name = type_name(one, options, one.location)
    if isinstance(one, Enum):
        members = [
            line
            for item in one.members
            for line in (*comment(item.documentation), f"{identifier(item.name)},")
        ]
        placeholder = f"_32BIT_PLACEHOLDER_{name} = 0x7fffffff"
        enum = block(f"enum {name}", [*members, placeholder], "};")
        return [*enum, f"typedef enum {name} {name};"]
    typedef = f"typedef struct {name} {name};"
    if isinstance(one, Struct):
        members = [line for member in one.members for line in _member(member, options)]
        return [typedef, *block(f"struct {name}", members, "};")]
    cases = [line for case in one.cases for line in _member(case.member, options)]
    switch = declare(one.switch, "_d", options, one.location)
    return [typedef, *block(f"struct {name}", [switch, *block("union", cases, "} _u;")], "};")]


def _typedef(one: Typedef, options: Options) -> list[str]:
    name, kind = identifier(one.type.c_name), one.type.type
    if not isinstance(kind, Sequence):
        line = f"typedef {declare(kind, name, options, one.location)}"
        # AEEStdDef.h has these too, and C99 knows no second declaration.
        if name in _NAMED:
            return guarded(f"_{name.upper()}_DEFINED", [line])
        return [line]
    element = type_name(kind.element, options, one.location)
    tag = f"_{name}__seq_{element_name(kind.element)}"
    typedefs = [f"typedef struct {tag} {tag};", f"typedef {tag} {name};"]
    return [*typedefs, *block(f"struct {tag}", [f"{element}* data;", "int dataLen;"], "};")]


def _member(member: Member, options: Options) -> list[str]:
    name, inner = identifier(member.name), member.type.resolved
    if isinstance(inner, Sequence | String):
        if isinstance(inner, String):
            element = "_wchar_t" if inner.wide else "char"
        else:
            element = type_name(inner.element, options, member.location)
        lines = [f"{element}* {name};", f"int {name}Len;"]
    else:
        lines = [declare(member.type, name, options, member.location)]
    return [*comment(member.documentation), *lines]
