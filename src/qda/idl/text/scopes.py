"""Names and where they are visible: file, module and interface; an interface also sees its base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from lark import Token

from qda.errors import did_you_mean
from qda.idl.diagnostics import Diagnostic, Location, Severity
from qda.idl.model import Constant, Interface, Method
from qda.idl.primitives import PRIMITIVES
from qda.idl.text.preprocessor import Text
from qda.idl.text.syntax import Scoped
from qda.idl.types import Enum, InterfaceType, Type
from qda.idl.types import Scope as Path

__all__ = ["Entry", "Enumerator", "Incomplete", "Names", "Reporter", "Stop"]


class Stop(Exception):
    """A declaration cannot be understood; what is wrong has been reported."""


class Reporter:
    """Collects what is wrong with a text."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []

    def locate(self, token: Token) -> Location:
        """Where a token stood in its file."""
        return self._text.locate(token.line or 1, token.column or 1)

    def _diagnostic(self, token: Token, message: str, severity: Severity) -> Diagnostic:
        source = self._text.source(token.line or 1)
        return Diagnostic(self.locate(token), message, source, severity)

    def error(self, token: Token, message: str) -> None:
        """Note an error and go on."""
        self.errors.append(self._diagnostic(token, message, Severity.ERROR))

    def fail(self, token: Token, message: str) -> Stop:
        """Note an error; raise what is returned."""
        self.error(token, message)
        return Stop()

    def warn(self, token: Token, message: str) -> None:
        """Note that the reference compiler sees this differently, or that it is likely wrong."""
        self.warnings.append(self._diagnostic(token, message, Severity.WARNING))


@dataclass(frozen=True)
class Enumerator:
    """A name of an enumeration, as a value."""

    enum: Enum
    value: int


@dataclass(frozen=True)
class Incomplete:
    """A structure or union inside of its own declaration."""

    name: str


Meaning = Type | Constant | Enumerator | Incomplete | Interface | Method | None


@dataclass
class Entry:
    """What a name means.  `what` says it in words; a module or interface has `inside`.

    The meaning is None if the declaration was wrong: no more is said about the name.
    """

    what: str
    meaning: Meaning
    location: Location
    inside: Names | None = None

    @property
    def type(self) -> Type | None:
        """The meaning if it is a type."""
        meaning = self.meaning
        if isinstance(meaning, Interface):
            return InterfaceType(meaning.name, meaning.scope)
        if meaning is None or isinstance(meaning, Constant | Enumerator | Incomplete | Method):
            return None
        return meaning


@dataclass(eq=False)
class Names:
    """The names of one scope."""

    path: Path = ()
    outer: Names | None = None
    base: Names | None = None
    entries: dict[str, Entry] = field(default_factory=dict)

    def find(self, name: str) -> Entry | None:
        """Find a name here, in the base interfaces, then outwards."""
        for names in self._visible():
            entry = names.entries.get(name)
            # A method hides nothing: it can be called the same as a type of an outer scope.
            if entry is not None and not isinstance(entry.meaning, Method):
                return entry
        return None

    def member(self, name: str) -> Entry | None:
        """Find a name here and in the base interfaces."""
        names: Names | None = self
        while names is not None:
            if name in names.entries:
                return names.entries[name]
            names = names.base
        return None

    def _visible(self) -> Iterator[Names]:
        names: Names | None = self
        while names is not None:
            inherited: Names | None = names
            while inherited is not None:
                yield inherited
                inherited = inherited.base
            names = names.outer

    def root(self) -> Names:
        """The scope of the file."""
        names = self
        while names.outer is not None:
            names = names.outer
        return names

    def look_up(self, wanted: Scoped, report: Reporter) -> Entry:
        """Find a name with its scopes.  Stop if it does not exist."""
        first, *others = wanted.parts
        entry = self.root().entries.get(first) if wanted.absolute else self.find(first)
        for part in others:
            entry = entry.inside.member(part) if entry and entry.inside else None
        if entry is None:
            raise report.fail(wanted.token, f"not in scope: {wanted}{self._hint(wanted)}")
        if entry.meaning is None and entry.inside is None:
            raise Stop  # its own declaration was wrong, which has been said
        return entry

    def _hint(self, wanted: Scoped) -> str:
        name = str(wanted)
        known = _OTHER_LANGUAGES.get(name)
        if known:
            return f"; {known}"
        if name == "remote_handle64":
            return '; #include "remote.idl" declares it'
        if name == "AEEResult":
            return '; declare it: "typedef long AEEResult;"'
        visible = (other for names in self._visible() for other in names.entries)
        meant = did_you_mean(name, chain(_TYPE_WORDS, visible), '"')
        return f"; {meant}" if meant else ""


_TYPE_WORDS: Final = (*PRIMITIVES, "dmahandle", "remote_handle64", "sequence", "string", "wstring")

_OTHER_LANGUAGES: Final = {
    "int": 'the 32-bit integer is called "long"',
    "bool": 'it is called "boolean"',
    "byte": 'it is called "octet"',
    "size_t": 'choose a width: "uint32_t" or "uint64_t"',
    "any": "there is no such type",
}
