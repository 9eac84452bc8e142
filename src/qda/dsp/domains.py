"""The protection domains of a DSP, and the frames by which the driver opens and closes sessions.

The root protection domain is there from the start, under session 0, and serves many sessions.  A
user protection domain is made for one session and ends with it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from qda import limits
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.obituary import Obituary
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone

__all__ = ["Domains"]


class Child(Protocol):
    """A protection domain that has been started."""

    @property
    def supervisor(self) -> Endpoint:
        """The endpoint by which it is given sessions."""
        ...

    def destroy(self) -> Obituary | None:
        """End it, and wait until it is gone; how it has ended, if it has died before."""
        ...


C = TypeVar("C", bound=Child)


class Domains(Generic[C]):
    """The protection domains that there are, by session.

    `begin` starts one.  That of a user begins with the session of a frame and its descriptors, of
    which it takes those that it keeps; the root protection domain begins with none.  OSError if
    there is no room for another.
    """

    def __init__(self, begin: Callable[[ProtectionDomain, Frame | None, list[int]], C]) -> None:
        self._begin = begin
        self.children: dict[int, C] = {}
        self._mourners: dict[int, int] = {}
        """Descriptors on which sessions are told how their process has died."""

    def start_root(self) -> None:
        """Start the root protection domain.  OSError."""
        self.children[0] = self._begin(ProtectionDomain.ROOT, None, [])

    def destroy(self, client_id: int) -> None:
        """End the protection domain that a session has of its own, if it has one."""
        child = self.children.pop(client_id, None)
        self._tell(client_id, child.destroy() if child is not None else None)

    def _tell(self, client_id: int, words: Obituary | None) -> None:
        """Tell a session's driver how its process has died, or that nobody will say."""
        mourner = self._mourners.pop(client_id, None)
        if mourner is None:
            return
        with suppress(OSError):  # it has closed its end, or has no room
            if words is not None:
                os.write(mourner, words.pack()[: limits.OBITUARY])
        os.close(mourner)

    def handle(self, frame: Frame, descriptors: list[int]) -> None:
        """Open or close a session.  Those of the descriptors that are kept are taken.  OSError."""
        if frame.operation is Operation.CLOSE:
            if frame.client_id:
                self.destroy(frame.client_id)
        elif frame.operation is not Operation.OPEN or frame.kind not in set(ProtectionDomain):
            raise OSError(errno.EINVAL, f"a processor cannot {frame}")
        else:
            self._open(frame, descriptors)

    def _open(self, frame: Frame, descriptors: list[int]) -> None:
        if frame.kind == ProtectionDomain.USER:
            if frame.client_id in self.children:
                raise OSError(errno.EBUSY, f"session {frame.client_id} is open")
            child = self._begin(ProtectionDomain.USER, frame, descriptors)
            self.children[frame.client_id] = child
            self._keep_mourner(frame, descriptors)
            return
        try:
            self.children[0].supervisor.send(frame.pack(), descriptors[:2])
        except PeerGone as error:  # it died before it began; who watches it finds that out, too
            raise OSError(errno.ENOMEM, "the protection domain has died") from error
        self._keep_mourner(frame, descriptors)

    def _keep_mourner(self, frame: Frame, descriptors: list[int]) -> None:
        if len(descriptors) > 2 and frame.client_id:
            self._mourners[frame.client_id] = descriptors.pop()

    def close(self) -> None:
        """End all of them.  If it is because the root protection domain has died, all sessions are
        told so."""
        words: Obituary | None = None
        while self.children:
            words = self.children.popitem()[1].destroy()
        for client_id in list(self._mourners):
            self._tell(client_id, words)

    def disown(self) -> None:
        """In a forked child: close what is the parent's."""
        for mourner in self._mourners.values():
            os.close(mourner)
