"""An open device file, with the commands of its dialect as Python methods.

Here records become bytes and results become exceptions; what a call is for is decided above, in
`qda.client.session`.  `DeviceFile` is what all kinds of node have in common; `qda.client.accel` and
`qda.client.legacy` are the two kinds that there are.
"""

from __future__ import annotations

import abc
import collections
import errno
import os
import struct
import threading
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, TypeVar, overload

from qda import limits
from qda.client.arena import Arena
from qda.client.buffer import Buffer, Place
from qda.client.node import KernelNode, Node, issue, tell_room
from qda.client.plan import Plan, emit_elements
from qda.core import Emitter
from qda.errors import (
    BAD_STATE,
    MAP_FAILED,
    PROCESS_DIED,
    DeviceError,
    DspError,
    UsageError,
    as_unsigned,
)
from qda.fastrpc.mapping import MapKind
from qda.interrupts import Section, is_handlers, made_whole
from qda.layout import Record
from qda.linux import address_of
from qda.uapi import Command, Interface
from qda.uapi.accel import Invoke

__all__ = ["DeviceFile"]

R = TypeVar("R", bound=Record)


def _start(place: Place) -> int:
    return place.start


class DeviceFile(abc.ABC):
    """A device node in use: `domain` is the DSP behind it, `dialect` how it is spoken to.

    `emitter` writes the structures of calls whose arguments are all plain memory, to be issued
    with `invoke_code`; it declines the others.  `arena` is where the program packs arguments that
    lie in no buffer, None where the driver copies them.  `discarded` are the places of buffers that
    are gone, and of which the emitter may still tell: `collect` before it is asked.

    DeviceError for what the device refuses, DspError for what the DSP refuses.
    """

    has_legacy_map: ClassVar[bool] = True
    """Whether there is MapKind.LEGACY."""

    def __init__(self, node: Node, dialect: Interface, domain: str) -> None:
        self.node = node
        self.dialect = dialect
        self.domain = domain
        self.invoke_code = dialect.command("INVOKE").code
        self._lock = threading.RLock()
        self.discarded: collections.deque[Place] = collections.deque()
        self.discard = self.discarded.append
        self._places: list[Place] = []
        self._by_handle: dict[int, list[Place]] = {}  # the same: who has a handle
        self._nobody = 0 if dialect.packs else -1
        self.emitter = Emitter(limits.ARENA_SLOT if dialect.packs else 0)
        self.arena = Arena(self.allocate, self.emitter) if dialect.packs else None
        self._process = os.getpid()
        self._gone = False  # nobody has been told yet that the DSP is
        self.is_open = True
        self.has_died = False  # as far as the program has been told

    @overload
    def run(self, command: Command[R], operation: str, request: R) -> R: ...
    @overload
    def run(self, command: Command[Record], operation: str) -> None: ...
    def run(self, command: Command[R], operation: str, request: R | None = None) -> R | None:
        """Issue a command, in the dialect's form; returns its record as the device has left it.

        DeviceError, DspError, both with `operation` in their text.
        """
        spoken = self.dialect.by_key.get(command.key)
        if spoken is None:
            words = f"dialect {self.dialect.name}: no {command.key}"
            raise DeviceError(operation, self.domain, errno.EINVAL, words)
        try:
            result = issue(self.node, spoken, request)
        except struct.error as error:  # a number of the program's that no field holds
            words = request.misfit() if request is not None else ""
            raise UsageError(f"{operation}: {words or error}") from error
        except OSError as error:
            if is_handlers(error):
                raise
            raise self.refusal(operation, error) from error
        if result:
            raise self.refused(operation, as_unsigned(result))
        return request

    def refused(self, operation: str, status: int, log: Sequence[str] = ()) -> DspError:
        """What a program is told of a status of the DSP; if its process has died, how."""
        words = self.node.obituary if status in (PROCESS_DIED, BAD_STATE) else None
        error = DspError(operation, self.domain, status, words.sentence if words else "", log)
        error.is_aftermath = status == BAD_STATE
        if status == MAP_FAILED:
            tell_room(self.node, error)
        if words is not None:
            error.tell_death(words.backtrace)
        # A kernel tells no more than the status, which a method may have as its own.
        untold = status in (PROCESS_DIED, BAD_STATE) and isinstance(self.node, KernelNode)
        self.has_died |= words is not None or untold
        return error

    def refusal(self, operation: str, error: OSError) -> DeviceError:
        """What a program is told of an error of the node: whose it is, or that it is closed."""
        if error.errno == errno.EBADF and not self.is_open:
            closed = DeviceError(operation, self.domain, errno.EBADF, "the session is closed")
            closed.cause = "the block of its `with` has been left, or its `close` was called"
            closed.next_step = "open another session, or do this before that one is closed"
            return closed
        if error.errno == errno.ENODEV and os.getpid() != self._process:
            words = f"this session belongs to process {self._process}: open one in this process"
            refusal = DeviceError(operation, self.domain, errno.ENODEV, words)
            refusal.cause = "a fork has copied the program, but not what its sessions have open"
            refusal.next_step = "open a session in the child, after the fork"
            refusal.is_aftermath = True
            return refusal
        if error.errno not in (errno.ENODEV, errno.EPIPE):
            return DeviceError.of(operation, self.domain, error)
        self.has_died = True
        end = self.node.obituary
        said = f"the DSP is gone: {end.sentence}" if end is not None else ""
        refusal = DeviceError(operation, self.domain, error.errno, said)
        refusal.is_aftermath, self._gone = self._gone or end is not None, True
        if end is not None:
            refusal.tell_death(end.backtrace)
        return refusal

    @abc.abstractmethod
    def attach(self) -> None:
        """Attach to the root protection domain.  DeviceError in a dialect without ATTACH."""

    @abc.abstractmethod
    def create(self, image: bytes, attributes: int) -> None:
        """Make a protection domain, with a shell image if there is one."""

    # Buffers.

    @abc.abstractmethod
    def allocate(self, size: int) -> Buffer:
        """A new buffer object of `size` bytes, mapped."""

    def import_fd(self, fd: int) -> Buffer:
        """A buffer of a DMA-BUF; the descriptor stays the caller's.

        It is mapped through its exporter, which every dialect allows (R12).  Each import is a
        buffer of its own, also of memory that the session has: it is closed by itself.
        """
        self.collect()
        return made_whole(lambda: self._import(fd))

    @abc.abstractmethod
    def _import(self, fd: int) -> Buffer: ...

    def export(self, buffer: Buffer) -> int:
        """A DMA-BUF descriptor of a buffer, owned by the caller.  A handle that has been given back
        may be another buffer's by now: DeviceError EBADF."""
        if buffer.is_closed:
            raise DeviceError("export", self.domain, errno.EBADF, f"{buffer!r} is closed")
        return self._export(buffer)

    @abc.abstractmethod
    def _export(self, buffer: Buffer) -> int: ...

    @abc.abstractmethod
    def name_of(self, buffer: Buffer) -> int:
        """What an fd field says for a buffer in this dialect."""

    def _known_name(self, handle: int) -> int:
        """What `name_of` says for a buffer if that never changes, else 0."""
        return 0

    @abc.abstractmethod
    def _close_handle(self, handle: int) -> None:
        """Give back a buffer's handle."""

    def _register(self, pages: Buffer, handle: int) -> Buffer:
        """Make a mapping the buffer of a handle, which the caller may still give back, by
        `_close_unused`, as long as this has not succeeded."""
        with self._lock:
            place = pages.bind(self, handle)
            # Readers take no lock: they see the old list or the new one.
            places = self._places.copy()
            places.insert(bisect_right(places, place.start, key=_start), place)
            self._by_handle.setdefault(handle, []).append(place)
            self._places = places
            self.emitter.add(place.start, place.end, self._known_name(handle))
        return pages

    def find(self, address: int, length: int) -> Buffer | None:
        """The buffer that holds all of [address, address + length)."""
        places = self._places
        index = bisect_right(places, address, key=_start) - 1
        if index < 0 or address + length > places[index].end:
            return None
        return places[index]()

    def collect(self) -> None:
        """Close the handles of buffers that are gone."""
        while self.discarded:
            with Section(), self._lock:
                if self.discarded:
                    self._forget(self.discarded[0])
                    self.discarded.popleft()

    def _forget(self, place: Place) -> None:
        """The buffer is gone; the last one of a handle takes it along."""
        users = self._by_handle.get(place.handle, [])
        if place not in users:
            return
        users.remove(place)
        self.emitter.remove(place.start, self._known_name(place.handle))
        self._places = [other for other in self._places if other is not place]
        self._close_unused(place.handle)

    def _close_unused(self, handle: int) -> None:
        """Close a handle if there is no buffer of it."""
        with self._lock:
            if not self._by_handle.get(handle):
                self._by_handle.pop(handle, None)
                self._close_handle(handle)

    # Calls and mappings.

    def invoke(self, handle: int, plan: Plan) -> int:
        """Issue a planned call; returns the DSP's result, signed.  OSError from the node."""
        if self.arena is None:
            return self._invoke(handle, plan)
        packed = self.arena.pack(plan)
        try:
            result = self._invoke(handle, packed.plan)
        except InterruptedError:
            raise
        except OSError:
            self.arena.give_back(packed)
            raise
        packed.copy_back()
        self.arena.give_back(packed)
        return result

    def _invoke(self, handle: int, plan: Plan) -> int:
        elements = bytearray(emit_elements(plan, self.name_of, self._nobody))
        address = address_of(elements)
        try:
            request = bytearray(Invoke.codec.pack(handle, plan.scalars, address))
        except struct.error as error:
            raise UsageError(f"handle {handle!r:.80}: {error}") from error
        return self.node.ioctl(self.invoke_code, request)

    @abc.abstractmethod
    def map(self, name: int, kind: MapKind, offset: int, size: int, hint: int, flags: int) -> int:
        """Map the buffer of that name into the DSP's address space; returns the address.
        MapKind.LEGACY knows no offset."""

    @abc.abstractmethod
    def unmap(self, name: int, kind: MapKind, address: int, size: int) -> None:
        """Undo `map`, with the name that was given to it."""

    def close(self) -> None:
        """Close the node; idempotent."""
        self.is_open = False
        if self.arena is not None:
            self.arena.close()
        self.node.close()
