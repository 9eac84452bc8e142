"""What stands in a text, before names mean anything: the tree that the parser builds.

Every node knows the token that it begins with, for messages and for documentation comments.
"""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token

__all__ = [
    "AnyInterface",
    "AttributeSyntax",
    "Binary",
    "Builtin",
    "CaseSyntax",
    "ConstSyntax",
    "DeclarationSyntax",
    "Declarator",
    "Dma",
    "EnumSyntax",
    "Expression",
    "InterfaceSyntax",
    "Literal",
    "MemberSyntax",
    "ModuleSyntax",
    "NativeSyntax",
    "OperationSyntax",
    "ParameterSyntax",
    "Reference",
    "Scoped",
    "SequenceOf",
    "StringOf",
    "StructSyntax",
    "TypeSyntax",
    "TypedefSyntax",
    "Unary",
    "UnionSyntax",
]


@dataclass(slots=True)
class Scoped:
    """A name with its scopes: `a::b`, or `::a::b` if absolute."""

    token: Token
    parts: tuple[Token, ...]
    absolute: bool

    def __str__(self) -> str:
        return "::" * self.absolute + "::".join(self.parts)


@dataclass(slots=True)
class Literal:
    """A number, character, string, TRUE or FALSE."""

    token: Token


@dataclass(slots=True)
class Reference:
    """A constant or an enumerator, by name."""

    token: Token
    name: Scoped


@dataclass(slots=True)
class Unary:
    """`-` or `~` before an operand."""

    token: Token
    operand: Expression


@dataclass(slots=True)
class Binary:
    """An operator between two operands."""

    token: Token
    """The operator."""
    left: Expression
    right: Expression


Expression = Literal | Reference | Unary | Binary


@dataclass(slots=True)
class Builtin:
    """A primitive, or `void`, `string` and `wstring` where nothing else can follow."""

    token: Token
    name: str


@dataclass(slots=True)
class AnyInterface:
    """The type `interface`."""

    token: Token


@dataclass(slots=True)
class SequenceOf:
    """`sequence<element, bound>`."""

    token: Token
    element: TypeSyntax
    bound: Expression | None


@dataclass(slots=True)
class StringOf:
    """`string` or `wstring`, perhaps with a bound."""

    token: Token
    bound: Expression | None


@dataclass(slots=True)
class Dma:
    """`dmahandle`, perhaps with a bound."""

    token: Token
    bound: Expression | None


@dataclass(slots=True)
class Declarator:
    """A declared name with its array sizes."""

    token: Token
    dimensions: tuple[Expression, ...]


@dataclass(slots=True)
class MemberSyntax:
    """A line of a structure: a type and the names that have it."""

    token: Token
    type: TypeSyntax
    declarators: tuple[Declarator, ...]


@dataclass(slots=True)
class StructSyntax:
    """A structure."""

    token: Token
    name: Token
    members: tuple[MemberSyntax, ...]


@dataclass(slots=True)
class EnumSyntax:
    """An enumeration."""

    token: Token
    name: Token
    members: tuple[Token, ...]


@dataclass(slots=True)
class CaseSyntax:
    """A case of a union; without label it is `default`."""

    token: Token
    label: Expression | None
    type: TypeSyntax
    declarator: Declarator


@dataclass(slots=True)
class UnionSyntax:
    """A union."""

    token: Token
    name: Token
    switch: TypeSyntax
    cases: tuple[CaseSyntax, ...]


TypeSyntax = (
    Builtin
    | AnyInterface
    | SequenceOf
    | StringOf
    | Dma
    | Scoped
    | StructSyntax
    | EnumSyntax
    | UnionSyntax
)


@dataclass(slots=True)
class TypedefSyntax:
    """A typedef: a type and its new names."""

    token: Token
    type: TypeSyntax
    declarators: tuple[Declarator, ...]


@dataclass(slots=True)
class NativeSyntax:
    """A native type."""

    token: Token
    name: Token


@dataclass(slots=True)
class ConstSyntax:
    """A constant."""

    token: Token
    type: TypeSyntax
    name: Token
    value: Expression


@dataclass(slots=True)
class AttributeSyntax:
    """An attribute, which stands for one or two methods."""

    token: Token
    type: TypeSyntax
    name: Token
    readonly: bool


@dataclass(slots=True)
class ParameterSyntax:
    """A parameter; its first token is the direction."""

    token: Token
    type: TypeSyntax
    name: Token


@dataclass(slots=True)
class OperationSyntax:
    """A method."""

    token: Token
    asynchronous: bool
    annotation: tuple[Token, Token] | None
    """The opening bracket and the word behind it."""
    returns: TypeSyntax
    name: Token
    parameters: tuple[ParameterSyntax, ...]


@dataclass(slots=True)
class InterfaceSyntax:
    """An interface."""

    token: Token
    name: Token
    modifiers: tuple[str, ...]
    base: Scoped | None
    exports: tuple[DeclarationSyntax, ...] | None
    """None if this is a forward declaration."""


@dataclass(slots=True)
class ModuleSyntax:
    """A module."""

    token: Token
    name: Token
    declarations: tuple[DeclarationSyntax, ...]


DeclarationSyntax = (
    TypedefSyntax
    | StructSyntax
    | EnumSyntax
    | UnionSyntax
    | NativeSyntax
    | ConstSyntax
    | InterfaceSyntax
    | ModuleSyntax
    | AttributeSyntax
    | OperationSyntax
)
