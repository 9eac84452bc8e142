"""What a message of the kernel's driver names, read from the guest's memory: nothing is believed.

The driver's own requests (handle 1) name memory in their arguments as well, and say there which
session they are for: the message itself says 0.
"""

from __future__ import annotations

from typing import NamedTuple

from qda.fastrpc.control import ClientRequest, Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import PhysicalPage, WireArgument, decode, metadata_size
from qda.fastrpc.scalars import Scalars
from qda.kernel.guest import AddressFault, Bus, GuestMemory, read

__all__ = ["Named", "named_by"]

_PAGES: dict[int, int] = {
    Method.MMAP: 1,
    Method.CREATE: 3,
    Method.CREATE_ATTR: 3,
    Method.CREATE_STATIC: 2,
    Method.MEM_MAP: 1,
}
"""The argument of a request that is a list of pages."""
_LONGEST_LIST = 1 << 16
_LONGEST_NAME = 128


class Named(NamedTuple):
    """The session that a message is for, the request if it is the driver's own, the ranges of bus
    addresses that it names, and the static process that it is to begin with."""

    client_id: int
    request: int | None
    ranges: list[tuple[int, int]]
    process: bytes = b""


def named_by(message: InvokeMessage, memory: GuestMemory, bus: Bus) -> Named:
    """What a message names.  AddressFault if that cannot be read."""
    scalars = Scalars.decode(message.scalars)
    ranges, arguments = [(message.address, message.size)], list[WireArgument]()
    if scalars.length:
        needed = metadata_size(scalars.length)
        if message.size < needed:
            raise AddressFault(f"{message.size} bytes have no {scalars.length} arguments")
        arguments = decode(scalars.length, read(memory, bus, message.address, needed))
        ranges += [argument.page for argument in arguments if argument.page is not None]
    if message.handle != Fixed.INIT:
        return Named(message.client_id, None, ranges)
    if not arguments or arguments[0].page is None:
        raise AddressFault("a request that does not say for which session it is")
    first = read(memory, bus, arguments[0].address, ClientRequest.byte_size)
    listed = _PAGES.get(scalars.method)
    if listed is not None and listed < len(arguments):
        ranges += _listed(arguments[listed], memory, bus)
    process = b""
    if scalars.method == Method.CREATE_STATIC and len(arguments) > 1:
        text = read(memory, bus, arguments[1].address, min(arguments[1].length, _LONGEST_NAME))
        process = text.partition(b"\0")[0]
    return Named(ClientRequest.unpack(first).client_id, scalars.method, ranges, process)


def _listed(argument: WireArgument, memory: GuestMemory, bus: Bus) -> list[tuple[int, int]]:
    if argument.page is None or argument.length > _LONGEST_LIST:
        return []
    size = PhysicalPage.byte_size
    pages = read(memory, bus, argument.address, argument.length // size * size)
    found = (PhysicalPage.unpack(pages[at:]) for at in range(0, len(pages), size))
    return [(page.address, page.size) for page in found]
