"""What a tree means: declarations in their scopes, methods and their numbers on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import PurePath

from lark import Token

from qda.idl.diagnostics import Diagnostic
from qda.idl.model import (
    Constant,
    Declaration,
    Direction,
    Document,
    Interface,
    Method,
    Module,
    Parameter,
)
from qda.idl.primitives import Kind, Primitive
from qda.idl.text import syntax
from qda.idl.text.parser import Tree
from qda.idl.text.preprocessor import Text
from qda.idl.text.refusals import refusal
from qda.idl.text.resolve import Resolver
from qda.idl.text.scopes import Names, Reporter, Stop
from qda.idl.text.syntax import Scoped
from qda.idl.types import REMOTE_HANDLE64, Type

__all__ = ["understand"]

VERSION = "IDL_VERSION"
ANNOTATIONS = ("oneway", "signal")


class _Analysis:
    """Goes through the declarations of a text in their order."""

    def __init__(self, text: Text, tree: Tree, file: str) -> None:
        self.report = Reporter(text)
        self._resolver = Resolver(tree.documentation, self.report)
        self._tree = tree
        self._file = file
        self._library = PurePath(file).stem
        self._version: str | None = None

    def document(self, text: Text) -> Document:
        declarations = self._declarations(self._tree.declarations, Names())
        return Document(
            self._file,
            tuple(declarations),
            tuple(text.includes),
            self._version,
            (*text.diagnostics, *self.report.warnings),
        )

    def _declarations(
        self, written: Iterable[syntax.DeclarationSyntax], names: Names
    ) -> list[Declaration]:
        found: list[Declaration] = []
        for one in written:
            try:
                if isinstance(one, syntax.ModuleSyntax):
                    found.append(self._module(one, names))
                elif isinstance(one, syntax.InterfaceSyntax):
                    found.append(self._interface(one, names))
                else:
                    found += self._resolver.type_declaration(one, names)
            except Stop:
                continue
            if isinstance(found[-1], Constant) and not names.path:
                self._note_version(found[-1])
        return found

    def _note_version(self, constant: Constant) -> None:
        if constant.name == VERSION and isinstance(constant.value, str):
            self._version = constant.value

    def _module(self, written: syntax.ModuleSyntax, names: Names) -> Module:
        earlier = names.entries.get(written.name)
        # A module may be continued.
        if earlier is not None and earlier.what == "module" and earlier.inside is not None:
            entry = earlier
        else:
            entry = self._resolver.declare(names, written.name, "module", None)
            entry.inside = Names((*names.path, str(written.name)), names)
        assert entry.inside is not None
        return Module(
            str(written.name),
            tuple(self._declarations(written.declarations, entry.inside)),
            names.path,
            self._resolver.documentation(written.token, written.name),
            self.report.locate(written.token),
        )

    # --- interfaces --------------------------------------------------------------------------

    def _interface(self, written: syntax.InterfaceSyntax, names: Names) -> Interface:
        name = str(written.name)
        shell = Interface(
            name,
            names.path,
            is_local="local" in written.modifiers,
            is_ext_params="ext_params" in written.modifiers,
            is_forward=written.exports is None,
            library=self._library,
            documentation=self._resolver.documentation(written.token, written.name),
            location=self.report.locate(written.token),
        )
        earlier = names.entries.get(name)
        known = earlier.meaning if earlier else None
        if earlier and isinstance(known, Interface) and (known.is_forward or shell.is_forward):
            entry = earlier
        else:
            entry = self._resolver.declare(names, written.name, "interface", shell)
        if written.exports is None:
            return shell
        # While its head and body are read the interface is a type, but not a base.
        entry.meaning = dataclasses.replace(shell, is_forward=True)
        base = self._base(written.base, names)
        inside = Names((*names.path, name), names)
        if base is not None and written.base is not None:
            inside.base = names.look_up(written.base, self.report).inside
        body = _Body(self._resolver, inside, shell, base)
        body.run(written.exports)
        finished = dataclasses.replace(
            shell,
            base=base,
            methods=tuple(body.methods),
            declarations=tuple(body.declarations),
            is_handle64=body.is_handle64,
            version=self._version,
        )
        entry.meaning, entry.inside = finished, inside
        return finished

    def _base(self, written: Scoped | None, names: Names) -> Interface | None:
        if written is None:
            return None
        try:
            entry = names.look_up(written, self.report)
            base = entry.meaning
            if not isinstance(base, Interface):
                message = f'expected an interface, but "{written}" is the {entry.what} of line'
                raise self.report.fail(written.token, f"{message} {entry.location.line}")
            if base.is_forward:
                message = f'interface "{written}" is declared, but its methods are not known yet'
                raise self.report.fail(written.token, message)
        except Stop:
            return None
        return base


class _Body:
    """Goes through what stands in an interface."""

    def __init__(
        self, resolver: Resolver, names: Names, shell: Interface, base: Interface | None
    ) -> None:
        self._resolver = resolver
        self._report = resolver.report
        self._names = names
        self._shell = shell
        self._base = base
        self.methods: list[Method] = list(base.methods) if base else []
        self.declarations: list[Declaration] = []
        is_root = shell.name == REMOTE_HANDLE64 and not shell.scope
        self._is_root = is_root
        self.is_handle64 = is_root or (base is not None and base.is_handle64)
        self._inherited = {one.name: one.declared_in for one in self.methods}

    def run(self, exports: Iterable[syntax.DeclarationSyntax]) -> None:
        """Declare everything; what is wrong is reported and left out."""
        for one in exports:
            try:
                if isinstance(one, syntax.OperationSyntax):
                    self._operation(one)
                elif isinstance(one, syntax.AttributeSyntax):
                    self._attribute(one)
                else:
                    self.declarations += self._resolver.type_declaration(one, self._names)
            except Stop:
                continue

    def _add(self, name: Token, method: Method) -> None:
        origin = self._inherited.get(method.name)
        if origin is not None:
            message = f'"{method.name}" is a method of the base interface "{origin}" already'
            self._report.error(name, message)
            return
        declared = Token.new_borrow_pos("IDENTIFIER", method.name, name)
        self._resolver.declare(self._names, declared, "method", method)
        self.methods.append(method)
        self.declarations.append(method)

    def _method(
        self,
        name: str,
        parameters: tuple[Parameter, ...],
        returns: Type | None,
        documentation: str,
        token: Token,
        asynchronous: bool = False,
        attribute: str = "",
    ) -> Method:
        reason = refusal(parameters, asynchronous, self._is_root and name in ("open", "close"))
        if self._shell.is_local:
            reason = f'interface "{self._shell.name}" is local'
        return Method(
            name,
            len(self.methods),
            parameters,
            returns,
            asynchronous,
            attribute,
            self._shell.full_name,
            reason,
            documentation,
            self._report.locate(token),
        )

    def _operation(self, written: syntax.OperationSyntax) -> None:
        attribute = ""
        if written.annotation is not None:
            attribute = str(written.annotation[1])
            if attribute not in ANNOTATIONS:
                message = f'unknown method attribute "{attribute}": expected "oneway" or "signal"'
                self._report.error(written.annotation[0], message)
        returns = self._returns(written.returns)
        parameters: list[Parameter] = []
        good = True
        for one in written.parameters:
            try:
                parameters.append(self._parameter(one))
            except Stop:
                good = False
        self._resolver.distinct((one.name for one in written.parameters), "parameter")
        if attribute in ANNOTATIONS and written.annotation is not None:
            outputs = [one for one in written.parameters if one.token != "in"]
            if outputs:
                message = f'"{attribute}" method may have "in" parameters only'
                self._report.error(written.annotation[0], message)
        # Also a broken method takes its number, so that messages about others stay right.
        documentation = self._resolver.documentation(written.token, written.name)
        method = self._method(
            str(written.name),
            tuple(parameters) if good else (),
            returns,
            documentation,
            written.name,
            written.asynchronous,
            attribute,
        )
        self._add(written.name, method)

    def _returns(self, written: syntax.TypeSyntax) -> Type | None:
        if isinstance(written, syntax.Builtin) and written.name == "void":
            return None
        try:
            kind = self._resolver.type(written, self._names)
        except Stop:
            return None
        inner = kind.resolved
        word = isinstance(inner, Primitive) and inner.kind is Kind.INTEGER and inner.size == 4
        if not word:
            message = f'the result of a call is a "long", whatever "{kind}" says'
            self._report.warn(written.token, message)
        return kind

    def _parameter(self, written: syntax.ParameterSyntax) -> Parameter:
        return Parameter(
            str(written.name),
            Direction(str(written.token)),
            self._resolver.type(written.type, self._names),
            self._resolver.documentation(written.token, written.name),
            self._report.locate(written.name),
        )

    def _attribute(self, written: syntax.AttributeSyntax) -> None:
        kind = self._resolver.type(written.type, self._names)
        result = Token.new_borrow_pos("IDENTIFIER", "AEEResult", written.token)
        returns = self._resolver.type(Scoped(result, (result,), False), self._names)
        documentation = self._resolver.documentation(written.token, written.name)
        ways = [("Get", Direction.ROUT)]
        if not written.readonly:
            ways.append(("Set", Direction.IN))
        for prefix, direction in ways:
            place = self._report.locate(written.name)
            value = Parameter("value", direction, kind, "", place)
            name = f"{prefix}{written.name}"
            method = self._method(name, (value,), returns, documentation, written.name)
            self._add(written.name, method)


def understand(text: Text, tree: Tree, file: str) -> tuple[Document, list[Diagnostic]]:
    """Return what a tree means, and its errors; with errors the document is incomplete."""
    analysis = _Analysis(text, tree, file)
    document = analysis.document(text)
    return document, analysis.report.errors
