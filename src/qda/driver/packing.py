"""From a call's arguments to a message buffer, and back.

`qda.fastrpc.payload` knows where bytes belong; here they are moved, between the client's memory
and a message buffer.  The functions follow the order in which the original driver meets errors.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from qda.driver.memory import Client, MessageMemory, Piece
from qda.fastrpc.payload import Argument, Copy, Layout, header, lay_out
from qda.fastrpc.scalars import Scalars
from qda.memory import ClientAddress

__all__ = ["Contents", "copy_back", "pack"]

Contents = dict[int, bytes]
"""Bytes of in-buffers that are the driver's own, by argument index; all others are the client's."""

Allocate = Callable[[int], MessageMemory]
Resolve = Callable[[Argument, bool], Argument]


def pack(
    scalars: Scalars,
    arguments: list[Argument],
    client: Client,
    allocate: Allocate,
    resolve: Resolve,
    contents: Contents | None = None,
    host_address: int | None = None,
    polled: bool = False,
) -> tuple[Layout, MessageMemory]:
    """Fill a message buffer for a call.

    `allocate` gives a zeroed message buffer of some size, or raises OSError.  `resolve` looks up an
    argument's descriptor and gives it its backing; the flag says that it is a buffer (not a handle
    argument).  `arguments` is updated with the backings.  `host_address` is what the DSP is told of
    the buffer's place on the host; by default its device address, which tells nothing.  With
    `polled` the message has a poll word.

    OSError: EFAULT for input bytes that are not there, and whatever the callbacks raise.
    """
    layout = lay_out(scalars, arguments, polled)
    message = allocate(layout.allocation)
    if not arguments:
        return layout, message  # the metadata is zeros, and so is the message
    copies = layout.copies_in()
    try:
        _resolve_all(layout, arguments, resolve)
    except LookupFailed as failure:
        # An input that cannot be read comes first if it stands before the failed look-up.
        copies = [copy for copy in copies if copy.argument in failure.before]
        if not _fetch(copies, contents, client, message):
            raise OSError(errno.EFAULT, "an input cannot be read") from None
        raise failure.error from None
    if not _fetch(copies, contents, client, message):
        raise OSError(errno.EFAULT, "an input cannot be read")
    if host_address is None:
        host_address = message.device_address
    metadata = header(layout, arguments, host_address, message.device_address)
    message.view[: len(metadata)] = metadata
    return layout, message


class LookupFailed(Exception):
    """A descriptor could not be resolved; `before` are the arguments that come before it."""

    def __init__(self, error: OSError, before: set[int]) -> None:
        super().__init__(error)
        self.error, self.before = error, before


def _resolve_all(layout: Layout, arguments: list[Argument], resolve: Resolve) -> None:
    buffers = layout.scalars.buffers
    order = [overlap.argument for overlap in layout.overlaps] + list(range(buffers, len(arguments)))
    for place, index in enumerate(order):
        argument = arguments[index]
        if argument.fd <= 0 or (index < buffers and not argument.length):
            continue
        try:
            arguments[index] = resolve(argument, index < buffers)
        except OSError as error:
            raise LookupFailed(error, set(order[:place])) from None


def _fetch(
    copies: Sequence[Copy], contents: Contents | None, client: Client, message: MessageMemory
) -> bool:
    pieces = []
    for index, address, length, position in copies:
        if contents is not None and index in contents:
            message.view[position : position + length] = contents[index]
        else:
            pieces.append(Piece(ClientAddress(address), length, position))
    return client.fetch(pieces, message)


def copy_back(copies: Sequence[Copy], client: Client, message: MessageMemory) -> bool:
    """Copy inline outputs to the client, in argument order, with the lengths that it asked for.

    False if the client's memory ends before that; what came before the fault is written.
    """
    pieces = [Piece(ClientAddress(copy.address), copy.length, copy.position) for copy in copies]
    return client.store(pieces, message)
