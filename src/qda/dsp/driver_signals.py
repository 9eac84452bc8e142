"""The DSP's end of a driver's signals, for queues (spec/dspqueue.md).

A host whose driver has signals makes no calls for its queues: it sends a signal, and waits for one.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from qda import limits
from qda.core import QueueHub
from qda.fastrpc.queue import SIGNAL_MESSAGE
from qda.rpmsg import Endpoint, PeerGone

__all__ = ["DriverSignals"]

_REQUEST_ROOM, _RESPONSE = 1, 2  # of the four signals of a slot, those that the DSP sends


class DriverSignals:
    """The signals of a session.  Thread-safe."""

    def __init__(self, endpoint: Endpoint, client_id: int) -> None:
        self._endpoint, self._client_id = endpoint, client_id
        self._hubs: set[QueueHub] = set()
        threading.Thread(target=self._listen, daemon=True, name="qda signals").start()

    def serve(self, hub: QueueHub, counters: memoryview) -> None:
        """Carry the signals of a hub's queues, whose counters lie there, until it ends."""
        if hub not in self._hubs:
            self._hubs.add(hub)
            arguments = hub, counters
            threading.Thread(target=self._tell, args=arguments, daemon=True).start()

    def _listen(self) -> None:
        with suppress(PeerGone):
            while self._endpoint.receive():
                for hub in list(self._hubs):
                    hub.look()
        self._endpoint.close()

    def _tell(self, hub: QueueHub, counters: memoryview) -> None:
        """Send the signals of what has changed.  To send one too many does no harm: each means that
        one should look."""
        words = counters.cast("I")
        seen = [0] * len(words)
        with suppress(PeerGone):
            while hub.listen():
                now = words.tolist()
                for slot in range(limits.QUEUES):
                    for signal in (_REQUEST_ROOM, _RESPONSE):
                        at = signal * limits.QUEUES + slot
                        if now[at] != seen[at]:
                            message = SIGNAL_MESSAGE.pack(4 * slot + signal, self._client_id)
                            self._endpoint.send(message)
                seen = now
        self._hubs.discard(hub)

    def close(self) -> None:
        """The session ends."""
        self._endpoint.shutdown()
