"""Notes of the calls of one session: the core's own from its ring, the driver's from a watcher."""

from __future__ import annotations

import collections
from typing import Self

from qda import limits
from qda.core import Traced
from qda.core.ring import Ring
from qda.driver.watching import Crossing, watch, watching
from qda.fastrpc.domains import DOMAINS
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.obituary import Obituary
from qda.fastrpc.scalars import Scalars

__all__ = ["Notes"]


class Notes:
    """Notes the calls of a session with the client id `client_id` on `device` while a block runs.

    `records` has them afterwards, in the order in which they have begun; those that the driver has
    made do not say how many bytes they had.
    """

    def __init__(self, device: str, client_id: int) -> None:
        self._device, self._client_id = device, client_id
        self._ring = Ring()
        self._crossings: collections.deque[Crossing] = collections.deque(
            maxlen=limits.TRACED_EVENTS
        )
        self.records: list[Traced] = []

    def __enter__(self) -> Self:
        watch(self)
        self._ring.begin()
        return self

    def __exit__(self, *_: object) -> None:
        if watching() is not self:
            return  # in a forked child, which has notes of its own if any
        self._ring.end()
        watch(None)
        own = DOMAINS.index(self._device), self._client_id
        found = [one for one in self._ring.records() if (one.domain, one.client_id) == own]
        found += map(_record, list(self._crossings))  # a thread may still be telling
        self.records = sorted(found, key=lambda one: one.begun)

    # A `Watcher`.

    def sent(self, crossing: Crossing) -> None:
        """See `Watcher.sent`."""

    def answered(self, crossing: Crossing) -> None:
        """See `Watcher.answered`."""
        client_id = InvokeMessage.unpack(crossing.message).client_id
        if (crossing.device, client_id) == (self._device, self._client_id):
            self._crossings.append(crossing)

    def died(self, device: str, process: int, words: Obituary) -> None:
        """See `Watcher.died`."""

    def asked(
        self, path: str, code: int, before: bytes, after: bytes, result: int, time: int
    ) -> None:
        """See `Watcher.asked`."""


def _record(crossing: Crossing) -> Traced:
    sent = InvokeMessage.unpack(crossing.message)
    begun, ended, process, thread = crossing.times
    return Traced(
        begun=crossing.begun,
        sent=crossing.sent,
        answered=crossing.answered,
        ended=crossing.ended,
        method_begun=begun,
        method_ended=ended,
        dsp_process=process,
        dsp_thread=thread,
        handle=sent.handle,
        scalars=sent.scalars,
        number=Scalars.decode(sent.scalars).method,
        result=crossing.result,
        thread=sent.tid,
        client_id=sent.client_id,
        domain=DOMAINS.index(crossing.device),
    )
