"""The `qda` command.

Its commands are in `qda.cli.app`, which is loaded when the command runs: the DSP imports
`qda.cli.demo` too, and needs none of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from qda.cli.statuses import INTERRUPTED

__all__ = ["COMPLETION", "main"]

COMPLETION = "_QDA_COMPLETE"
"""The variable by which a shell asks for completions; Typer derives the name from the command's."""


def main() -> None:
    """Run the command on the arguments of this process, and exit with its status."""
    _fill_gaps()
    try:
        if sys.argv[1:2] == ["run"]:
            _run(sys.argv[2:])
        from qda.cli.app import app

        if COMPLETION in os.environ:
            from typer._completion_classes import completion_init

            completion_init()
        try:
            app(prog_name="qda")
        finally:
            sys.stdout.flush()  # which may fail, and has words here only
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        _say_what_failed(error)
        sys.exit(1)


def _fill_gaps() -> None:
    """Open what was closed of standard input, output and error before we began: other files would
    get their numbers, and what is printed.  A program that we run has them closed, too."""
    while (opened := _nothing()) <= _STANDARD_ERROR:
        pass
    os.close(opened)
    if sys.stdout is None:
        sys.stdout = open(_nothing(), "w")  # noqa: SIM115  # until the end
    if sys.stderr is None:
        sys.stderr = open(_nothing(), "w")  # noqa: SIM115


def _nothing() -> int:
    """Open a file that nobody reads; a container may have no /dev, and the doctor is to say so."""
    try:
        return os.open(os.devnull, os.O_RDWR)
    except FileNotFoundError:
        return os.memfd_create("nothing")


_STANDARD_ERROR = 2
"""The highest number of the three."""


def _say_what_failed(error: OSError) -> None:
    """Of what no command has words for: mostly a full disk below standard output."""
    what = error.filename or "standard output"
    print(f"qda: {what}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
    with suppress(OSError):  # Python would try to write the rest at its end, and complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: Sequence[str]) -> None:
    """Do what `qda run` does, and exit with the program's status, if that can be understood without
    Typer."""
    from qda.cli.direct import understand
    from qda.cli.programs import run
    from qda.errors import QdaError

    found = understand(words)
    if found is None:
        return
    try:
        sys.exit(run(*found))
    except QdaError as error:
        print(f"qda: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
