"""What Python lacks of Linux and its C library: system calls, seals, and what `/proc` tells.

Nothing else in the package calls libc through `ctypes`.  A function here is one call, typed.  A
failure is an OSError that carries errno, or a value where it is an ordinary answer.

libc stands here twice: calls through `_held` keep the interpreter, those through `_libc` let other
threads run meanwhile.  Handing the interpreter over and back costs more than a short system call,
so what cannot block and moves little is held.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

__all__ = [
    "F_SEAL_FUTURE_WRITE",
    "Area",
    "MapsFile",
    "address_of",
    "adopt_orphans",
    "cookie_of",
    "die_with_parent",
    "identity_of",
    "ioctl",
    "map_shared",
    "mark_process",
    "name_of_thread",
    "name_process",
    "open_again",
    "peer_of",
    "read_memory",
    "reserve",
    "sealed_memory",
    "send_at_once",
    "take_descriptor",
    "trim_memory",
    "unload",
    "unmap",
    "vector",
    "vectors",
    "write_memory",
]

_libc, _held = ctypes.CDLL(None, use_errno=True), ctypes.PyDLL(None)

_int, _size, _long, _pointer = ctypes.c_int, ctypes.c_size_t, ctypes.c_long, ctypes.c_void_p


def _failure(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


# Descriptors.

_libc.ioctl.argtypes = (_int, ctypes.c_ulong, _pointer)


def ioctl(descriptor: int, code: int, data: bytearray) -> int:
    """Carry out one ioctl on `data`, in place; returns its result, a signed 32-bit number.

    OSError only for -1 with an errno: `fcntl.ioctl` is of no use where other negative numbers are
    results too, since it reports each of them as an OSError, with a stale errno.
    """
    buffer = (ctypes.c_char * len(data)).from_buffer(data) if data else None
    ctypes.set_errno(0)
    result = int(_libc.ioctl(descriptor, code, buffer))
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


_send = _held.send
_send.argtypes, _send.restype = (_int, ctypes.c_char_p, _size, _int), ctypes.c_ssize_t
_AT_ONCE = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


def send_at_once(descriptor: int, message: bytes) -> bool:
    """Send a message if that needs no waiting; False if it was not sent, for whatever reason."""
    return bool(_send(descriptor, message, len(message), _AT_ONCE) >= 0)


def open_again(descriptor: int, flags: int) -> int:
    """Open the file of a descriptor once more, with an access mode of its own.  OSError."""
    return os.open(f"/proc/self/fd/{descriptor}", flags)


def identity_of(descriptor: int) -> tuple[int, int, int]:
    """(device major, device minor, inode) of an open file, as in `/proc/PID/maps`."""
    status = os.fstat(descriptor)
    return os.major(status.st_dev), os.minor(status.st_dev), status.st_ino


_MADV_WIPEONFORK = 18
"""linux `include/uapi/asm-generic/mman-common.h`, since 4.14."""


def mark_process() -> mmap.mmap:
    """Memory whose first byte is 1 here, and 0 in a child that forks off.  OSError.

    Looking at it takes a tenth of the time that `os.getpid` takes.
    """
    mark = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mark.madvise(_MADV_WIPEONFORK)
    mark[0] = 1
    return mark


_SO_COOKIE = 57
"""linux `include/uapi/asm-generic/socket.h`, since 4.12."""


def cookie_of(descriptor: int) -> int:
    """The kernel's name for a socket, which it never uses again.  OSError for what is no socket."""
    cookie, length = ctypes.c_uint64(), ctypes.c_uint32(8)
    places = ctypes.byref(cookie), ctypes.byref(length)
    if _libc.getsockopt(descriptor, socket.SOL_SOCKET, _SO_COOKIE, *places):
        raise _failure("the name of a socket")
    return cookie.value


_SYS_PIDFD_GETFD = 438
"""The same on every architecture; linux `include/uapi/asm-generic/unistd.h`, since 5.6."""


def take_descriptor(pidfd: int, number: int) -> int:
    """Duplicate a descriptor of another process; it is not inherited.  OSError."""
    found = int(_libc.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0))
    if found < 0:
        raise _failure(f"descriptor {number} of another process")
    return found


