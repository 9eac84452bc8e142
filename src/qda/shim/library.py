"""The preload library: where it is."""

from __future__ import annotations

from pathlib import Path

from qda.errors import UsageError

__all__ = ["find_library"]

_NAME = "libqda_preload.so"


def find_library() -> Path:
    """The preload library of this installation.

    UsageError if it was not built: the package can be installed without a C compiler, and other
    programs cannot use the virtual device then.
    """
    path = Path(__file__).with_name(_NAME)
    if not path.is_file():
        raise UsageError(
            f"{_NAME} is not in {path.parent}: it is written in C, and was not built when the "
            "package was installed.  Install a C compiler (on Debian: apt install gcc), then the "
            "package again (in a checkout: make clean test)"
        )
    return path
