"""Writes the Python module of an IDL file.

The module holds the file's text, from which calls are marshalled, and declares for people and
type checkers what follows from it: constants, enumerations, structures, and for each interface a
class of remote objects with its skeleton.  Names are those of C, so `struct point` in interface
`shapes` is the class `shapes_point`.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Iterable, Iterator

from qda.idl.model import (
    Constant,
    Declaration,
    Document,
    Interface,
    Method,
    Module,
    Parameter,
    Typedef,
)
from qda.idl.names import apart, member_name, method_name, skeleton_name, table_name, type_name
from qda.idl.python import hints
from qda.idl.python.definition import Result, definition
from qda.idl.python.signature import (
    argument_names,
    arguments_of,
    result_field,
    result_name,
    results_of,
)
from qda.idl.types import Array, Enum, Member, Sequence, Struct, Type

__all__ = ["body", "imports", "write_module"]

_HEAD = '''"""Interfaces of {title}.  Made by `qda idl --python`: do not edit."""

from __future__ import annotations

{imports}

__all__ = [
{names}
]

IDL = runtime.parse(
    {quotes}\\
{text}{quotes},
    name={file},
)
'''

_IMPORTS = {
    "from collections.abc": ("Sequence",),
    "from dataclasses": ("dataclass",),
    "from typing": ("Any", "Final", "NamedTuple", "TypeAlias"),
}
_THIRD = {"np": "import numpy as np", "NDArray": "from numpy.typing import NDArray"}


def write_module(document: Document) -> str:
    """The text of a module that can be imported on its own."""
    code = body(document, document.interfaces)
    text = document.text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    names = sorted(["IDL", *_names(code)], key=_rank)
    head = _HEAD.format(
        names="\n".join(f'    "{name}",' for name in names),
        title=document.name,
        file=_quoted(document.name),
        imports=imports(code),
        quotes='"""',
        text=text.rstrip() + "\n",
    )
    return f"{head}\n\n{code}"


def _names(code: str) -> list[str]:
    """The public names that the declarations make, as Python itself reads them: documentation may
    look like a declaration."""
    made: list[str] = []
    for one in ast.parse(code).body:
        if isinstance(one, ast.ClassDef):
            made.append(one.name)
        elif isinstance(one, ast.Assign | ast.AnnAssign):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            made += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in made if not name.startswith("_")]


