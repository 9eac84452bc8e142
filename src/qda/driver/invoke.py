"""INVOKE: a call from a program to a module on the DSP."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from qda import limits
from qda.driver.call import Call, Key
from qda.driver.file import OpenFile
from qda.driver.lanes import Memory
from qda.driver.memory import Client
from qda.driver.packing import copy_back, pack
from qda.driver.places import locate, select
from qda.driver.session import Session
from qda.errors import NO_SUCH_CLIENT, as_signed
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import CallForm, InvokeMessage
from qda.fastrpc.overlap import overlaps
from qda.fastrpc.payload import Argument
from qda.fastrpc.scalars import Scalars
from qda.memory import ClientAddress
from qda.uapi.accel import Invoke

__all__ = ["invoke", "without_session"]

_WORD = (1 << 64) - 1


def invoke(file: OpenFile, client: Client, request: Invoke) -> int:
    """Carry out INVOKE; returns the DSP's result.

    OSError as documented for the command; a call that a signal interrupts goes on, and the same
    request by the same thread comes back to it (R24).
    """
    session = file.session
    key = Key(client.tid, request.handle, request.scalars, request.arguments)
    if session is not None and (resumed := session.resume(key)) is not None:
        with resumed as call:
            return session.wait(call, client)
    if request.handle == Fixed.INIT:
        raise PermissionError(errno.EPERM, "handle 1 belongs to the driver")
    scalars = Scalars.decode(request.scalars)
    arguments = _read_arguments(client, request.arguments, scalars.length, file.element)
    _refuse_bad_arguments(arguments, scalars, client.limit)
    if session is None:
        return without_session(file)
    session.refuse_if_dead()
    with session.call(key) as call:
        _send(file, client, session, call, key, scalars, arguments)
        return session.wait(call, client)


def without_session(file: OpenFile) -> int:
    """The answer of a DSP that does not know the client.  OSError ENODEV without a DSP."""
    _ = file.device.channel
    return as_signed(NO_SUCH_CLIENT)


def _send(
    file: OpenFile,
    client: Client,
    session: Session,
    call: Call,
    key: Key,
    scalars: Scalars,
    arguments: list[Argument],
) -> None:
    limit = file.device.limits.message

    def allocate(size: int) -> Memory:
        if size > limit:
            raise OSError(errno.ENOMEM, f"a message of {size} bytes: at most {limit}")
        return session.message(call, size)

    def resolve(argument: Argument, is_buffer: bool) -> Argument:
        address = argument.address if is_buffer else 0
        attachment = file.hold_argument(argument.fd, client, call.uses, address)
        session.announce(attachment)
        file.name(argument.fd, attachment, session)
        return locate(argument, attachment, client) if is_buffer else select(argument, attachment)

    polled = CallForm.NUMBERED in session.form
    layout, message = pack(scalars, arguments, client, allocate, resolve, polled=polled)
    outputs = layout.copies_out(arguments)

    def finish(result: int) -> int:
        if outputs and not copy_back(outputs, client, message):
            raise OSError(errno.EFAULT, "an output cannot be written")
        return result

    call.finish = finish
    call.context = session.context_of(call)
    session.send(
        call,
        InvokeMessage.codec.pack(
            session.client_id,
            key.tid,
            call.context,
            key.handle,
            key.scalars,
            message.device_address,
            layout.allocation,
        ),
    )


def _read_arguments(
    client: Client, address: int, count: int, element: struct.Struct
) -> list[Argument]:
    if not count:
        return []
    raw = client.read(ClientAddress(address), count * element.size)
    if raw is None:
        raise OSError(errno.EFAULT, "the argument array cannot be read")
    return [Argument(at, size, fd, None, attr) for at, size, fd, attr in element.iter_unpack(raw)]


def _refuse_bad_arguments(arguments: Sequence[Argument], scalars: Scalars, limit: int) -> None:
    """Refuse what no correct program asks for, before anything is allocated or sent.

    OSError EINVAL for an fd that means nothing (H07), a length above 2^31 - 1 (H06), a range that
    wraps (H05) or ends above user space; EFAULT for an address above it (H01, H02).
    """
    inline, backed = False, False
    for address, length, fd, *_ in arguments[: scalars.buffers]:
        if fd < -1:
            raise OSError(errno.EINVAL, f"fd {fd} means nothing")
        if length > limits.ARGUMENT:
            raise OSError(errno.EINVAL, f"a length of {length}: at most {limits.ARGUMENT}")
        if not length:
            continue  # nothing of it is touched
        if address + length > _WORD:
            raise OSError(errno.EINVAL, "address and length wrap")
        if address >= limit:
            raise OSError(errno.EFAULT, f"{address:#x} is not an address of user space")
        if address + length > limit:
            raise OSError(errno.EINVAL, "the range ends above user space")
        if fd > 0:
            backed = True
        else:
            inline = True
    if inline and backed:
        _refuse_mixed_overlap(arguments[: scalars.buffers])


def _refuse_mixed_overlap(buffers: Sequence[Argument]) -> None:
    """OSError EINVAL if inline bytes are also bytes of a descriptor-backed buffer (H08)."""
    ends = {True: 0, False: 0}
    for overlap in overlaps([(buffer.address, buffer.length) for buffer in buffers]):
        if overlap.end == overlap.start:
            continue
        inline = buffers[overlap.argument].inline
        if overlap.start < ends[not inline]:
            raise OSError(errno.EINVAL, "an inline buffer overlaps a descriptor-backed one")
        ends[inline] = max(ends[inline], overlap.end)
