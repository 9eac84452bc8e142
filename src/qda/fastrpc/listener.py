"""The listener's wire format: how calls of the DSP reach the host.

There is no message from the DSP but answers.  So the host parks threads in `next2`, and the DSP
answers one of these calls when it has a request.  The host runs it and brings the result with its
next `next2`.  The listener has two entrances, at handle 3 (`adsp_listener`) and, with method ids
two higher, at handle 7 (`adsp_listener1`).  Source: spec/fastrpc.md 7.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from qda.fastrpc.handles import Fixed
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u32

__all__ = [
    "FIRST_RESULT",
    "LISTENER",
    "LISTENER1",
    "Entrance",
    "MoreAnswer",
    "MoreRequest",
    "NextAnswer",
    "NextRequest",
]

FIRST_RESULT = -1
"""Result that a thread brings when it has run no call yet (7.2)."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """One of the two ways to the listener.  `next` is `next2`, `more` is `get_in_bufs2`."""

    handle: int
    init: Scalars
    init2: Scalars
    next: Scalars
    more: Scalars


def _entrance(handle: int, first: int) -> Entrance:
    return Entrance(
        handle,
        init=Scalars(first + 2),
        init2=Scalars(first + 3),
        next=Scalars(first + 4, 2, 2),
        more=Scalars(first + 5, 1, 2),
    )


LISTENER = _entrance(Fixed.ADSP_LISTENER, 0)
LISTENER1 = _entrance(Fixed.ADSP_LISTENER1, 2)


class NextRequest(Record):
    """In-buffer 0 of `next2`; in-buffer 1 is the reply stream of the previous call."""

    context: int = u32("The call that was run, 0 for none")
    result: int = s32("Its result; out-buffers count only if it is 0")
    reply_length: int = u32("Length of the reply stream, or of the buffer it is in", unit="bytes")
    capacity: int = u32("Room for a request stream", unit="bytes")


class NextAnswer(Record):
    """Out-buffer 0 of `next2`; out-buffer 1 is the request stream, as much as fits."""

    context: int = u32("The call to run, not 0")
    handle: int = u32("Handle of the host's module, 0 for the module manager")
    scalars: int = u32("Method and numbers of arguments", unit="bits")
    length: int = s32("Length of the whole request stream", unit="bytes")


class MoreRequest(Record):
    """In-buffer 0 of `get_in_bufs2`."""

    context: int = u32("The call whose request stream is asked for")
    offset: int = u32("From which byte of the stream", unit="bytes")
    capacity: int = u32("Room for the rest", unit="bytes")


class MoreAnswer(Record):
    """Out-buffer 0 of `get_in_bufs2`; out-buffer 1 is the stream from `offset`."""

    length: int = s32("Length of the whole request stream", unit="bytes")
