"""The address space of a protection domain, and what its SMMU lets through.

Bus memory appears when the driver announces it and vanishes when it is withdrawn.  Everything is
mapped inside one window below 4 GiB that the process reserves for this, so that a DSP address is
also an address of the process: Python, native and Hexagon code agree on it, also when it stands in
an argument.  What is not mapped is not accessible: a checked access outside any mapping raises
`AddressFault`, an unchecked one ends the process, and nobody else notices.
"""

from __future__ import annotations

import errno
import threading
import weakref
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from qda import limits
from qda.core import Space
from qda.dsp.window import Pages, Window
from qda.errors import BAD_ADDRESS, BAD_MAP_COUNT, MAP_FAILED, NO_SUCH_MAP, StatusError
from qda.linux import address_of
from qda.memory import PAGE, BusAddress, DspAddress

__all__ = ["AddressFault", "AddressSpace"]


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
    pages: Pages
    client_id: int


@dataclass(eq=False, slots=True)
class Mapped(Region):
    """A mapping of byte `offset` of a buffer, which lies at `address`, to the buffer's end.

    MMAP or MEM_MAP has made it, or, if it is the process's `own`, code in it.  `references` counts
    how often code here has asked for it and not given it back; one of its own goes with the last.
    """

    address: int
    client_id: int
    fd: int
    offset: int
    buffer: tuple[int, int]  # the identity of its pages
    references: int = 0
    own: bool = False


