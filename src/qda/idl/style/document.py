"""A page of documentation for an interface file, in Markdown.

Everything on it comes from the model: what is declared, what the comments say, and how each method
travels.  Names of types are links to where they are explained.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.c.constants import c_text
from qda.idl.model import Constant, Declaration, Document, Interface, Method, Module, Typedef
from qda.idl.python.signature import arguments_of, results_of
from qda.idl.style.comments import Explained, explained
from qda.idl.types import (
    REMOTE_HANDLE64,
    Array,
    Enum,
    InterfaceType,
    Named,
    Native,
    Struct,
    Type,
    Union,
)
from qda.idl.types import Sequence as SequenceType
from qda.idl.wire.calls import MethodCodec

__all__ = ["document_markdown"]

_CELL: Final = re.compile(r"(?<!\\)\|")
_WIDTH: Final = 80


def document_markdown(document: Document) -> str:
    """Return the page of a file: what it declares itself, without what it includes."""
    draft = _Page(document, {})
    draft.write()
    page = _Page(document, draft.anchors)
    page.write()
    return "\n".join(page.lines).rstrip() + "\n"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table without the columns that are empty in all rows."""
    rows = list(rows)
    kept = [n for n in range(len(titles)) if n == 0 or any(row[n] for row in rows)]

    def line(cells: Sequence[str]) -> str:
        shown = [_CELL.sub(r"\\|", " ".join(cells[n].split())) for n in kept]
        return "| " + " | ".join(shown) + " |"

    return [line(titles), line(["---"] * len(titles)), *map(line, rows), ""] if rows else []


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


