"""Context banks: the address spaces in which a DSP sees buffer objects."""

from __future__ import annotations

import errno
import threading
from typing import Protocol

from qda.driver.objects import BufferObject
from qda.driver.sharing import Shared, Uses
from qda.memory import BusAddress, Ranges

__all__ = ["Attachment", "ContextBank", "Knower"]

_WORD = (1 << 32) - 1


class Knower(Protocol):
    """Who has been told of an attachment: a session, for its protection domain."""

    def withdraw(self, attachment: Attachment) -> None:
        """Take the memory away from the protection domain.  Never fails."""
        ...


class Attachment(Shared):
    """A buffer object in the address space of a context bank, at `address` on the bus.

    Its users are handles, mappings on the DSP, and calls under way.  `knowers` have been told.
    """

    def __init__(self, bank: ContextBank, buffer: BufferObject, address: BusAddress) -> None:
        super().__init__(bank.lock)
        self.bank = bank
        self.buffer = buffer
        self.address = address
        self.knowers: list[Knower] = []
        self._object = Uses()

    @property
    def is_idle(self) -> bool:
        """Whether no call and no mapping uses it; handles only keep it."""
        return not any(user.works for user in tuple(self.users))

    def keep_object(self) -> None:
        """Hold the object, which the caller holds."""
        with self.buffer.lock:
            self._object.hold(self.buffer)

    def _forget(self) -> None:
        self.bank.forget(self)

    def _end(self) -> None:
        for knower in self.knowers:
            knower.withdraw(self)
        self.bank.give_back(self)
        self._object.release()


class ContextBank:
    """An address space on the bus: device addresses that carry `stream_id` in bits 63..32.

    What is not reached through a bank of the SMMU is device memory, stream id 0.
    """

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.lock = threading.Lock()
        self._ranges = Ranges(0x1000_0000, 0xFFFF_0000, 0x1_0000)
        self._attachments: dict[BufferObject, Attachment] = {}

    def attach(self, buffer: BufferObject, uses: Uses) -> Attachment:
        """Hold the object, which the caller holds, in this bank.  OSError ENOMEM without room."""
        with self.lock:
            attachment = self._attachments.get(buffer)
            if attachment is None:
                attachment = self._place(buffer)
            uses.hold(attachment)
            return attachment

    def _place(self, buffer: BufferObject) -> Attachment:
        try:
            start = self._ranges.take(buffer.size)
        except MemoryError as error:
            raise OSError(errno.ENOMEM, str(error)) from error
        attachment = Attachment(self, buffer, BusAddress(self.stream_id << 32 | start))
        attachment.keep_object()
        self._attachments[buffer] = attachment
        return attachment

    def forget(self, attachment: Attachment) -> None:
        """Take out an attachment that nobody uses.  The caller has the lock."""
        self._attachments.pop(attachment.buffer, None)

    def give_back(self, attachment: Attachment) -> None:
        """Free the addresses of an attachment that no protection domain sees any more."""
        with self.lock:
            self._ranges.give_back(attachment.address & _WORD)

    def __len__(self) -> int:
        return len(self._attachments)
