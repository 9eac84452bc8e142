"""A file of the accelerator's node: buffers have GEM handles."""

from __future__ import annotations

import os

from qda.client.buffer import Buffer
from qda.client.device import DeviceFile
from qda.errors import DeviceError
from qda.fastrpc.mapping import MapKind
from qda.interrupts import Section
from qda.linux import address_of
from qda.uapi import BuffersBy, accel, drm

__all__ = ["AccelFile"]


class AccelFile(DeviceFile):
    """A node of the accelerator's driver in use, in one of its dialects."""

    @property
    def _by_dma_buf(self) -> bool:
        return self.dialect.buffers_by is BuffersBy.DMA_BUF

    def query(self) -> str:
        """The name of the DSP."""
        typed = self.dialect.command(accel.QUERY.key).record is accel.QueryTyped
        asked = accel.QueryTyped(query_type=accel.NAME) if typed else accel.Query()
        query = self.run(accel.QUERY, "query", asked)
        return query.dsp_name.partition(b"\0")[0].decode("ascii", "replace")

    def attach(self) -> None:
        """See `DeviceFile.attach`."""
        self.run(accel.INIT_ATTACH, "attach to the root protection domain")

    def create(self, image: bytes, attributes: int) -> None:
        """See `DeviceFile.create`."""
        keep = bytearray(image)
        self.run(
            accel.CREATE,
            "create a user protection domain",
            accel.InitCreate(
                filelen=len(image),
                filefd=-1 if self._by_dma_buf else 0,
                attrs=attributes,
                file=address_of(keep),
            ),
        )

    # Buffers.

    def allocate(self, size: int) -> Buffer:
        """See `DeviceFile.allocate`."""
        self.collect()
        created = self.run(accel.GEM_CREATE, f"allocate {size} bytes", accel.GemCreate(size=size))
        try:
            return self._map(created.handle, size)
        except BaseException:
            self._close_unused(created.handle)
            raise

    def _map(self, handle: int, size: int) -> Buffer:
        placed = self.run(accel.GEM_MMAP_OFFSET, "map a buffer", accel.GemMmapOffset(handle=handle))
        try:
            pages = self.node.mmap(size, placed.offset, Buffer)
        except OSError as error:
            raise DeviceError.of("map a buffer", self.domain, error) from error
        return self._register(pages, handle)

    def _import(self, fd: int) -> Buffer:
        # An object has one handle in a file, however often it is imported.  Who gives handles back
        # waits meanwhile: a buffer may die before this one has its share in the handle.
        with self._lock:
            imported = self.run(drm.PRIME_FD_TO_HANDLE, f"import fd {fd}", drm.PrimeHandle(fd=fd))
            try:
                size = os.lseek(fd, 0, os.SEEK_END)
                return self._register(Buffer(fd, size), imported.handle)
            except BaseException as error:
                self._close_unused(imported.handle)
                if isinstance(error, OSError):
                    raise DeviceError.of("map an import", self.domain, error) from error
                raise

    def _export(self, buffer: Buffer) -> int:
        handle = buffer.handle
        exported = self.run(
            drm.PRIME_HANDLE_TO_FD,
            f"export handle {handle}",
            drm.PrimeHandle(handle=handle, flags=os.O_CLOEXEC | os.O_RDWR),
        )
        return exported.fd

    def _known_name(self, handle: int) -> int:
        return 0 if self._by_dma_buf else handle

    def _close_handle(self, handle: int) -> None:
        try:
            self.run(drm.GEM_CLOSE, f"close handle {handle}", drm.GemClose(handle=handle))
        except DeviceError:
            return  # the file is closed, and the handle with it

    def dma_buf(self, buffer: Buffer) -> int:
        """A DMA-BUF descriptor that belongs to the buffer, made when it is first asked for."""
        with Section(), self._lock:
            if buffer.dma_buf < 0:
                buffer.keep_dma_buf(self.export(buffer))
            return buffer.dma_buf

    def name_of(self, buffer: Buffer) -> int:
        """See `DeviceFile.name_of`."""
        return self.dma_buf(buffer) if self._by_dma_buf else buffer.handle

    def map(self, name: int, kind: MapKind, offset: int, size: int, hint: int, flags: int) -> int:
        """See `DeviceFile.map`."""
        mapped = self.run(
            accel.MAP,
            f"map {size} bytes from {offset} of {'fd' if self._by_dma_buf else 'handle'} {name}",
            self._telling(
                accel.MemMap(
                    request=kind, flags=flags, fd=name, offset=offset, vaddrin=hint, size=size
                )
            ),
        )
        return mapped.vaddrout

    def _telling(self, request: accel.MemMap) -> accel.MemMap:
        """The request in a dialect in which the DSP may be told another name of the object: it is
        told the same, by which calls name it."""
        form = self.dialect.command(accel.MAP.key).record
        if form is None or not issubclass(form, accel.MemMapHandle):
            return request
        telling = form.of(request)
        telling.dsp_handle = request.fd
        return telling

    def unmap(self, name: int, kind: MapKind, address: int, size: int) -> None:
        """See `DeviceFile.unmap`."""
        self.run(
            accel.MUNMAP,
            f"unmap {address:#x}",
            accel.MemUnmap(request=kind, fd=name, vaddr=address, vaddrout=address, size=size),
        )
