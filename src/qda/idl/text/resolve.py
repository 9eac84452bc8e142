"""Types: from how they are written to what they are; and declarations of types and constants."""

from __future__ import annotations

from collections.abc import Iterable

from lark import Token

from qda import limits
from qda.idl.model import Constant, Declaration, Typedef
from qda.idl.primitives import PRIMITIVES
from qda.idl.text import syntax
from qda.idl.text.constants import evaluate, evaluate_integer, kind_of
from qda.idl.text.scopes import Entry, Enumerator, Incomplete, Meaning, Names, Reporter, Stop
from qda.idl.types import (
    Array,
    Case,
    DmaHandle,
    Enum,
    EnumMember,
    InterfaceType,
    Member,
    Named,
    Native,
    Sequence,
    String,
    Struct,
    Type,
    Union,
    Value,
)

__all__ = ["Resolver"]


def _held(union: Union) -> tuple[Member, ...]:
    return tuple(one.member for one in union.cases)


class Resolver:
    """Declares names and finds out what types are."""

    def __init__(self, documentation: dict[int, str], report: Reporter) -> None:
        self._documentation = documentation
        self.report = report
        # By identity: comparing structures compares all that is in them.
        self._measures: dict[int, tuple[int, int, Type]] = {}

    # --- names -------------------------------------------------------------------------------

    def documentation(self, *tokens: Token) -> str:
        """What is written about a declaration: before its first token, or behind its name."""
        found = [self._documentation.get(token.start_pos or 0, "") for token in tokens]
        return "\n".join(dict.fromkeys(one for one in found if one))

    def declare(self, names: Names, name: Token, what: str, meaning: Meaning) -> Entry:
        """Give a name a meaning.  A name that is taken in this scope is an error."""
        entry = Entry(what, meaning, self.report.locate(name))
        earlier = names.entries.get(name)
        if earlier is None:
            names.entries[str(name)] = entry
        else:
            where = f"{earlier.what} of line {earlier.location.line}"
            if earlier.location.file != entry.location.file:
                where += f" of {earlier.location.file}"
            self.report.error(name, f'"{name}" clashes with the earlier {where}')
        return entry

    def distinct(self, tokens: Iterable[Token], what: str) -> None:
        """Report names that stand twice in a list."""
        seen: set[str] = set()
        for token in tokens:
            if token in seen:
                self.report.error(token, f'second {what} called "{token}"')
            seen.add(str(token))

    # --- types -------------------------------------------------------------------------------

    def type(
        self, written: syntax.TypeSyntax, names: Names, found: list[Declaration] | None = None
    ) -> Type:
        """Return what a type is.  Types that are declared within it are added to `found`."""
        if isinstance(written, syntax.Builtin):
            return self._builtin(written)
        if isinstance(written, syntax.Scoped):
            return self._named(written, names)
        if isinstance(written, syntax.SequenceOf):
            element = self.type(written.element, names)
            sequence = Sequence(element, self._bound(written.bound, names))
            return self._measured(sequence, written.token)
        if isinstance(written, syntax.StringOf):
            return String(written.token == "wstring", self._bound(written.bound, names))
        if isinstance(written, syntax.Dma):
            self._bound(written.bound, names)
            return DmaHandle()
        if isinstance(written, syntax.AnyInterface):
            return InterfaceType("interface")
        declared = self.type_declaration(written, names)
        if found is not None:
            found += declared
        last = declared[-1]
        assert isinstance(last, Struct | Union | Enum)
        return last

    @staticmethod
    def _builtin(written: syntax.Builtin) -> Type:
        if written.name in ("string", "wstring"):
            return String(written.name == "wstring")
        return PRIMITIVES[written.name]

    def _named(self, written: syntax.Scoped, names: Names) -> Type:
        entry = names.look_up(written, self.report)
        if isinstance(entry.meaning, Incomplete):
            message = f'"{written}" contains itself: the size of such a type has no end'
            raise self.report.fail(written.token, message)
        found = entry.type
        if found is None:
            message = f'expected a type, but "{written}" is the {entry.what} of line'
            raise self.report.fail(written.token, f"{message} {entry.location.line}")
        return found

    def _bound(self, bound: syntax.Expression | None, names: Names) -> int | None:
        if bound is None:
            return None
        value = evaluate_integer(bound, names, self.report)
        if value < 0:
            raise self.report.fail(bound.token, f"a bound cannot be negative: {value}")
        return value

    def declared(self, kind: Type, declarator: syntax.Declarator, names: Names) -> Type:
        """Return a type with the array sizes behind a declared name."""
        for dimension in reversed(declarator.dimensions):
            length = evaluate_integer(dimension, names, self.report)
            if length < 1:
                raise self.report.fail(dimension.token, f"array of {length}: expected at least 1")
            if length > limits.IDL_BYTES:
                raise self.report.fail(dimension.token, "the array is too large")
            kind = self._measured(Array(kind, length), dimension.token)
        return kind

    def _measured(self, kind: Type, token: Token) -> Type:
        """Return the type, unless it is unreasonably large or deep."""
        depth, fields = self._measure(kind)
        if depth > limits.IDL_TYPES:
            raise self.report.fail(token, f"more than {limits.IDL_TYPES} types within types")
        if fields > limits.IDL_MEMBERS:
            raise self.report.fail(token, f"more than {limits.IDL_MEMBERS} members in one type")
        if kind.is_simple and kind.size > limits.IDL_BYTES:
            raise self.report.fail(token, f"{kind.size} bytes are too much for one value")
        return kind

    def _measure(self, kind: Type) -> tuple[int, int]:
        known = self._measures.get(id(kind))
        if known is not None:
            return known[0], known[1]
        if isinstance(kind, Struct | Union):
            members = kind.members if isinstance(kind, Struct) else _held(kind)
            parts = [self._measure(one.type) for one in members]
            depth, fields = max(one[0] for one in parts) + 1, sum(one[1] for one in parts)
        elif isinstance(kind, Array | Sequence | Named):
            depth, fields = self._measure(kind.type if isinstance(kind, Named) else kind.element)
            depth += 1
        else:
            return 1, 1
        self._measures[id(kind)] = depth, fields, kind  # the type is kept, and so is its id
        return depth, fields

    # --- declarations ------------------------------------------------------------------------

    def type_declaration(
        self, written: syntax.DeclarationSyntax | syntax.TypeSyntax, names: Names
    ) -> list[Declaration]:
        """Declare a type or constant; what was declared within it comes first."""
        if isinstance(written, syntax.StructSyntax):
            return self._struct(written, names)
        if isinstance(written, syntax.EnumSyntax):
            return [self._enum(written, names)]
        if isinstance(written, syntax.UnionSyntax):
            return self._union(written, names)
        if isinstance(written, syntax.TypedefSyntax):
            return self._typedef(written, names)
        if isinstance(written, syntax.ConstSyntax):
            return [self._constant(written, names)]
        assert isinstance(written, syntax.NativeSyntax)
        native = Native(
            str(written.name),
            names.path,
            self.documentation(written.token, written.name),
            self.report.locate(written.token),
        )
        self.declare(names, written.name, "native type", native)
        return [native]

    def _struct(self, written: syntax.StructSyntax, names: Names) -> list[Declaration]:
        entry = self.declare(names, written.name, "structure", Incomplete(str(written.name)))
        found: list[Declaration] = []
        members: list[Member] = []
        good = True
        for line in written.members:
            try:
                kind = self.type(line.type, names, found)
                members += [self._member(line.token, kind, one, names) for one in line.declarators]
            except Stop:
                good = False
        self.distinct((one.token for line in written.members for one in line.declarators), "member")
        entry.meaning = None
        if not good:
            raise Stop
        struct = Struct(
            str(written.name),
            tuple(members),
            names.path,
            self.documentation(written.token, written.name),
            self.report.locate(written.token),
        )
        self._measured(struct, written.name)
        entry.meaning = struct
        return [*found, struct]

    def _member(self, first: Token, kind: Type, written: syntax.Declarator, names: Names) -> Member:
        return Member(
            str(written.token),
            self.declared(kind, written, names),
            self.documentation(first, written.token),
            self.report.locate(written.token),
        )

    def _enum(self, written: syntax.EnumSyntax, names: Names) -> Enum:
        members = tuple(
            EnumMember(str(one), value, self.documentation(one), self.report.locate(one))
            for value, one in enumerate(written.members)
        )
        enum = Enum(
            str(written.name),
            members,
            names.path,
            self.documentation(written.token, written.name),
            self.report.locate(written.token),
        )
        self.declare(names, written.name, "enumeration", enum)
        for one, member in zip(written.members, members, strict=True):
            self.declare(names, one, "enumerator", Enumerator(enum, member.value))
        return enum

    def _union(self, written: syntax.UnionSyntax, names: Names) -> list[Declaration]:
        entry = self.declare(names, written.name, "union", Incomplete(str(written.name)))
        try:
            switch = self.type(written.switch, names)
            kind = kind_of(switch)
            if kind is None or kind.endswith("string") or kind == "real number":
                message = f'"{switch}" cannot choose a case: expected an integer or enum type'
                raise self.report.fail(written.switch.token, message)
            found: list[Declaration] = []
            cases = []
            for one in written.cases:
                label: Value | None = None
                if one.label is not None:
                    label, _ = evaluate(one.label, switch, names, self.report)
                inner = self.type(one.type, names, found)
                cases.append(Case(label, self._member(one.token, inner, one.declarator, names)))
        except Stop:
            entry.meaning = None
            raise
        union = Union(
            str(written.name),
            switch,
            tuple(cases),
            names.path,
            self.documentation(written.token, written.name),
            self.report.locate(written.token),
        )
        entry.meaning = None
        self._measured(union, written.name)
        entry.meaning = union
        return [*found, union]

    def _typedef(self, written: syntax.TypedefSyntax, names: Names) -> list[Declaration]:
        found: list[Declaration] = []
        try:
            kind = self.type(written.type, names, found)
        except Stop:
            for one in written.declarators:
                self.declare(names, one.token, "type", None)
            raise
        for one in written.declarators:
            entry = self.declare(names, one.token, "type", None)
            named = Named(str(one.token), self.declared(kind, one, names), names.path)
            self._measured(named, one.token)
            entry.meaning = named
            found.append(
                Typedef(
                    named,
                    self.documentation(written.token, one.token),
                    self.report.locate(written.token),
                )
            )
        return found

    def _constant(self, written: syntax.ConstSyntax, names: Names) -> Constant:
        try:
            kind = self.type(written.type, names)
            if kind_of(kind) is None:
                message = f'"{kind}" cannot be the type of a constant'
                raise self.report.fail(written.type.token, message)
            value, radix = evaluate(written.value, kind, names, self.report)
        except Stop:
            self.declare(names, written.name, "constant", None)
            raise
        constant = Constant(
            str(written.name),
            kind,
            value,
            names.path,
            radix,
            self.documentation(written.token, written.name),
            self.report.locate(written.token),
        )
        self.declare(names, written.name, "constant", constant)
        return constant