# Memory that is shared by descriptor.

F_SEAL_FUTURE_WRITE = 0x0010
"""linux `include/uapi/linux/fcntl.h`, since 5.1; Python's `fcntl` does not have it."""


def sealed_memory(name: str, content: int | bytes, seals: int) -> int:
    """A memfd of `content` zeros, or with those bytes, that can be sealed no further.  OSError."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if isinstance(content, int):
            os.ftruncate(descriptor, content)
        else:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


# This process's own addresses.

_libc.mmap.argtypes, _libc.mmap.restype = (_pointer, _size, _int, _int, _int, _long), _pointer
_libc.munmap.argtypes = (_pointer, _size)
_MAP_FIXED, _MAP_NORESERVE, _MAP_FIXED_NOREPLACE = 0x10, 0x4000, 0x100000
_view = _held.PyMemoryView_FromMemory
_view.argtypes, _view.restype = (_pointer, ctypes.c_ssize_t, _int), ctypes.py_object


def map_shared(address: int, size: int, descriptor: int, offset: int) -> memoryview:
    """Map `size` bytes of a file, from `offset`, at `address`, instead of what is there.  OSError.

    The view does not own the memory: whoever holds it after `unmap` or `reserve` faults.
    """
    protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED
    if _libc.mmap(address, size, protection, flags, descriptor, offset) != address:
        raise _failure("mmap")
    return memoryview(_view(address, size, 0x200))  # cpython Include/cpython/object.h: writable


def reserve(address: int, size: int, *, replace: bool = False) -> None:
    """Make addresses inaccessible and keep them from other uses.  OSError.

    What is there already is an error, EEXIST, or is taken away with `replace`.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    flags |= _MAP_FIXED if replace else _MAP_FIXED_NOREPLACE
    found = _libc.mmap(address, size, 0, flags, -1, 0)
    if found == address:
        return
    if found != _pointer(-1).value:  # a kernel before 4.17 takes the address as a wish
        unmap(found, size)
        ctypes.set_errno(errno.EEXIST)
    raise _failure("mmap")


def unmap(address: int, size: int) -> None:
    """Give addresses back, with what is there.  OSError."""
    if _libc.munmap(address, size):
        raise _failure("munmap")


_PyBuffer = ctypes.c_size_t * 11  # Python's `Py_buffer`, whose first word says where the bytes are
_get_buffer, _release_buffer = _held.PyObject_GetBuffer, _held.PyBuffer_Release
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_PyBuffer), _int)
_release_buffer.argtypes, _release_buffer.restype = (ctypes.POINTER(_PyBuffer),), None


def address_of(buffer: bytearray | memoryview | mmap.mmap) -> int:
    """Where the bytes of a buffer are, 0 for none; they stay there as long as it keeps its size."""
    found = _PyBuffer()
    _get_buffer(buffer, found, 0x11C)  # cpython Include/pybuffer.h: of any shape, also read-only
    _release_buffer(found)
    return found[0] if found[2] else 0  # its address, if it has a length


def trim_memory() -> None:
    """Give memory that C's allocator has free back to the kernel, where it can."""
    if hasattr(_held, "malloc_trim"):  # glibc has it
        _held.malloc_trim(0)


# The memory of a process.

_Transferring = Callable[[int, bytes, int, bytes, int, int], int]

_HAND_OVER = 64 << 10
"""Transfers from this many bytes on let other threads run meanwhile."""


def _transferring(library: ctypes.CDLL, name: str) -> _Transferring:
    function = getattr(library, name)
    text, number = ctypes.c_char_p, ctypes.c_ulong
    function.argtypes = (_int, text, number, text, number, number)
    function.restype = ctypes.c_ssize_t
    return cast(_Transferring, function)


_READ = _transferring(_held, "process_vm_readv"), _transferring(_libc, "process_vm_readv")
_WRITE = _transferring(_held, "process_vm_writev"), _transferring(_libc, "process_vm_writev")


vector: Callable[[int, int], bytes] = struct.Struct("=QQ").pack
"""C's `struct iovec`, from an address and a length."""


def vectors(numbers: Sequence[int]) -> bytes:
    """An array of C's `struct iovec`, from an address and a length for each."""
    return struct.pack(f"={len(numbers)}Q", *numbers)


