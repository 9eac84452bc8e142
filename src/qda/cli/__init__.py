"""The `qda` command.

Its commands are in `qda.cli.app`, which is loaded when the command runs: the DSP imports
`qda.cli.demo` too, and needs none of it.
"""

from __future__ import annotations

import sys

from qda.cli.statuses import INTERRUPTED

__all__ = ["main"]


def main() -> None:
    """Run the command on the arguments of this process, and exit with its status."""
    try:
        from qda.cli.app import app

        app(prog_name="qda")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
