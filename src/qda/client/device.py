"""An open device file, with the commands of its dialect as Python methods.

Here records become bytes and results become exceptions; what a call is for is decided above, in
`qda.client.session`.
"""

from __future__ import annotations

import collections
import ctypes
import os
import threading
from bisect import bisect_right
from typing import Any
from weakref import ref

from qda.client.buffer import Buffer
from qda.client.node import Node
from qda.client.plan import Plan, emit_elements
from qda.errors import DeviceError, DspError, as_unsigned
from qda.uapi import (
    GemCreate,
    GemMmapOffset,
    Interface,
    Invoke,
    MemMap,
    Query,
    drm,
)

__all__ = ["DeviceFile"]

_Range = tuple[int, int, "ref[Buffer]", int]


def _start(entry: _Range) -> int:
    return entry[0]


class DeviceFile:
    """A device node in use: `domain` is the DSP behind it, `dialect` how it is spoken to.

    DeviceError for what the device refuses, DspError for what the DSP refuses.
    """

    def __init__(self, node: Node, dialect: Interface, domain: str) -> None:
        self.node = node
        self.dialect = dialect
        self.domain = domain
        self._commands = {c.key: c for c in (*drm.COMMANDS, *dialect.commands)}
        self._invoke_code = self._commands["INVOKE"].code
        self._lock = threading.RLock()
        self._discarded: collections.deque[int] = collections.deque()
        self._ranges: list[_Range] = []

    def run(self, key: str, operation: str, **values: Any) -> Any:
        """Issue a command; returns its record as the device has left it.

        DeviceError, DspError, both with `operation` in their text.
        """
        command = self._commands.get(key)
        if command is None:
            raise DeviceError(operation, self.domain, 22, f"dialect {self.dialect.name}: no {key}")
        data = bytearray(command.record(**values).pack()) if command.record else bytearray()
        try:
            result = self.node.ioctl(command.code, data)
        except OSError as error:
            raise DeviceError(operation, self.domain, error.errno or 5) from error
        if result:
            raise DspError(operation, self.domain, as_unsigned(result))
        return command.record.unpack(data) if command.record else None

    def query(self) -> str:
        """The name of the DSP."""
        query: Query = self.run("QUERY", "query")
        return query.dsp_name.partition(b"\0")[0].decode("ascii", "replace")

    def attach(self) -> None:
        """Attach to the root protection domain.  DeviceError in a dialect without ATTACH."""
        self.run("INIT_ATTACH", "attach to the root protection domain")

    def create(self, image: bytes, attributes: int) -> None:
        """Make a protection domain, with a shell image if there is one."""
        keep = (ctypes.c_char * len(image)).from_buffer_copy(image)
        self.run(
            "CREATE",
            "create a user protection domain",
            filelen=len(image),
            filefd=-1 if self.dialect.name == "v1" or not image else 0,
            attrs=attributes,
            file=ctypes.addressof(keep) if image else 0,
        )

    # Buffers.

    def allocate(self, size: int) -> Buffer:
        """A new buffer object of `size` bytes, mapped."""
        self.collect()
        created: GemCreate = self.run("GEM_CREATE", f"allocate {size} bytes", size=size)
        try:
            return self._map(created.handle, size)
        except BaseException:
            self._close_handle(created.handle)
            raise

    def _map(self, handle: int, size: int) -> Buffer:
        placed: GemMmapOffset = self.run("GEM_MMAP_OFFSET", "map a buffer", handle=handle)
        try:
            pages = self.node.mmap(size, placed.offset, Buffer)
        except OSError as error:
            raise DeviceError("map a buffer", self.domain, error.errno or 12) from error
        return self._register(pages.bind(self, handle))

    def import_fd(self, fd: int) -> Buffer:
        """A buffer of a DMA-BUF; the descriptor stays the caller's.

        It is mapped through its exporter, which every dialect allows (R12).
        """
        with self._lock:  # a descriptor that is imported twice has one handle, and one buffer
            return self._import(fd)

    def _import(self, fd: int) -> Buffer:
        self.collect()
        imported: drm.PrimeHandle = self.run("PRIME_FD_TO_HANDLE", f"import fd {fd}", fd=fd)
        known = self._by_handle(imported.handle)
        if known is not None:
            return known
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            pages = Buffer(fd, size)
        except OSError as error:
            self._close_handle(imported.handle)
            raise DeviceError("map an import", self.domain, error.errno or 12) from error
        return self._register(pages.bind(self, imported.handle))

    def export(self, handle: int) -> int:
        """A DMA-BUF descriptor of a buffer, owned by the caller."""
        exported: drm.PrimeHandle = self.run(
            "PRIME_HANDLE_TO_FD",
            f"export handle {handle}",
            handle=handle,
            flags=os.O_CLOEXEC | os.O_RDWR,
        )
        return exported.fd

    def _by_handle(self, handle: int) -> Buffer | None:
        for _, _, found, _ in self._ranges:
            buffer = found()
            if buffer is not None and buffer.handle == handle:
                return buffer
        return None

    def _register(self, buffer: Buffer) -> Buffer:
        with self._lock:
            index = bisect_right(self._ranges, buffer.address, key=_start)
            entry = (buffer.address, buffer.address + len(buffer), ref(buffer), buffer.handle)
            # Readers take no lock: they see the old list or the new one.
            self._ranges = [*self._ranges[:index], entry, *self._ranges[index:]]
        return buffer

    def find(self, address: int, length: int) -> Buffer | None:
        """The buffer that holds all of [address, address + length)."""
        ranges = self._ranges
        index = bisect_right(ranges, address, key=_start) - 1
        if index < 0 or address + length > ranges[index][1]:
            return None
        return ranges[index][2]()

    def discard(self, handle: int) -> None:
        """Note that a buffer is gone; its handle is closed by `collect`."""
        self._discarded.append(handle)

    def collect(self) -> None:
        """Close the handles of buffers that are gone."""
        while self._discarded:
            try:
                handle = self._discarded.popleft()
            except IndexError:
                return
            with self._lock:
                # By handle: a new buffer may have the address already.
                self._ranges = [entry for entry in self._ranges if entry[3] != handle]
                self._close_handle(handle)

    def _close_handle(self, handle: int) -> None:
        try:
            self.run("GEM_CLOSE", f"close handle {handle}", handle=handle)
        except DeviceError:
            return  # the file is closed, and the handle with it

    def dma_buf(self, buffer: Buffer) -> int:
        """A DMA-BUF descriptor that belongs to the buffer, made when it is first asked for."""
        with self._lock:
            if buffer.dma_buf < 0:
                buffer.keep_dma_buf(self.export(buffer.handle))
            return buffer.dma_buf

    def name_of(self, buffer: Buffer) -> int:
        """What an fd field says for a buffer in this dialect."""
        return self.dma_buf(buffer) if self.dialect.name == "v1" else buffer.handle

    # Calls and mappings.

    def invoke(self, handle: int, plan: Plan) -> int:
        """Issue a planned call; returns the DSP's result, signed.  OSError from the node."""
        elements = bytearray(emit_elements(plan, self.name_of))
        address = ctypes.addressof(ctypes.c_char.from_buffer(elements)) if elements else 0
        request = bytearray(Invoke.codec.pack(handle, plan.scalars, address))
        return self.node.ioctl(self._invoke_code, request)

    def map(
        self, buffer: Buffer, request: int, offset: int, size: int, hint: int, flags: int
    ) -> int:
        """Map a buffer into the DSP's address space; returns the address."""
        mapped: MemMap = self.run(
            "MAP",
            f"map {size} bytes from {offset} of handle {buffer.handle}",
            request=request,
            flags=flags,
            fd=self.name_of(buffer),
            offset=offset,
            vaddrin=hint,
            size=size,
        )
        return mapped.vaddrout

    def unmap(self, buffer: Buffer, request: int, address: int, size: int) -> None:
        """Undo `map`."""
        self.run(
            "MUNMAP",
            f"unmap {address:#x}",
            request=request,
            fd=self.name_of(buffer),
            vaddr=address,
            vaddrout=address,
            size=size,
        )

    def close(self) -> None:
        """Close the node; idempotent."""
        self.node.close()
