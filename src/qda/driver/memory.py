"""Client memory: the only place where the driver touches the memory of the process that calls it.

A `Client` is the caller, as the driver sees it during one call.  Addresses are always the
client's; a fault is a value, never a signal and never a read of the driver's own memory (R3).
`LocalClient` is this process; it, too, is read through the kernel, so that a bad pointer gives
EFAULT.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from qda.core import Port, Woken
from qda.interrupts import FOREVER, Deadline
from qda.linux import (
    Area,
    MapsFile,
    address_of,
    name_of_thread,
    open_again,
    read_memory,
    vector,
    vectors,
    write_memory,
)
from qda.memory import ClientAddress
from qda.rpmsg import PeerGone

__all__ = [
    "KERNEL",
    "Awaited",
    "Client",
    "LocalClient",
    "MessageMemory",
    "Piece",
    "ProcessMemory",
    "is_admin",
    "kernel_for",
    "wait_for",
]


class MessageMemory(Protocol):
    """A message buffer as the driver holds it: mapped at `process_address` in this process."""

    @property
    def view(self) -> memoryview: ...
    @property
    def process_address(self) -> int: ...
    @property
    def device_address(self) -> int: ...


class Piece(NamedTuple):
    """`length` bytes at `address` in the client and at `position` in a message buffer."""

    address: ClientAddress
    length: int
    position: int


class Client(Protocol):
    """The caller of the device: its memory, its descriptors, its identity."""

    @property
    def pid(self) -> int: ...
    @property
    def tid(self) -> int: ...
    @property
    def comm(self) -> bytes: ...
    @property
    def is_admin(self) -> bool:
        """Whether the thread has CAP_SYS_ADMIN."""
        ...

    @property
    def limit(self) -> int:
        """First address above user space."""
        ...

    def read(self, address: ClientAddress, length: int) -> bytes | None:
        """Bytes of the client, None if not all of them are there."""
        ...

    def write(self, address: ClientAddress, data: bytes) -> bool:
        """Store bytes in the client.  False if not all of them can be."""
        ...

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces into a message buffer.  False if any byte is not there."""
        ...

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces out of a message buffer, in order, up to the first fault.  False on one."""
        ...

    def area(self, address: ClientAddress) -> Area | None:
        """The mapping that contains the address, None if none does."""
        ...

    def descriptor(self, number: int) -> int:
        """A duplicate, owned by the driver, of the client's descriptor.  OSError EBADF."""
        ...

    def install(self, descriptor: int, flags: int) -> int:
        """Open a descriptor of memory again for the client, with O_CLOEXEC and O_RDWR as in
        `flags`; returns the client's number for it."""
        ...

    @property
    def port(self) -> Port | None:
        """The client to the core, None if its calls have to be waited for here."""
        ...

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        """Wait for an answer on the client's behalf, `within` a time or for ever.

        InterruptedError ends the wait when the client has to handle a signal first; PeerGone if
        there will be no answer, TimeoutError when the time is over.
        """
        ...


class Awaited(Protocol):
    """An answer that a client waits for."""

    def wait(self, also: int = -1, timeout: int = -1) -> int:
        """Wait for it; returns a `Woken`.  `also` is a descriptor that ends the wait when it can
        be read, `timeout` is in milliseconds; -1 for neither."""
        ...


def wait_for(answer: Awaited, within: Deadline | None, also: int = -1) -> bool:
    """Wait for an answer; False if the descriptor `also` has something to say before.

    PeerGone if there will be none, TimeoutError when the time is over.
    """
    woken: int = Woken.LATE

    def come(seconds: float | None) -> bool:
        nonlocal woken
        woken = answer.wait(also, -1 if seconds is None else int(seconds * 1000))
        return woken not in (Woken.SIGNAL, Woken.LATE)  # a handler has run, and raised nothing

    wait = FOREVER if within is None else within
    if not wait.until(come):
        raise wait.late("the DSP")
    if woken == Woken.DEAD:
        raise PeerGone("the protection domain is gone")
    return woken == Woken.RUNG


_SYS_ADMIN = 21  # linux include/uapi/linux/capability.h


