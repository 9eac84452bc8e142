"""A file of the older driver's node: buffers are DMA-BUF descriptors, from the system's heap."""

from __future__ import annotations

import errno
import itertools
import os

from qda.client.buffer import Buffer
from qda.client.device import DeviceFile
from qda.client.node import Node, issue
from qda.errors import DeviceError, DspError, UsageError
from qda.fastrpc.domains import domain_id
from qda.fastrpc.mapping import MapFlag, MapKind
from qda.linux import address_of
from qda.memory import PAGE, align
from qda.uapi import Interface, dma_heap, legacy

__all__ = ["LegacyFile"]

_HEAP_FLAGS = os.O_RDWR | os.O_CLOEXEC


class LegacyFile(DeviceFile):
    """A node of the older driver in use.  The driver learns of a buffer when a call names it."""

    has_legacy_map = False  # its MMAP takes no buffer of ours (spec/fastrpc.md 5.3)

    def __init__(self, node: Node, dialect: Interface, domain: str) -> None:
        super().__init__(node, dialect, domain)
        self._heap: Node | None = None
        self._heap_is_missing = False
        self._handles = itertools.count(1)

    def attach(self) -> None:
        """See `DeviceFile.attach`."""
        self.run(legacy.INIT_ATTACH, "attach to the root protection domain")

    def attach_sensors(self) -> None:
        """Begin a session with the DSP's sensors process."""
        self.run(legacy.INIT_ATTACH_SNS, "attach to the sensors' protection domain")

    def create_static(self, name: bytes, heap: int) -> None:
        """Begin a session with a static process, whose name ends with a NUL, and give the DSP
        `heap` bytes for its remote heap if it has none."""
        keep = bytearray(name)
        request = legacy.CreateStatic(namelen=len(name), memlen=heap, name=address_of(keep))
        words = name.removesuffix(b"\0").decode("utf-8", "replace")
        self.run(legacy.INIT_CREATE_STATIC, f"begin a session with {words}", request)

    def create(self, image: bytes, attributes: int) -> None:
        """See `DeviceFile.create`.  The image lies in a buffer: drivers differ in how they read
        one from ordinary memory (spec/fastrpc.md 4.5)."""
        operation = "create a user protection domain"
        if not image:
            self.run(legacy.CREATE, operation, legacy.CreateLegacy(filefd=-1, attrs=attributes))
            return
        with self.allocate(len(image)) as buffer:
            buffer[:] = image
            self.run(
                legacy.CREATE,
                operation,
                legacy.CreateLegacy(
                    filelen=len(image), filefd=buffer.dma_buf, attrs=attributes, file=buffer.address
                ),
            )

    def capability(self, attribute: int) -> int:
        """A property of the DSP, 0 if it does not have it; needs no session.  Attributes 1 to 255
        are the DSP's (spec/fastrpc.md 3.5)."""
        answer = self.run(
            legacy.GET_DSP_INFO,
            f"ask for attribute {attribute}",
            legacy.Capability(domain=domain_id(self.domain), attribute_id=attribute),
        )
        return answer.capability

    def poll(self, on: bool) -> None:
        """Switch poll mode on or off.  DeviceError ENOTTY of a driver before 7.3, EOPNOTSUPP of a
        system without poll mode."""
        request = legacy.SetOption(request_id=legacy.POLL_MODE, value=int(on))
        self.run(legacy.SET_OPTION, f"switch poll mode {'on' if on else 'off'}", request)

    # Buffers.

    def allocate(self, size: int) -> Buffer:
        """See `DeviceFile.allocate`.  The memory is the system heap's, or the driver's where there
        is none that may be opened."""
        self.collect()
        operation = f"allocate {size} bytes"
        heap = self._open_heap()
        if heap is None:
            # A kernel's driver does not round up, and then the last page cannot be mapped.
            request = legacy.AllocDmaBuffer(size=align(size, PAGE))
            given = self.run(legacy.ALLOC_DMA_BUFF, operation, request)
            os.set_inheritable(given.fd, False)
            return self._adopt(given.fd, size)
        allocation = dma_heap.Allocation(len=size, fd_flags=_HEAP_FLAGS)
        try:
            issue(heap, dma_heap.ALLOC, allocation)
        except OSError as error:
            raise DeviceError.of(operation, dma_heap.PATH, error) from error
        return self._adopt(allocation.fd, size)

    def _open_heap(self) -> Node | None:
        with self._lock:
            if self._heap is None and not self._heap_is_missing:
                try:
                    self._heap = self.node.neighbour(dma_heap.PATH)
                except DeviceError:
                    self._heap_is_missing = True
            return self._heap

    def _import(self, fd: int) -> Buffer:
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            buffer = self._adopt(os.dup(fd), size)
        except OSError as error:
            raise DeviceError.of(f"import fd {fd}", self.domain, error) from error
        try:  # so that what cannot be shared is refused here, as in other dialects
            name, kind = buffer.dma_buf, MapKind.ATTR
            self.unmap(name, kind, self.map(name, kind, 0, size, 0, MapFlag.STATIC), size)
        except BaseException as error:
            buffer.close()
            if isinstance(error, OSError) and not isinstance(error, DspError):
                raise DeviceError.of(f"import fd {fd}", self.domain, error) from error
            raise
        return buffer

    def _adopt(self, fd: int, size: int) -> Buffer:
        """The buffer of a descriptor, which is owned from here on, also on failure."""
        try:
            pages = Buffer(fd, size)
            pages.keep_dma_buf(fd)
        except (OSError, ValueError) as error:
            os.close(fd)
            refusal = error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
            raise DeviceError.of("map a buffer", self.domain, refusal) from error
        except BaseException:
            os.close(fd)
            raise
        return self._register(pages, next(self._handles))

    def _export(self, buffer: Buffer) -> int:
        try:
            return os.dup(buffer.dma_buf)
        except OSError as error:
            raise DeviceError.of("export a buffer", self.domain, error) from error

    def name_of(self, buffer: Buffer) -> int:
        """See `DeviceFile.name_of`."""
        return buffer.dma_buf

    def _close_handle(self, handle: int) -> None:
        """The driver knows of no handles."""

    # Mappings.

    def map(self, name: int, kind: MapKind, offset: int, size: int, hint: int, flags: int) -> int:
        """See `DeviceFile.map`."""
        if kind is MapKind.LEGACY:
            raise UsageError("dialect legacy maps buffers by MEM_MAP only: leave out legacy=True")
        mapped = self.run(
            legacy.MEM_MAP,
            f"map {size} bytes from {offset} of fd {name}",
            legacy.MapFd(fd=name, offset=offset, flags=flags, vaddrin=hint, length=size),
        )
        return mapped.vaddrout

    def unmap(self, name: int, kind: MapKind, address: int, size: int) -> None:
        """See `DeviceFile.unmap`.  By the address alone: the descriptor may be closed by now, and
        its number another's."""
        self.run(
            legacy.MEM_UNMAP,
            f"unmap {address:#x}",
            legacy.UnmapFd(fd=-1, vaddr=address, length=size),
        )

    def close(self) -> None:
        """See `DeviceFile.close`."""
        super().close()
        with self._lock:
            heap, self._heap, self._heap_is_missing = self._heap, None, True
        if heap is not None:
            heap.close()
