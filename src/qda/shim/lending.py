"""Lanes lent to programs, on which they call without the server.

A program that calls is lent its session's pool and some lanes (`qda.shim.lease`): from then on its
calls go from the program to the protection domain, and back.  The server goes on saying which node
is open, what a buffer is, and who may call.

- A lease is of one process and one open node.  A child that was forked finds that it has none, and
  gets its own; a program that is executed has none.
- Lanes that nobody calls on are taken back when the server needs them.
- Whatever has to be seen is seen: lanes are recalled, and the server waits for the calls that are
  under way on them, but for those that take long.
- A node is released after the calls on it, as a kernel's file lives until its ioctl returns.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from qda import limits
from qda.core import IS_COMPILED
from qda.driver.front import FileFront
from qda.driver.leases import Direct
from qda.driver.peer import Died
from qda.shim.caller import Caller, has_ended
from qda.shim.lease import ProgramLease, has_mapped
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Kind, Wish
from qda.uapi import ioctl_number

__all__ = ["Lending"]

_log = logging.getLogger("qda.shim")


class _Borrower:
    """A process that has leases, the last of a node last."""

    def __init__(self, pidfd: int) -> None:
        self.pidfd = os.dup(pidfd)
        self.leases: list[tuple[OpenNode, ProgramLease]] = []
        self.times: Counter[bytes] = Counter()

    def find(self, node: OpenNode) -> ProgramLease | None:
        """Its last lease of a node."""
        return next((lease for of, lease in reversed(self.leases) if of is node), None)

    @property
    def lent(self) -> int:
        """Of how many lanes it has the bells."""
        return sum(lease.lent for _, lease in self.leases)

    def forget(self) -> None:
        """Forget the leases that are over."""
        self.leases = [(node, lease) for node, lease in self.leases if not lease.is_over]
        tokens = {node.token for node, _ in self.leases}
        self.times = Counter({token: self.times[token] for token in tokens})


class Lending:
    """The leases of all programs.  Thread-safe.

    `released` is told of a node whose release has waited for calls, when they are over.  Nothing is
    lent unless `lends`, and where the core is not compiled: lanes are shared by words that Python
    cannot change as one.
    """

    def __init__(self, released: Callable[[OpenNode], None], lends: bool) -> None:
        self._released = released
        self._may = self._lends = lends and IS_COMPILED
        self._lock = threading.Lock()
        self._borrowers: dict[int, _Borrower] = {}
        self._waiting: list[OpenNode] = []
        self._changed = threading.Condition()
        self._ends = select.epoll()
        self.fileno = self._ends.fileno

    # A program asks.

    def offer(self, caller: Caller, node: OpenNode, code: int, wishes: int) -> None:
        """Lend a program whose request on a node is a call what it wishes for, if that can be."""
        front = node.front
        if not self._lends or not isinstance(front, FileFront):
            return
        direct: Direct | None = front.direct
        if direct is None or ioctl_number(code) != ioctl_number(direct.code):
            return
        try:
            lease = self._lease(caller, node, direct, wishes)
            if lease is not None:
                self._lend(caller, lease)
        except (OSError, Died) as error:
            _log.debug("process %d is lent nothing: %s", caller.pid, error)

    def _lease(
        self, caller: Caller, node: OpenNode, direct: Direct, wishes: int
    ) -> ProgramLease | None:
        """The lease that a lane is for, made if the program has none."""
        with self._lock:
            borrower = self._borrowers.get(caller.pid)
            if not wishes & Wish.LEASE:
                return borrower.find(node) if borrower is not None else None
            if borrower is not None and has_ended(borrower.pidfd):  # the number is another's now
                gone, borrower = self._forget(caller.pid), None
                for _, left in gone.leases:
                    left.leave()
            if borrower is None:
                borrower = self._borrowers[caller.pid] = _Borrower(caller.pidfd)
                self._ends.register(borrower.pidfd, select.EPOLLIN | select.EPOLLONESHOT)
            borrower.forget()
            before = [lease for of, lease in borrower.leases if of is node]
            borrower.times[node.token] += 1
            if borrower.times[node.token] > limits.LEASES or borrower.lent >= limits.LENT_LANES:
                return None
        for lease in before:  # the program has closed its bells, or was executed anew
            lease.recall(for_good=True)
            if not has_mapped(lease):
                lease.leave()
        lease = ProgramLease(caller.pid, direct)
        with self._lock:
            borrower.leases.append((node, lease))
        pool = direct.leases.terms.descriptor
        caller.connection.lend(Kind.LEASE, 0, (lease.descriptor, pool))
        return lease

    def _lend(self, caller: Caller, lease: ProgramLease) -> None:
        with self._lock:
            borrower = self._borrowers.get(caller.pid)
            others = borrower.lent - lease.lent if borrower is not None else 0
        lent = lease.lend(limits.LENT_LANES - others, lambda: self._lends)
        if lent is not None:
            number, bells = lent
            caller.connection.lend(Kind.LANE, number, bells)
            bells.close()

    def returned(self, pid: int, token: bytes) -> None:
        """A program has ended a call on a lane that was recalled."""
        with self._lock:
            borrower = self._borrowers.get(pid)
            leases = list(borrower.leases) if borrower is not None else []
        for node, lease in leases:
            if node.token == token:
                lease.settle()
        self._look()

    # Everything is to be seen.

    def stop(self) -> None:
        """Lend nothing, and take back what is lent; wait for calls under way, at most
        `limits.PARKED` seconds."""
        self._lends = False
        leases = [lease for _, lease in self._all()]
        for lease in leases:
            lease.recall()
        with self._changed:
            self._changed.wait_for(
                lambda: not any(lease.is_awaited for lease in leases), limits.PARKED
            )

    def start(self) -> None:
        """Lend again."""
        self._lends = self._may

    def _all(self) -> list[tuple[OpenNode, ProgramLease]]:
        with self._lock:
            return [one for borrower in self._borrowers.values() for one in borrower.leases]

    # Ends.

    def recall(self, node: OpenNode) -> bool:
        """The last descriptor of a node is closed: want its lanes back.  Whether calls are under
        way on them, for whose end `released` is to wait."""
        leases = [lease for of, lease in self._all() if of is node]
        for lease in leases:
            lease.recall()
            if lease.is_awaited and not has_mapped(lease):
                lease.leave()
        with self._lock:
            waits = any(lease.is_awaited for lease in leases)
            if waits:
                self._waiting.append(node)
        return waits

    def _look(self) -> None:
        """Say which nodes have waited long enough."""
        with self._changed:
            self._changed.notify_all()
        with self._lock:
            awaited = [
                of
                for borrower in self._borrowers.values()
                for of, lease in borrower.leases
                if of in self._waiting and lease.is_awaited
            ]
            over = [node for node in self._waiting if node not in awaited]
            self._waiting = [node for node in self._waiting if node in awaited]
        for node in over:
            self._released(node)

    def look_at(self, pid: int) -> None:
        """A connection of a process has ended, perhaps since it was executed anew."""
        with self._lock:
            borrower = self._borrowers.get(pid)
            leases = list(borrower.leases) if borrower is not None else []
            if not any(node in self._waiting for node, _ in leases):
                return
        for _, lease in leases:
            if not has_mapped(lease):
                lease.leave()
        self._look()

    def reap(self) -> None:
        """Take back what processes had that have ended."""
        with self._lock:
            ended = {descriptor for descriptor, _ in self._ends.poll(0)}
            pids = [pid for pid, one in self._borrowers.items() if one.pidfd in ended]
            gone = [self._forget(pid) for pid in pids]
        for borrower in gone:
            for _, lease in borrower.leases:
                lease.leave()
        self._look()

    def _forget(self, pid: int) -> _Borrower:
        """Forget a process; the caller has the lock."""
        borrower = self._borrowers.pop(pid)
        self._ends.unregister(borrower.pidfd)  # others may have a copy of it
        os.close(borrower.pidfd)
        return borrower

    def break_off(self) -> None:
        """The server ends: every call of a program that waits ends with ENODEV, as those do for
        which it asks the server."""
        self._lends = False
        for _, lease in self._all():
            lease.break_off()

    def close(self) -> None:
        """End it, when no node is open any more."""
        with self._lock:
            gone = [self._forget(pid) for pid in list(self._borrowers)]
        for borrower in gone:
            for _, lease in borrower.leases:
                with suppress(OSError):
                    lease.end()
        self._ends.close()
