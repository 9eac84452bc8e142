"""Arguments of a call in the bytes of its message, as far as these are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from qda import limits
from qda.fastrpc import control
from qda.fastrpc.control import Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import WireArgument, decode, metadata_size
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.tracing.text import fields

__all__ = ["Payload", "Sizes", "in_words", "sizes"]

_REQUESTS: dict[int, type[Record]] = {
    Method.ATTACH: control.AttachRequest,
    Method.RELEASE: control.AttachRequest,
    Method.MMAP: control.MapRequest,
    Method.MUNMAP: control.UnmapRequest,
    Method.CREATE: control.CreateRequest,
    Method.CREATE_ATTR: control.CreateRequest,
    Method.MEM_MAP: control.MemMapRequest,
    Method.MEM_UNMAP: control.MemUnmapRequest,
}
"""What in-buffer 0 of the driver's own requests is (spec/fastrpc.md 3)."""


class Payload:
    """The message of a call: `data` are its first bytes, which begin at `address` on the bus."""

    def __init__(self, sent: InvokeMessage, address: int, data: bytes) -> None:
        self.sent, self._address, self._data = sent, address, memoryview(data)
        self.scalars = Scalars.decode(sent.scalars)
        count = self.scalars.length
        known = len(data) >= metadata_size(count)
        self.arguments: list[WireArgument] = list(decode(count, self._data)) if known else []

    def inline(self, argument: WireArgument) -> memoryview | None:
        """The bytes of a buffer that travels in the message, as far as it is kept; None for one
        that does not."""
        if not argument.pages:
            return memoryview(b"")
        if argument.page is None:
            return None
        start = argument.address - self._address
        if not 0 <= start <= start + argument.length <= self.sent.size:
            return None
        return self._data[start : start + argument.length]

    def buffers(self) -> list[memoryview] | None:
        """The bytes of all buffers; None if some are elsewhere, or are not kept."""
        found = []
        for argument in self.arguments[: self.scalars.buffers]:
            data = self.inline(argument)
            if data is None or len(data) < (argument.length if argument.pages else 0):
                return None
            found.append(data)
        return found if len(found) == self.scalars.buffers else None


class Sizes(NamedTuple):
    """Bytes of a call's arguments: those that were copied, those that lie in buffer objects, and
    the longest one that was copied."""

    copied: int = 0
    shared: int = 0
    longest: int = 0


def sizes(payload: Payload) -> Sizes:
    """How many bytes a call has passed, and how."""
    copied = [0]
    shared = 0
    for argument in payload.arguments[: payload.scalars.buffers]:
        if not argument.pages:
            continue
        if payload.inline(argument) is None:
            shared += argument.length
        else:
            copied.append(argument.length)
    return Sizes(sum(copied), shared, max(copied))


def in_words(payload: Payload, *, is_output: bool) -> Iterator[str]:
    """The arguments that one side gives, as the metadata describes them."""
    scalars = payload.scalars
    for index, argument in enumerate(payload.arguments):
        in_or_out = scalars.in_buffers <= index < scalars.buffers
        if index >= scalars.buffers:
            if not is_output:
                yield f"handle {index}: {fields(argument.handle)}"
        elif in_or_out is is_output:
            shown = _buffer(argument, payload)
            if index == 0 and payload.sent.handle == Fixed.INIT:
                shown = _request(scalars.method, argument, payload) or shown
            yield f"{'out' if is_output else 'in'} {index}: {shown}"


def _buffer(argument: WireArgument, payload: Payload) -> str:
    if not argument.pages:
        return "nothing"
    data = payload.inline(argument)
    if data is None:
        return f"{argument.length} bytes at device address {argument.address:#x}"
    text = bytes(data[: limits.TRACED_BYTES]).hex(" ", -4)
    more = " ..." if argument.length > min(limits.TRACED_BYTES, len(data)) else ""
    return f"{argument.length} bytes: {text}{more}"


def _request(method: int, argument: WireArgument, payload: Payload) -> str:
    """A request of the driver itself, by its record."""
    record, data = _REQUESTS.get(method), payload.inline(argument)
    if record is None or data is None or len(data) < record.byte_size:
        return ""
    return f"{record.spelling} {fields(record.unpack(data))}"
