"""One call as it comes to the DSP: the message, and the memory that its arguments name.

The arguments are views on the pages that the caller shares.  A page and an offset say where each of
them lies, never a pointer of the host; what is not in announced memory ends the call.
"""

from __future__ import annotations

from typing import NamedTuple, Self, TypeAlias

from qda.dsp.memory import AddressFault, AddressSpace
from qda.dsp.skeleton import HandleArgument
from qda.errors import BAD_PARAMETER, StatusError
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import WireArgument, decode, metadata_size
from qda.fastrpc.scalars import Scalars

__all__ = ["Argument", "Call"]

_message = InvokeMessage.codec

Argument: TypeAlias = memoryview | HandleArgument
"""What a method gets for a buffer, or for a handle."""


class Call(NamedTuple):
    """The fields of a message: `thread` is the host's, `address` and `size` say where the arguments
    are described."""

    client_id: int
    thread: int
    context: int
    handle: int
    word: int
    address: int
    size: int

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Read a message.  StatusError BAD_PARAMETER if it has another length."""
        if len(message) != _message.size:
            raise StatusError(BAD_PARAMETER, f"a message of {len(message)} bytes")
        return cls._make(_message.unpack(message))

    def arguments(self, scalars: Scalars, space: AddressSpace) -> list[Argument]:
        """The arguments, in wire order.  StatusError, AddressFault."""
        count = scalars.length
        if not count:
            return []
        needed = metadata_size(count)
        if self.size < needed:
            words = f"a message of {self.size} bytes for {count} arguments"
            raise StatusError(BAD_PARAMETER, words)
        found: list[Argument] = []
        for index, wire in enumerate(decode(count, space.resolve(self.address, needed))):
            if index >= scalars.buffers:
                found.append(_handle(wire, space))
                continue
            view = _buffer(wire, space)
            found.append(view.toreadonly() if index < scalars.in_buffers else view)
        return found


def _buffer(wire: WireArgument, space: AddressSpace) -> memoryview:
    if not wire.pages:
        return memoryview(bytearray())
    if wire.page is None:
        raise StatusError(BAD_PARAMETER, "an argument names a page entry that does not exist")
    return space.resolve(wire.address, wire.length)


def _handle(wire: WireArgument, space: AddressSpace) -> HandleArgument:
    named, view = wire.handle, None
    if wire.page is not None and wire.page[1]:
        address, size = wire.page
        if named.offset + named.length > size:
            raise AddressFault(address + named.offset, named.length)
        view = space.resolve(address + named.offset, named.length)
    return HandleArgument(named.fd, named.offset, named.length, wire.words[0], view)
