"""A package of Debian, of which a part is unpacked."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from qda.errors import UsageError

__all__ = ["extract"]


def extract(package: Path, root: Path, which: Sequence[str]) -> None:
    """Unpack below `root` the files of a package that options of tar choose.  UsageError."""
    tool = shutil.which("dpkg-deb")
    if tool is None:
        raise UsageError("no dpkg-deb: apt-get install dpkg")
    root.mkdir(parents=True, exist_ok=True)
    opened = subprocess.Popen([tool, "--fsys-tarfile", package], stdout=subprocess.PIPE)
    took = subprocess.run(
        ["tar", "-x", "-C", root, *which], stdin=opened.stdout, capture_output=True, text=True
    )
    if opened.wait():
        raise UsageError(f"{package}: not a package: {took.stderr.strip()}")
