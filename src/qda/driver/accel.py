"""The accelerator's front: from an ioctl code and the caller's structure to a handler and back.

What the DRM core does before a driver's handler runs is done here by the same rules
(spec/fastrpc.md 4.1): the command is found by its number alone; a structure that is shorter than
ours is extended with zeros, a longer one is written back whole; the write-back happens also when
the handler failed.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TypeVar

from qda.driver import control
from qda.driver.device import Device
from qda.driver.drm_core import answer
from qda.driver.file import OpenFile
from qda.driver.front import FileFront, Place, copied_by_size
from qda.driver.handlers import Handlers
from qda.driver.invoke import invoke
from qda.driver.memory import Client
from qda.driver.objects import BufferObject
from qda.driver.sharing import Uses
from qda.layout import Record
from qda.memory import ClientAddress
from qda.uapi import Command, Interface, accel, drm, ioctl_type

__all__ = ["DRIVER_NAME", "AccelFront", "open_front"]

DRIVER_NAME = b"qda"
_DRIVER_DATE = b"20260223"
_DRIVER_TEXT = b"Qualcomm DSP Accelerator"

T = TypeVar("T")

_HANDLERS: Handlers[AccelFront] = Handlers()


class AccelFront(FileFront[OpenFile]):
    """An open file of the accelerator's node, in one dialect."""

    writes_back = True

    def __init__(self, file: OpenFile, dialect: Interface) -> None:
        super().__init__(file, dialect.command(accel.INVOKE.key).code)
        self.dialect = dialect

    def ioctl(self, client: Client, code: int, address: ClientAddress) -> int:
        """See `Front.ioctl`.  The command is found by its number alone, if it is the DRM's."""
        if ioctl_type(code) != drm.TYPE:
            return -errno.ENOTTY
        command = self.dialect.find(code)
        if command is None:
            return answer(client, code, address)
        carry_out = partial(self.carry_out, command, client)
        with self.section(command):
            return copied_by_size(client, command, code, address, carry_out)

    def carry_out(self, command: Command[Record], client: Client, record: Record | None) -> int:
        """Carry out a command on its record, in place; returns the result."""
        return self.run(_HANDLERS[command], client, record)

    def mmap(self, length: int, offset: int, place: Place[T]) -> T:
        """See `Front.mmap`; `offset` is a fake one.

        OSError: EINVAL for an unknown offset, length 0, a mapping longer than the object, or in
        some dialects an imported object; EACCES for an object that this file has no handle of.
        """
        with Uses() as uses:
            buffer = self.file.device.objects.at_mmap_offset(offset, uses)
            if buffer is None:
                raise OSError(errno.EINVAL, f"no object at offset {offset:#x}")
            if not length or length > buffer.size:
                raise OSError(errno.EINVAL, f"{length} bytes of an object of {buffer.size}")
            if not self.file.has(buffer):
                raise OSError(errno.EACCES, "the object belongs to another file")
            self._refuse_imported(buffer)
            return place(buffer.descriptor, length)

    def _refuse_imported(self, buffer: BufferObject) -> None:
        """An imported object is mapped through its exporter (R12), say some dialects."""
        if buffer.imported and not self.file.semantics.maps_imports:
            raise OSError(errno.EINVAL, "an imported object is mapped through its exporter")


def open_front(device: Device, dialect: Interface) -> AccelFront:
    """Open a device for a program that speaks `dialect`.  OSError ENODEV."""
    return AccelFront(device.open(lambda client_id: OpenFile(device, client_id, dialect)), dialect)


@_HANDLERS.takes(drm.VERSION)
def _version(front: AccelFront, client: Client, request: drm.Version) -> int:
    request.version_major, request.version_minor, request.version_patchlevel = 1, 0, 0
    for name, text in (("name", DRIVER_NAME), ("date", _DRIVER_DATE), ("desc", _DRIVER_TEXT)):
        room = getattr(request, f"{name}_len")
        address = ClientAddress(getattr(request, name))
        setattr(request, f"{name}_len", len(text))
        if room and address and not client.write(address, text[:room]):
            raise OSError(errno.EFAULT, f"{name} cannot be written")
    return 0


@_HANDLERS.takes(drm.GEM_CLOSE)
def _gem_close(front: AccelFront, client: Client, request: drm.GemClose) -> int:
    front.file.close_handle(request.handle)
    return 0


@_HANDLERS.takes(drm.PRIME_HANDLE_TO_FD)
def _prime_handle_to_fd(front: AccelFront, client: Client, request: drm.PrimeHandle) -> int:
    if request.flags & ~(os.O_CLOEXEC | os.O_RDWR):
        raise OSError(errno.EINVAL, f"flags {request.flags:#x}")
    with Uses() as uses:
        held = front.file.hold(request.handle, uses)
        held.buffer.exported = True
        request.fd = client.install(held.buffer.descriptor, request.flags)
    return 0


@_HANDLERS.takes(drm.PRIME_FD_TO_HANDLE)
def _prime_fd_to_handle(front: AccelFront, client: Client, request: drm.PrimeHandle) -> int:
    request.handle = front.file.import_descriptor(client.descriptor(request.fd))
    return 0


@_HANDLERS.takes(accel.QUERY)
def _query(front: AccelFront, client: Client, request: accel.Query) -> int:
    request.dsp_name = front.file.device.name.encode()
    return 0


@_HANDLERS.takes(accel.GEM_CREATE)
def _gem_create(front: AccelFront, client: Client, request: accel.GemCreate) -> int:
    file = front.file
    file.take_bank(file.semantics.without_bank)
    with Uses() as uses:
        spare = file.spare.take(request.size, uses) if file.spare is not None else None
        buffer = spare.buffer if spare else file.device.objects.create(request.size, uses)
        request.handle = file.add_handle(buffer, file.semantics.without_bank)
        if spare is not None and file.session is not None and file.session.peer in spare.knowers:
            file.name(request.handle, spare, file.session)
    return 0


@_HANDLERS.takes(accel.GEM_MMAP_OFFSET)
def _gem_mmap_offset(front: AccelFront, client: Client, request: accel.GemMmapOffset) -> int:
    with Uses() as uses:
        buffer = front.file.hold(request.handle, uses).buffer
        front._refuse_imported(buffer)
        request.offset = front.file.device.objects.mmap_offset(buffer)
    return 0


@_HANDLERS.bare(accel.INIT_ATTACH)
def _init_attach(front: AccelFront, client: Client) -> int:
    if not front.file.semantics.attaches:
        raise OSError(errno.EINVAL, "this command is a hole: there is no session with the system")
    return control.attach(front.file, client)


@_HANDLERS.takes(accel.CREATE)
def _create(front: AccelFront, client: Client, request: accel.InitCreate) -> int:
    return control.create(front.file, client, request)


@_HANDLERS.takes(accel.MAP)
def _map(front: AccelFront, client: Client, request: accel.MemMap) -> int:
    return control.map_memory(front.file, client, request)


@_HANDLERS.takes(accel.MUNMAP)
def _munmap(front: AccelFront, client: Client, request: accel.MemUnmap) -> int:
    return control.unmap_memory(front.file, client, request)


@_HANDLERS.takes(accel.INVOKE)
def _invoke(front: AccelFront, client: Client, request: accel.Invoke) -> int:
    return invoke(front.file, client, request)
