"""Names that the C of a file has twice: the IDL knows scopes, C has one for all, and adds its own.

A structure's `string name` is two members, `name` and `nameLen`; a method is a function with the
interface's name in front; an interface has an entry point and a macro; and a constant is a macro,
which replaces every word that is like it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from qda.idl.c.names import element_name, identifier
from qda.idl.c.prototypes import clash, prototype
from qda.idl.c.taken import (
    is_declared,
    is_header,
    is_macro,
    is_made,
    is_same_number,
    is_same_status,
    is_used,
)
from qda.idl.diagnostics import Diagnostic, IdlError, Location
from qda.idl.model import Constant, Declaration, Document, Interface, Method, Module, Typedef
from qda.idl.types import REMOTE_HANDLE64, Enum, Member, Sequence, String, Struct

__all__ = ["clashes"]


class _Name(NamedTuple):
    """A name in C, what it is the name of, and where that stands."""

    name: str
    what: str
    location: Location


def clashes(document: Document) -> list[Diagnostic]:
    """Errors for what C would not take, or take for something else; each with its place."""
    own = list(_flat(document.own_declarations))
    found = list(_twice(name for one in own for name in _of_file(one)))
    for one in own:
        if isinstance(one, Struct):
            found += _twice(name for member in one.members for name in _of_member(member))
        elif isinstance(one, Interface) and not one.is_local:
            found += (error for method in one.own_methods for error in _of_method(one, method))
    words = _of_library(document.library, own)
    if words:
        place = Location(own[0].location.file, 1, 1)
        found.append(Diagnostic(place, f"in C {words}; choose another name"))
    return [*found, *_replaced(own), *_taken(own)]


def _of_library(name: str, own: list[Declaration]) -> str:
    """What is wrong with the name of the file, which its header has, too."""
    if own and is_header(name):
        return f'its header would hide "{name}.h" of the C library'
    has_code = any(isinstance(one, Interface) and one.c_name != REMOTE_HANDLE64 for one in own)
    if has_code and name in ("AEEStdErr", "remote"):
        return f'its header would hide "{name}.h", which generated code includes'
    if own and set(name) & {'"', "\n"}:
        return f"its header {name!r} could not be included"
    return ""


def _flat(declarations: Iterable[Declaration]) -> Iterator[Declaration]:
    for one in declarations:
        yield one
        if isinstance(one, Module) or (isinstance(one, Interface) and not one.is_forward):
            yield from _flat(one.declarations)


def _twice(names: Iterable[_Name]) -> Iterator[Diagnostic]:
    first: dict[str, _Name] = {}
    for one in names:
        before = first.setdefault(one.name, one)
        if before is not one:
            words = f'in C {one.what} and {before.what} are both called "{one.name}"'
            yield Diagnostic(one.location, f"{words}; choose another name")


def _of_file(one: Declaration) -> Iterator[_Name]:
    """The names that a declaration has in the whole file."""
    if isinstance(one, Constant):
        yield _Name(identifier(one.c_name), f'constant "{one.name}"', one.location)
    elif isinstance(one, Struct | Enum):
        yield _Name(identifier(one.c_name), f'type "{one.name}"', one.location)
        for member in one.members if isinstance(one, Enum) else ():
            yield _Name(identifier(member.name), f'enumerator "{member.name}"', one.location)
    elif isinstance(one, Typedef):
        yield _Name(identifier(one.type.c_name), f'type "{one.name}"', one.location)
        if isinstance(one.type.type, Sequence):
            with suppress(IdlError):  # it has no form in C, which is said where C is asked for
                tag = f"_{one.type.c_name}__seq_{element_name(one.type.type.element)}"
                yield _Name(tag, f'the sequence of type "{one.name}"', one.location)
    elif isinstance(one, Interface) and not one.is_forward and not one.is_local:
        yield from _of_interface(one)


def _of_interface(one: Interface) -> Iterator[_Name]:
    for method in one.methods:
        place = method.location if method in one.own_methods else one.location
        words = f'method "{method.name}" of "{one.name}"'
        yield _Name(identifier(f"{one.c_name}_{method.name}"), words, place)
    entry = f"{one.c_name}_skel_{'handle_' * one.is_handle64}invoke"
    for suffix in ("", "_qaic_version", "_uri"):
        yield _Name(entry + suffix, f'the entry of interface "{one.name}"', one.location)
    if one.is_handle64:
        yield _Name(f"{one.c_name}_URI", f'the URI of interface "{one.name}"', one.location)


def _of_member(member: Member) -> Iterator[_Name]:
    name = identifier(member.name)
    yield _Name(name, f'member "{member.name}"', member.location)
    if isinstance(member.type.resolved, Sequence | String):
        yield _Name(f"{name}Len", f'the length of member "{member.name}"', member.location)


def _of_method(interface: Interface, method: Method) -> Iterator[Diagnostic]:
    if method.refusal:
        return
    try:
        words = clash(prototype(interface, method))
    except IdlError:
        return  # it has no form in C, which is said where C is asked for
    if words:
        message = f'method "{method.name}": {words}; choose another name'
        yield Diagnostic(method.location, message)


def _taken(own: list[Declaration]) -> Iterator[Diagnostic]:
    """Errors for names that the headers have, which generated C includes."""
    names = [(one, name) for one in own for name in _of_file(one)]
    for one, (name, what, location) in [*names, *((None, name) for name in _inner(own))]:
        if isinstance(one, Constant):
            if is_macro(name) and not is_same_status(name, one.value):
                words = f'in C {what} would replace a macro of the headers, "{name}"'
            elif is_used(name):
                words = f'in C {what} is a macro, which would replace "{name}" in what is generated'
            else:
                continue
        elif is_macro(name):
            words = f'in C "{name}" is a macro or a keyword, and no name for {what}'
        elif one is not None and is_declared(name) and not _is_the_same(one, name):
            words = f'in C {what} has the name of something in the headers, "{name}"'
        elif one is not None and is_made(name):
            words = f'in C {what} has the name of something in what is generated, "{name}"'
        elif what.startswith("parameter") and is_used(name, in_methods=True):
            words = f'in C {what} would hide "{name}" of what is generated'
        else:
            continue
        yield Diagnostic(location, f"{words}; choose another name")


def _is_the_same(one: Declaration, name: str) -> bool:
    """Whether a declaration is what the headers have under this name; `remote.h` has the functions
    of the interface that all with handles descend from."""
    if isinstance(one, Interface):
        return one.c_name == REMOTE_HANDLE64
    return isinstance(one, Typedef) and is_same_number(name, one.type.type)


def _inner(own: list[Declaration]) -> Iterator[_Name]:
    """The names of members and parameters."""
    for one in own:
        if isinstance(one, Struct):
            for member in one.members:
                yield from _of_member(member)
        elif isinstance(one, Interface) and not one.is_forward:
            for method in one.own_methods:
                for part in method.parameters:
                    yield _Name(identifier(part.name), f'parameter "{part.name}"', part.location)


def _replaced(own: list[Declaration]) -> Iterator[Diagnostic]:
    """Errors for members and parameters with the name of a macro."""
    macros = {identifier(one.c_name): one.name for one in own if isinstance(one, Constant)}
    for name, what, location in _inner(own):
        if name in macros:
            words = f'in C constant "{macros[name]}" is a macro, which would replace {what}'
            yield Diagnostic(location, f"{words}; choose another name")
