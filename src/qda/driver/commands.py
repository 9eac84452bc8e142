"""The command table: from an ioctl code and the caller's structure to a handler and back.

What the DRM core does before a driver's handler runs is done here by the same rules
(spec/fastrpc.md 4.1): the command is found by its number alone; a structure that is shorter than
ours is extended with zeros, a longer one is written back whole; the write-back happens also when
the handler failed.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from qda import uapi
from qda.driver import control
from qda.driver.device import Device
from qda.driver.file import OpenFile
from qda.driver.invoke import invoke
from qda.driver.memory import Client
from qda.driver.objects import BufferObject
from qda.driver.session import Died
from qda.fastrpc.addresses import ClientAddress
from qda.layout import Record
from qda.uapi import Access, Interface, drm, ioctl_size

__all__ = ["DRIVER_NAME", "Front", "open_front"]

DRIVER_NAME = b"qda"
_DRIVER_DATE = b"20260223"
_DRIVER_TEXT = b"Qualcomm DSP Accelerator"

_WRITE, _READ = Access.WRITE.value, Access.READ.value

_PATIENCE = 10.0
"""Seconds that commands under way have to end when their file is closed."""

T = TypeVar("T")
Handler = Callable[["Front", Client, Any], int]


class Front:
    """An open file as a program reaches it: ioctl, mmap, close, in one dialect."""

    def __init__(self, file: OpenFile, dialect: Interface) -> None:
        self.file = file
        self.dialect = dialect
        self._commands = {command.number: command for command in drm.COMMANDS}
        self._commands |= dialect.by_number
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._commands_running = 0
        self._closed = False

    def ioctl(self, client: Client, code: int, data: bytearray | memoryview) -> int:
        """Carry out an ioctl on the caller's structure `data`, in place.

        Returns what the system call returns in the kernel: a negative errno, or the DSP's result
        as a signed 32-bit number, or 0.
        """
        command = self._commands.get(code & 0xFF)
        if command is None:
            return -errno.EINVAL
        size = ioctl_size(code)
        both = code >> 30 & command.access.value
        readable = size if both & _WRITE else 0
        writable = size if both & _READ else 0
        if len(data) < max(readable, writable):
            return -errno.EFAULT
        record_type = command.record
        if record_type is None:
            result = self._run(command.key, client, None)
            control.raise_deferred()
            return result
        buffer = bytearray(max(size, record_type.byte_size))
        buffer[:readable] = data[:readable]
        record = record_type.unpack(buffer)
        result = -record.breach() or self._run(command.key, client, record)
        record.pack_into(buffer)
        data[:writable] = buffer[:writable]
        control.raise_deferred()
        return result

    def _run(self, key: str, client: Client, record: Record | None) -> int:
        try:
            self._enter()
            try:
                return _HANDLERS[key](self, client, record)
            finally:
                self._leave()
        except Died as died:
            return died.result
        except OSError as error:
            return -(error.errno or errno.EIO)

    def _enter(self) -> None:
        """Begin a command: until `_leave`, `close` does not take the file away.  OSError EBADF once
        it has."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the file is closed")
            self._commands_running += 1

    def _leave(self) -> None:
        with self._lock:
            self._commands_running -= 1
            if self._closed:
                self._idle.notify_all()

    def mmap(self, length: int, offset: int, place: Callable[[int, int], T]) -> T:
        """Map `length` bytes at a fake offset: `place` is given the object's descriptor and the
        length, and its result is returned.

        OSError: EINVAL for an unknown offset, length 0, a mapping longer than the object, or in
        dialect V1 an imported object; EACCES for an object that this file has no handle of.
        """
        device = self.file.device
        buffer = device.hold_at_mmap_offset(offset)
        if buffer is None:
            raise OSError(errno.EINVAL, f"no object at offset {offset:#x}")
        try:
            if not length or length > buffer.size:
                raise OSError(errno.EINVAL, f"{length} bytes of an object of {buffer.size}")
            if not self.file.has(buffer):
                raise OSError(errno.EACCES, "the object belongs to another file")
            self._refuse_imported(buffer)
            return place(buffer.descriptor, length)
        finally:
            device.put(buffer)

    def _refuse_imported(self, buffer: BufferObject) -> None:
        """An imported object is mapped through its exporter (R12), says the later dialect."""
        if buffer.imported and self.file.descriptors:
            raise OSError(errno.EINVAL, "an imported object is mapped through its exporter")

    def close(self, client: Client | None = None) -> None:
        """Close the file; idempotent, never fails."""
        with self._idle:
            if self._closed:
                return
            self._closed = True
        try:
            control.release(self.file, client)
        finally:
            with self._idle:
                self._idle.wait_for(lambda: not self._commands_running, _PATIENCE)
            self.file.close()


