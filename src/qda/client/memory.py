"""Memory that a session shares with its DSP: buffers, arrays on them, mappings."""

from __future__ import annotations

import errno
import math
import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

from qda.client.arrays import dtype_of, is_array
from qda.client.buffer import Buffer, Mapping, refuse_foreign
from qda.client.device import DeviceFile
from qda.client.imports import explain_import
from qda.client.node import tell_room
from qda.client.unheld import in_room
from qda.errors import DeviceError, UsageError, UsageTypeError, quoted
from qda.fastrpc.mapping import MapFlag, MapKind
from qda.interrupts import Section, made_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

__all__ = ["SessionMemory", "Shape"]

Shape: TypeAlias = "SupportsIndex | Sequence[SupportsIndex] | NDArray[np.integer[Any]]"
"""Length of an array, or its length in each dimension."""


class SessionMemory:
    """The buffers of a session, and where they are on the DSP.  Thread-safe."""

    def __init__(self, file: DeviceFile) -> None:
        self._file = file

    def alloc(self, size: SupportsIndex) -> Buffer:
        """See `Session.alloc`."""
        count = _integer(size, "size")
        if not 0 < count <= sys.maxsize:
            raise UsageError(f"size {size!r}: a number of bytes from 1 to {sys.maxsize}")
        return in_room(lambda: made_whole(lambda: self._file.allocate(count)))

    def empty(self, shape: Shape, dtype: DTypeLike) -> NDArray[Any]:
        """See `Session.empty`."""
        import numpy as np  # see `qda.client.arrays`

        kind = dtype_of(dtype)
        lengths = _lengths(shape)
        size = math.prod(lengths) * kind.itemsize
        try:
            if not size:
                return np.zeros(lengths, kind)
            if size > sys.maxsize:
                raise UsageError(f"shape {shape!r} of {kind}: {size} bytes are too many")
            # Not the buffer itself: NumPy does not keep of it what keeps its pages.
            with Section():
                buffer = self.alloc(size)
                buffer.is_attended = False
                pages = np.frombuffer(buffer, np.uint8)
                return np.ndarray(lengths, kind, pages)
        except ValueError as error:  # more dimensions, or longer ones, than NumPy has
            if isinstance(error, UsageError):
                raise
            raise UsageError(f"shape {shape!r}: {error}") from error

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
        start += _field(offset, "offset")
        size = len(buffer) - start if size is None else _field(size, "size")
        hint, flags = _field(hint, "hint"), _field(flags, "flags")
        if legacy and start:
            raise UsageError(f"offset {start}: a legacy mapping begins at byte 0 of its buffer")
        if start > len(buffer):
            raise UsageError(f"offset {start}: the buffer has {len(buffer)} bytes")
        if start < 0 or size <= 0 or start + size > len(buffer):
            raise UsageError(
                f"{size} bytes from {start} are not in the {len(buffer)} of the buffer"
            )
        kind = MapKind.LEGACY if legacy else MapKind.ATTR
        try:
            return in_room(
                lambda: made_whole(lambda: self._map(buffer, kind, start, size, hint, flags))
            )
        except DeviceError as error:
            if error.errno == errno.ENOMEM:
                tell_room(self._file.node, error)
            raise

    def _map(
        self, buffer: Buffer, kind: MapKind, start: int, size: int, hint: int, flags: int
    ) -> Mapping:
        file, name, descriptor = self._file, self._file.name_of(buffer), buffer.descriptor
        address = file.map(name, kind, start, size, hint, flags)

        def unmap() -> None:
            """By the same name: the mapping keeps it, whether or not the buffer is closed."""
            nonlocal descriptor
            file.unmap(name, kind, address, size)
            descriptor = None

        return Mapping(buffer, address, start, size, unmap)

    @property
    def has_legacy_map(self) -> bool:
        """See `DeviceFile.has_legacy_map`."""
        return self._file.has_legacy_map

    def fd_of(self, buffer: Buffer) -> int:
        """See `Session.fd_of`."""
        if not isinstance(buffer, Buffer):
            raise UsageTypeError(f"{quoted(buffer)} is no buffer")
        if not self._file.is_open:
            raise self._file.refusal("find the number of a buffer", OSError(errno.EBADF, ""))
        refuse_foreign(buffer, self._file)
        return self._file.name_of(buffer)

    def import_fd(self, fd: SupportsIndex) -> Buffer:
        """See `Session.import_fd`."""
        number = _integer(fd, "fd")
        try:
            return self._file.import_fd(number)
        except DeviceError as error:
            explain_import(error, number)
            raise

    def _buffer_of(self, memory: Buffer | NDArray[Any]) -> tuple[Buffer, int]:
        refuse_foreign(memory, self._file)
        if isinstance(memory, Buffer):
            return memory, 0
        if is_array(memory):
            address = memory.__array_interface__["data"][0]
            buffer = self._file.find(address, memory.nbytes)
            if buffer is not None:
                return buffer, address - buffer.address
        raise UsageTypeError(
            f"{quoted(memory)} does not lie in a buffer of the session: arrays of `session.empty` "
            "do"
        )


def _lengths(shape: Shape) -> tuple[int, ...]:
    """The lengths of a shape as integers, as `numpy.empty` takes them.  UsageTypeError,
    UsageError."""
    plain = shape.tolist() if is_array(shape) else shape
    each = plain if isinstance(plain, Sequence) else (plain,)
    lengths = tuple(_integer(length, "length") for length in each)
    if any(length < 0 for length in lengths):
        raise UsageError(f"shape {quoted(shape)} has a negative length")
    return lengths


def _field(number: SupportsIndex, what: str) -> int:
    """A number of a mapping: one that is none is refused as those are that no field holds."""
    try:
        return _integer(number, what)
    except UsageTypeError as error:
        raise UsageError(f"map: {error}") from None


def _integer(number: SupportsIndex, what: str) -> int:
    """A number that is to be an integer; a bool is one to Python, and hardly meant."""
    try:
        if not isinstance(number, bool):
            return operator.index(number)
    except TypeError:
        pass
    raise UsageTypeError(f"{what} {quoted(number)}: an integer")
