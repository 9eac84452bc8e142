"""Open nodes of other processes.

A program's descriptor of a node is one end of a socket pair; the server holds the other end.  When
the last copy of the program's end is closed, in whichever process, ours comes to its end, and that
is the release of the open file.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from qda import limits
from qda.driver import Front
from qda.linux import cookie_of
from qda.profiles.nodes import NodeKind, NodePath
from qda.shim.mirror import name_below_dev
from qda.shim.protocol import NAME_PREFIX, TOKEN_LENGTH

__all__ = ["OpenNode", "OpenNodes"]

_log = logging.getLogger("qda.shim")


@dataclass(eq=False)
class OpenNode:
    """One opening of a node: its front, our end, the process that opened it, and its access mode.

    `cookie` is what the kernel calls the program's end, and no other socket ever.  `uses` counts
    requests under way: as in a kernel, a file that was closed during a call is released after it
    (spec/clients.md 11).
    """

    token: bytes
    path: NodePath
    front: Front
    end: socket.socket
    cookie: int
    opener: int
    mode: int
    uses: int = 0
    ended: bool = False
    closing: bool = False
    released: threading.Event = field(default_factory=threading.Event)


class OpenNodes:
    """All open nodes of a server, by token.  Thread-safe.

    `released` is told of every node that has been closed, and of its opener.  `recall` is told of a
    node whose last descriptor is gone; it says whether there are requests which the table does not
    know of, and leaves the node for them.
    """

    recall: Callable[[OpenNode], bool]

    def __init__(self, released: Callable[[NodePath, int], None] | None = None) -> None:
        self._released = released
        self.recall = lambda node: False
        self._lock = threading.Lock()
        self._nodes: dict[bytes, OpenNode] = {}
        self._ended: set[OpenNode] = set()  # but not released
        self._ends = select.epoll()
        self.fileno = self._ends.fileno

    def add(self, path: NodePath, front: Front, opener: int, flags: int = 0) -> int:
        """Put a node, opened with `flags`, under a new token; returns the program's end, owned by
        the caller.

        The kernel says of the program's end what it would say of the node, or at least fails where
        that fails (`_as_node`).

        The front belongs to the table from here on, also on failure.  OSError EMFILE.
        """
        token = secrets.token_hex(TOKEN_LENGTH // 2).encode()
        with ExitStack() as undo:
            undo.callback(front.close)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(ours.close)
            undo.callback(theirs.close)
            mode = flags & os.O_ACCMODE
            what = f"/{mode}:{path.major}:{path.minor}/{name_below_dev(path)}"
            has_events = path.kind is NodeKind.ACCEL and mode in (os.O_RDONLY, os.O_RDWR)
            _as_node(ours, theirs, has_events)
            theirs.setblocking(not flags & os.O_NONBLOCK)
            theirs.bind(b"\0" + NAME_PREFIX.encode() + token + what.encode())
            node = OpenNode(token, path, front, ours, cookie_of(theirs.fileno()), opener, mode)
            with self._lock:
                self._ends.register(ours, select.EPOLLONESHOT)  # only its end is of interest
                self._nodes[token] = node
            undo.pop_all()
        return theirs.detach()

    def enter(self, token: bytes) -> OpenNode:
        """Begin a request on a node.  OSError ENODEV for a token that is not, or no longer, known:
        a node of another server, or of one that has ended."""
        with self._lock:
            node = self._nodes.get(token)
            if node is None:
                raise OSError(errno.ENODEV, "the node is gone")
            node.uses += 1
            return node

    def leave(self, node: OpenNode) -> None:
        """End a request; the last one on a closed node releases it."""
        with self._lock:
            node.uses -= 1
            if node.ended and not node.uses:
                self._release(node)

    def reap(self) -> None:
        """Begin the release of every node whose last descriptor is gone."""
        with self._lock:
            self._reap()

    def _reap(self) -> None:
        by_end = None
        for descriptor, _ in self._ends.poll(0):
            by_end = by_end or {node.end.fileno(): node for node in self._nodes.values()}
            node = by_end[descriptor]
            node.ended = True
            self._ended.add(node)
            node.uses += self.recall(node)
            if not node.uses:
                self._release(node)

    def settle(self, opener: int | None) -> None:
        """Wait until what a process (or any, for None) has closed before is released, as if close
        had waited for it: the next request may need the context bank or the memory."""
        with self._lock:
            self._reap()
            closing = [
                node for node in self._ended if not node.uses and opener in (node.opener, None)
            ]
        for node in closing:
            node.released.wait(limits.SERVER_PATIENCE)

    def _release(self, node: OpenNode) -> None:
        """In a thread of its own: the DSP is asked, and may be silent."""
        threading.Thread(target=self._close, args=(node,), daemon=True, name="release").start()

    def _close(self, node: OpenNode) -> None:
        """Release a node, once; wait for whoever does it already.  It stays in the table until
        everything is done and told, so that nobody ends what is still needed for that."""
        with self._lock:
            begun, node.closing = node.closing, True
        if begun:
            node.released.wait(limits.SERVER_PATIENCE)
            return
        try:
            node.front.close()
        except Exception:
            _log.exception("%s does not close", node.path.path)
        try:
            if self._released is not None:
                self._released(node.path, node.opener)
        finally:
            with self._lock:
                self._nodes.pop(node.token, None)
                self._ended.discard(node)
                node.end.close()
            node.released.set()

    def close(self) -> None:
        """End all of them: their descriptors become useless.  No request may be under way."""
        with self._lock:
            nodes = list(self._nodes.values())
        for node in nodes:
            self._close(node)
        self._ends.close()


def _as_node(ours: socket.socket, theirs: socket.socket, has_events: bool) -> None:
    """Let reads, writes and polls of a socket end as those of a node.

    No write succeeds, or waits: EPIPE, and without a signal.  A read of what could have events, and
    has none, waits, and a poll finds it neither readable nor writable: its room is full.  What has
    no read is always ready, and a read ends at once: with messages of no bytes, as many as a queue
    has room for, and then EAGAIN.  The preload library makes of all this the errno of a kernel.
    """
    if has_events:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there can be
        room = theirs.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        theirs.send(bytes(room // 4))
    else:
        at_once = struct.pack("@ll", 0, 1)  # C's `struct timeval`: a microsecond
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, at_once)
        with suppress(BlockingIOError):
            while True:
                ours.send(b"", socket.MSG_DONTWAIT)
    theirs.shutdown(socket.SHUT_WR)
