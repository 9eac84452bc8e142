"""The device: one node, one DSP.  Open files, context banks, objects, and the channel."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from qda import limits
from qda.driver.banks import Attachment, ContextBank
from qda.driver.free_banks import FreeBanks
from qda.driver.memory import Client
from qda.driver.objects import Objects
from qda.driver.policy import POLICIES, Policy
from qda.driver.session import Session
from qda.driver.sharing import Uses
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.obituary import Obituary
from qda.interrupts import Deadline, Section
from qda.rpmsg import Channel

__all__ = ["Census", "Device", "Lacking", "Limits", "NoBank"]

F = TypeVar("F", bound="File")
T = TypeVar("T")

_log = logging.getLogger("qda.driver")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device has and allows: stream ids of its context banks, bytes of one message, whether
    the older driver's plain node, if there is one, is for unsigned processes only, and whether the
    DSP has poll mode and memory for its remote heap.  `policy` is one of `qda.driver.POLICIES`.
    `refused_nodes` has the errnos of nodes ("accel", "plain", "secure") that cannot be opened.
    `switches` of `qda.uapi.Semantics` stand otherwise here than in dialects."""

    stream_ids: tuple[int, ...] = tuple(range(1, 9))
    message: int = limits.MESSAGE
    secure: bool = True
    poll_mode: bool = True
    remote_heap: bool = True
    policy: str = "nodes"
    refused_nodes: Mapping[str, int] = field(default_factory=dict)
    switches: Mapping[str, int] = field(default_factory=dict)


class Lacking(OSError):
    """A file lacks what a command needs; no sign that the DSP is gone, whatever the errno is."""


class NoBank(Lacking):
    """A file lacks a context bank, and none is free."""


@dataclass(frozen=True, slots=True)
class Census:
    """How many of everything a device holds; equal before and after whatever was undone."""

    files: int
    objects: int
    banks: int
    mmap_offsets: int
    calls: int


class File(Protocol):
    """An open file, to its device.  `process` is the id of the process that has used it last, 0 if
    none has; `bank` is its context bank, if it has one."""

    process: int
    bank: ContextBank | None

    @property
    def calls(self) -> int:
        """Number of calls under way."""
        ...

    def disown(self) -> None:
        """In a forked child: close the descriptors that are the parent's."""
        ...

    def close(self) -> None:
        """Free everything that belongs to the file."""
        ...


