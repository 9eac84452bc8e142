"""Runs the `qda` command in a process of its own, as a shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["PROGRAM", "environment", "processes_with", "qda"]

PROGRAM = "from qda.cli import main; main()"


def environment(**more: str) -> dict[str, str]:
    """An environment in which output has no colours and 80 columns."""
    unwanted = ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "NO_COLOR": "1", **more}


def qda(
    *arguments: str, directory: Path | None = None, before: str = "", status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `qda ARGUMENTS...`, after the Python statements `before`, and check its exit status."""
    command: Sequence[str] = [sys.executable, "-c", f"{before}\n{PROGRAM}", *arguments]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment(),
        timeout=50,
    )
    assert result.returncode == status, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result


def processes_with(marker: str) -> list[int]:
    """Processes whose environment holds a text."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdecimal() and marker in (directory / "environ").read_text():
                found.append(int(directory.name))
        except (OSError, UnicodeDecodeError):
            continue  # it has ended, or is somebody else's
    return found
