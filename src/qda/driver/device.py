"""The device: one node, one DSP.  Open files, context banks, objects, and the channel."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from qda import limits
from qda.driver.file import OpenFile
from qda.driver.objects import Attachment, BufferObject, ContextBank
from qda.driver.session import Session
from qda.fastrpc.domains import ProtectionDomain
from qda.linux import identity_of
from qda.memory import align
from qda.rpmsg import Channel, Endpoint

__all__ = ["Census", "Device", "Limits"]

F = TypeVar("F", bound=OpenFile)

_FIRST_MMAP_OFFSET = 0x1_0000_0000


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device has and allows: stream ids of its context banks, bytes of one message, and
    whether the older driver's plain node, if there is one, is for unsigned processes only."""

    stream_ids: tuple[int, ...] = tuple(range(1, 9))
    message: int = limits.MESSAGE
    secure: bool = True


@dataclass(frozen=True, slots=True)
class Census:
    """How many of everything a device holds; equal before and after whatever was undone."""

    files: int
    objects: int
    banks: int
    mmap_offsets: int
    calls: int


class Device:
    """A device node `name`, whose DSP is started by `boot` at the first open and again at the next
    open after it has died (subsystem restart).

    `boot` returns the driver's end of the channel to a DSP that is ready, so a node never leads to
    one that is not (R16).  `remote_heap` is memory that the DSP has been lent until it stops; who
    looks at it holds `lending`.
    """

    def __init__(self, name: str, limits: Limits, boot: Callable[[], Endpoint]) -> None:
        self.name = name
        self.limits = limits
        self.memory = ContextBank(0)
        self.session_type = Session  # a tracer's puts itself here
        self._boot = boot
        self._lock = threading.RLock()
        self._client_ids = itertools.count(1)
        self._free_banks = sorted(limits.stream_ids, reverse=True)
        self._files: set[OpenFile] = set()
        self._objects: dict[tuple[int, int, int], BufferObject] = {}
        self._offsets: dict[BufferObject, int] = {}
        self._next_offset = _FIRST_MMAP_OFFSET
        self._channel: Channel | None = None
        self._kernel_session: Session | None = None
        self.remote_heap: Attachment | None = None
        self.lending = threading.Lock()
        self._closed = False

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
            channel = Channel(self._boot())
            try:
                self._kernel_session = self.session_type(
                    channel, 0, ProtectionDomain.ROOT, self.memory, self.put
                )
            except BaseException:
                channel.close()
                raise
            self._channel = channel

    def stop(self) -> None:
        """Shut the DSP down; calls under way end with ENODEV."""
        with self._lock:
            channel, self._channel = self._channel, None
            session, self._kernel_session = self._kernel_session, None
            heap, self.remote_heap = self.remote_heap, None
        if channel is not None:
            channel.close()
        if session is not None:
            session.close()
        if heap is not None:
            self.memory.detach(heap, lambda _: None, self.put)

    # Files.

    def open(self, make: Callable[[int], F]) -> F:
        """Open the device: `make` makes the file for a new client id.  OSError ENODEV."""
        with self._lock:
            self.start()
            file = make(next(self._client_ids))
            self._files.add(file)
            return file

    def count(self, kind: type[OpenFile]) -> int:
        """Number of open files of a kind."""
        with self._lock:
            return sum(isinstance(file, kind) for file in self._files)

    def forget(self, file: OpenFile) -> None:
        """A file has been closed."""
        with self._lock:
            self._files.discard(file)

    def close(self) -> None:
        """Remove the device: close every file, shut the DSP down.  Idempotent."""
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
        for session in (self._kernel_session, *(file.session for file in self._files)):
            if session is not None:
                session.disown()

    # Context banks.

    def take_bank(self, without: int) -> ContextBank:
        """A free context bank.  OSError `without` if there is none."""
        with self._lock:
            if not self._free_banks:
                raise OSError(without, f"{self.name} has no free context bank")
            return ContextBank(self._free_banks.pop())

    def give_back(self, bank: ContextBank) -> None:
        """A file has ended that had the bank."""
        with self._lock:
            self._free_banks.append(bank.stream_id)
            self._free_banks.sort(reverse=True)

    # Objects.

    def create(self, size: int) -> BufferObject:
        """Allocate an object, with one use for the caller.  OSError ENOMEM."""
        buffer = BufferObject.create(size)
        with self._lock:
            self._objects[buffer.identity] = buffer
        return buffer

    def adopt(self, descriptor: int) -> BufferObject:
        """The object of a DMA-BUF descriptor, which is owned from here on: our own if it is one of
        ours, otherwise a new import.  One use for the caller.  OSError EINVAL."""
        with self._lock:
            own = self._objects.get(identity_of(descriptor))
            if own is not None:
                own.get()
            buffer = BufferObject.adopt(descriptor) if own is None else own
            if own is None:
                self._objects[buffer.identity] = buffer
        if own is not None:
            os.close(descriptor)
        return buffer

    def put(self, buffer: BufferObject) -> None:
        """Give up one use of an object."""
        with self._lock:
            identity = buffer.identity
            if buffer.put():
                self._objects.pop(identity, None)
                self._offsets.pop(buffer, None)

    def mmap_offset(self, buffer: BufferObject) -> int:
        """The fake offset by which the object is mapped through the device."""
        with self._lock:
            if buffer not in self._offsets:
                self._offsets[buffer] = self._next_offset
                self._next_offset += align(buffer.size, 1 << 16)
            return self._offsets[buffer]

    def hold_at_mmap_offset(self, offset: int) -> BufferObject | None:
        """The object that a fake offset names, with one use for the caller."""
        with self._lock:
            found = (buffer for buffer, start in self._offsets.items() if start == offset)
            buffer = next(found, None)
            return buffer.get() if buffer is not None else None

    def census(self) -> Census:
        """Count what the device holds."""
        with self._lock:
            return Census(
                len(self._files),
                len(self._objects),
                len(self.limits.stream_ids) - len(self._free_banks),
                len(self._offsets),
                sum(file.calls for file in self._files),
            )
