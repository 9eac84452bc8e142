"""What the server has in the file system: its socket, and beside it the mirror of /dev.

The mirror has a placeholder for each virtual node, under its name below /dev.  The preload library
sends whatever asks about the path of a node to the placeholder, so listings, stat, access and
inotify are the kernel's work.  A placeholder's length says the node's device number.

All of it is removed by a small process of its own, the caretaker, when the server has ended, be it
by SIGKILL.
"""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from qda.errors import UsageError
from qda.shim.protocol import MIRROR_SUFFIX
from qda.virtual.nodes import NodePath

__all__ = ["SOCKET_PATH_LIMIT", "Mirror", "name_below_dev"]

SOCKET_PATH_LIMIT = 107
"""Longest path of a socket in bytes: `sun_path` without its NUL."""

PRESENT = "subsys_"
"""With a DSP's name behind it: by this the C library sees that a DSP is there (clients.md 2)."""

_MINOR_BITS = 20
"""As in Linux's own device numbers; `native/preload/libc.c` takes them apart."""

_REMOVE = 'read -r _; rm -rf -- "$@"'
"""The caretaker: waits for the end of its standard input, which is the end of the server."""


def name_below_dev(node: NodePath) -> str:
    """The name by which requests and the mirror know a node: "accel/accel0"."""
    return node.path.removeprefix("/dev/")


class Mirror:
    """The place of a server: `socket` is free to be bound, the placeholders are there.

    `also` is removed with it in the end.  UsageError for a path that cannot be used: too long, in
    use by another server, or something other than a socket.  OSError as of the file system.
    """

    def __init__(self, socket: Path, nodes: Iterable[NodePath], also: Iterable[Path] = ()) -> None:
        self.socket = Path(os.path.abspath(socket))
        if len(os.fsencode(self.socket)) > SOCKET_PATH_LIMIT:
            raise UsageError(f"{self.socket}: longer than a socket's path, {SOCKET_PATH_LIMIT}")
        self.folder = Path(f"{self.socket}{MIRROR_SUFFIX}")
        with ExitStack() as undo:
            lock = _claim(self.folder)
            undo.callback(os.close, lock)
            _refuse_foreign(self.socket)
            self._caretaker = self._start_caretaker(lock, also)
            undo.callback(self.close)
            self.socket.unlink(missing_ok=True)
            for node in nodes:
                self._place(name_below_dev(node), node.major << _MINOR_BITS | node.minor)
                if node.domain:
                    self._place(PRESENT + node.domain, 0)
            undo.pop_all()
        os.close(lock)  # the caretaker has it, to the last moment

    def _start_caretaker(self, lock: int, also: Iterable[Path]) -> subprocess.Popen[bytes]:
        # In a process session of its own, out of reach of Ctrl-C and of a kill of our group.
        return subprocess.Popen(
            ["/bin/sh", "-c", _REMOVE, "qda", self.socket, self.folder, *also],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,
            cwd="/",
        )

    def _place(self, name: str, number: int) -> None:
        path = self.folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, number)
        path.chmod(0o666)

    def close(self) -> None:
        """Remove everything, and wait until it is gone.  Idempotent."""
        self._caretaker.communicate()


def _claim(folder: Path) -> int:
    """A descriptor of the folder, made if need be, that only one server can have."""
    while True:
        folder.mkdir(mode=0o755, exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a caretaker was faster
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(folder), os.fstat(descriptor)):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError:
            os.close(descriptor)
            raise UsageError(f"{folder}: another device server is here") from None
        os.close(descriptor)


def _refuse_foreign(socket: Path) -> None:
    """UsageError if something other than a socket would be removed."""
    try:
        mode = socket.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{socket} exists, and is not a socket")
