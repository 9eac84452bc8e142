"""`qda conformance`: the rules of the device interface, tried on a device."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from qda.errors import UsageError

__all__ = ["app", "told_pytest"]

app = typer.Typer(add_completion=False)


@app.command("conformance")
def conformance(
    device: Annotated[
        str, typer.Option(metavar="NODE", help='A path such as /dev/accel/accel0, or "virtual".')
    ] = "virtual",
    hostile: Annotated[
        bool,
        typer.Option(
            help="On a kernel's device, also make the requests that corrupt a kernel whose driver"
            " does not refuse them."
        ),
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the results there, as JUnit does.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="PYTEST...", help="What pytest is told beside, after `--`."),
    ] = None,
) -> None:
    """Try the rules of the device interface on a device; ends with pytest's exit status.

    Each rule is a test that is named for it.  What the device lacks is skipped, with the reason.
    """
    told = told_pytest(hostile, junit, more or [])
    told.insert(0, f"--device={device}")
    with tempfile.TemporaryDirectory() as examples:
        environment = os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": examples}
        command = [sys.executable, "-m", "pytest", *told]
        status = subprocess.run(command, env=environment, check=False).returncode
    raise typer.Exit(status)


def told_pytest(hostile: bool, junit: Path | None, more: list[str]) -> list[str]:
    """What pytest is told to run the suite.  UsageError if it is not there."""
    missing = [name for name in ("pytest", "hypothesis") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the suite needs {' and '.join(missing)}: pip install 'qda-accel[testing]'"
        )
    folder = Path(__file__).parents[2] / "conformance"
    # Nothing that lies about where it is run: neither configuration nor a cache.
    told = [f"--rootdir={folder.parents[1]}", "-c", os.devnull, "-p", "no:cacheprovider", "-ra"]
    told += ["--import-mode=importlib", *(["--hostile"] if hostile else [])]
    told += [f"--junit-xml={junit}"] if junit is not None else []
    return [*told, *more, str(folder)]
