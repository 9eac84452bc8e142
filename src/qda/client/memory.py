"""Memory that a session shares with its DSP: buffers, arrays on them, mappings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qda.client.buffer import Buffer, Mapping
from qda.client.device import DeviceFile
from qda.errors import UsageError, UsageTypeError
from qda.fastrpc.mapping import MapFlag, MapKind

__all__ = ["SessionMemory", "Shape"]

Shape = int | tuple[int, ...]
"""Length of an array, or its length in each dimension."""


class SessionMemory:
    """The buffers of a session, and where they are on the DSP.  Thread-safe."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file

    def alloc(self, size: int) -> Buffer:
        """See `Session.alloc`."""
        if size <= 0:
            raise UsageError(f"size {size!r}: a number of bytes above 0")
        return self._file.allocate(size)

    def empty(self, shape: Shape, dtype: DTypeLike) -> NDArray[Any]:
        """See `Session.empty`."""
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise UsageTypeError(f"dtype {kind}: the DSP cannot see Python objects")
        count = int(np.prod(shape, dtype=np.int64))
        if count < 0:
            raise UsageError(f"shape {shape!r} has a negative length")
        if not count * kind.itemsize:
            return np.empty(shape, kind)
        buffer = self.alloc(count * kind.itemsize)
        return np.frombuffer(buffer, kind, count).reshape(shape)

    def map(
        self,
        memory: Buffer | NDArray[Any],
        offset: int = 0,
        size: int | None = None,
        *,
        hint: int = 0,
        flags: int = MapFlag.FD,
        legacy: bool = False,
    ) -> Mapping:
        """See `Session.map`."""
        buffer, start = self._buffer_of(memory)
        start += offset
        if size is None:
            size = len(buffer) - start
        if legacy and start:
            raise UsageError(f"offset {start}: a legacy mapping begins at byte 0 of its buffer")
        if start < 0 or size < 0 or start + size > len(buffer):
            raise UsageError(
                f"{size} bytes from {start} are not in the {len(buffer)} of the buffer"
            )
        kind = MapKind.LEGACY if legacy else MapKind.ATTR
        address = self._file.map(buffer, kind, start, size, hint, flags)
        return Mapping(
            buffer,
            address,
            start,
            size,
            lambda: self._file.unmap(buffer, kind, address, size),
        )

    @property
    def has_legacy_map(self) -> bool:
        """See `DeviceFile.has_legacy_map`."""
        return self._file.has_legacy_map

    def fd_of(self, buffer: Buffer) -> int:
        """See `Session.fd_of`."""
        return self._file.name_of(buffer)

    def _buffer_of(self, memory: Buffer | NDArray[Any]) -> tuple[Buffer, int]:
        if isinstance(memory, Buffer):
            return memory, 0
        if isinstance(memory, np.ndarray):
            address = memory.__array_interface__["data"][0]
            buffer = self._file.find(address, memory.nbytes)
            if buffer is not None:
                return buffer, address - buffer.address
        raise UsageTypeError(f"{memory!r:.80} does not lie in a buffer of the session")
