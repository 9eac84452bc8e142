"""Messages between the kernel's driver and a DSP, in words for a trace."""

from __future__ import annotations

from qda.errors import as_unsigned, explain_status
from qda.fastrpc.control import Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import RESPONSE_MINIMUM, InvokeMessage, Response
from qda.fastrpc.scalars import Scalars

__all__ = ["message_in_words", "response_in_words"]


def message_in_words(message: bytes) -> str:
    """A message of the driver, of 40 bytes."""
    if len(message) != InvokeMessage.byte_size:
        return f"{len(message)} bytes: a message has {InvokeMessage.byte_size}"
    asked = InvokeMessage.unpack(message)
    scalars = Scalars.decode(asked.scalars)
    shape = f"{scalars.in_buffers} in, {scalars.out_buffers} out"
    if scalars.in_handles or scalars.out_handles:
        shape += f", {scalars.in_handles} handles in, {scalars.out_handles} out"
    where = f", {asked.size} bytes at {asked.address:#x}" if asked.size else ""
    return (
        f"call {asked.context:#x} of session {asked.client_id}, thread {asked.tid}: "
        f"{_called(asked.handle, scalars.method)}, {shape}{where}"
    )


def _called(handle: int, method: int) -> str:
    if handle not in set(Fixed):
        return f"handle {handle:#x} method {method}"
    known = handle == Fixed.INIT and method in set(Method)
    name = Method(method).name.lower() if known else f"method {method}"
    return f"{Fixed(handle).name.lower()} {name}"


def response_in_words(response: bytes) -> str:
    """A response of the DSP, of 16 bytes; 12 are enough."""
    if len(response) < RESPONSE_MINIMUM:
        return f"{len(response)} bytes: a response has {Response.byte_size}"
    answer = Response.unpack(response.ljust(Response.byte_size, b"\0"))
    if not answer.result:
        return f"call {answer.context:#x} is answered: 0"
    status = as_unsigned(answer.result)
    return f"call {answer.context:#x} is answered: {status:#x} {explain_status(status).symbol}"
