"""An open file of the device: its handles, its context bank, its session, its mappings.

Everything that a program makes through a descriptor belongs to the open file and ends with it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from qda import limits
from qda.driver.banks import Attachment, ContextBank
from qda.driver.device import Device
from qda.driver.mapping import Mappings
from qda.driver.memory import Client
from qda.driver.objects import BufferObject
from qda.driver.session import Session
from qda.driver.sharing import Keeps, Uses
from qda.driver.spare import Spare
from qda.driver.watching import watching
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import CallForm
from qda.fastrpc.obituary import Obituary
from qda.interrupts import Section
from qda.uapi import BuffersBy, Interface

__all__ = ["OpenFile", "set_polls"]

HandleOf = Callable[[int, Client, int], int]


class _Handle(NamedTuple):
    """What a handle names, and its use of it; `named` is empty until the core knows of it."""

    attachment: Attachment
    uses: Uses
    named: list[bool]


class OpenFile:
    """What stands behind one descriptor of the device.  Thread-safe.

    `client_id` names it to the DSP, `dialect` is what its program speaks, and `semantics` what that
    means on this device.  `descriptors` is True where buffers are named by DMA-BUF descriptors
    instead of GEM handles (dialect V1, the older driver).  `handle_of` says which
    handle an fd field means, for a client that has mapped the buffer at an address.  `lent` holds
    the memory that its protection domain was given to begin with.  `spare` may keep an object that
    is closed for the next one.
    """

    tags_calls = False
    """Whether the context id of every call names the kind of protection domain (spec 2.8)."""

    secure: bool | None = None
    """Whether the node is the older driver's for privileged programs; None for an accelerator's."""

    images_need_fd = False
    """Whether only fd 0 says that an image lies in no buffer, where these are descriptors."""

    def __init__(self, device: Device, client_id: int, dialect: Interface) -> None:
        self.device = device
        self.client_id = client_id
        self.semantics = dialect.semantics.changed(device.limits.switches)
        self.element = dialect.elements[0].codec
        self.form = _form_of(dialect)
        self.descriptors = dialect.buffers_by is BuffersBy.DMA_BUF
        self.handle_of: HandleOf = self._handle_of
        self.bank: ContextBank | None = None
        self.session: Session | None = None
        self.lent = Uses()
        self.spare: Spare | None = None
        self.mappings = Mappings()
        self.lock = threading.RLock()
        self.starting = threading.Lock()
        self._handles: dict[int, _Handle] = {}
        self._numbers: dict[BufferObject, int] = {}  # the same, by what they name
        self._passed = set[int]()  # those of memory that requests have named by descriptors
        self._next, self._given_back = 1, list[int]()  # a heap of those below that are free again
        self._closed = False
        self.process = 0
        # The core makes any message that fits a lane.
        self.polls = False
        self.in_core = device.limits.message >= limits.SLOT

    # Handles.

    def take_bank(self, without: int) -> ContextBank:
        """This file's context bank, assigned at the first use.  OSError `without` if none is
        free."""
        with self.lock:
            if self.bank is None:
                self.bank = self.device.take_bank(without)
            return self.bank

    def add_handle(self, buffer: BufferObject, without_bank: int) -> int:
        """The handle of an object, which the caller holds, in this file: a new one, the lowest
        that is free, if it has none yet."""
        with self.lock:
            if buffer in self._numbers:
                return self._numbers[buffer]
            number = self._lowest_free()
            self.put_handle(number, buffer, without_bank)
            return number

    def _lowest_free(self) -> int:
        free = self._given_back
        while free and free[0] in self._handles:
            heappop(free)
        while not free and self._next in self._handles:
            self._next += 1
        return free[0] if free else self._next

    def put_handle(self, number: int, buffer: BufferObject, without_bank: int) -> None:
        """Let a number that is free name an object that has none, which the caller holds."""
        with self.lock, Keeps() as uses:
            attachment = self.take_bank(without_bank).attach(buffer, uses)
            self._handles[number] = _Handle(attachment, uses, [])
            self._numbers[buffer] = number
            if self._given_back[:1] == [number]:
                heappop(self._given_back)
            uses.keep()

    def has(self, buffer: BufferObject) -> bool:
        """Whether a handle of this file names the object."""
        with self.lock:
            return buffer in self._numbers

    def hold(self, number: int, uses: Uses) -> Attachment:
        """Hold the object of a handle.  OSError ENOENT."""
        with self.lock:
            handle = self._handles.get(number)
            if handle is None:
                raise OSError(errno.ENOENT, f"no GEM handle {number} in this file")
            uses.hold(handle.attachment)
            return handle.attachment

    def hold_fd(self, fd: int, client: Client, uses: Uses, address: int = 0) -> Attachment:
        """Hold the buffer that an fd field names.

        `address` is where the request says that the client has mapped it, 0 for nowhere.
        OSError: ENOENT for an unknown handle; in dialect V1 EBADF, EINVAL, ENODEV of the import.
        """
        with self.lock:
            with Section():
                handle = self.handle_of(fd, client, address)
            return self.hold(handle, uses)

    def hold_argument(self, fd: int, client: Client, uses: Uses, address: int) -> Attachment:
        """Hold the buffer that an argument of a call names, as `hold_fd`."""
        return self.hold_fd(fd, client, uses, address)

    def name(self, number: int, attachment: Attachment, session: Session) -> None:
        """Let the core, and programs that call by themselves, find the object of an fd field, for
        the calls to come.  Where buffers are named by descriptors the core cannot: a number may
        mean another one each time."""
        with self.lock:
            if not self.descriptors:
                handle = self._handles.get(number)
                if handle is not None and not handle.named:
                    session.name(number, handle.attachment)
                    handle.named.append(True)
            if session.leases.exist:
                for own, handle in self._handles.items():
                    if handle.attachment is attachment:
                        session.leases.show(own, attachment)

    def _handle_of(self, fd: int, client: Client, address: int) -> int:
        return self.import_descriptor(client.descriptor(fd), True) if self.descriptors else fd

    def import_descriptor(self, descriptor: int, passed: bool = False) -> int:
        """The handle of a DMA-BUF, whose descriptor is owned from here on.  OSError EINVAL.

        With `passed` the program asks for no handle, see `pass_buffer`.
        """
        with Uses() as uses:
            buffer = self.device.objects.adopt(descriptor, uses)
            if passed:
                return self.pass_buffer(buffer)
            with self.lock:
                number = self.add_handle(buffer, self.semantics.import_without_bank)
                self._passed.discard(number)
                return number

    def pass_buffer(self, buffer: BufferObject) -> int:
        """The handle of an object, which the caller holds, for a program that has asked for none
        and does not give it back: a new one lasts until its addresses are needed."""
        with self.lock:
            is_new = buffer not in self._numbers
            number = self.add_handle(buffer, self.semantics.import_without_bank)
            if is_new:
                self._passed.add(number)
            return number

    def close_handle(self, number: int) -> None:
        """Remove a handle.  OSError EINVAL if there is none."""
        with self.lock:
            handle = self._handles.pop(number, None)
            self._passed.discard(number)
            if handle is not None:
                del self._numbers[handle.attachment.buffer]
                if number < self._next:
                    heappush(self._given_back, number)
            named = self._unname(number, handle) if handle is not None else None
        del named  # the core's use ends here, and not under the lock
        if handle is None:
            raise OSError(errno.EINVAL, f"no GEM handle {number} in this file")
        if self.session is not None:
            self.session.leases.reap()
        if self.spare is not None:
            self.spare.offer(handle.attachment, handle.uses, self.session)
        handle.uses.release()

    def _unname(self, number: int, handle: _Handle) -> object:
        """Neither the core nor a program finds the object of a handle by itself any more, but in
        calls under way.  Returns what the core had of it; the caller has the lock."""
        handle.named.clear()
        if self.session is None:
            return None
        self.session.leases.hide(number, handle.attachment)
        return self.session.pool.remove(number)

    def _let_go(self, attachment: Attachment) -> None:
        """Its addresses are needed: only calls and mappings hold it from here on, until a call
        names it again.  Handles of the program's own stay."""
        with self.lock:
            number = self._numbers.get(attachment.buffer, 0)
            handle = self._handles.get(number)
            passed = number in self._passed
            named = self._unname(number, handle) if handle is not None else None
        del named
        if self.session is not None:
            self.session.leases.reap()
        if passed:
            self.close_handle(number)

    # Sessions.

    def start_session(self, kind: ProtectionDomain, name: bytes = b"") -> Session:
        """Connect to a protection domain, or to the static process of a name.  OSError ENODEV,
        ENOMEM."""
        bank = self.device.memory if self.bank is None else self.bank
        tag = (kind if self.tags_calls else ProtectionDomain.ROOT) | self.form
        start = self.device.session_type
        session = start(self.device.channel, self.client_id, kind, bank, tag, name)
        session.poll(_poll_in(self, kind))
        session.peer.when_needed(self._let_go)
        if self.device.report is not None or watching() is not None:
            session.peer.when_told(self._tell_death)
        return session

    def _tell_death(self, words: Obituary) -> None:
        """Say how the protection domain has died, and whose it was."""
        if (watcher := watching()) is not None:
            watcher.died(self.device.name, self.process, words)
        if self.device.report is not None:
            self.device.report(self.process, words)

    @property
    def calls(self) -> int:
        """Number of calls under way, without those that nobody waits for and the DSP has
        answered."""
        if self.session is None:
            return 0
        self.session.tidy()
        return self.session.calls

    # The end.

    def disown(self) -> None:
        """In a forked child: close the descriptors of the session and of its memory, which are the
        parent's."""
        if self.session is not None:
            self.session.disown()
        for held in self.lent.held:
            if isinstance(held, Attachment):
                held.buffer.disown()

    def close(self) -> None:
        """Free everything that belongs to the file.  Never fails, idempotent.

        No command of the file may run any more; the DSP has been asked to release the session
        before, see `qda.driver.control.release`.
        """
        with self.starting:
            if self._closed:
                return
            self._closed = True
        if self.session is not None:
            self.session.close()
        with self.lock:
            handles, self._handles = self._handles, {}
            self._numbers.clear()
        self.mappings.release()
        for handle in handles.values():
            handle.uses.release()
        self.lent.release()
        if self.spare is not None:
            self.spare.release()
        if self.bank is not None:
            self.device.give_back(self.bank)
        self.device.forget(self)


def _form_of(dialect: Interface) -> CallForm:
    (name,) = (field for field in dialect.elements[0].fields if field.name == "fd")
    handles = CallForm(0) if name.scalar.signed else CallForm.HANDLES
    return handles | CallForm.NUMBERED if dialect.numbers_calls else handles


def set_polls(file: OpenFile, polls: bool) -> None:
    """Switch poll mode on or off: calls in a user protection domain then wait awake."""
    with file.starting:
        file.polls = polls
        if file.session is not None:
            file.session.poll(_poll_in(file, file.session.kind))


def _poll_in(file: OpenFile, kind: ProtectionDomain) -> int:
    return limits.POLL if file.polls and kind is ProtectionDomain.USER else 0
