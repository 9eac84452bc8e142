"""The preload library: where it is, and whether it is of these sources."""

from __future__ import annotations

from pathlib import Path

from qda.errors import UsageError
from qda.shim.names import LIBRARY, LIBRARY_MARK

__all__ = ["find_library", "is_current"]


def find_library() -> Path:
    """The preload library of this installation.

    UsageError if it was not built: the package can be installed without a C compiler, and other
    programs cannot use the virtual device then.
    """
    path = Path(__file__).with_name(LIBRARY)
    if not path.is_file():
        raise UsageError(
            f"{LIBRARY} is not in {path.parent}: it is written in C, and was not built when the "
            "package was installed.  Install a C compiler (on Debian: apt install gcc), then the "
            "package again (in a checkout: make clean test)"
        )
    return path


def is_current() -> bool:
    """Whether the library was compiled from these sources; a warning says so if not.

    One of others asks the server as ever, but the lanes that it would be lent may be laid out
    otherwise.
    """
    import logging  # these are loaded with the server, not with `qda run`

    from qda.core.version import VERSION

    path = Path(__file__).with_name(LIBRARY)
    current = not path.is_file() or f"{LIBRARY_MARK} {VERSION:#010x}u".encode() in path.read_bytes()
    if not current:
        logging.getLogger("qda.shim").warning(
            "%s was compiled from other sources, so every call goes through the server: install "
            "the package again (in a checkout: make)",
            path,
        )
    return current
