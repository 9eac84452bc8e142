"""`apps_mem`: memory that the DSP asks for (spec/fastrpc.md 7.6).

The C library lets the kernel make some kinds of memory.  Here all of it is a buffer of the session:
a QDA device is not told the size of what it has to make itself, and so cannot (3.2).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from qda import limits
from qda.client.buffer import Buffer, Mapping
from qda.client.memory import SessionMemory
from qda.errors import BAD_PARAMETER, StatusError
from qda.fastrpc.mapping import MADE_BY_DSP, MapFlag

__all__ = ["AppsMem"]


_HLOS_FD = 0x10000
"""The DSP asks for a buffer that it finds by its fd."""


@dataclass(frozen=True, slots=True)
class _Made:
    buffer: Buffer
    mapping: Mapping
    fd: int

    def close(self) -> None:
        self.mapping.close()
        self.buffer.close()


class AppsMem:
    """The methods of `apps_mem` on a session.  Thread-safe."""

    def __init__(self, memory: SessionMemory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._made: dict[int, _Made] = {}

    def request_map64(
        self, heapid: int, ion_flags: int, rflags: int, vin: int, size: int
    ) -> tuple[int, int]:
        """Make memory and map it; returns its address in the program and on the DSP."""
        if not 0 < size <= limits.HOST_MEMORY:
            raise StatusError(BAD_PARAMETER, f"{size} bytes: 1 to {limits.HOST_MEMORY}")
        buffer = self._memory.alloc(size)
        try:
            if rflags == _HLOS_FD:
                made = self._map(buffer, vin, MapFlag.FD_DELAYED, legacy=False)
                return buffer.address, self._keep(made.fd, made)
            if self._memory.has_legacy_map:
                made = self._map(buffer, vin, rflags, legacy=True)
            else:
                made = self._map(buffer, vin, MapFlag.FD, legacy=False)
        except BaseException:
            buffer.close()
            raise
        # Memory that is the DSP's own has no address in the program.
        shown = 0 if rflags in MADE_BY_DSP else buffer.address
        return shown, self._keep(made.mapping.address, made)

    def _map(self, buffer: Buffer, hint: int, flags: int, legacy: bool) -> _Made:
        mapping = self._memory.map(buffer, hint=hint, flags=flags, legacy=legacy)
        return _Made(buffer, mapping, self._memory.fd_of(buffer))

    def _keep(self, key: int, made: _Made) -> int:
        with self._lock:
            self._made[key] = made
        return key

    def request_unmap64(self, vadsp: int, size: int) -> None:
        """Unmap and free what `request_map64` has returned."""
        self._free(vadsp)

    def _free(self, key: int) -> None:
        with self._lock:
            made = self._made.pop(key, None)
        if made is None:
            raise StatusError(BAD_PARAMETER, f"nothing was mapped at {key:#x} on request")
        made.close()

    def request_map(
        self, heapid: int, ion_flags: int, rflags: int, vin: int, size: int
    ) -> tuple[int, int]:
        """`request_map64`, for addresses of 32 bits; one that does not fit is given as 0."""
        shown, address = self.request_map64(heapid, ion_flags, rflags, vin, size)
        return shown if shown < 1 << 32 else 0, address

    def request_unmap(self, vadsp: int, size: int) -> None:
        """Undo `request_map`."""
        self._free(vadsp)

    def share(self, data: bytes) -> int:
        """Put bytes into a buffer that the DSP finds by the fd that is returned."""
        buffer = self._memory.alloc(max(len(data), 1))
        try:
            buffer[: len(data)] = data
            made = self._map(buffer, 0, MapFlag.FD, legacy=False)
        except BaseException:
            buffer.close()
            raise
        return self._keep(made.fd, made)

    def unshare(self, fd: int) -> None:
        """Undo `share`."""
        self._free(fd)

    def close_all(self) -> None:
        """Give back what the DSP has left mapped; the end of the session does the rest."""
        with self._lock:
            left, self._made = list(self._made.values()), {}
        for made in left:
            try:
                made.close()
            except Exception:  # the DSP may be gone
                continue
