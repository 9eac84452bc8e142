"""The address space of a protection domain, and what its SMMU lets through.

Bus memory appears when the driver announces it and vanishes when it is withdrawn.  Everything is
mapped inside one window below 4 GiB that the process reserves for this, so that a DSP address is
also an address of the process: Python, native and Hexagon code agree on it, also when it stands in
an argument.  What is not mapped is not accessible: a checked access outside any mapping raises
`AddressFault`, an unchecked one ends the process, and nobody else notices.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from qda import limits
from qda.core import Space
from qda.errors import BAD_ADDRESS, MAP_FAILED, NO_SUCH_MAP, StatusError
from qda.linux import map_shared, reserve, unmap
from qda.memory import PAGE, BusAddress, DspAddress, Ranges

__all__ = ["AddressFault", "AddressSpace"]


_LOWEST, _HIGHEST, _STEP = 0x2000_0000, 1 << 32, 0x1000_0000


class AddressFault(StatusError):
    """An access outside any mapping."""

    def __init__(self, address: int, length: int) -> None:
        super().__init__(BAD_ADDRESS, f"{length} bytes at {address:#x} are not mapped")


@dataclass(eq=False, slots=True)
class Region:
    """Memory in the window: `size` bytes at DSP address `start`."""

    start: int
    size: int
    view: memoryview


@dataclass(eq=False, slots=True, weakref_slot=True)
class BusMemory(Region):
    """What the driver has announced: bus addresses from `bus`.

    Calls under way that reach it have it, too; when nobody has it any more it is taken away.
    """

    bus: int
    descriptor: int
    client_id: int


@dataclass(eq=False, slots=True)
class Mapped(Region):
    """What MMAP or MEM_MAP has made: `address` is what it returned."""

    address: int
    client_id: int
    fd: int


class AddressSpace:
    """The memory of one protection domain.  Thread-safe.

    `window` is how many bytes of DSP addresses to reserve; OSError ENOMEM if they are not free.
    `bus` is what messages may name, as the core has it.
    """

    def __init__(self, window: int = limits.WINDOW) -> None:
        self.bus = Space()
        self._lock = threading.RLock()  # memory may end with any reference to it, also in here
        try:
            self._base = self._find_window(window)
        except OSError:
            if window != limits.WINDOW:
                raise
            window //= 2  # AddressSanitizer has its own memory from 2 GiB on
            self._base = self._find_window(window)
        self._window = window
        self._ranges = Ranges(self._base, self._base + window, limits.GRANULE)
        self._bus_starts: list[int] = []
        self._bus: list[BusMemory] = []
        self._mapped: list[Mapped] = []
        self._held = 0  # memory that has been announced, and that somebody has
        self._closed = self._given_back = False

    @staticmethod
    def _find_window(size: int) -> int:
        for base in range(_LOWEST, _HIGHEST - size + 1, _STEP):
            with suppress(OSError):
                reserve(base, size)
                return base
        raise OSError(errno.ENOMEM, f"no {size} bytes of addresses are free below 4 GiB")

    # What the driver tells.

    def announce(self, client_id: int, bus: int, size: int, descriptor: int) -> None:
        """Make bus memory accessible.  The descriptor is owned from here on.  OSError.

        What the client has announced there before is replaced.  Memory of another client, whose
        end has not been noticed yet, is hidden until it goes.
        """
        try:
            with self._lock:
                self._remove(self._announced(client_id, bus))
                start, view = self._place(size, descriptor, 0, 0)
                memory = BusMemory(start, size, view, bus, descriptor, client_id)
                weakref.finalize(memory, self._end, start, size, descriptor).atexit = False
                self._held += 1
                index = bisect_right(self._bus_starts, bus)
                self._bus_starts.insert(index, bus)
                self._bus.insert(index, memory)
                self.bus.add(bus, size, start, memory)
        except BaseException:
            os.close(descriptor)
            raise

    def withdraw(self, client_id: int, bus: int) -> None:
        """Make bus memory of a client inaccessible, to calls that use it when they have ended.

        OSError ENOENT if it is not there.
        """
        with self._lock:
            memory = self._announced(client_id, bus)
            if memory is None:
                raise OSError(errno.ENOENT, f"no memory at {bus:#x}")
            self._remove(memory)

    def _announced(self, client_id: int, bus: int) -> BusMemory | None:
        for memory in self._bus:
            if memory.bus == bus and memory.client_id == client_id:
                return memory
        return None

    def _remove(self, memory: BusMemory | None) -> None:
        if memory is not None:
            index = self._bus.index(memory)
            del self._bus[index], self._bus_starts[index]
            self.bus.remove(memory)

    def forget(self, client_id: int) -> None:
        """Take away everything of a client that has gone."""
        with self._lock:
            for mapped in [m for m in self._mapped if m.client_id == client_id]:
                self._mapped.remove(mapped)
                self._take_away(mapped.start, mapped.size)
            for memory in [m for m in self._bus if m.client_id == client_id]:
                self._remove(memory)

    # What messages name.

    def resolve(self, bus: int, length: int) -> memoryview:
        """The bytes at a bus address.  AddressFault unless one announced range holds them all."""
        with self._lock:
            memory = self._find(bus)
        if memory is None or bus + length > memory.bus + memory.size:
            raise AddressFault(bus, length)
        start = bus - memory.bus
        return memory.view[start : start + length]

    def _find(self, bus: int) -> BusMemory | None:
        index = bisect_right(self._bus_starts, bus) - 1
        return self._bus[index] if index >= 0 else None

    # Mappings.

    def map(
        self, client_id: int, bus: BusAddress, size: int, offset: int, hint: int, fd: int
    ) -> DspAddress:
        """Map the memory of a page entry from byte `offset` to its end.

        Returns the DSP address of that byte.  A `hint` in the window is honoured as far as
        mappings can begin there, and ignored if the place is taken.  `fd` is a name for it, -1 for
        none.  AddressFault, StatusError.
        """
        with self._lock:
            memory = self._find(bus)
            if memory is None or bus + size > memory.bus + memory.size:
                raise AddressFault(bus, size)
            if offset >= size:
                raise StatusError(MAP_FAILED, f"offset {offset} is not below the size, {size}")
            first = bus - memory.bus + offset & -PAGE
            wish = hint & -limits.GRANULE
            try:
                start, view = self._place(
                    bus - memory.bus + size - first, memory.descriptor, first, wish
                )
            except OSError as error:
                raise StatusError(MAP_FAILED, str(error)) from error
            address = start + (bus - memory.bus + offset - first)
            self._mapped.append(Mapped(start, len(view), view, address, client_id, fd))
            return DspAddress(address)

    def unmap(self, client_id: int, address: int) -> None:
        """Undo a mapping by its address.  The size that a MUNMAP names was given to MAP on the
        host and never came here; the driver has compared it.  StatusError."""
        self._unmap(client_id, lambda mapped: mapped.address == address, f"{address:#x}")

    def unmap_fd(self, client_id: int, fd: int, address: int) -> None:
        """Undo a mapping by its name, and its address unless that is 0.  StatusError."""
        self._unmap(
            client_id,
            lambda mapped: mapped.fd == fd and address in (0, mapped.address),
            f"fd {fd} at {address:#x}",
        )

    def _unmap(self, client_id: int, matches: Callable[[Mapped], bool], what: str) -> None:
        with self._lock:
            for mapped in self._mapped:
                if mapped.client_id == client_id and matches(mapped):
                    self._mapped.remove(mapped)
                    self._take_away(mapped.start, mapped.size)
                    return
        raise StatusError(NO_SUCH_MAP, f"{what} is not mapped")

    def view(self, client_id: int | None, address: int, length: int) -> memoryview:
        """The bytes at a DSP address.  AddressFault unless one mapping of the client holds all.

        None, here and below, is for a thread that serves no client: all of the process's memory is
        its memory."""
        with self._lock:
            for mapped in self._mapped:
                start = address - mapped.start
                if client_id in (None, mapped.client_id) and 0 <= start <= mapped.size - length:
                    return mapped.view[start : start + length]
        raise AddressFault(address, length)

    def view_of_fd(self, client_id: int | None, fd: int) -> memoryview:
        """The client's mapping that was made under a name, from its first byte.  StatusError.

        The newest: a mapping outlives its buffer's handle, whose number another buffer may have.
        For None, the name must not mean one thing to one client and another to the next."""
        with self._lock:
            known = [m for m in self._mapped if client_id in (None, m.client_id) and m.fd == fd]
            if len({mapped.client_id for mapped in known}) > 1:
                words = f"fd {fd} is a name of several clients: only their calls can tell which"
                raise StatusError(NO_SUCH_MAP, words)
            if known:
                return known[-1].view[known[-1].address - known[-1].start :]
        raise StatusError(NO_SUCH_MAP, f"nothing is mapped under fd {fd}")

    # The window.

    def _place(self, size: int, descriptor: int, offset: int, wish: int) -> tuple[int, memoryview]:
        try:
            start = self._ranges.take(size, wish)
        except MemoryError as error:
            raise OSError(errno.ENOMEM, str(error)) from error
        try:
            return start, map_shared(start, size, descriptor, offset)
        except BaseException:
            self._ranges.give_back(start)
            raise

    def _end(self, start: int, size: int, descriptor: int) -> None:
        """Nobody has bus memory any more."""
        os.close(descriptor)
        with self._lock:
            self._held -= 1
            self._take_away(start, size)

    def _take_away(self, start: int, size: int) -> None:
        """Put inaccessible memory in its place: whoever still holds a view of it faults."""
        with self._lock:
            if self._closed:
                self._give_back()
                return
            reserve(start, size, replace=True)
            self._ranges.give_back(start)

    def _give_back(self) -> None:
        """Give back the window, once: it may be another space's next."""
        if not self._held and not self._given_back:
            self._given_back = True
            unmap(self._base, self._window)

    def __len__(self) -> int:
        return len(self._bus) + len(self._mapped)

    def close(self) -> None:
        """Take everything away, and give back the window when no call has any of it any more.
        Idempotent."""
        with self._lock:
            self._closed = True
            while self._bus:
                self._remove(self._bus[-1])
            self._mapped.clear()
            self._give_back()
