"""What is told of a program that could have used nodes, and did not see them.

The library is loaded by the system's loader, which a program can do without, or lose on the way.
Who starts such a program has the library, and says so (`native/preload/unseen.c`); of the first
one, which starts without it, its file tells.
"""

from __future__ import annotations

import enum
import mmap
import os
import shutil
import socket
import stat
import struct
from contextlib import suppress
from pathlib import Path

__all__ = ["Unseen", "UnseenPrograms"]


class Unseen(enum.IntEnum):
    """Why a program does not see the nodes.  The library says it to `qda run` in a datagram, of
    this and the program's name, at the abstract address that is called as the server's socket."""

    STATIC = 1
    """It loads no libraries."""

    PRIVILEGED = 2
    """It is set-user-id or set-group-id: the system preloads nothing."""

    ENVIRONMENT = 3
    """It is started without the variables that name library and socket."""

    PRELOAD = 4
    """It is started with another library to be preloaded."""

    USER = 5
    """It runs as a user to whom the server does not listen."""

    SYSTEM_CALLS = 6
    """It makes system calls without the C library, as far as its file says."""


_WORDS = {
    Unseen.STATIC: "sees no nodes, as it is linked statically: link it dynamically (no -static)",
    Unseen.PRIVILEGED: "sees no nodes, as it is set-user-id or set-group-id: run a copy without "
    "that permission",
    Unseen.ENVIRONMENT: "was started without LD_PRELOAD and QDA_SOCKET and sees no nodes: let it "
    "have both (env -i, sudo and login shells clear them)",
    Unseen.PRELOAD: "was started with an LD_PRELOAD of its own and sees no nodes: put that before "
    "the former value (LD_PRELOAD=mine.so:$LD_PRELOAD)",
    Unseen.USER: "runs as another user than qda and may not use its nodes: run qda as that user, "
    "inside su or sudo",
    Unseen.SYSTEM_CALLS: "has opened no node; what a program asks the system without the C library "
    "(syscall(2), Go) is not seen: let it call open and ioctl of the C library",
}

_NODES = b"/dev/accel", b"/dev/fastrpc-", b"/dev/dma_heap"
_ELF_64 = b"\x7fELF\x02"
_HEADER = struct.Struct("=32xQ14xHH")
"""Where the program headers are, how long each is, and how many there are."""
_PT_INTERP = 3


class UnseenPrograms:
    """The programs that see no nodes of the server at the path `server`, from now until `close`."""

    def __init__(self, server: Path) -> None:
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with suppress(OSError):  # whoever has it: then there is nothing to tell
            self._inbox.bind(b"\0" + os.fsencode(server))

    def tell(self, program: str) -> str:
        """A sentence about the first one, where `program` was the first to start; "" if all that
        have started see the nodes."""
        found = _reason_by_file(program)
        name = Path(program).name
        if found is None or found is Unseen.SYSTEM_CALLS:
            with suppress(OSError, ValueError):
                note = self._inbox.recv(64)
                found, name = Unseen(note[0]), note[1:].decode("utf-8", "replace")
        return f"{name} {_WORDS[found]}" if found is not None else ""

    def close(self) -> None:
        """Listen no more."""
        self._inbox.close()


def _reason_by_file(program: str) -> Unseen | None:
    """Why a program that was started with the library sees no nodes, as far as its file says."""
    try:
        if Path(program).name.startswith("ld"):
            return None  # the loader itself, with a program
        with open(shutil.which(program) or program, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & stat.S_ISUID and status.st_uid != os.geteuid():
                return Unseen.PRIVILEGED
            if status.st_mode & stat.S_ISGID and status.st_gid != os.getegid():
                return Unseen.PRIVILEGED
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _reason_by_content(content)
    except (OSError, ValueError, struct.error):
        return None


def _reason_by_content(content: mmap.mmap) -> Unseen | None:
    """The same, of a program that the system preloads libraries into, if it loads any."""
    if content[: len(_ELF_64)] != _ELF_64:
        return None  # a script, for example
    start, size, count = _HEADER.unpack_from(content)
    kinds = [struct.unpack_from("=I", content, start + size * n)[0] for n in range(count)]
    if _PT_INTERP not in kinds:
        return Unseen.STATIC
    return Unseen.SYSTEM_CALLS if any(content.find(name) >= 0 for name in _NODES) else None
