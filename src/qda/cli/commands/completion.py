"""`qda completion`: what a shell needs to complete the command."""

from __future__ import annotations

import enum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from qda.cli import COMPLETION
from qda.cli.output import write

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class Shell(enum.StrEnum):
    """Shells that can."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command("completion")
def completion(shell: Annotated[Shell, typer.Argument(help="For which shell.")]) -> None:
    """Print a script by which a shell completes `qda`: eval "$(qda completion bash)"."""
    # Typer would install it by itself, into files of the user's that are not its own.
    script = get_completion_script(prog_name="qda", complete_var=COMPLETION, shell=shell)
    write(f"{script}\n")
