"""For clients that mix dialects on one file, as the QDA library and its programs do.

Some of their fd fields are GEM handles, others descriptors (spec/clients.md 9).  A driver takes an
fd for a GEM handle, and refuses the rest or takes another object.  The number cannot tell which is
meant, but the address can: if the descriptor of that number is of the very memory in which the
address lies, or the address is only reserved, it is the descriptor that is meant.  GEM_CREATE comes
in the layout of dialect V1, which shows in its first word: in dialect RFC that is 0.

This is an option of the server, never its default, and each file that needs it is logged: it would
fail on a kernel.
"""

from __future__ import annotations

import errno
import logging
import os

from qda.driver import Client
from qda.driver.accel import AccelFront
from qda.linux import identity_of
from qda.memory import ClientAddress
from qda.uapi import V1
from qda.uapi.accel import GEM_CREATE, GemCreate, GemCreateV1

__all__ = ["MixedFront"]

_log = logging.getLogger("qda.shim")

_GEM_CREATE = V1.command("GEM_CREATE").code
_WORD = 8


class MixedFront(AccelFront):
    """A front of dialect RFC, made in place of `front`, that also understands what programs take
    from dialect V1.

    Calls that a program makes by itself name handles alone: an address that is not in the handle's
    memory is declined there, and looked at here.
    """

    def __init__(self, front: AccelFront) -> None:
        super().__init__(front.file, front.dialect)
        self._told = False
        self.file.handle_of = self._handle_of

    def _tell(self, client: Client, what: str) -> None:
        """Log the first thing that a kernel would not have understood."""
        if not self._told:
            self._told = True
            _log.warning("process %d %s: this would fail on a kernel", client.pid, what)

    def _handle_of(self, fd: int, client: Client, address: int) -> int:
        """The GEM handle that is meant by `fd`, for memory at `address` of the client."""
        area = client.area(ClientAddress(address)) if address else None
        if area is None:
            return fd
        try:
            descriptor = client.descriptor(fd)
        except OSError:
            return fd
        if identity_of(descriptor) != area.identity and not area.reserved:
            os.close(descriptor)
            return fd
        try:
            handle = self.file.import_descriptor(descriptor)
        except OSError:
            return fd
        self._tell(client, f"calls a buffer by its descriptor {fd} and not by a GEM handle")
        return handle

    def ioctl(self, client: Client, code: int, address: ClientAddress) -> int:
        """See `Front.ioctl`."""
        given = client.read(address, GemCreateV1.byte_size) if code == _GEM_CREATE else None
        if given is None or not any(given[:_WORD]):
            return super().ioctl(client, code, address)
        self._tell(client, "allocates a buffer in the layout of dialect v1")
        request = GemCreateV1.unpack(given)  # what stands behind its size is not looked at
        asked = GemCreate(size=request.size)
        result = -asked.breach() or self.carry_out(GEM_CREATE, client, asked)
        request.handle = asked.handle
        return result if client.write(address, request.pack()) else -errno.EFAULT
