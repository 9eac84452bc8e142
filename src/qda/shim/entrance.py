"""Where programs come in: a server's socket, which listens, and the mirror of /dev beside it.

Both are there before the server is, so a program can look at its nodes, and connect, meanwhile.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from qda import limits
from qda.profiles.nodes import NodePath
from qda.shim.mirror import Mirror
from qda.shim.place import OWN_FILE

__all__ = ["Entrance"]


class Entrance:
    """The entrance to the nodes of a system, at the socket `path`.

    `also` are folders, empty but for the server, that go when it has ended.  UsageError for a path
    that cannot be, OSError.
    """

    def __init__(self, path: Path, nodes: Iterable[NodePath], also: Iterable[Path] = ()) -> None:
        with ExitStack() as undo:
            self.mirror = Mirror(path, nodes, also)
            undo.callback(self.mirror.close)
            self.socket = self.mirror.socket
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self.listener.close)
            os.fchmod(self.listener.fileno(), OWN_FILE)  # as which bind makes the path
            self.listener.bind(os.fsencode(self.socket))
            self.listener.listen(limits.BACKLOG)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Let nobody in any more, and remove everything.  Idempotent."""
        self._undo.close()