class _Page:
    """Writes the lines of a page.

    Links go to headings, which are known when a page has been written once: `anchors` are those of
    a draft.
    """

    def __init__(self, document: Document, anchors: dict[str, str]) -> None:
        self.lines: list[str] = []
        self.anchors: dict[str, str] = {}
        self._document = document
        self._known = anchors
        self._used: Counter[str] = Counter()

    # --- headings and links --------------------------------------------------------------------

    def _heading(self, level: int, words: str, key: str = "") -> None:
        """Begin a chapter.  What has a key can be linked to."""
        # As GitHub makes it: lower case, no punctuation, hyphens for spaces, a number if taken.
        anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = self._used[anchor]
        self._used[anchor] += 1
        if key:
            self.anchors[key] = f"{anchor}-{number}" if number else anchor
        self.lines += [f"{'#' * level} {words}", ""]

    def _link(self, words: str, key: str) -> str:
        anchor = self._known.get(key)
        return f"[`{words}`](#{anchor})" if anchor else f"`{words}`"

    def _type(self, kind: Type) -> str:
        """A type in words, with links."""
        if isinstance(kind, SequenceType):
            return f"sequence of {self._type(kind.element)}"
        if isinstance(kind, Array):
            return f"array of {kind.length} {self._type(kind.element)}"
        if isinstance(kind, Named | Struct | Enum | Union | Native | InterfaceType):
            return self._link(kind.name, "::".join((*kind.scope, kind.name)))
        return f"`{kind}`"

    # --- chapters --------------------------------------------------------------------------------

    def write(self) -> None:
        """Write everything."""
        document = self._document
        name = re.split(r"[/\\]", document.file)[-1]
        self._heading(1, name)
        own = [one for one in document.includes if one.location.file == document.file]
        if own:
            names = ", ".join(f"`{one.name}`" for one in own)
            self.lines += [f"Includes {names}.", ""]
        if document.version is not None:
            self.lines += [f"Version {document.version}.", ""]
        interfaces = document.interfaces
        if len(interfaces) > 1:
            rows = [
                (
                    self._link(one.full_name, one.full_name),
                    _count(len(one.methods), "method"),
                    explained(one.documentation).summary,
                )
                for one in interfaces
            ]
            self.lines += _table(("interface", "size", "meaning"), rows)
        self._scope(document.own_declarations, 2)

    def _scope(self, declarations: Sequence[Declaration], level: int) -> None:
        """Write what a file, module or interface declares: constants and types, then the rest."""
        constants = [one for one in declarations if isinstance(one, Constant)]
        if constants:
            self._heading(level, "Constants")
            self._constants(constants)
        typedefs = [one for one in declarations if isinstance(one, Typedef)]
        types = [one for one in declarations if isinstance(one, Enum | Struct | Union | Native)]
        if typedefs or types:
            self._heading(level, "Types")
            for one in types:
                self._declared_type(one, level + 1)
            self._typedefs(typedefs, level + 1)
        for declared in declarations:
            if isinstance(declared, Interface):
                self._interface(declared, level)
            elif isinstance(declared, Module):
                self._module(declared, level)

    def _prose(self, comment: Explained) -> None:
        if comment.text:
            self.lines += [*comment.text.split("\n"), ""]

    def _constants(self, constants: Iterable[Constant]) -> None:
        rows = [
            (f"`{one.name}`", self._type(one.type), _value(one), _said(one.documentation))
            for one in constants
        ]
        self.lines += _table(("name", "type", "value", "meaning"), rows)

    def _declared_type(self, kind: Enum | Struct | Union | Native, level: int) -> None:
        what = {Enum: "enum", Struct: "struct", Union: "union", Native: "native"}[type(kind)]
        self._heading(level, f"{what} {kind.name}", "::".join((*kind.scope, kind.name)))
        self._prose(explained(kind.documentation))
        if isinstance(kind, Enum):
            rows = [
                (f"`{one.name}`", str(one.value), _said(one.documentation)) for one in kind.members
            ]
            self.lines += _table(("name", "value", "meaning"), rows)
        elif isinstance(kind, Struct):
            self._struct(kind)
        elif isinstance(kind, Union):
            self._union(kind)
        else:
            self.lines += ["Defined elsewhere; it has no form on the wire.", ""]

    def _struct(self, kind: Struct) -> None:
        if kind.is_simple:
            about = f"{_count(kind.size, 'byte')}, aligned to {kind.alignment}."
        else:
            about = "Its size varies: what its members hold travels in buffers of their own."
        offsets = [str(one) for one in kind.offsets] or [""] * len(kind.members)
        rows = [
            (
                f"`{one.name}`",
                self._type(one.type),
                offset,
                str(one.type.size) if one.type.is_simple else "",
                _said(one.documentation),
            )
            for one, offset in zip(kind.members, offsets, strict=True)
        ]
        self.lines += [about, "", *_table(("member", "type", "offset", "size", "meaning"), rows)]

    def _union(self, kind: Union) -> None:
        self.lines += [f"Chosen by {self._type(kind.switch)}; it has no form on the wire.", ""]
        rows = [
            (
                "default" if one.label is None else _code(str(one.label)),
                f"`{one.member.name}`",
                self._type(one.member.type),
                _said(one.member.documentation),
            )
            for one in kind.cases
        ]
        self.lines += _table(("case", "member", "type", "meaning"), rows)

    def _typedefs(self, typedefs: Sequence[Typedef], level: int) -> None:
        if not typedefs:
            return
        keys = {"::".join((*one.type.scope, one.name)): one for one in typedefs}
        self._heading(level, "Other names")
        rows = []
        for key, one in keys.items():
            self.anchors[key] = self._last_anchor()
            size = str(one.type.size) if one.type.is_simple else "varies"
            is_known = not isinstance(one.type.resolved, Union | Native | InterfaceType)
            meaning = _said(one.documentation)
            rows.append((f"`{one.name}`", self._type(one.type.type), size * is_known, meaning))
        self.lines += _table(("name", "stands for", "size", "meaning"), rows)

    def _last_anchor(self) -> str:
        number = self._used["other-names"] - 1
        return f"other-names-{number}" if number else "other-names"

    def _module(self, module: Module, level: int) -> None:
        self._heading(level, f"Module {module.name}")
        self._prose(explained(module.documentation))
        self._scope(module.declarations, level + 1)

    # --- interfaces ------------------------------------------------------------------------------

    def _interface(self, interface: Interface, level: int) -> None:
        self._heading(level, f"Interface {interface.name}", interface.full_name)
        comment = explained(interface.documentation)
        self._prose(comment)
        if interface.is_forward:
            self.lines += ["Declared only.", ""]
            return
        self._facts(interface)
        rows = [
            (
                str(method.index),
                self._link(method.name, f"{interface.full_name}.{method.name}"),
                "" if method.declared_in == interface.full_name else f"`{method.declared_in}`",
                explained(method.documentation).summary,
            )
            for method in interface.methods
        ]
        self.lines += _table(("number", "method", "inherited from", "meaning"), rows)
        self._scope(interface.declarations, level + 1)
        if interface.own_methods:
            self._heading(level + 1, "Methods")
        for method in interface.own_methods:
            self._method(interface, method, level + 2)

    def _facts(self, interface: Interface) -> None:
        facts = []
        if interface.base is not None:
            base = self._link(interface.base.full_name, interface.base.full_name)
            facts.append(f"- Derived from {base}")
        if interface.is_local:
            facts.append("- Local: it is never called from another processor")
        elif interface.is_handle64:
            facts.append(f"- Opened with `{interface.uri}`")
        else:
            facts.append(f"- Opened by its name, `{interface.c_name}`; it has no handles")
        if interface.version is not None:
            facts.append(f"- Version {interface.version}; callers may be older, not newer")
        if interface.is_ext_params:
            facts.append("- Extended parameters: more buffers than an ordinary call has")
        self.lines += [*facts, ""]

    def _method(self, interface: Interface, method: Method, level: int) -> None:
        self._heading(level, method.name, f"{interface.full_name}.{method.name}")
        self.lines += ["```idl", *_signature(method), "```", ""]
        comment = explained(method.documentation)
        self._prose(comment)
        rows = [
            (
                f"`{one.name}`",
                one.direction.value,
                self._type(one.type),
                comment.parameters.get(one.name) or _said(one.documentation),
            )
            for one in method.parameters
        ]
        self.lines += _table(("parameter", "direction", "type", "meaning"), rows)
        if comment.result:
            self.lines += [f"Returns {comment.result}", ""]
        values = [(_code(name), meaning) for name, meaning in comment.values]
        self.lines += _table(("result", "meaning"), values)
        if interface.name == REMOTE_HANDLE64 and not interface.scope:
            self.lines += [f"Method {method.index} of every interface derived from this one.", ""]
            return
        self.lines += [*_on_the_wire(method), ""]
        if not method.refusal:
            self.lines += ["```python", *_example(interface, method), "```", ""]


