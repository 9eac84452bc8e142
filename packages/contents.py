"""What has to be in a wheel, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

__all__ = ["COMPILED", "surprises"]

COMPILED = frozenset(
    {
        "qda/core/_core.abi3.so",
        "qda/dsp/libqda_black_box.so",
        "qda/dsp/libqda_runtime.so",
        "qda/shim/libqda_preload.so",
    }
)
"""The C parts."""


def surprises(wheel: Path, source: Path) -> list[str]:
    """What is missing in a wheel of a source tree, and what is too much, in sentences."""
    with ZipFile(wheel) as archive:
        files = {file.filename for file in archive.infolist() if not file.is_dir()}
    there = {name for name in files if ".dist-info/" not in name}
    wanted = COMPILED | set(_files(source / "src"))
    return [
        *(f"{name} is missing" for name in sorted(wanted - there)),
        *(f"{name} does not belong there" for name in sorted(there - wanted)),
    ]


def _files(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix not in (".pyc", ".so"):
            yield file.relative_to(folder).as_posix()
