"""`qda idl`: code from interface files, and tools for their texts.

Without a command it takes what Qualcomm's compiler takes: `qda idl -mdll -o out -I inc file.idl`.
An interface file ends in `.idl`, so none is taken for a command.
"""

from __future__ import annotations

import os
from typing import Any

import typer
from typer.core import TyperGroup

from qda.cli.commands.idl.check import check
from qda.cli.commands.idl.compile import Compiler, compile_files
from qda.cli.commands.idl.document import write_page
from qda.cli.commands.idl.format import format_files
from qda.errors import did_you_mean

__all__ = ["app"]


class _Commands(TyperGroup):
    """What begins with no command is for the compiler."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            meant = did_you_mean(args[0], self.commands)
            if meant and not os.path.exists(args[0]) and args[0][:1] != "-":
                ctx.fail(f"there is no command {args[0]!r}: {meant}")
            args = ["compile", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    help="Make code from interface files; check, format and document them. "
    "`qda idl [OPTIONS] FILES...` is `qda idl compile`, with the options of Qualcomm's qaic.",
)
app.command("compile", cls=Compiler, context_settings={"help_option_names": ["-h", "--help"]})(
    compile_files
)
app.command("check")(check)
app.command("format")(format_files)
app.command("doc")(write_page)
