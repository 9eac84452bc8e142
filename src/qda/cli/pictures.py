"""Pictures in files: the demo's photograph, and what it has made of it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qda.errors import UsageError

__all__ = ["check_writable", "read_photograph", "write_picture"]


def read_photograph() -> NDArray[np.uint8]:
    """The photograph that comes with the package: height x width x 3, red, green, blue."""
    with (
        (resources.files("qda.cli") / "astronaut.jpg").open("rb") as file,
        Image.open(file) as picture,
    ):
        return np.asarray(picture.convert("RGB"), np.uint8)


def check_writable(path: Path) -> None:
    """UsageError, before any work is done, if a picture cannot be written there."""
    if path.suffix.lower() not in Image.registered_extensions():
        raise UsageError(f"{str(path)!r}: the name of a picture ends in .png, .jpg or the like")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"{str(path)!r}: there is no directory {str(path.parent)!r}")


def write_picture(path: Path, grey: NDArray[np.uint8]) -> None:
    """Write a picture in shades of grey; the name says in which format.  UsageError."""
    try:
        Image.fromarray(grey).save(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error}") from error
