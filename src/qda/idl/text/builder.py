"""From the grammar's rules to the tree: each rule has the method of its name in `Builder`.

What a method gets are the rule's parts in their order; of tokens those whose name begins with an
underscore are left out.
"""

from __future__ import annotations

from lark import Token, Transformer, v_args

from qda.idl.text.syntax import (
    AnyInterface,
    AttributeSyntax,
    Binary,
    Builtin,
    CaseSyntax,
    ConstSyntax,
    DeclarationSyntax,
    Declarator,
    Dma,
    EnumSyntax,
    Expression,
    InterfaceSyntax,
    Literal,
    MemberSyntax,
    ModuleSyntax,
    NativeSyntax,
    OperationSyntax,
    ParameterSyntax,
    Reference,
    Scoped,
    SequenceOf,
    StringOf,
    StructSyntax,
    TypedefSyntax,
    TypeSyntax,
    Unary,
    UnionSyntax,
)

__all__ = ["Builder"]


@v_args(inline=True)
class Builder(Transformer[Token, DeclarationSyntax]):
    """Makes tree nodes of what the grammar's rules matched."""

    def start(self, declaration: DeclarationSyntax) -> DeclarationSyntax:
        return declaration

    # Modules and interfaces.

    def module(self, word: Token, name: Token, *declarations: DeclarationSyntax) -> ModuleSyntax:
        return ModuleSyntax(word, name, declarations)

    def native(self, word: Token, name: Token) -> NativeSyntax:
        return NativeSyntax(word, name)

    def modifiers(self, *words: Token) -> tuple[Token, ...]:
        return words

    def base(self, name: Scoped | None = None) -> Scoped | None:
        return name

    def exports(self, *exports: DeclarationSyntax) -> tuple[DeclarationSyntax, ...]:
        return exports

    def forward(self, modifiers: tuple[Token, ...], word: Token, name: Token) -> InterfaceSyntax:
        return self.interface(modifiers, word, name, None, None)

    def interface(
        self,
        modifiers: tuple[Token, ...],
        word: Token,
        name: Token,
        base: Scoped | None,
        exports: tuple[DeclarationSyntax, ...] | None,
    ) -> InterfaceSyntax:
        first = modifiers[0] if modifiers else word
        words = tuple(str(one) for one in modifiers)
        return InterfaceSyntax(first, name, words, base, exports)

    # Methods.

    def attribute(
        self, readonly: Token | None, word: Token, kind: TypeSyntax, name: Token
    ) -> AttributeSyntax:
        return AttributeSyntax(readonly or word, kind, name, readonly is not None)

    def operation(
        self,
        asynchronous: Token | None,
        annotation: tuple[Token, Token] | None,
        returns: TypeSyntax,
        name: Token,
        parameters: tuple[ParameterSyntax, ...],
    ) -> OperationSyntax:
        first = asynchronous or (annotation[0] if annotation else returns.token)
        is_asynchronous = asynchronous is not None
        return OperationSyntax(first, is_asynchronous, annotation, returns, name, parameters)

    def perhaps(self, word: Token | None = None) -> Token | None:
        return word

    readonly = asynchronous = perhaps

    def annotation(
        self, bracket: Token | None = None, name: Token | None = None
    ) -> tuple[Token, Token] | None:
        return (bracket, name) if bracket and name else None

    def nothing(self, word: Token) -> Builtin:
        return Builtin(word, "void")

    def parameters(self, *parameters: ParameterSyntax) -> tuple[ParameterSyntax, ...]:
        return parameters

    def parameter(self, direction: Token, kind: TypeSyntax, name: Token) -> ParameterSyntax:
        return ParameterSyntax(direction, kind, name)

    def direction(self, word: Token) -> Token:
        return word

    # Declarations of types.

    def typedef(
        self, word: Token, kind: TypeSyntax, declarators: tuple[Declarator, ...]
    ) -> TypedefSyntax:
        return TypedefSyntax(word, kind, declarators)

    def declarators(self, *declarators: Declarator) -> tuple[Declarator, ...]:
        return declarators

    def declarator(self, name: Token, *dimensions: Expression) -> Declarator:
        return Declarator(name, dimensions)

    def dimension(self, bracket: Token, size: Expression) -> Expression:
        del bracket
        return size

    def struct(self, word: Token, name: Token, members: tuple[MemberSyntax, ...]) -> StructSyntax:
        return StructSyntax(word, name, members)

    def members(self, *members: MemberSyntax) -> tuple[MemberSyntax, ...]:
        return members

    def member(self, kind: TypeSyntax, declarators: tuple[Declarator, ...]) -> MemberSyntax:
        return MemberSyntax(kind.token, kind, declarators)

    def enum(self, word: Token, name: Token, members: tuple[Token, ...]) -> EnumSyntax:
        return EnumSyntax(word, name, members)

    def enumerators(self, *names: Token) -> tuple[Token, ...]:
        return names

    def union(
        self,
        word: Token,
        name: Token,
        switch: Token,
        kind: TypeSyntax,
        cases: tuple[CaseSyntax, ...],
    ) -> UnionSyntax:
        del switch
        return UnionSyntax(word, name, kind, cases)

    def cases(self, *cases: CaseSyntax) -> tuple[CaseSyntax, ...]:
        return cases

    def case(
        self, label: tuple[Token, Expression | None], kind: TypeSyntax, declarator: Declarator
    ) -> CaseSyntax:
        word, value = label
        return CaseSyntax(word, value, kind, declarator)

    def label(
        self, word: Token, value: Expression | None = None
    ) -> tuple[Token, Expression | None]:
        return word, value

    # Types.

    def integer(self, *words: Token) -> Builtin:
        return Builtin(words[0], " ".join(words))

    plain = plain_switch = text = integer

    def any_interface(self, word: Token) -> AnyInterface:
        return AnyInterface(word)

    def sequence(
        self, word: Token, element: TypeSyntax, bound: Expression | None = None
    ) -> SequenceOf:
        return SequenceOf(word, element, bound)

    def bound(self, bound: Expression) -> Expression:
        return bound

    def string(self, word: Token, bound: Expression | None = None) -> StringOf:
        return StringOf(word, bound)

    def dma(self, word: Token, bound: Expression | None = None) -> Dma:
        return Dma(word, bound)

    def scoped(self, *words: Token) -> Scoped:
        parts = tuple(one for one in words if one.type != "DOUBLE_COLON")
        return Scoped(words[0], parts, words[0].type == "DOUBLE_COLON")

    # Constants.

    def const(self, word: Token, kind: TypeSyntax, name: Token, value: Expression) -> ConstSyntax:
        return ConstSyntax(word, kind, name, value)

    def binary(self, left: Expression, operator: Token, right: Expression) -> Binary:
        return Binary(operator, left, right)

    def unary(self, operator: Token, operand: Expression) -> Unary:
        return Unary(operator, operand)

    def reference(self, name: Scoped) -> Reference:
        return Reference(name.token, name)

    def literal(self, token: Token) -> Literal:
        return Literal(token)
