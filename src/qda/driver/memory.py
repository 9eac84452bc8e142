"""Client memory: the only place where the driver touches the memory of the process that calls it.

A `Client` is the caller, as the driver sees it during one call.  Addresses are always the
client's; a fault is a value, never a signal and never a read of the driver's own memory (R3).
`LocalClient` is this process; it, too, is read through the kernel, so that a bad pointer gives
EFAULT.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from qda.layout import Record, u32, u64
from qda.memory import ClientAddress
from qda.rpmsg import Endpoint

__all__ = ["KERNEL", "Area", "Client", "LocalClient", "MessageMemory", "Piece", "ProcessMemory"]


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


class Area(NamedTuple):
    """A memory mapping of the client: [start, end), from `offset` of the file `identity`, which is
    (device major, device minor, inode).

    `reserved` says that there are only addresses: no file, and no access.
    """

    start: int
    end: int
    offset: int
    identity: tuple[int, int, int]
    reserved: bool = False


class Client(Protocol):
    """The caller of the device: its memory, its descriptors, its identity."""

    @property
    def pid(self) -> int: ...
    @property
    def tid(self) -> int: ...
    @property
    def comm(self) -> bytes: ...
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

    def wait(self, endpoint: Endpoint, buffer: bytearray, timeout: float | None) -> int:
        """Receive a message on the client's behalf; returns its length.

        InterruptedError ends the wait when the client has to handle a signal first; PeerGone and
        TimeoutError as `Endpoint.receive`.
        """
        ...


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_uint64), ("length", ctypes.c_uint64))


_Transferring = Callable[[int, int, int, int, int, int], int]


def _function(library: ctypes.CDLL, name: str) -> _Transferring:
    function = getattr(library, name)
    pointer, number = ctypes.c_void_p, ctypes.c_ulong
    function.argtypes = (ctypes.c_int, pointer, number, pointer, number, number)
    function.restype = ctypes.c_ssize_t
    return cast(_Transferring, function)


_HAND_OVER = 64 << 10
"""Transfers from this many bytes on let other threads run meanwhile; shorter ones are faster than
handing the interpreter over."""

_at_once, _shared = ctypes.PyDLL(None), ctypes.CDLL(None)
_READ = _function(_at_once, "process_vm_readv"), _function(_shared, "process_vm_readv")
_WRITE = _function(_at_once, "process_vm_writev"), _function(_shared, "process_vm_writev")


class ProcessMemory:
    """Memory of a process, by process_vm_readv and process_vm_writev."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def read(self, address: int, length: int) -> bytes | None:
        """`length` bytes at `address`, None if not all of them can be read."""
        buffer = ctypes.create_string_buffer(length)
        local = _Iovec(ctypes.addressof(buffer), length)
        remote = _Iovec(address, length)
        read = _READ[length >= _HAND_OVER]
        done = read(self.pid, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)
        return buffer.raw if done == length else None

    def write(self, address: int, data: bytes) -> bool:
        """Store bytes at `address`; False if not all of them can be."""
        buffer = ctypes.create_string_buffer(data, len(data))
        local = _Iovec(ctypes.addressof(buffer), len(data))
        remote = _Iovec(address, len(data))
        write = _WRITE[len(data) >= _HAND_OVER]
        done = write(self.pid, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)
        return bool(done == len(data))

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces into a message buffer."""
        return self._transfer(_READ, pieces, message)

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """Copy pieces out of a message buffer."""
        return self._transfer(_WRITE, pieces, message)

    def _transfer(
        self,
        ways: tuple[_Transferring, _Transferring],
        pieces: Sequence[Piece],
        message: MessageMemory,
    ) -> bool:
        count = len(pieces)
        if not count:
            return True
        base, vectors = message.process_address, (_Iovec * (2 * count))()
        total = 0
        for index, (address, length, position) in enumerate(pieces):
            local, remote = vectors[index], vectors[count + index]
            local.base, local.length = base + position, length
            remote.base, remote.length = address, length
            total += length
        start = ctypes.addressof(vectors)
        middle = start + count * ctypes.sizeof(_Iovec)
        transfer = ways[total >= _HAND_OVER]
        return bool(transfer(self.pid, start, count, middle, count, 0) == total)


class _ProcmapQuery(Record, spelling="procmap_query"):
    """Argument of PROCMAP_QUERY (linux `include/uapi/linux/fs.h`, since 6.11)."""

    size: int = u64("Size of this structure", unit="bytes")
    query_flags: int = u64("What is asked for", unit="bits")
    query_addr: int = u64("Address asked about", unit="address")
    vma_start: int = u64("Start of the mapping", unit="address")
    vma_end: int = u64("End of the mapping", unit="address")
    vma_flags: int = u64("Protection, and whether it is shared", unit="bits")
    vma_page_size: int = u64("Page size", unit="bytes")
    vma_offset: int = u64("Offset in the file", unit="bytes")
    inode: int = u64("Inode of the file")
    dev_major: int = u32("Device of the file, major number")
    dev_minor: int = u32("Device of the file, minor number")
    vma_name_size: int = u32("Room for the name", unit="bytes")
    build_id_size: int = u32("Room for the build id", unit="bytes")
    vma_name_addr: int = u64("Address of the name", unit="address")
    build_id_addr: int = u64("Address of the build id", unit="address")


_QUERY_HEAD = struct.Struct("<QQQ")
"""What is asked: the first three fields.  Every shared argument of a call needs one query, so the
record is not built field by field."""

_PROCMAP_QUERY = 3 << 30 | _ProcmapQuery.byte_size << 16 | ord("f") << 8 | 17


@dataclass
class MapsFile:
    """`/proc/PID/maps`: answers which mapping contains an address."""

    pid: int

    def __post_init__(self) -> None:
        self._file = os.open(f"/proc/{self.pid}/maps", os.O_RDONLY | os.O_CLOEXEC)
        self._queries = True  # until the kernel says that it does not know them

    def area(self, address: int) -> Area | None:
        """The mapping that contains the address, None if none does."""
        if self._queries:
            query = bytearray(_ProcmapQuery.byte_size)
            _QUERY_HEAD.pack_into(query, 0, _ProcmapQuery.byte_size, 0, address)
            try:
                fcntl.ioctl(self._file, _PROCMAP_QUERY, query)
            except FileNotFoundError:
                return None
            except OSError:
                self._queries = False  # ENOTTY before linux 6.11: read the text instead
            else:
                found = _ProcmapQuery.codec.unpack(query)
                _, _, _, start, end, flags, _, offset, inode, major, minor, *_ = found
                return Area(start, end, offset, (major, minor, inode), not inode and not flags)
        return self._search(address)

    def _search(self, address: int) -> Area | None:
        for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
            span, flags, offset, device, inode = line.split(maxsplit=5)[:5]
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= address < end:
                major, minor = (int(part, 16) for part in device.split(":"))
                identity = major, minor, int(inode)
                return Area(start, end, int(offset, 16), identity, (flags, inode) == ("---p", "0"))
        return None

    def close(self) -> None:
        os.close(self._file)


class LocalClient:
    """This process as a client of a device that lives in it."""

    limit = 0x7FFF_FFFF_F000
    """TASK_SIZE of the 47-bit address spaces that programs get unless they ask for more."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._memory = ProcessMemory(self.pid)
        self._maps = MapsFile(self.pid)
        self.read, self.write = self._memory.read, self._memory.write
        self.fetch, self.store = self._memory.fetch, self._memory.store
        self.area = self._maps.area

    @property
    def tid(self) -> int:
        return threading.get_native_id()

    @property
    def comm(self) -> bytes:
        return Path(f"/proc/self/task/{self.tid}/comm").read_bytes().rstrip(b"\n")

    def descriptor(self, number: int) -> int:
        return os.dup(number)

    def install(self, descriptor: int, flags: int) -> int:
        number = os.open(f"/proc/self/fd/{descriptor}", flags)
        os.set_inheritable(number, not flags & os.O_CLOEXEC)
        return number

    def wait(self, endpoint: Endpoint, buffer: bytearray, timeout: float | None) -> int:
        return endpoint.receive_into(buffer, timeout)

    def close(self) -> None:
        self._maps.close()


class _Kernel:
    """The driver itself, where a request has no caller: it has no memory and no descriptors."""

    pid = tid = 0
    comm = b""
    limit = 0

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

    def wait(self, endpoint: Endpoint, buffer: bytearray, timeout: float | None) -> int:
        return endpoint.receive_into(buffer, timeout)


KERNEL: Client = _Kernel()
