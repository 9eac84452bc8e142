"""A DSP that does what a driver has to bear: answers that are not the answer, or none.

The first calls are answered as they should be, so that a session is under way; from then on each
answer has something wrong, of the kind that was asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from qda.fastrpc.message import InvokeMessage, Response
from qda.glink import Code, Command, TransferSizes

__all__ = ["Misbehaving", "Misbehaviour"]

_WELL = 12
"""So many calls are answered as they should be: enough to open a session and a module."""
_NUMBER, _NOBODYS = 1, 99
"""Numbers of channels at our end: of the first one, and of none."""


class Misbehaviour(enum.StrEnum):
    """What is wrong with the answers."""

    TWICE = "twice"
    LATE = "late"
    UNKNOWN = "unknown"
    SHORT = "short"
    LONG = "long"
    SWAPPED = "swapped"
    ANOTHER = "another"
    SILENT = "silent"
    CLOSED = "closed"
    UNOPENED = "unopened"
    UNFINISHED = "unfinished"
    REOPENED = "reopened"


class Misbehaving:
    """Makes of each response what is sent on `channel`, messages or commands of GLINK; `closes`
    says that the channel is to be closed."""

    def __init__(self, kind: Misbehaviour, channel: str) -> None:
        self._kind, self._channel = kind, channel
        self._past: list[bytes] = []
        self._held: list[bytes] = []
        self._goes_to: dict[int, int] = {}  # contexts of calls under way, and which is answered
        self.closes = False

    def asked(self, message: bytes) -> None:
        """A call has come."""
        if len(message) == InvokeMessage.byte_size:
            context = InvokeMessage.unpack(message).context
            self._goes_to[context] = context

    def sent_for(self, response: bytes) -> list[bytes | Command]:
        """What is sent when a call is over."""
        self._past.append(response)
        answer = Response.unpack(response)
        target = self._goes_to.pop(answer.context, answer.context)
        if len(self._past) <= _WELL:
            return [response]
        if self._kind is Misbehaviour.ANOTHER and self._goes_to:
            last = next(reversed(self._goes_to))
            self._goes_to[last], target = target, self._goes_to[last]
        if self._kind is Misbehaviour.ANOTHER:
            return [Response(context=target, result=answer.result).pack()]
        if self._kind is Misbehaviour.CLOSED:
            self.closes = True
            return []
        return _SENT[self._kind](self, response)

    def _reopened(self, response: bytes) -> list[bytes | Command]:
        name = self._channel.encode("ascii") + b"\0"
        return [Command(Code.OPEN, _NUMBER, len(name), name), response]

    def _swapped(self, response: bytes) -> list[bytes | Command]:
        """Two answers change places; who is alone waits for the next."""
        self._held.append(response)
        if len(self._held) < 2:
            return []
        held, self._held = self._held, []
        return [*reversed(held)]


def _unknown(response: bytes) -> bytes:
    """An answer to a call that there is not."""
    answer = Response.unpack(response)
    return Response(context=answer.context | 1 << 20, result=answer.result).pack()


def _data(number: int, response: bytes, left: int = 0) -> Command:
    """A response as a command, on a channel by its number."""
    sizes = TransferSizes(chunk=len(response), left=left).pack()
    return Command(Code.DATA, number, 0, sizes + response)


_SENT: Mapping[Misbehaviour, Callable[[Misbehaving, bytes], list[bytes | Command]]] = {
    Misbehaviour.TWICE: lambda dsp, response: [response, response],
    Misbehaviour.LATE: lambda dsp, response: [dsp._past[-3], response],
    Misbehaviour.UNKNOWN: lambda dsp, response: [_unknown(response), response],
    Misbehaviour.SHORT: lambda dsp, response: [response[:7], response],
    Misbehaviour.LONG: lambda dsp, response: [response + b"\xff" * 64],
    Misbehaviour.SWAPPED: Misbehaving._swapped,
    Misbehaviour.SILENT: lambda dsp, response: [],
    Misbehaviour.UNOPENED: lambda dsp, response: [_data(_NOBODYS, response), response],
    Misbehaviour.UNFINISHED: lambda dsp, response: [_data(_NUMBER, response, left=16)],
    Misbehaviour.REOPENED: Misbehaving._reopened,
}
