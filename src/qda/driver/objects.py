"""Buffer objects: memory that programs, drivers and DSPs share.

A buffer object is a memfd that can no longer change its size.  The driver holds one descriptor of
it and does not map it; the program and the protection domain map the same pages.  A descriptor
that is handed out is the DMA-BUF; one that comes in is imported.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import ExitStack

from qda.driver.sharing import Shared, Uses
from qda.linux import F_SEAL_FUTURE_WRITE, identity_of, open_again, sealed_memory
from qda.memory import MEMORY_NAME, PAGE, align

__all__ = ["BufferObject", "Objects", "create_memory"]

_FIXED_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_WRITE_SEALS = fcntl.F_SEAL_WRITE | F_SEAL_FUTURE_WRITE

_FIRST_MMAP_OFFSET = 0x1_0000_0000
_MMAP_GRANULE = 0x1_0000


def create_memory(size: int) -> int:
    """A memfd of `size` bytes whose size is sealed.  OSError ENOMEM if there cannot be one.

    A memfd takes memory only as it is used, but an allocator does not promise more than there is.
    """
    if size > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise OSError(errno.ENOMEM, f"{size} bytes are more than this machine has")
    try:
        return sealed_memory(MEMORY_NAME, size, _FIXED_SIZE)
    except (OSError, OverflowError) as error:
        raise OSError(errno.ENOMEM, f"no memory for {size} bytes") from error


class BufferObject(Shared):
    """Shared memory of `size` bytes, whole pages.  Owns its descriptor.

    `imported` is True for memory that another device or program made, `exported` once there is, or
    was, a DMA-BUF of it.  `table` is where it is found; the driver's own memory is in none.
    """

    def __init__(
        self, descriptor: int, size: int, table: Objects | None = None, imported: bool = False
    ) -> None:
        super().__init__(threading.Lock() if table is None else table.lock)
        self.descriptor = descriptor
        self.size = size
        self.imported = imported
        self.exported = False
        self.identity = identity_of(descriptor)
        self._table = table

    @classmethod
    def create(cls, size: int, uses: Uses, table: Objects | None = None) -> BufferObject:
        """Allocate zeroed memory of `size` bytes, rounded up to whole pages.  OSError ENOMEM."""
        size = align(size, PAGE)
        buffer = cls(create_memory(size), size, table)
        uses.hold(buffer)
        return buffer

    def _forget(self) -> None:
        if self._table is not None:
            self._table.forget(self)

    def _end(self) -> None:
        self.disown()

    def disown(self) -> None:
        """Close the descriptor, and nothing else.  Idempotent."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Objects:
    """The objects of a device, by their identity and by the offsets at which they are mapped."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._objects: dict[tuple[int, int, int], BufferObject] = {}
        self._offsets: dict[BufferObject, int] = {}
        self._at_offset: dict[int, BufferObject] = {}
        self._next_offset = _FIRST_MMAP_OFFSET
        self._aside: set[BufferObject] = set()

    def create(self, size: int, uses: Uses) -> BufferObject:
        """Allocate an object.  OSError ENOMEM."""
        buffer = BufferObject.create(size, uses, self)
        with self.lock:
            self._objects[buffer.identity] = buffer
        return buffer

    def adopt(self, descriptor: int, uses: Uses) -> BufferObject:
        """The object of a DMA-BUF descriptor, which is owned from here on, also on failure: our
        own if it is one of ours, otherwise a new import.

        OSError EINVAL unless it is shared memory of whole pages that can be written and can no
        longer shrink: otherwise its pages could vanish under the DSP.
        """
        with ExitStack() as ours:
            ours.callback(os.close, descriptor)
            with self.lock:
                buffer = self._objects.get(identity_of(descriptor))
                if buffer is None:
                    buffer = self._import(descriptor)
                    if buffer.descriptor == descriptor:
                        ours.pop_all()
                    self._objects[buffer.identity] = buffer
                uses.hold(buffer)
            return buffer

    def _import(self, descriptor: int) -> BufferObject:
        """A new object of a descriptor, or of the same memory opened for writing."""
        if _is_writable(descriptor) or not _is_dma_buf(descriptor):
            return BufferObject(descriptor, _importable_size(descriptor), self, imported=True)
        # The mode of a DMA-BUF's descriptor limits who maps it, no device that imports it.
        again = open_again(descriptor, os.O_RDWR | os.O_CLOEXEC)
        try:
            return BufferObject(again, _importable_size(again), self, imported=True)
        except BaseException:
            os.close(again)
            raise

    def forget(self, buffer: BufferObject) -> None:
        """Take out an object that nobody uses.  The caller has the lock."""
        self._aside.discard(buffer)
        self._objects.pop(buffer.identity, None)
        self._at_offset.pop(self._offsets.pop(buffer, 0), None)

    def set_aside(self, buffer: BufferObject) -> bool:
        """Let nobody find an object any more, although it is there; False if more than one has it,
        or somebody may who cannot be seen."""
        with self.lock:
            if buffer.imported or buffer.exported or len(buffer.users) != 1:
                return False
            self.forget(buffer)
            self._aside.add(buffer)
            return True

    def take_back(self, buffer: BufferObject) -> None:
        """Let an object be found again that was set aside, as if it had just been made."""
        with self.lock:
            self._aside.discard(buffer)
            self._objects[buffer.identity] = buffer

    def mmap_offset(self, buffer: BufferObject) -> int:
        """The fake offset by which the object is mapped through the device."""
        with self.lock:
            if buffer not in self._offsets:
                self._offsets[buffer] = self._next_offset
                self._at_offset[self._next_offset] = buffer
                self._next_offset += align(buffer.size, _MMAP_GRANULE)
            return self._offsets[buffer]

    def at_mmap_offset(self, offset: int, uses: Uses) -> BufferObject | None:
        """The object that a fake offset names."""
        with self.lock:
            buffer = self._at_offset.get(offset)
            if buffer is not None:
                uses.hold(buffer)
            return buffer

    def disown(self) -> None:
        """In a forked child: close the descriptors of all objects."""
        for buffer in (*self._objects.values(), *self._aside):
            buffer.disown()

    def counts(self) -> tuple[int, int]:
        """Number of objects, and of those that have an offset."""
        with self.lock:
            return len(self._objects), len(self._offsets)


def _is_writable(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def _is_dma_buf(descriptor: int) -> bool:
    """Whether this is what a device of ours exports: an object of any DSP's, or of the heap."""
    return os.readlink(f"/proc/self/fd/{descriptor}").startswith(f"/memfd:{MEMORY_NAME} ")


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
