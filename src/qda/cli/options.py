"""Options that several commands have, each declared once."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

__all__ = [
    "Dialect",
    "DialectOption",
    "IdlOption",
    "JsonOption",
    "ProfileOption",
    "WordyCommand",
    "with_options",
]


class Dialect(enum.StrEnum):
    """The dialects of the device interface."""

    RFC = "rfc"
    V1 = "v1"
    HANDLE = "handle"
    LEGACY = "legacy"
    LEGACY_73 = "legacy-7.3"
    LEGACY_SIGNALS = "legacy-signals"


ProfileOption = Annotated[
    str, typer.Option(help="The system that is virtual: see `qda profiles`, or a .toml file.")
]
DialectOption = Annotated[Dialect, typer.Option(help="Dialect of the device interface.")]
IdlOption = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE",
        help="An interface file, by which methods and arguments are named; may be given several "
        "times.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


class WordyCommand(TyperCommand):
    """A command that reads its words before Typer does: some options of its own may stand without
    a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, self.understood(args))

    def understood(self, args: list[str]) -> list[str]:
        """The words as Typer is to see them."""
        return args


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take options by the group: `def run(program: ..., options: Options)`.

    A group is a dataclass whose fields are annotated as a command's parameters would be.  The
    command line has an option for each field, and the command gets the dataclass.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and dataclasses.is_dataclass(hint)
    }
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _options_of(groups[parameter.name])
        else:
            keyword = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters.append(keyword.replace(annotation=hints[parameter.name]))

    @wraps(command)
    def flat(**given: object) -> None:
        for name, group in groups.items():
            options = {field.name: given.pop(field.name) for field in dataclasses.fields(group)}
            given[name] = group(**options)
        command(**given)

    flat.__annotations__ = {one.name: one.annotation for one in parameters}
    vars(flat)["__signature__"] = inspect.Signature(parameters)
    return flat


def _options_of(group: type) -> list[inspect.Parameter]:
    """The parameters that the fields of a group are."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=_default_of(field),
        )
        for field in dataclasses.fields(group)
    ]


def _default_of(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
