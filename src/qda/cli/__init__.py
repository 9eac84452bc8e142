"""The `qda` command.

Its commands are in `qda.cli.app`, which is loaded when the command runs: the DSP imports
`qda.cli.demo` too, and needs none of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from qda.cli.statuses import INTERRUPTED

__all__ = ["main"]


def main() -> None:
    """Run the command on the arguments of this process, and exit with its status."""
    try:
        if sys.argv[1:2] == ["run"]:
            _run(sys.argv[2:])
        from qda.cli.app import app

        app(prog_name="qda")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


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