class Device:
    """A device node `name`, whose DSP is started by `boot` at the first open and again at the next
    open after it has died (subsystem restart).

    `boot` returns the channel to a DSP that is ready, so a node never leads to
    one that is not (R16).  `system` says in words what the device is of.  `remote_heap` is memory
    that the DSP has been lent until it stops, and `lent` holds it; who looks at it has the lock
    `lending`.  `free_banks` are the context banks that no file has.
    """

    session_type: ClassVar[type[Session]] = Session
    """What sessions of all devices are: meanwhile that of a recorder."""

    def __init__(
        self, name: str, limits: Limits, boot: Callable[[], Channel], system: str = ""
    ) -> None:
        self.name = name
        self.system = system or name
        self.limits = limits
        self.memory = ContextBank(0)
        self.objects = Objects()
        self.policy: Policy = POLICIES[limits.policy]
        self.report: Callable[[int, Obituary], None] | None = None
        """Who is told how a protection domain has died, and of which process it was."""
        self.wait = 0.0
        """For how many seconds a program waits for a context bank that others have."""
        self._boot = boot
        self._lock = threading.RLock()
        self._client_ids = itertools.count(1)
        self.free_banks = FreeBanks(limits.stream_ids)
        self._files: set[File] = set()
        self._channel: Channel | None = None
        self._kernel_session: Session | None = None
        self.told: tuple[Channel, tuple[int, ...]] | None = None
        """The capabilities that the DSP has told, and by which channel."""
        self.tells_nothing: Channel | None = None
        """The channel of a DSP that has refused to tell them."""
        self.remote_heap: Attachment | None = None
        self.lent = Uses()
        self.lending = threading.Lock()
        self._closed = self._told = False

    # The DSP.

    @property
    def channel(self) -> Channel:
        """The channel to the DSP.  OSError ENODEV if it is gone."""
        channel = self._channel
        if channel is None or not channel.alive:
            raise OSError(errno.ENODEV, f"{self.name} is gone")
        return channel

    @property
    def kernel_session(self) -> Session:
        """The driver's own session with the root protection domain, for files that have none."""
        with self._lock:
            if self._kernel_session is None:
                raise OSError(errno.ENODEV, f"{self.name} is gone")
            return self._kernel_session

    def start(self) -> None:
        """Boot the DSP unless it runs.  OSError ENODEV if it does not come up."""
        with self._lock:
            if self._closed:
                raise OSError(errno.ENODEV, f"{self.name} has been removed")
            if self._channel is not None and self._channel.alive:
                return
            self.stop()
            channel = self._boot()
            try:
                self._kernel_session = self.session_type(
                    channel, 0, ProtectionDomain.ROOT, self.memory
                )
            except BaseException:
                channel.close()
                raise
            self._channel = channel

    def stop(self) -> None:
        """Shut the DSP down; calls under way end with ENODEV."""
        with Section(ends=True):
            with self._lock:
                channel, self._channel = self._channel, None
                session, self._kernel_session = self._kernel_session, None
                lent, self.lent, self.remote_heap = self.lent, Uses(), None
            if channel is not None:
                channel.close()
            if session is not None:
                session.close()
            lent.release()

    # Files.

    def open(self, make: Callable[[int], F]) -> F:
        """Open the device: `make` makes the file for a new client id.  OSError ENODEV."""
        with self._lock:
            self.start()
            file = make(next(self._client_ids))
            self._files.add(file)
            return file

    def count(self, kind: type[File]) -> int:
        """Number of open files of a kind."""
        with self._lock:
            return sum(isinstance(file, kind) for file in self._files)

    def forget(self, file: File) -> None:
        """A file has been closed."""
        with self._lock:
            self._files.discard(file)

    def close(self) -> None:
        """Remove the device: close every file, shut the DSP down.  Idempotent."""
        with Section(limits.PATIENCE, ends=True):
            with self._lock:
                self._closed = True
                files = list(self._files)
            for file in files:
                file.close()
            self.stop()

    def disown(self) -> None:
        """In a forked child: close the descriptors that are the parent's, and nothing else."""
        self._closed = True
        if self._channel is not None:
            self._channel.disown()
        if self._kernel_session is not None:
            self._kernel_session.disown()
        for file in self._files:
            file.disown()
        self.objects.disown()

    # Context banks.

    def take_bank(self, without: int) -> ContextBank:
        """A free context bank.  NoBank, with errno `without`, if there is none."""
        bank = self.free_banks.take()
        if bank is None:
            raise NoBank(without, self.banks_in_use(self.name))
        return bank

    def with_bank(self, client: Client, run: Callable[[], T]) -> T:
        """Run what may need a context bank, and has no effect without one.

        If there is none, it is run again when it is the client's turn, unless that does not come in
        `wait` seconds, or the client has all of them by itself: nobody else would give one back.
        """
        try:
            return run()
        except NoBank:
            if not self.wait or self._users() == {client.pid}:
                self._tell(client)
                raise
            with self.free_banks.turn(client, Deadline(self.wait)) as came:
                if came:
                    return run()
            self._tell(client, f"; process {client.pid} has waited for {self.wait:g} s")
            raise

    def _users(self) -> set[int]:
        """The processes whose files have context banks; 0 is one that is not known."""
        with self._lock:
            return {file.process for file in self._files if file.bank is not None}

    def _tell(self, client: Client, more: str = "") -> None:
        """Say that all context banks are in use, once until one is free again.  Only of other
        programs, which are not told more than an errno."""
        if client.pid != os.getpid() and not self._told:
            self._told = True
            _log.warning(
                "%s%s: close sessions that are not needed any more, end one of these processes, or "
                "let there be more (--banks), or choose a profile with more (qda profiles)",
                self.banks_in_use(self.system),
                more,
            )

    def banks_in_use(self, of: str) -> str:
        """How many context banks are in use, and who uses them: "8 of 8 context banks of cdsp are
        in use, by process 4711"; `of` is what to call the device."""
        count, free = len(self.limits.stream_ids), len(self.free_banks)
        users = self._users() - {0}
        pids = ", ".join(str(pid) for pid in sorted(users))
        by = f", by process{'es' * (len(users) > 1)} {pids}" if pids else ""
        return f"{count - free} of {count} context banks of {of} are in use{by}"

    @property
    def is_full(self) -> bool:
        """Whether no context bank is free."""
        return not self.free_banks

    def give_back(self, bank: ContextBank) -> None:
        """A file has ended that had the bank."""
        self._told = False
        self.free_banks.give_back(bank)

    def census(self) -> Census:
        """Count what the device holds."""
        with self._lock:
            files = list(self._files)
        calls = sum(file.calls for file in files)
        objects, offsets = self.objects.counts()
        banks = len(self.limits.stream_ids) - len(self.free_banks)
        return Census(len(files), objects, banks, offsets, calls)
