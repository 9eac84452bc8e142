"""What the server has in the file system: its socket, and beside it the mirror of /dev.

The mirror has a placeholder for each virtual node, under its name below /dev.  The preload library
sends whatever asks about the path of a node to the placeholder, so listings, stat, access and
inotify are the kernel's work.  A placeholder's length says the node's device number.

All of it is removed by a small process of its own, the caretaker, when the server has ended, be it
by SIGKILL.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path, PurePath

from qda.profiles.nodes import NodePath
from qda.shim.place import Place

__all__ = ["Mirror", "name_below_dev"]

PRESENT = "subsys_"
"""With a DSP's name behind it: by this the C library sees that a DSP is there (clients.md 2)."""

_LEFTOVER = re.compile(rf"accel(/accel\d+)?|dma_heap(/system)?|(fastrpc-|{PRESENT})[^/]+")
"""What a server can have left in the mirror, whichever profile it had."""

_MINOR_BITS = 20
"""As in Linux's own device numbers; `native/preload/libc.c` takes them apart."""


def name_below_dev(node: NodePath) -> str:
    """The name by which requests and the mirror know a node: "accel/accel0"."""
    return node.path.removeprefix("/dev/")


class Mirror:
    """The place of a server: `socket` is free to be bound, the placeholders are there.

    `folders` are the names of the mirror's folders, "" for itself.  The folders `also`, which are
    empty then, are removed with it in the end.  UsageError for a path that cannot be used, OSError
    (see `Place`).
    """

    def __init__(self, socket: Path, nodes: Iterable[NodePath], also: Iterable[Path] = ()) -> None:
        numbers: dict[str, int] = {}
        for node in nodes:
            numbers[name_below_dev(node)] = node.major << _MINOR_BITS | node.minor
            if node.domain:
                numbers[PRESENT + node.domain] = 0
        folders = {str(PurePath(name).parent) for name in numbers} - {"."}
        self.folders = {"", *folders}
        with ExitStack() as undo:
            self._place = place = Place(socket, lambda name: bool(_LEFTOVER.fullmatch(name)))
            undo.callback(place.close)
            self.socket = place.socket
            self._removal = _removal(place, numbers, folders, also)
            try:
                self._caretaker = _start_caretaker(self._removal, place)
            except OSError:
                place.give_up()
                raise
            undo.callback(self._remove)
            for name, number in numbers.items():
                place.create(name, number)
            self._undo = undo.pop_all()

    def _remove(self) -> None:
        self._caretaker.communicate()
        if self._caretaker.returncode < 0:  # somebody has killed it
            _start_caretaker(self._removal, self._place).communicate()

    def close(self) -> None:
        """Remove everything, and wait until it is gone.  Idempotent."""
        self._undo.close()


def _removal(
    place: Place, files: Iterable[str], folders: Iterable[str], also: Iterable[Path]
) -> str:
    """What the caretaker does, in words for a shell: it waits for the end of its standard input,
    which is the end of the server, and removes what the server has made, and only that.

    The socket goes first: once the folder is gone, another server can have the place.
    """
    parent, folder = place.parent_descriptor, place.folder_descriptor
    steps = [
        (parent, ["rm", "-f", "--", place.socket.name]),
        (folder, ["rm", "-f", "--", *files]),
        (folder, ["rmdir", "--", *folders]),
        (parent, ["rmdir", "--", place.folder.name]),
        (parent, ["rmdir", "--", *map(str, also)]),
    ]
    lines = [f"cd -P /proc/self/fd/{where} && {shlex.join(step)}" for where, step in steps]
    return "\n".join(["read -r _", *lines])


def _start_caretaker(script: str, place: Place) -> subprocess.Popen[bytes]:
    # In a process session of its own, out of reach of Ctrl-C and of a kill of our group.
    return subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[place.parent_descriptor, place.folder_descriptor],
        start_new_session=True,
        cwd="/",
    )
