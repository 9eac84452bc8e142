"""An open file of the device: its handles, its context bank, its session, its mappings.

Everything that a program makes through a descriptor belongs to the open file and ends with it.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qda.driver.memory import Client
from qda.driver.objects import Attachment, BufferObject, ContextBank
from qda.driver.session import Session
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.payload import NOVA, Argument, Backing
from qda.linux import Area
from qda.memory import PAGE, ClientAddress, align

if TYPE_CHECKING:
    from qda.driver.device import Device

__all__ = ["Mapping", "OpenFile"]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping on the DSP that MAP has made; it keeps its buffer in place (H23).

    `request` is the kind of MAP request, `fd` and `size` what the caller gave, `address` what the
    DSP has returned.
    """

    request: int
    fd: int
    address: int
    size: int
    attachment: Attachment | None


HandleOf = Callable[[int, Client, int], int]


class OpenFile:
    """What stands behind one descriptor of the device.  Thread-safe.

    `client_id` names it to the DSP; `descriptors` is True where buffers are named by DMA-BUF
    descriptors instead of GEM handles (dialect V1).  `handle_of` says which handle an fd field
    means, for a client that has mapped the buffer at an address.
    """

    tags_calls = False
    """Whether the context id of every call names the kind of protection domain (spec 2.8)."""

    def __init__(self, device: Device, client_id: int, descriptors: bool) -> None:
        self.device = device
        self.client_id = client_id
        self.descriptors = descriptors
        self.handle_of: HandleOf = self._handle_of
        self.bank: ContextBank | None = None
        self.session: Session | None = None
        self.init_memory: Attachment | None = None
        self.lock = threading.RLock()
        self.starting = threading.Lock()
        self._handles: dict[int, Attachment] = {}
        self._mappings: list[Mapping] = []
        self._closed = False

    # Handles.

    def take_bank(self, without: int) -> ContextBank:
        """This file's context bank, assigned at the first use.  OSError `without` if none is
        free."""
        with self.lock:
            if self.bank is None:
                self.bank = self.device.take_bank(without)
            return self.bank

    def add_handle(self, buffer: BufferObject, without_bank: int) -> int:
        """The handle of an object in this file, a new one if it has none yet.

        The caller's use of the object passes to the handle table, also on failure.
        """
        with self.lock, ExitStack() as undo:
            undo.callback(self.device.put, buffer)
            for handle, attachment in self._handles.items():
                if attachment.buffer is buffer:
                    return handle
            attachment = self.take_bank(without_bank).attach(buffer)
            handle = next(number for number in range(1, 1 << 31) if number not in self._handles)
            self._handles[handle] = attachment
            return handle

    def has(self, buffer: BufferObject) -> bool:
        """Whether a handle of this file names the object."""
        with self.lock:
            return any(attachment.buffer is buffer for attachment in self._handles.values())

    def _attachment(self, handle: int) -> Attachment:
        attachment = self._handles.get(handle)
        if attachment is None:
            raise OSError(errno.ENOENT, f"no GEM handle {handle} in this file")
        return attachment

    def hold(self, handle: int) -> Attachment:
        """One more use of the object of a handle, to be given up with `detach`.  OSError ENOENT."""
        with self.lock:
            attachment = self._attachment(handle)
            return attachment.bank.attach(attachment.buffer)

    def close_handle(self, handle: int) -> None:
        """Remove a handle.  OSError EINVAL if there is none."""
        with self.lock:
            attachment = self._handles.pop(handle, None)
        if attachment is None:
            raise OSError(errno.EINVAL, f"no GEM handle {handle} in this file")
        self.detach(attachment)

    def use(self, fd: int, client: Client, address: int = 0) -> Attachment:
        """One more use of the buffer that an fd field names, to be given up with `detach`.

        `address` is where the request says that the client has mapped it, 0 for nowhere.
        OSError: ENOENT for an unknown handle; in dialect V1 EBADF, EINVAL, ENODEV of the import.
        """
        with self.lock:
            attachment = self._attachment(self.handle_of(fd, client, address))
            return attachment.bank.attach(attachment.buffer)

    def _handle_of(self, fd: int, client: Client, address: int) -> int:
        return self.import_descriptor(client.descriptor(fd)) if self.descriptors else fd

    def import_descriptor(self, descriptor: int) -> int:
        """The handle of a DMA-BUF, whose descriptor is owned from here on.  OSError EINVAL."""
        return self.add_handle(self.device.adopt(descriptor), errno.ENODEV)

    def detach(self, attachment: Attachment) -> None:
        """Give up one use of a buffer."""
        withdraw = self.session.withdraw if self.session else _not_announced
        attachment.bank.detach(attachment, withdraw, self.device.put)

    def locate(self, argument: Argument, attachment: Attachment, client: Client) -> Argument:
        """A buffer argument with the place in the object that its address points to.

        With attribute NOVA the client need not have mapped the object: addresses that it has only
        reserved, as `remote_register_fd` of Qualcomm's library does, stand for it.
        OSError: EFAULT outside any mapping (H09), EINVAL for a mapping of something else (H10) or
        a range that leaves the object (H11).
        """
        area = client.area(ClientAddress(argument.address))
        if area is None:
            raise OSError(errno.EFAULT, f"{argument.address:#x} is in no mapping")
        buffer = attachment.buffer
        if area.identity == buffer.identity:
            offset = argument.address - area.start + area.offset
        elif area.reserved and argument.attr & NOVA:
            offset = _offset_in_reservation(argument, area, buffer.size)
        else:
            raise OSError(errno.EINVAL, f"{argument.address:#x} is not in a mapping of the object")
        if offset + argument.length > buffer.size:
            raise OSError(errno.EINVAL, "the range ends after the object")
        return argument._replace(backing=Backing(attachment.address, buffer.size, offset))

    def select(self, argument: Argument, attachment: Attachment) -> Argument:
        """A handle argument with its object.  OSError EINVAL if it leaves the object (H13)."""
        if argument.address + argument.length > attachment.buffer.size:
            raise OSError(errno.EINVAL, "offset and length do not fit the object")
        backing = Backing(attachment.address, attachment.buffer.size)
        return argument._replace(backing=backing)

    # Mappings on the DSP.

    def add_mapping(self, mapping: Mapping) -> None:
        """Remember a mapping that the DSP has made."""
        with self.lock:
            self._mappings.append(mapping)

    def take_mapping(self, matches: Callable[[Mapping], bool]) -> Mapping:
        """Take out the mapping that an unmap request describes.  OSError EINVAL if there is
        none."""
        with self.lock:
            for mapping in self._mappings:
                if matches(mapping):
                    self._mappings.remove(mapping)
                    return mapping
        raise OSError(errno.EINVAL, "no such mapping")

    # Sessions.

    def start_session(self, kind: ProtectionDomain) -> Session:
        """Connect to a protection domain.  OSError ENODEV, ENOMEM."""
        bank = self.device.memory if self.bank is None else self.bank
        tag = kind if self.tags_calls else ProtectionDomain.ROOT
        start, put = self.device.session_type, self.device.put
        return start(self.device.channel, self.client_id, kind, bank, put, tag)

    @property
    def calls(self) -> int:
        """Number of calls under way."""
        return self.session.calls if self.session else 0

    # The end.

    def end_session(self) -> None:
        """End the session and the calls under way on it."""
        if self.session is not None:
            self.session.close()

    def close(self) -> None:
        """Free everything that belongs to the file.  Never fails, idempotent.

        No command of the file may run any more; the DSP has been asked to release the session
        before, see `qda.driver.control.release`.
        """
        with self.starting:
            if self._closed:
                return
            self._closed = True
        self.end_session()
        with self.lock:
            mappings, self._mappings = self._mappings, []
            handles, self._handles = self._handles, {}
        for mapping in mappings:
            if mapping.attachment is not None:
                self.detach(mapping.attachment)
        for attachment in handles.values():
            self.detach(attachment)
        if self.init_memory is not None:
            self.detach(self.init_memory)
        if self.bank is not None:
            self.device.give_back(self.bank)
        self.device.forget(self)


def _offset_in_reservation(argument: Argument, area: Area, size: int) -> int:
    """How far an address that is only reserved points into its object of `size` bytes.

    The kernel joins reservations that are neighbours.  An area longer than the object is such a
    one: in it, only an argument that is the whole object has a known place.  OSError EINVAL.
    """
    size = align(size, PAGE)
    if area.end - area.start <= size:
        return argument.address - area.start
    if argument.address % PAGE == 0 and align(argument.length, PAGE) == size:
        return 0
    raise OSError(errno.EINVAL, f"{argument.address:#x} may belong to several objects")


def _not_announced(attachment: Attachment) -> None:
    """Without a session, no protection domain knows of the memory."""
