"""Memory of a client, for the one thread of the server that serves it.

The same as `qda.driver.memory.ProcessMemory`, without the cost of making buffers for each access: a
short call reads and writes client memory three or four times.  The structure of an ioctl that came
with its request need not be asked of the kernel at all.
"""

from __future__ import annotations

from qda import limits
from qda.driver.memory import ProcessMemory
from qda.linux import address_of, read_memory, vector, write_memory

__all__ = ["CallerMemory"]


class CallerMemory(ProcessMemory):
    """Memory of process `pid`; for use by one thread.

    `structure` is that of the ioctl under way, which lies at `place`, if it is at hand; and
    `changed` whether it has been written.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self._room = bytearray(limits.SHORT_ACCESS)
        self._at = address_of(self._room)
        self.place, self.structure, self.changed = -1, b"", False

    def read(self, address: int, length: int) -> bytes | None:
        """See `ProcessMemory.read`."""
        if address == self.place and length <= len(self.structure):
            return self.structure[:length]
        if length > limits.SHORT_ACCESS:
            return super().read(address, length)
        if read_memory(self.pid, vector(self._at, length), vector(address, length), length):
            return bytes(self._room[:length])
        return None

    def write(self, address: int, data: bytes) -> bool:
        """See `ProcessMemory.write`."""
        length = len(data)
        if address == self.place and length == len(self.structure):
            self.structure, self.changed = data, True
            return True
        if length > limits.SHORT_ACCESS:
            return super().write(address, data)
        self._room[:length] = data
        return write_memory(self.pid, vector(self._at, length), vector(address, length), length)