def _said(comment: str) -> str:
    """A comment in one line, for a table."""
    found = explained(comment)
    return " ".join(part for part in (found.text, found.result) if part)


def _value(constant: Constant) -> str:
    kind = constant.type.resolved
    if isinstance(kind, Enum):
        return "".join(f"`{one.name}`" for one in kind.members if one.value == constant.value)
    return _code(c_text(constant))


def _code(text: str) -> str:
    """Text as code, whatever is in it."""
    if "`" not in text:
        return f"`{text}`"
    return f"`` {text} ``"


def _signature(method: Method) -> Iterator[str]:
    before = "async " * method.asynchronous + f"[{method.attribute}] " * bool(method.attribute)
    shown = f"{before}{method};"
    if len(shown) <= _WIDTH or not method.parameters:
        yield shown
        return
    yield f"{before}{method.returns or 'void'} {method.name}("
    for position, one in enumerate(method.parameters, 1):
        comma = "," if position < len(method.parameters) else ""
        yield f"    {one}{comma}"
    yield ");"


def _on_the_wire(method: Method) -> Iterator[str]:
    """Say how a method travels (idl.md 6.1 and 6.6)."""
    if method.refusal:
        yield f"No code is made for this method: {method.refusal}."
        return
    codec = MethodCodec(method)
    words = f"Method {method.index} on the wire"
    if method.index >= EXTENDED_METHOD:
        words += f", sent as {EXTENDED_METHOD} with its number in front of the arguments"
    ins, outs, in_handles, out_handles = codec.counts
    parts = [_count(ins, "in-buffer"), _count(outs, "out-buffer")]
    parts += [_count(in_handles, "in-handle")] * bool(in_handles)
    parts += [_count(out_handles, "out-handle")] * bool(out_handles)
    exactly = "" if codec.is_plain else "at least "
    yield f"{words}: {exactly}{', '.join(parts)}."


def _example(interface: Interface, method: Method) -> list[str]:
    """A call in Python, by the rules of `qda.idl.python.signature`."""
    results = ", ".join(one.name for one in results_of(method))
    given = ", ".join(one.name for one in arguments_of(method))
    call = f"{interface.name}.{method.name}({given})"
    shown = f"{results} = {call}" if results else call
    if len(shown) > _WIDTH and results:
        shown = f"results = {call}"
    return textwrap.wrap(shown, _WIDTH, subsequent_indent="    ", break_long_words=False)
