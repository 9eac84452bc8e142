"""What is measured in C: built at the start of a run, if there is a compiler.

The folder stands in the environment, so that the processes that are measured find it too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qda.dsp.spawn import FOLDERS_VARIABLE

__all__ = ["ECHO", "ECHO_LIBRARY", "SKELETON", "build", "built"]

SOURCES = Path(__file__).with_name("c")
VARIABLE = "QDA_BENCH_BUILT"

ECHO = "echo"
ECHO_LIBRARY = "libecho.so"
SKELETON = "libarguments_skel.so"


@contextmanager
def build() -> Iterator[bool]:
    """Build everything into a folder that lives as long as the block; says whether it could."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    with tempfile.TemporaryDirectory(prefix="qda-bench-") as folder:
        os.environ[VARIABLE] = os.environ[FOLDERS_VARIABLE] = folder
        try:
            if compiler is not None:
                _compile(compiler, "echo.c", Path(folder, ECHO))
                _compile(compiler, "echo.c", Path(folder, ECHO_LIBRARY), "-shared", "-fPIC")
                _compile(compiler, "arguments_skel.c", Path(folder, SKELETON), "-shared", "-fPIC")
            yield compiler is not None
        finally:
            del os.environ[VARIABLE], os.environ[FOLDERS_VARIABLE]


def _compile(compiler: str, source: str, result: Path, *flags: str) -> None:
    command: list[str | Path] = [compiler, "-O2", *flags, SOURCES / source, "-o", result]
    subprocess.run(command, check=True)


def built(name: str) -> Path | None:
    """Where that file is; None if it could not be built."""
    folder = os.environ.get(VARIABLE)
    path = Path(folder, name) if folder else None
    return path if path is not None and path.exists() else None
