"""What a program has been lent of a session: its page, its lanes, the objects that it may name.

The page is shared by server and program alone.  What the program writes there is believed no
further than it concerns the program itself: one that lies loses calls of its own session, or keeps
memory of its own until it ends.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from qda.core import word_clear, word_set
from qda.driver.banks import Attachment
from qda.driver.leases import Direct, LeasedLane
from qda.linux import address_of, sealed_memory
from qda.rpmsg import Bells
from qda.shim.lent_objects import LentObjects
from qda.shim.protocol import (
    LEASE_SIZE,
    LEASE_WORDS,
    LaneState,
    LeasePage,
)

__all__ = ["ProgramLease", "has_mapped"]

_BUSY, _LEFT, _RECALLED = LaneState.BUSY.value, LaneState.LEFT.value, LaneState.RECALLED.value
_word = struct.Struct("=I")
_POLL = next(field.offset for field in LeasePage.fields if field.name == "poll")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class ProgramLease:
    """The lease that process `pid` has of a session: a `qda.driver.leases.Lease`.

    `descriptor` is that of the page, and its own; `is_over` says that the session is, or the
    program.  OSError without memory for it.
    """

    def __init__(self, pid: int, direct: Direct) -> None:
        self.pid = pid
        self._leases = leases = direct.leases
        self._lock = threading.Lock()
        self._lanes: dict[int, LeasedLane] = {}
        self._left: list[LeasedLane] = []  # by its program, with calls perhaps
        self._known: set[int] = set()  # of which the program has the bells
        self._gone = self.is_over = False
        self.descriptor = sealed_memory("qda lease", LEASE_SIZE, _SEALS)
        self.inode = os.fstat(self.descriptor).st_ino
        self._page = mmap.mmap(self.descriptor, LEASE_SIZE)
        self._address = address_of(self._page)
        self._objects = LentObjects(self._page, direct.by_identity)
        terms = leases.terms
        page = LeasePage(
            tag=terms.tag,
            client_id=terms.client_id,
            patience=terms.patience,
            device=terms.device,
            code=direct.code,
            by_identity=direct.by_identity,
            writes_back=direct.writes_back,
        )
        self._page[: LeasePage.byte_size] = page.pack()
        leases.add(self)

    # Lanes.

    def _word(self, number: int) -> int:
        return self._address + LEASE_WORDS + 4 * number

    def _states(self) -> Iterator[tuple[int, int]]:
        """Its lanes, and their states."""
        for number in list(self._lanes):
            yield number, word_set(self._word(number), 0)

    def lend(self, most: int, may: Callable[[], bool]) -> tuple[int, Bells] | None:
        """Lend it one lane more, unless it would have been lent more than `most`, or none may be
        lent: that is asked when nobody can recall the lane before it has been lent.

        Returns number and bells, owned by the caller, if the program has not had them.  OSError
        ENOSPC, ENODEV; Died.
        """
        leased = self._leases.lend()
        with self._lock:
            number = leased.number
            known = number in self._known
            able = known or len(self._known) < most
            if self._gone or self.is_over or not able or not may():
                self._leases.give_back(leased)
                return None
            self._lanes[number] = leased
            self._known.add(number)
            word_clear(self._word(number), _RECALLED)
        return None if known else (number, self._leases.bells(leased))

    @property
    def lent(self) -> int:
        """Of how many lanes the program has the bells."""
        return len(self._known)

    def _take_back(self, number: int) -> None:
        self._leases.give_back(self._lanes.pop(number))

    def give_back(self) -> bool:
        """See `Lease.give_back`."""
        with self._lock:
            if self.is_over:
                return False
            for number, state in self._states():
                if state & _BUSY:
                    continue
                if not word_set(self._word(number), _RECALLED) & _BUSY:
                    self._take_back(number)
                    return True
                word_clear(self._word(number), _RECALLED)  # the program was faster
            return False

    def recall(self, *, for_good: bool = False) -> None:
        """Want all lanes back: those without a call at once, others when their calls end.

        `for_good` says that the program has lost their bells.
        """
        with self._lock:
            if not self.is_over:
                for number in self._lanes:
                    word_set(self._word(number), _RECALLED)
                self._settle()
            if for_good:
                self._known.intersection_update(self._lanes)

    def settle(self) -> None:
        """Take back what was recalled and is free, and memory that no call has any more."""
        with self._lock:
            if not self.is_over:
                self._settle()
        self.reap()

    def _settle(self) -> None:
        for number, state in self._states():
            if state & _RECALLED and not state & _BUSY:
                self._take_back(number)

    @property
    def is_awaited(self) -> bool:
        """Whether a thread of its program waits for a call on a lane that was recalled."""
        wanted = _BUSY | _RECALLED
        with self._lock:
            alive = not (self.is_over or self._gone)
            return alive and any(state & (wanted | _LEFT) == wanted for _, state in self._states())

    @property
    def calls(self) -> int:
        """See `Lease.calls`."""
        with self._lock:
            return 0 if self.is_over else sum(state & _BUSY for _, state in self._states())

    # Objects.

    def show(self, number: int, attachment: Attachment) -> None:
        """See `Lease.show`.  Without a place its calls go through the server."""
        with self._lock:
            if not self.is_over and not self._gone:
                self._objects.show(number, attachment)

    def hide(self, number: int, attachment: Attachment) -> None:
        """See `Lease.hide`."""
        with self._lock:
            if not self.is_over:
                self._objects.hide(number, attachment)

    def reap(self) -> None:
        """See `Lease.reap`."""
        with self._lock:
            over = self._gone and all(leased.is_back for leased in self._left)
            unused = [] if self.is_over or self._gone else self._objects.take_unused()
        for uses in unused:
            uses.release()
        if over:
            self.end()

    # Its end.

    def take_poll(self) -> None:
        """See `Lease.take_poll`."""
        with self._lock:
            if not self.is_over:
                _word.pack_into(self._page, _POLL, self._leases.polls)

    def mourn(self) -> None:
        """See `Lease.mourn`."""
        with self._lock:
            if not self.is_over:
                word_set(self._address, 1)

    def break_off(self) -> None:
        """The server ends: its program gets no more answers."""
        self.mourn()
        with self._lock:
            for number, _ in [] if self.is_over else self._states():
                self._leases.rouse(self._lanes[number])

    def leave(self) -> None:
        """Its program is gone: what it had goes back when the DSP has done with it (H16), see
        `reap`, which may have to ask the DSP and is not called here."""
        with self._lock:
            if self._gone or self.is_over:
                return
            self._gone = True
            self._left = list(self._lanes.values())
            for number in list(self._lanes):
                self._take_back(number)

    def end(self) -> None:
        """See `Lease.end`."""
        with self._lock:
            if self.is_over:
                return
            self.is_over = True
            word_set(self._address, 1)
            held = self._objects.take_all()
            self._page.close()
            os.close(self.descriptor)
        self._leases.discard(self)
        for uses in held:
            uses.release()


def has_mapped(lease: ProgramLease) -> bool:
    """Whether the process that a lease was given to still has it: not after an exec."""
    try:
        maps = Path(f"/proc/{lease.pid}/maps").read_text()
    except OSError:
        return False
    return any(line.split(maxsplit=5)[4] == str(lease.inode) for line in maps.splitlines())