def read_memory(pid: int, into: bytes, origin: bytes, total: int) -> bool:
    """Copy `total` bytes from a process, from `origin` there to `into` here, both of `vector`.

    False if not all of them can be read.
    """
    read = _READ[total >= _HAND_OVER]
    return read(pid, into, len(into) >> 4, origin, len(origin) >> 4, 0) == total


def write_memory(pid: int, origin: bytes, into: bytes, total: int) -> bool:
    """Copy `total` bytes to a process, from `origin` here to `into` there, both of `vector`.

    They are copied in order.  False if not all of them can be written.
    """
    write = _WRITE[total >= _HAND_OVER]
    return write(pid, origin, len(origin) >> 4, into, len(into) >> 4, 0) == total


class Area(NamedTuple):
    """A memory mapping of a process: [start, end), from `offset` of the file `identity`, which is
    (device major, device minor, inode).

    `reserved` says that there are only addresses: no file, and no access.
    """

    start: int
    end: int
    offset: int
    identity: tuple[int, int, int]
    reserved: bool = False


_PROCMAP = struct.Struct("=8QQ4I2Q")
"""Argument of PROCMAP_QUERY (linux `include/uapi/linux/fs.h`, since 6.11): size, flags and address
of the query; start, end, flags, page size and offset of the mapping; inode, device major and minor
of its file; then where a name and a build id could be put."""

_PROCMAP_ASKED = struct.Struct("=3Q")
_PROCMAP_QUERY = 3 << 30 | _PROCMAP.size << 16 | ord("f") << 8 | 17


class MapsFile:
    """`/proc/PID/maps`: answers which mapping contains an address.  Owns a descriptor; OSError."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._file = os.open(f"/proc/{pid}/maps", os.O_RDONLY | os.O_CLOEXEC)
        self._queries = True  # until the kernel says that it does not know them

    def area(self, address: int) -> Area | None:
        """The mapping that contains the address, None if none does."""
        if self._queries:
            query = bytearray(_PROCMAP.size)
            _PROCMAP_ASKED.pack_into(query, 0, _PROCMAP.size, 0, address)
            try:
                fcntl.ioctl(self._file, _PROCMAP_QUERY, query)
            except FileNotFoundError:
                return None
            except OSError:
                self._queries = False  # ENOTTY before linux 6.11: read the text instead
            else:
                found = _PROCMAP.unpack(query)
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

    def fileno(self) -> int:
        """The descriptor of `/proc/PID/maps`."""
        return self._file


# Processes.

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_libc.prctl.argtypes = (_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_held.prctl.argtypes = (_int, ctypes.c_char_p)


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends.  OSError.

    Whether the parent had ended before must be looked at afterwards.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise _failure("prctl")


def adopt_orphans() -> None:
    """Become the parent of all descendants whose parents end before them.  OSError."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise _failure("prctl")


def name_process(name: str) -> None:
    """Name the calling thread, and by it the process, in lists; 15 bytes of it are kept."""
    _held.prctl(_PR_SET_NAME, name.encode()[:15])


def name_of_thread(pid: int, tid: int) -> bytes:
    """The name of a thread, at most 15 bytes.  OSError if there is none."""
    return Path(f"/proc/{pid}/task/{tid}/comm").read_bytes().removesuffix(b"\n")


_SO_PEERPIDFD = 77
"""linux `include/uapi/asm-generic/socket.h`, since 6.5."""


def peer_of(connection: socket.socket) -> tuple[int, int, int]:
    """(pid, uid, pidfd) of the process at the other end; the pidfd is owned by the caller.

    OSError if the process has ended, or cannot be named here.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("iII", credentials)
    if not pid:
        raise OSError(errno.ESRCH, "the client is in a foreign pid namespace")
    try:
        pidfd = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        pidfd = os.pidfd_open(pid)
    return pid, uid, pidfd


# Libraries.

_libc.dlclose.argtypes = (_pointer,)


def unload(library: ctypes.CDLL) -> None:
    """Unload a library that was loaded by ctypes; nothing of it may be in use."""
    _libc.dlclose(library._handle)
