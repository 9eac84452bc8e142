"""What crosses the transport, printed: messages and payloads of all calls, responses.

A tracing session takes the place of the driver's own, so that without tracing nothing is different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qda import limits
from qda.driver import Device
from qda.driver.call import Call
from qda.driver.lanes import Memory
from qda.driver.session import Session
from qda.fastrpc import control
from qda.fastrpc.control import Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import WireArgument, decode
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.shim.trace import fields, status

__all__ = ["trace_wire"]


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


def trace_wire(device: Device, note: Callable[[str], None]) -> None:
    """Show by `note` what crosses the device's channel from now on: sessions that begin later."""

    class TracingSession(Session):
        """A session that shows its messages, all of them."""

        lends = False

        def send(self, call: Call, message: bytes) -> None:
            sent = InvokeMessage.unpack(message)
            memory = _memory(call, sent.address)
            note(f"{device.name} <- {fields(sent)}")
            for line in _arguments(sent, memory, is_output=False):
                note(f"{device.name} <-   {line}")
            finish = call.finish

            def finish_and_show(result: int) -> int:
                note(f"{device.name} -> {{context={call.context:#x}, result={status(result)}}}")
                for line in _arguments(sent, memory, is_output=True):
                    note(f"{device.name} ->   {line}")
                return finish(result) if finish else result

            call.finish = finish_and_show
            super().send(call, message)

    device.session_type = TracingSession


def _memory(call: Call, address: int) -> Memory:
    """The message memory of a call: the lane's own, or its slot of the pool."""
    assert call.lane is not None
    own = call.lane.own
    if own is not None and own.memory.device_address == address:
        return own.memory
    return call.lane.slot


def _arguments(sent: InvokeMessage, memory: Memory, *, is_output: bool) -> Iterator[str]:
    """The arguments that one side gives, as the metadata describes them."""
    scalars = Scalars.decode(sent.scalars)
    if not scalars.length:
        return
    for index, argument in enumerate(decode(scalars.length, memory.view)):
        in_or_out = scalars.in_buffers <= index < scalars.buffers
        if index >= scalars.buffers:
            if not is_output:
                yield f"handle {index}: {fields(argument.handle)}"
        elif in_or_out is is_output:
            shown = _buffer(argument, memory)
            if index == 0 and sent.handle == Fixed.INIT:
                shown = _request(scalars.method, argument, memory) or shown
            yield f"{'out' if is_output else 'in'} {index}: {shown}"


def _inline(argument: WireArgument, memory: Memory) -> memoryview | None:
    """The bytes of an argument that travels in the message; None for one that does not."""
    if argument.page is None:
        return None
    start = argument.address - memory.device_address
    if not 0 <= start <= start + argument.length <= memory.size:
        return None
    return memory.view[start : start + argument.length]


def _buffer(argument: WireArgument, memory: Memory) -> str:
    if not argument.pages:
        return "nothing"
    data = _inline(argument, memory)
    if data is None:
        return f"{argument.length} bytes at device address {argument.address:#x}"
    text = bytes(data[: limits.TRACED_BYTES]).hex(" ", -4)
    return (
        f"{argument.length} bytes: {text}{' ...' if argument.length > limits.TRACED_BYTES else ''}"
    )


def _request(method: int, argument: WireArgument, memory: Memory) -> str:
    """A request of the driver itself, by its record."""
    record, data = _REQUESTS.get(method), _inline(argument, memory)
    if record is None or data is None or len(data) < record.byte_size:
        return ""
    return f"{record.spelling} {fields(record.unpack(data))}"
