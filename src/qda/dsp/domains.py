"""The protection domains of a DSP, and the frames by which the driver opens and closes sessions.

The root protection domain is there from the start, under session 0, and serves many sessions.  A
static process, such as those for audio and sensors, serves many as well: it is there from the first
session that names it, and stays when that has gone, until it dies or the DSP stops (R21).  Any
other is made for one session and ends with it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from qda import limits
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.obituary import Obituary
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone

__all__ = ["SENSORS", "Domains"]


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
Key: TypeAlias = int | bytes
"""The session that has a protection domain of its own, 0 for the root's; a static process's name.
"""


SENSORS: Final = b"sensorspd"
"""The static process for sensors, by the name that libraries give it."""


class Domains(Generic[C]):
    """The protection domains that there are.

    `begin` starts one.  One that is a session's own has no name, and begins with the frame of the
    session and its descriptors, of which it takes those that it keeps; the others have a name, and
    begin with none.  OSError if there is no room for another.
    """

    def __init__(
        self, begin: Callable[[ProtectionDomain, bytes, Frame | None, list[int]], C]
    ) -> None:
        self._begin = begin
        self.children: dict[Key, C] = {}
        self._mourners: dict[int, tuple[Key, int]] = {}
        """By session: whose death it is told, and on which descriptor."""

    def start_root(self) -> None:
        """Start the root protection domain.  OSError."""
        self.children[0] = self._begin(ProtectionDomain.ROOT, b"root", None, [])

    def destroy(self, key: Key) -> None:
        """End a protection domain, if it is there, and tell its sessions how it has died."""
        child = self.children.pop(key, None)
        words = child.destroy() if child is not None else None
        for client_id in [one for one, (whose, _) in self._mourners.items() if whose == key]:
            self._tell(client_id, words)

    def _tell(self, client_id: int, words: Obituary | None) -> None:
        """Tell a session's driver how its process has died, or that nobody will say."""
        _, mourner = self._mourners.pop(client_id, (0, None))
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
                self._tell(frame.client_id, None)
        elif frame.operation is not Operation.OPEN or frame.kind not in set(ProtectionDomain):
            raise OSError(errno.EINVAL, f"a processor cannot {frame}")
        else:
            self._open(frame, descriptors)

    def _open(self, frame: Frame, descriptors: list[int]) -> None:
        key: Key = frame.client_id
        if frame.kind == ProtectionDomain.USER and not frame.name:
            if key in self.children:
                raise OSError(errno.EBUSY, f"session {frame.client_id} is open")
            self.children[key] = self._begin(ProtectionDomain.USER, b"", frame, descriptors)
        else:
            sensors = frame.kind == ProtectionDomain.SENSORS
            key = SENSORS if sensors else frame.name or 0
            self._hand_over(key, frame.pack(), descriptors[:2])
        if len(descriptors) > 2 and frame.client_id:
            self._mourners[frame.client_id] = key, descriptors.pop()

    def _hand_over(self, key: Key, opening: bytes, descriptors: list[int]) -> None:
        try:
            self._shared(key).supervisor.send(opening, descriptors)
        except PeerGone as error:
            if not key:  # it died before it began; who watches it finds that out, too
                raise OSError(errno.ENOMEM, "the protection domain has died") from error
            self.destroy(key)  # it has just died: another takes its place
            self._shared(key).supervisor.send(opening, descriptors)

    def _shared(self, key: Key) -> C:
        """The protection domain of that name, which is made if it is not there; or the root's."""
        if isinstance(key, bytes) and key not in self.children:
            if sum(isinstance(one, bytes) for one in self.children) >= limits.STATIC_PROCESSES:
                raise OSError(errno.ENOMEM, f"there are {limits.STATIC_PROCESSES} static processes")
            self.children[key] = self._begin(ProtectionDomain.USER, key, None, [])
        return self.children[key]

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
        for _, mourner in self._mourners.values():
            os.close(mourner)