def is_admin(pid: int, tid: int) -> bool:
    """Whether a thread has CAP_SYS_ADMIN; False if there is no such thread."""
    try:
        lines = Path(f"/proc/{pid}/task/{tid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    held = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return bool(held and int(held[0], 16) >> _SYS_ADMIN & 1)


class ProcessMemory:
    """Memory of a process, by process_vm_readv and process_vm_writev."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def read(self, address: int, length: int) -> bytes | None:
        """`length` bytes at `address`, None if not all of them can be read."""
        buffer = bytearray(length)
        into, origin = vector(address_of(buffer), length), vector(address, length)
        return bytes(buffer) if read_memory(self.pid, into, origin, length) else None

    def write(self, address: int, data: bytes) -> bool:
        """Store bytes at `address`; False if not all of them can be."""
        buffer, length = bytearray(data), len(data)
        origin, into = vector(address_of(buffer), length), vector(address, length)
        return write_memory(self.pid, origin, into, length)

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces into a message buffer."""
        here, there, total = _places(pieces, message)
        return read_memory(self.pid, here, there, total)

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces out of a message buffer."""
        here, there, total = _places(pieces, message)
        return write_memory(self.pid, here, there, total)


def _places(pieces: Sequence[Piece], message: MessageMemory) -> tuple[bytes, bytes, int]:
    """Where pieces are in the message buffer and in the client, and how long all are."""
    base, total = message.process_address, 0
    here: list[int] = []
    there: list[int] = []
    for address, length, position in pieces:
        here += (base + position, length)
        there += (address, length)
        total += length
    return vectors(here), vectors(there), total


class LocalClient:
    """This process as a client of a device that lives in it.

    `structures` are those of ioctls under way, by address: what is at hand need not be asked of the
    kernel.
    """

    limit = 0x7FFF_FFFF_F000
    """TASK_SIZE of the 47-bit address spaces that programs get unless they ask for more."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._memory = ProcessMemory(self.pid)
        self._maps = MapsFile(self.pid)
        self.structures: dict[int, bytearray] = {}
        self.fetch, self.store = self._memory.fetch, self._memory.store
        self.area = self._maps.area
        self.port: Port | None = Port(self.pid, self.limit, self._maps.fileno())

    def read(self, address: ClientAddress, length: int) -> bytes | None:
        at_hand = self.structures.get(address)
        if at_hand is None or length > len(at_hand):
            return self._memory.read(address, length)
        return bytes(at_hand[:length])

    def write(self, address: ClientAddress, data: bytes) -> bool:
        at_hand = self.structures.get(address)
        if at_hand is None or len(data) > len(at_hand):
            return self._memory.write(address, data)
        at_hand[: len(data)] = data
        return True

    @property
    def tid(self) -> int:
        return threading.get_native_id()

    @property
    def comm(self) -> bytes:
        return name_of_thread(self.pid, self.tid)

    @property
    def is_admin(self) -> bool:
        return is_admin(self.pid, self.tid)

    def descriptor(self, number: int) -> int:
        return os.dup(number)

    def install(self, descriptor: int, flags: int) -> int:
        number = open_again(descriptor, flags)
        os.set_inheritable(number, not flags & os.O_CLOEXEC)
        return number

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        wait_for(answer, within)

    def close(self) -> None:
        self._maps.close()


class _Kernel:
    """The driver itself, where a request has no caller: it has no memory and no descriptors.
    `pid` is the process for which it does something, if there is one."""

    tid = 0
    is_admin = True
    port = None
    comm = b""
    limit = 0

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid

    def read(self, address: ClientAddress, length: int) -> bytes | None:
        return None

    def write(self, address: ClientAddress, data: bytes) -> bool:
        return False

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        return not pieces

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        return not pieces

    def area(self, address: ClientAddress) -> Area | None:
        return None

    def descriptor(self, number: int) -> int:
        raise OSError(errno.EBADF, "the driver itself has no descriptors")

    def install(self, descriptor: int, flags: int) -> int:
        raise OSError(errno.EBADF, "the driver itself has no descriptors")

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        wait_for(answer, within)


KERNEL: Client = _Kernel()


def kernel_for(pid: int) -> Client:
    """The driver itself, for a process that may be gone."""
    return _Kernel(pid)
