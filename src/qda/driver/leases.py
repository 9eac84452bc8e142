"""Leases: lanes of a session in the hands of programs, which call on them without the driver.

The driver still says what such a program may name.  An object that it knows by name is *shown*: its
calls find it by themselves.  One whose name is given back is *hidden*, and stays as long as a call
has it, since the lease holds it.  A lane that is given back goes to others as soon as the DSP has
answered what was asked on it (H16).

How a lease looks to its program is not known here, see `qda.shim.lending`.
"""

from __future__ import annotations

import errno
import threading
from typing import NamedTuple, Protocol

from qda.driver.banks import Attachment
from qda.driver.lanes import Lane, Lanes
from qda.driver.peer import Peer
from qda.errors import PROCESS_DIED
from qda.rpmsg import Bells

__all__ = ["Direct", "Lease", "LeasedLane", "Leases", "Terms"]


class Terms(NamedTuple):
    """What a program has to know of a session: the descriptor of its pool, which stays the
    session's, and what messages say.  `patience` is in microseconds, see `limits.LOOK`."""

    descriptor: int
    device: int
    client_id: int
    tag: int
    patience: int


class Direct(NamedTuple):
    """What a program has to know of an open node to call without the driver: the `code` of a call,
    whether its structure is as long as the code says and written back after it, and whether an fd
    field is a descriptor, of memory with an identity, or a handle."""

    leases: Leases
    code: int
    writes_back: bool
    by_identity: bool


class Lease(Protocol):
    """What a program has of a session.  Thread-safe."""

    @property
    def calls(self) -> int:
        """Number of its calls under way."""
        ...

    def show(self, number: int, attachment: Attachment) -> None:
        """From now on it may name an object, which the caller holds, by that handle."""
        ...

    def hide(self, number: int, attachment: Attachment) -> None:
        """From now on it may not; nothing if it never might."""
        ...

    def give_back(self) -> bool:
        """Give back a lane that it does not use, if there is one."""
        ...

    def reap(self) -> None:
        """Let go of objects that were hidden and which no call has any more."""
        ...

    def take_poll(self) -> None:
        """How long programs look in poll mode has changed: see `Leases.polls`."""
        ...

    def mourn(self) -> None:
        """Nobody answers any more: tell the program, before it is woken.  Does not wait."""
        ...

    def end(self) -> None:
        """The session is over: nothing that the program had matters any more."""
        ...


class LeasedLane:
    """A lane that a program has."""

    __slots__ = ("before", "lane")

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.before = 0

    @property
    def number(self) -> int:
        """Its number."""
        assert self.lane is not None
        return self.lane.number

    @property
    def is_back(self) -> bool:
        """Whether it has been given back, and the DSP has done with it."""
        return self.lane is None or self.lane.user is not self


class Leases:
    """The leases of a session.  Thread-safe."""

    def __init__(self, peer: Peer, lanes: Lanes, terms: Terms) -> None:
        self.terms = terms
        self._peer, self._lanes = peer, lanes
        self._lock = threading.Lock()
        self._leases: list[Lease] = []
        self._unanswered: list[LeasedLane] = []
        self.polls = 0
        peer.when_dead(self._mourn)

    def add(self, lease: Lease) -> None:
        """There is one more.  Those whose programs are gone are let go of, or there would be ever
        more of a program that has many children."""
        self.reap()
        with self._lock:
            self._leases.append(lease)
        lease.take_poll()
        if self._peer.dead:
            lease.mourn()

    def discard(self, lease: Lease) -> None:
        """There is one less."""
        with self._lock:
            if lease in self._leases:
                self._leases.remove(lease)

    @property
    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._leases)

    def _all(self) -> list[Lease]:
        with self._lock:
            return list(self._leases)

    @property
    def calls(self) -> int:
        """Number of calls under way on lanes that programs have, or had."""
        self.reap()
        return sum(lease.calls for lease in self._all()) + len(self._unanswered)

    def lost(self) -> int:
        """The result of a call that the driver has not seen, after death.  OSError ENODEV, EIO."""
        if not self._peer.dead:
            raise OSError(errno.EIO, "the protection domain lives")
        return self._peer.gone(PROCESS_DIED)

    def poll(self, microseconds: int) -> None:
        """See `Session.poll`; `polls` has what was said last."""
        self.polls = microseconds
        for lease in self._all():
            lease.take_poll()

    # Lanes.

    def lend(self) -> LeasedLane:
        """A lane for a program.  OSError ENOSPC if there can be no more, ENODEV; Died."""
        leased = LeasedLane()
        while not self._lend(leased):
            self._lanes.add()
        return leased

    def _lend(self, leased: LeasedLane) -> bool:
        self._reap()
        with self._lanes.lock:
            return self._lanes.lend(leased)

    def bells(self, leased: LeasedLane) -> Bells:
        """The driver's ends of a lane's bells, opened again; owned by the caller.  OSError."""
        return self._peer.link.open_bells(leased.number)

    def rouse(self, leased: LeasedLane) -> None:
        """Wake a program that waits for an answer on a lane."""
        self._peer.link.rouse(leased.number)

    def give_back(self, leased: LeasedLane) -> None:
        """Take back a lane on which the program asks for no more."""
        with self._lock:
            self._unanswered.append(leased)
        self._reap()

    def _reap(self) -> None:
        """Let others have the lanes that have been given back and are answered."""
        if not self._unanswered:
            return
        with self._lock, self._lanes.lock:
            for leased in list(self._unanswered):
                if self._lanes.take_over(leased):
                    self._unanswered.remove(leased)

    def reap(self) -> None:
        """Let go of what was given back, or hidden, and which no call has any more."""
        self._reap()
        for lease in self._all():
            lease.reap()

    def recall(self) -> bool:
        """Have one lane given back by a program that does not use it; whether there was one."""
        return any(lease.give_back() for lease in self._all())

    # Objects.

    def show(self, number: int, attachment: Attachment) -> None:
        """Let programs name an object, which the caller holds, by a handle that stands for it."""
        for lease in self._all():
            lease.show(number, attachment)

    def hide(self, number: int, attachment: Attachment) -> None:
        """The handle stands for it no longer."""
        for lease in self._all():
            lease.hide(number, attachment)

    # The end.

    def _mourn(self) -> None:
        for lease in self._all():
            lease.mourn()

    def close(self) -> None:
        """The session is over."""
        for lease in self._all():
            lease.end()