def open_front(device: Device, dialect: Interface) -> Front:
    """Open a device for a program that speaks `dialect`.  OSError ENODEV."""
    return Front(device.open(descriptors=dialect.name == "v1"), dialect)


def _version(front: Front, client: Client, request: drm.Version) -> int:
    request.version_major, request.version_minor, request.version_patchlevel = 1, 0, 0
    for name, text in (("name", DRIVER_NAME), ("date", _DRIVER_DATE), ("desc", _DRIVER_TEXT)):
        room = getattr(request, f"{name}_len")
        address = ClientAddress(getattr(request, name))
        setattr(request, f"{name}_len", len(text))
        if room and address and not client.write(address, text[:room]):
            raise OSError(errno.EFAULT, f"{name} cannot be written")
    return 0


def _gem_close(front: Front, client: Client, request: drm.GemClose) -> int:
    front.file.close_handle(request.handle)
    return 0


def _prime_handle_to_fd(front: Front, client: Client, request: drm.PrimeHandle) -> int:
    if request.flags & ~(os.O_CLOEXEC | os.O_RDWR):
        raise OSError(errno.EINVAL, f"flags {request.flags:#x}")
    held = front.file.hold(request.handle)
    try:
        request.fd = client.install(held.buffer.descriptor, request.flags)
    finally:
        front.file.detach(held)
    return 0


def _prime_fd_to_handle(front: Front, client: Client, request: drm.PrimeHandle) -> int:
    request.handle = front.file.import_descriptor(client.descriptor(request.fd))
    return 0


def _query(front: Front, client: Client, request: uapi.Query) -> int:
    request.dsp_name = front.file.device.name.encode()
    return 0


def _gem_create(front: Front, client: Client, request: uapi.GemCreate) -> int:
    file = front.file
    file.take_bank(errno.ENOMEM)
    request.handle = file.add_handle(file.device.create(request.size), errno.ENOMEM)
    return 0


def _gem_mmap_offset(front: Front, client: Client, request: uapi.GemMmapOffset) -> int:
    held = front.file.hold(request.handle)
    try:
        front._refuse_imported(held.buffer)
        request.offset = front.file.device.mmap_offset(held.buffer)
    finally:
        front.file.detach(held)
    return 0


def _init_attach(front: Front, client: Client, request: None) -> int:
    return control.attach(front.file, client)


def _create(front: Front, client: Client, request: uapi.InitCreate) -> int:
    return control.create(front.file, client, request)


def _map(front: Front, client: Client, request: uapi.MemMap) -> int:
    return control.map_memory(front.file, client, request)


def _munmap(front: Front, client: Client, request: uapi.MemUnmap) -> int:
    return control.unmap_memory(front.file, client, request)


def _invoke(front: Front, client: Client, request: uapi.Invoke) -> int:
    return invoke(front.file, client, request)


_HANDLERS: dict[str, Handler] = {
    "VERSION": _version,
    "GEM_CLOSE": _gem_close,
    "PRIME_HANDLE_TO_FD": _prime_handle_to_fd,
    "PRIME_FD_TO_HANDLE": _prime_fd_to_handle,
    "QUERY": _query,
    "GEM_CREATE": _gem_create,
    "GEM_MMAP_OFFSET": _gem_mmap_offset,
    "INIT_ATTACH": _init_attach,
    "CREATE": _create,
    "MAP": _map,
    "MUNMAP": _munmap,
    "INVOKE": _invoke,
}
