"""Memory of a client, for the one thread of the server that serves a lane.

The same as `qda.driver.memory.ProcessMemory`, without the cost of making buffers for each access: a
short call reads and writes client memory three or four times.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct
from typing import cast

from qda.driver.memory import MessageMemory, Piece, ProcessMemory

__all__ = ["LaneMemory"]

_ROOM = 16 << 10
"""Bytes that are read or written in the short way: as much as an ioctl's structure can have."""

_FEW = 64
"""Pieces that are copied in the short way."""

_Transferring = Callable[[int, bytes, int, bytes, int, int], int]
_vector = Struct("<QQ")

_at_once = ctypes.PyDLL(None)  # short transfers are over before another thread could have run


def _function(name: str) -> _Transferring:
    function = getattr(_at_once, name)
    text, number = ctypes.c_char_p, ctypes.c_ulong
    function.argtypes = (ctypes.c_int, text, number, text, number, number)
    function.restype = ctypes.c_ssize_t
    return cast(_Transferring, function)


_readv, _writev = _function("process_vm_readv"), _function("process_vm_writev")


@lru_cache(maxsize=_FEW)
def _vectors(count: int) -> Struct:
    return Struct(f"<{2 * count}Q")


class LaneMemory(ProcessMemory):
    """Memory of process `pid`; for use by one thread."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._room = bytearray(_ROOM)
        self._at = ctypes.addressof(ctypes.c_char.from_buffer(self._room))

    def read(self, address: int, length: int) -> bytes | None:
        """See `ProcessMemory.read`."""
        if length > _ROOM:
            return super().read(address, length)
        local, remote = _vector.pack(self._at, length), _vector.pack(address, length)
        if _readv(self.pid, local, 1, remote, 1, 0) != length:
            return None
        return bytes(self._room[:length])

    def write(self, address: int, data: bytes) -> bool:
        """See `ProcessMemory.write`."""
        length = len(data)
        if length > _ROOM:
            return super().write(address, data)
        self._room[:length] = data
        local, remote = _vector.pack(self._at, length), _vector.pack(address, length)
        return _writev(self.pid, local, 1, remote, 1, 0) == length

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """See `ProcessMemory.fetch`."""
        return self._short(_readv, pieces, message, super().fetch)

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        """See `ProcessMemory.store`."""
        return self._short(_writev, pieces, message, super().store)

    def _short(
        self,
        transfer: _Transferring,
        pieces: Sequence[Piece],
        message: MessageMemory,
        long_way: Callable[[Sequence[Piece], MessageMemory], bool],
    ) -> bool:
        count, total, base = len(pieces), 0, message.process_address
        local: list[int] = []
        remote: list[int] = []
        for address, length, position in pieces:
            local += (base + position, length)
            remote += (address, length)
            total += length
        if total > _ROOM or count > _FEW:
            return long_way(pieces, message)
        vectors = _vectors(count)
        done = transfer(self.pid, vectors.pack(*local), count, vectors.pack(*remote), count, 0)
        return done == total
