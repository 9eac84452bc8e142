"""`qda` itself: which commands there are, and where they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import qda
from qda.cli.statuses import INTERRUPTED
from qda.errors import QdaError, suggestion

__all__ = ["app"]

_COMMANDS = {
    "demo": "qda.cli.commands.demo",
    "new": "qda.cli.commands.new",
    "info": "qda.cli.commands.info",
    "doctor": "qda.cli.commands.doctor",
    "explain": "qda.cli.commands.explain",
    "profiles": "qda.cli.commands.profiles",
    "run": "qda.cli.commands.run",
    "serve": "qda.cli.commands.serve",
    "replay": "qda.cli.commands.replay",
    "ci": "qda.cli.commands.ci",
    "conformance": "qda.cli.commands.conformance",
    "uapi": "qda.cli.commands.uapi",
    "idl": "qda.cli.commands.idl",
    "kernel": "qda.cli.commands.kernel",
    "completion": "qda.cli.commands.completion",
}
"""The commands in the order of `qda --help`, and the modules whose `app` they are."""


class _Commands(TyperGroup):
    """Commands that are loaded when they are called, and whose errors are messages."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            if not cmd_name.startswith("-"):
                words = suggestion(cmd_name, _COMMANDS)
                ctx.fail(f"there is no command {cmd_name!r}: {words}")
            return None
        command = typer.main.get_command(import_module(_COMMANDS[cmd_name]).app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        words = list(ctx.args)
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            given = _given(getattr(error.param, "opts", ()), words)
            if given is not None and repr(given) not in error.message:
                error.message = f"{given!r}: {error.message}"
            raise
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except QdaError as error:
            print(f"qda: {error}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1) from error


def _given(options: Sequence[str], words: Sequence[str]) -> str | None:
    """What the command line gives one of some options, which are one, None if it does not."""
    for place, word in enumerate(words, 1):
        option, equals, value = word.partition("=")
        if option in options:
            return value if equals else "".join(words[place : place + 1])
    return None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The Qualcomm DSP Accelerator in software: devices, interface, errors, a demo.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"qda {qda.__version__}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the command itself."""