def _rank(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by name: the order that linters want."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


def imports(code: str) -> str:
    """The import statements that the declarations need."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = []
    for source, names in _IMPORTS.items():
        needed = [name for name in names if name in used]
        if needed:
            lines.append(f"{source} import {', '.join(needed)}")
    third = [line for name, line in _THIRD.items() if name in used]
    blocks = ["\n".join(lines), "\n".join(third), "from qda.idl import runtime"]
    return "\n\n".join(block for block in blocks if block)


def body(document: Document, interfaces: Iterable[Interface]) -> str:
    """The declarations of the module: what is below `IDL`, which is the document.  Of its
    interfaces it has `interfaces`, and the types of all."""
    own = {interface.c_name for interface in interfaces}
    parts = list(_declarations(document.declarations, own))
    classes = [part for part in parts if part]
    return "\n\n".join(classes).replace("\n\n\n\n", "\n\n\n").strip() + "\n"


def _declarations(declarations: Iterable[Declaration], own: set[str]) -> Iterator[str]:
    for one in declarations:
        if isinstance(one, Module):
            yield from _declarations(one.declarations, own)
        elif isinstance(one, Constant):
            yield _constant(one)
        elif isinstance(one, Enum):
            yield _enumeration(one)
        elif isinstance(one, Struct):
            yield _structure(one)
        elif isinstance(one, Typedef):
            yield _alias(one)
        elif isinstance(one, Interface) and not one.is_forward and not one.is_local:
            yield from _declarations(one.declarations, own)
            if one.c_name in own:
                yield from _interface(one)


def _docstring(text: str, indent: str, *more: str) -> list[str]:
    """A docstring's lines; `more` are paragraphs that follow the text."""
    paragraphs = [*textwrap.dedent(text).strip().split("\n\n"), *more]
    words = "\n\n".join(one for one in paragraphs if one.strip())
    words = words.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if not words:
        return []
    if words.endswith('"'):
        words = words[:-1] + '\\"'
    lines = [f"{indent}{line}".rstrip() for line in words.splitlines()]
    lines[0] = f'{indent}"""{lines[0].lstrip()}'
    if len(lines) == 1:
        return [lines[0] + '"""']
    return [*lines, f'{indent}"""']


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _constant(constant: Constant) -> str:
    value = constant.value
    shown = _quoted(value) if isinstance(value, str) else repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        shown = {16: hex, 8: oct}.get(constant.radix, repr)(value)
    name = type_name(constant.c_name)
    kind = type(value).__name__
    lines = [f"{name}: Final[{kind}] = {shown}", *_docstring(constant.documentation, "")]
    return "\n".join(lines)


def _enumeration(kind: Enum) -> str:
    lines = [f"\nclass {type_name(kind.c_name)}(runtime.Enumeration):"]
    lines += _docstring(kind.documentation, "    ")
    lines += [""] if len(lines) > 1 else []
    for member in kind.members:
        lines.append(f"    {member_name(member.name, of_enumeration=True)} = {member.value}")
        lines += _docstring(member.documentation, "    ")
    return "\n".join(lines) + "\n"


def _structure(kind: Struct) -> str:
    # Arrays have no plain equality.
    decorator = "@dataclass(eq=False)" if _has_arrays(kind) else "@dataclass"
    lines = [f"\n{decorator}", f"class {type_name(kind.c_name)}(runtime.Structure):"]
    lines += _docstring(kind.documentation, "    ")
    lines += [""] if len(lines) > 2 else []
    for member in kind.members:
        lines.append(f"    {member_name(member.name)}: {hints.got(member.type)}")
        lines += _docstring(member.documentation, "    ")
    return "\n".join(lines) + "\n"


def _has_arrays(kind: Type) -> bool:
    resolved = kind.resolved
    if isinstance(resolved, Struct):
        return any(_has_arrays(member.type) for member in resolved.members)
    return isinstance(resolved, Sequence) and (
        resolved.element.is_simple or _has_arrays(resolved.element)
    )


def _alias(typedef: Typedef) -> str:
    """A second name for a structure or enumeration; other typedefs are what they stand for."""
    resolved = typedef.type.resolved
    if not isinstance(resolved, Struct | Enum):
        return ""
    return f"{type_name(typedef.type.c_name)} = {type_name(resolved.c_name)}"


def _interface(interface: Interface) -> Iterator[str]:
    methods = [one for one in interface.methods if not _is_life_cycle(interface, one)]
    for method in methods:
        if len(results_of(method)) > 1 and not method.refusal:
            yield _result_tuple(interface, method)
    name = type_name(interface.c_name)
    classes = _classes(interface, methods)
    made = [f'interface = IDL.interface("{interface.c_name}")']
    if classes:
        yield "\n".join(
            [
                f"{table_name(interface.c_name)}: Final[dict[str, Any]] = {{",
                *(f'    "{key}": {value},' for key, value in classes.items()),
                "}",
            ]
        )
        made.append(f"classes = {table_name(interface.c_name)}")
    yield "\n".join(_skeleton(interface, methods, made)) + "\n"
    lines = [f"\nclass {name}(runtime.Remote):"]
    lines += _docstring(interface.documentation or f"Interface {interface.full_name}.", "    ")
    lines += [
        "",
        f"    Skeleton: TypeAlias = {skeleton_name(name)}",
        *(f"    {line}" for line in made),
    ]
    for method in methods:
        lines += ["", *_remote_method(interface, method)]
    yield "\n".join(lines) + "\n"


def _skeleton(interface: Interface, methods: list[Method], made: list[str]) -> list[str]:
    """The skeleton.  Outside of the interface's class, one of whose methods may have its name."""
    name = type_name(interface.c_name)
    lines = [
        f'\nclass {skeleton_name(name)}(runtime.Skeleton["{name}"]):',
        f'    """Base of implementations of {interface.full_name}."""',
        "",
        *(f"    {line}" for line in made),
    ]
    for method in methods:
        lines += ["", *_skeleton_method(method)]
    return lines


def _is_life_cycle(interface: Interface, method: Method) -> bool:
    """Whether this is `open` or `close` of a handle64 interface, which the session does."""
    return interface.is_handle64 and method.index < 2


def _classes(interface: Interface, methods: list[Method]) -> dict[str, str]:
    """The structures, enumerations and result tuples that the methods use, by their keys."""
    found: dict[str, str] = {}
    for method in methods:
        for parameter in method.parameters:
            _collect(parameter.type, found)
        if len(results_of(method)) > 1 and not method.refusal:
            name = result_name(interface, method)
            found[name] = name
    return found


def _collect(kind: Type, found: dict[str, str]) -> None:
    resolved = kind.resolved
    if isinstance(resolved, Enum | Struct) and resolved.c_name not in found:
        found[resolved.c_name] = type_name(resolved.c_name)
        for member in resolved.members:
            if isinstance(member, Member):
                _collect(member.type, found)
    elif isinstance(resolved, Sequence | Array):
        _collect(resolved.element, found)


_HIDES = "  # type: ignore[assignment]"
"""Told to the type checker where a field has the name of one of a tuple's methods."""


def _result_tuple(interface: Interface, method: Method) -> str:
    lines = [f"\nclass {result_name(interface, method)}(NamedTuple):"]
    lines += [f'    """What {interface.c_name}.{method.name} returns."""', ""]
    found = results_of(method)
    for parameter, name in zip(found, apart(map(result_field, found)), strict=True):
        ignored = _HIDES if hasattr(tuple, name) else ""
        lines.append(f"    {name}: {hints.got(parameter.type)}{ignored}")
    return "\n".join(lines) + "\n"


def _declared(method: Method, indent: str) -> str:
    """A method as the IDL has it: what ends its docstring."""
    before = "async " if method.asynchronous else ""
    line = f"{before}{method};"
    if len(indent) + len(line) <= 95:
        return line
    parameters = ",\n    ".join(map(str, method.parameters))
    return f"{before}{method.returns or 'void'} {method.name}(\n    {parameters});"


def _remote_method(interface: Interface, method: Method) -> list[str]:
    name, indent = method_name(method.name), "        "
    given, names = arguments_of(method), argument_names(method)
    capacities = names[len(given) :]
    passed = names[: len(given)]
    arguments = ["self"]
    for parameter, argument in zip(given, names, strict=False):
        arguments.append(f"{argument}: {hints.argument_given(parameter)}")
    named = [f"{one}: int | None = None" for one in capacities]
    passed += capacities
    seconds = apart([*passed, "timeout"])[-1]
    if not method.asynchronous and not method.refusal:
        named.append(f"{seconds}: float | None = None")
    arguments += ["*", *named] if named else []
    result = _result(interface, method)
    if method.asynchronous:
        result = f"runtime.Pending[{result}]"
    lines = definition(name, arguments, Result([result]), "    ")
    lines += _docstring(method.documentation, indent, _declared(method, indent))
    first = [str(method.index)] if method.asynchronous else [str(method.index), seconds]
    call = f"self.{'_start' if method.asynchronous else '_call'}({', '.join(first + passed)})"
    if method.refusal:
        return [
            *lines,
            f"{indent}raise runtime.refuse({_quoted(method.name)}, {_quoted(method.refusal)})",
        ]
    if method.asynchronous:
        return [*lines, f"{indent}return {call}"]
    local, error = apart([*passed, seconds, "result", "error"])[-2:]
    returned = [] if result == "None" else [f"{indent}return {local}"]
    said = call if result == "None" else f"{local}: {result} = {call}"
    return [
        *lines,
        f"{indent}try:",
        f"{indent}    {said}",
        f"{indent}except Exception as {error}:",
        f"{indent}    self._leave({error})",
        f"{indent}    raise",
        *returned,
    ]


def _result(interface: Interface, method: Method) -> str:
    found = results_of(method)
    if method.refusal or not found:
        return "None"
    if len(found) == 1:
        return hints.got(found[0].type)
    return result_name(interface, method)


def _skeleton_method(method: Method) -> list[str]:
    name, indent = method_name(method.name), "        "
    arguments = ["self"]
    for parameter, argument in zip(arguments_of(method), argument_names(method), strict=False):
        arguments.append(f"{argument}: {hints.argument_got(parameter)}")
    lines = definition(name, arguments, _returned(method), "    ")
    lines += _docstring(method.documentation, indent, _declared(method, indent))
    return [*lines, f"{indent}raise runtime.unimplemented(self, {_quoted(method.name)})"]


def _returned(method: Method) -> Result:
    """What an implementation may return; None leaves what it has filled in place."""
    found = results_of(method)
    if method.refusal or not found:
        return Result(["None"])
    several_in_place = len(found) > 1 and not any(one.type.is_simple for one in found)
    return Result([_one_returned(one) for one in found], or_none=several_in_place)


def _one_returned(parameter: Parameter) -> str:
    shown = hints.given(parameter.type)
    resolved = parameter.type.resolved
    return f"{shown} | None" if isinstance(resolved, Sequence) else shown
