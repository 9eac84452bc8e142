"""Buffer objects, and the context banks through which the DSP sees them.

A buffer object is a memfd that can no longer change its size.  The driver holds one descriptor of
it and does not map it; the program and the protection domain map the same pages.  A descriptor
that is handed out is the DMA-BUF; one that comes in is imported.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable

from qda.linux import F_SEAL_FUTURE_WRITE, identity_of, open_again, sealed_memory
from qda.memory import PAGE, BusAddress, Ranges, align

__all__ = ["Attachment", "BufferObject", "ContextBank", "create_memory"]

_FIXED_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_WRITE_SEALS = fcntl.F_SEAL_WRITE | F_SEAL_FUTURE_WRITE

_NAME = "qda"
"""What the memory of objects is called."""


def create_memory(size: int) -> int:
    """A memfd of `size` bytes whose size is sealed.  OSError ENOMEM if there cannot be one."""
    try:
        return sealed_memory(_NAME, size, _FIXED_SIZE)
    except (OSError, OverflowError) as error:
        raise OSError(errno.ENOMEM, f"no memory for {size} bytes") from error


class BufferObject:
    """Shared memory of `size` bytes, whole pages.  Owns its descriptor; counted by `get`, `put`.

    `imported` is True for memory that another device or program made.
    """

    _counting = threading.Lock()

    def __init__(self, descriptor: int, size: int, imported: bool = False) -> None:
        self.descriptor = descriptor
        self.size = size
        self.imported = imported
        self.identity = identity_of(descriptor)
        self.users = 1

    @classmethod
    def create(cls, size: int) -> BufferObject:
        """Allocate zeroed memory of `size` bytes, rounded up to whole pages.  OSError ENOMEM."""
        size = align(size, PAGE)
        return cls(create_memory(size), size)

    @classmethod
    def adopt(cls, descriptor: int) -> BufferObject:
        """Import a descriptor, which is owned from here on, also on failure.

        OSError EINVAL unless it is shared memory of whole pages that can be written and can no
        longer shrink: otherwise its pages could vanish under the DSP.
        """
        try:
            if not _is_writable(descriptor) and _is_dma_buf(descriptor):
                # The mode of a DMA-BUF's descriptor limits who maps it, no device that imports it.
                again = open_again(descriptor, os.O_RDWR | os.O_CLOEXEC)
                os.close(descriptor)
                descriptor = again
            return cls(descriptor, _importable_size(descriptor), imported=True)
        except BaseException:
            os.close(descriptor)
            raise

    def get(self) -> BufferObject:
        """Count one more user.  The caller holds one already, or the device's lock."""
        with self._counting:
            self.users += 1
        return self

    def put(self) -> bool:
        """Count one user less; True if it was the last, and the memory is given back."""
        with self._counting:
            self.users -= 1
            if self.users:
                return False
        os.close(self.descriptor)
        return True


def _is_writable(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def _is_dma_buf(descriptor: int) -> bool:
    """Whether this is what a device of ours exports: an object of any DSP's, or of the heap."""
    return os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"/memfd:{_NAME} ")


def _importable_size(descriptor: int) -> int:
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise OSError(errno.EINVAL, "not a DMA-BUF") from error
    status = os.fstat(descriptor)
    if not status.st_size or status.st_size % PAGE:
        raise OSError(errno.EINVAL, "not a DMA-BUF: those have whole pages")
    if not seals & fcntl.F_SEAL_SHRINK:
        raise OSError(errno.EINVAL, "memory that may still shrink cannot be imported")
    if seals & _WRITE_SEALS or not _is_writable(descriptor):
        raise OSError(errno.EINVAL, "memory that cannot be written cannot be imported")
    return status.st_size


class Attachment:
    """A buffer object in the address space of a context bank, at `address` on the bus.

    Counted by its users: the handle table, mappings on the DSP, calls under way.
    """

    def __init__(self, bank: ContextBank, buffer: BufferObject, address: BusAddress) -> None:
        self.bank = bank
        self.buffer = buffer
        self.address = address
        self.users = 0


class ContextBank:
    """An address space on the bus: device addresses that carry `stream_id` in bits 63..32.

    What is not reached through a bank of the SMMU is device memory, stream id 0.
    """

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self._ranges = Ranges(0x1000_0000, 0xFFFF_0000, 0x1_0000)
        self._attachments: dict[BufferObject, Attachment] = {}
        self._lock = threading.Lock()

    def attach(self, buffer: BufferObject) -> Attachment:
        """Count one more user of the object in this bank.  OSError ENOMEM without room for it."""
        with self._lock:
            attachment = self._attachments.get(buffer)
            if attachment is None:
                try:
                    start = self._ranges.take(buffer.size)
                except MemoryError as error:
                    raise OSError(errno.ENOMEM, str(error)) from error
                address = BusAddress(self.stream_id << 32 | start)
                attachment = Attachment(self, buffer.get(), address)
                self._attachments[buffer] = attachment
            attachment.users += 1
            return attachment

    def detach(
        self,
        attachment: Attachment,
        withdraw: Callable[[Attachment], None],
        put: Callable[[BufferObject], None],
    ) -> None:
        """Count one user less.  After the last, `withdraw` takes the memory away from the DSP,
        the address becomes free, and `put` gives up the object."""
        with self._lock:
            attachment.users -= 1
            if attachment.users:
                return
            del self._attachments[attachment.buffer]
        withdraw(attachment)
        with self._lock:
            self._ranges.give_back(attachment.address & 0xFFFF_FFFF)
        put(attachment.buffer)

    def __len__(self) -> int:
        return len(self._attachments)
