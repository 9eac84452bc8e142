"""A DSP that does what a driver has to bear: answers that are not the answer, or none.

The first calls are answered as they should be, so that a session is under way; from then on each
answer has something wrong, of the kind that was asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from qda.fastrpc.message import Response

__all__ = ["Misbehaving", "Misbehaviour"]

_WELL = 12
"""So many calls are answered as they should be: enough to open a session and a module."""


class Misbehaviour(enum.StrEnum):
    """What is wrong with the answers."""

    TWICE = "twice"
    LATE = "late"
    UNKNOWN = "unknown"
    SHORT = "short"
    LONG = "long"
    SWAPPED = "swapped"
    SILENT = "silent"
    CLOSED = "closed"


class Misbehaving:
    """Makes of each response what is sent; `closes` says that the channel is to be closed."""

    def __init__(self, kind: Misbehaviour) -> None:
        self._kind = kind
        self._past: list[bytes] = []
        self._held: list[bytes] = []
        self.closes = False

    def sent_for(self, response: bytes) -> list[bytes]:
        """What is sent when a call is over."""
        self._past.append(response)
        if len(self._past) <= _WELL:
            return [response]
        if self._kind is Misbehaviour.CLOSED:
            self.closes = True
            return []
        return _SENT[self._kind](self, response)

    def _swapped(self, response: bytes) -> list[bytes]:
        """Two answers change places; who is alone waits for the next."""
        self._held.append(response)
        if len(self._held) < 2:
            return []
        held, self._held = self._held, []
        return held[::-1]


def _unknown(response: bytes) -> bytes:
    """An answer to a call that there is not."""
    answer = Response.unpack(response)
    return Response(context=answer.context | 1 << 20, result=answer.result).pack()


_SENT: Mapping[Misbehaviour, Callable[[Misbehaving, bytes], list[bytes]]] = {
    Misbehaviour.TWICE: lambda dsp, response: [response, response],
    Misbehaviour.LATE: lambda dsp, response: [dsp._past[-3], response],
    Misbehaviour.UNKNOWN: lambda dsp, response: [_unknown(response), response],
    Misbehaviour.SHORT: lambda dsp, response: [response[:7], response],
    Misbehaviour.LONG: lambda dsp, response: [response + b"\xff" * 64],
    Misbehaviour.SWAPPED: Misbehaving._swapped,
    Misbehaviour.SILENT: lambda dsp, response: [],
}