class AddressSpace:
    """The memory of one protection domain.  Thread-safe.

    `window` is how many bytes of DSP addresses to reserve; OSError ENOMEM if they are not free.
    `bus` is what messages may name, as the core has it.
    """

    def __init__(self, window: int = limits.WINDOW) -> None:
        self.bus = Space()
        self._lock = threading.RLock()  # memory may end with any reference to it, also in here
        self._window = Window(window)
        self._bus_starts: list[int] = []
        self._bus: list[BusMemory] = []
        self._mapped: list[Mapped] = []
        self._kept: list[BusMemory] = []

    # What the driver tells.

    def announce(self, client_id: int, bus: int, size: int, pages: Pages) -> None:
        """Make bus memory accessible.  The pages are owned from here on.  OSError.

        What the client has announced there before is replaced: at each moment there is one of
        both, as calls that come meanwhile may need either.  Memory of another client, whose end
        has not been noticed yet, is hidden until it goes.
        """
        try:
            with self._lock:
                before = self._announced(client_id, bus)
                start, view = self._window.place(size, pages)
                memory = BusMemory(start, size, view, bus, pages, client_id)
                weakref.finalize(memory, self._end, start, size, pages).atexit = False
                self._window.hold()
                index = bisect_right(self._bus_starts, bus)
                self._bus_starts.insert(index, bus)
                self._bus.insert(index, memory)
                self.bus.add(bus, size, start, memory)
                self._remove(before)
        except BaseException:
            pages.close()
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
                self._unplace(mapped)
            for memory in [m for m in self._bus if m.client_id == client_id]:
                self._remove(memory)

    # What messages name.

    def resolve(self, bus: int, length: int) -> memoryview:
        """The bytes at a bus address.  AddressFault unless one announced range holds them all."""
        memory = self._with_all_of(bus, length)
        start = bus - memory.bus
        return memory.view[start : start + length]

    def keep(self, bus: int, length: int) -> None:
        """Memory at a bus address is the process's own from now on: it stays mapped when the client
        goes that has announced it.  AddressFault as above."""
        self._kept.append(self._with_all_of(bus, length))

    def _with_all_of(self, bus: int, length: int) -> BusMemory:
        with self._lock:
            memory = self._find(bus)
        if memory is None or bus + length > memory.bus + memory.size:
            raise AddressFault(bus, length)
        return memory

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
                start, view = self._window.place(
                    bus - memory.bus + size - first, memory.pages, first, wish
                )
            except OSError as error:
                raise StatusError(MAP_FAILED, str(error)) from error
            begin = bus - memory.bus + offset
            address, buffer = start + begin - first, memory.pages.identity
            self._mapped.append(
                Mapped(start, len(view), view, address, client_id, fd, begin, buffer)
            )
            self.bus.name(client_id, fd, address, start + len(view) - address)
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
                if mapped.client_id == client_id and not mapped.own and matches(mapped):
                    self._unplace(mapped)
                    return
        raise StatusError(NO_SUCH_MAP, f"{what} is not mapped")

    def _unplace(self, mapped: Mapped) -> None:
        self._mapped.remove(mapped)
        self.bus.unname(mapped.address)
        self._window.take_away(mapped.start, mapped.size)

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
            mapped = self._newest(self._under(client_id, fd), fd)
            return mapped.view[mapped.address - mapped.start :]

    def _under(
        self, client_id: int | None, fd: int, memory: BusMemory | None = None
    ) -> list[Mapped]:
        """What is mapped under a name, of the buffer in `memory` only if that is given."""
        known = [m for m in self._mapped if client_id in (None, m.client_id) and m.fd == fd]
        if memory is not None:
            inode = memory.pages.identity
            known = [mapped for mapped in known if mapped.buffer == inode]
        if len({mapped.client_id for mapped in known}) > 1:
            words = f"fd {fd} is a name of several clients: only their calls can tell which"
            raise StatusError(NO_SUCH_MAP, words)
        return known

    @staticmethod
    def _newest(known: list[Mapped], fd: int) -> Mapped:
        if not known:
            raise StatusError(NO_SUCH_MAP, f"nothing is mapped under fd {fd}")
        return known[-1]

    # What code of the process maps itself.

    def map_own(
        self, client_id: int | None, fd: int, argument: memoryview | None, offset: int, length: int
    ) -> DspAddress:
        """The address of byte `offset` of the memory under a name, `length` bytes of it, as long as
        the process wants: once more what is mapped already, else the buffer that the running call
        has in `argument` under that name (HAP_mmap).

        The offset counts from where that buffer begins; where there is no argument, from the first
        byte of the mapping.  StatusError.
        """
        with self._lock:
            memory = self._holding(argument)
            for mapped in reversed(self._under(client_id, fd, memory)):
                skipped = offset - (mapped.offset if memory is not None else 0)
                if 0 <= skipped <= mapped.start + mapped.size - mapped.address - length:
                    mapped.references += 1
                    return DspAddress(mapped.address + skipped)
            if memory is None:
                words = f"nothing is mapped under fd {fd} that has {length} bytes from {offset} on"
                raise StatusError(NO_SUCH_MAP, words)
            if offset + length > memory.size:
                words = f"a buffer of {memory.size} has no {length} bytes from {offset} on"
                raise StatusError(MAP_FAILED, words)
            try:
                start, view = self._window.place(memory.size, memory.pages)
            except OSError as error:
                raise StatusError(MAP_FAILED, str(error)) from error
            owner, inode = memory.client_id, memory.pages.identity
            own = Mapped(start, len(view), view, start, owner, fd, 0, inode, 1, True)
            self._mapped.append(own)
            return DspAddress(start + offset)

    def unmap_own(self, client_id: int | None, address: int, length: int) -> None:
        """Undo one `map_own`, or `hold`, by an address in it (HAP_munmap).  StatusError."""
        with self._lock:
            for mapped in self._mapped:
                inside = 0 <= address - mapped.address <= mapped.size - length
                if inside and mapped.references and client_id in (None, mapped.client_id):
                    self._let_go(mapped)
                    return
        words = f"{length} bytes at {address:#x} are not mapped for code of the process"
        raise StatusError(NO_SUCH_MAP, words)

    def hold(self, client_id: int | None, fd: int, argument: memoryview | None) -> memoryview:
        """What is mapped under a name, which is kept until it is let go of (HAP_mmap_get).

        Where the running call has an argument of that name, of its buffer.  StatusError.
        """
        with self._lock:
            known = self._under(client_id, fd, self._holding(argument))
            mapped = self._newest(known, fd)
            mapped.references += 1
            return mapped.view[mapped.address - mapped.start :]

    def let_go(self, client_id: int | None, fd: int) -> None:
        """Undo one `hold` of what is mapped under a name (HAP_mmap_put).  StatusError."""
        with self._lock:
            known = self._under(client_id, fd)
            self._newest(known, fd)
            for mapped in reversed(known):
                if mapped.references:
                    self._let_go(mapped)
                    return
        raise StatusError(BAD_MAP_COUNT, f"nobody has what is mapped under fd {fd}")

    def _let_go(self, mapped: Mapped) -> None:
        mapped.references -= 1
        if mapped.own and not mapped.references:
            self._unplace(mapped)

    def _holding(self, argument: memoryview | None) -> BusMemory | None:
        """The announced memory that an argument lies in."""
        if argument is None:
            return None
        address = address_of(argument)
        for memory in self._bus:
            if memory.start <= address < memory.start + memory.size:
                return memory
        return None

    def _end(self, start: int, size: int, pages: Pages) -> None:
        """Nobody has bus memory any more."""
        pages.close()
        with self._lock:
            self._window.let_go(start, size)

    def __len__(self) -> int:
        return len(self._bus) + len(self._mapped)

    def close(self) -> None:
        """Take everything away, and give back the window when no call has any of it any more.
        Idempotent."""
        with self._lock:
            self._window.end()
            while self._bus:
                self._remove(self._bus[-1])
            self._mapped.clear()
            self._kept.clear()
            self._window.close()
