"""A DSP attached to the guest: its edge of GLINK, and behind that the remote processor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from qda.dsp.boot import Boot
from qda.glink import Command, GlinkFault, What, Wire
from qda.glink import Edge as Protocol
from qda.kernel.board import CHANNEL, MESSAGE_RAM, Edge
from qda.kernel.doorbells import Doorbell
from qda.kernel.guest import Bus, GuestMemory
from qda.kernel.message_ram import fifos
from qda.kernel.misbehaviour import Misbehaving
from qda.kernel.remote import Remote
from qda.states import IllegalStep

__all__ = ["Attached", "Seen"]

_log = logging.getLogger("qda.kernel")

Seen = Callable[[str, Command, bool], None]
"""Called with a DSP's name, a command, and whether it has come from the guest."""


class Attached:
    """One DSP of the guest.  It announces its service when the kernel's end speaks.

    OSError, TimeoutError, PeerGone if the DSP does not come up.
    """

    def __init__(
        self,
        edge: Edge,
        doorbell: Doorbell,
        memory: GuestMemory,
        bus: Bus,
        seen: Seen | None = None,
        misbehaving: Misbehaving | None = None,
    ) -> None:
        self.name, self.doorbell = edge.dsp.name, doorbell
        self.fault: GlinkFault | None = None
        self._lock = threading.Lock()
        self._misbehaving = misbehaving
        reads, writes = fifos(memory.part(edge.message_ram, MESSAGE_RAM))
        self._wire = Wire(Protocol(), reads, writes, doorbell.ring, self._seen(seen))
        self._wire.edge.open(CHANNEL)
        boot = Boot(edge.dsp.name, dict(edge.dsp.capabilities))
        self._remote = Remote(boot, memory, bus, self._respond)

    def _seen(self, seen: Seen | None) -> Callable[[Command, bool], None]:
        if seen is None:
            return lambda command, come: None
        return lambda command, come: seen(self.name, command, come)

    def start(self) -> None:
        """Begin to speak: nobody has to be there yet."""
        with self._lock:
            self._wire.edge.start()
            self._wire.pump()

    def hear(self) -> None:
        """The guest has rung: take what it has said."""
        self.doorbell.hear()
        messages: list[bytes] = []
        with self._lock:
            if self.fault is None:
                messages = self._pump()
        for message in messages:
            self._remote.receive(message)

    def _pump(self) -> list[bytes]:
        try:
            events = self._wire.pump()
        except GlinkFault as fault:
            self.fault = fault
            _log.error("%s: %s", self.name, fault)
            return []
        return [
            event.data
            for event in events
            if event.what is What.MESSAGE and event.channel == CHANNEL
        ]

    def _respond(self, response: bytes) -> None:
        """Send a response; nothing if the kernel's end is not there any more."""
        with self._lock, suppress(IllegalStep):
            if self.fault is None and self._wire.edge.passes(CHANNEL):
                for message in self._sent_for(response):
                    self._wire.edge.send(CHANNEL, message)
                for message in self._pump():
                    self._remote.receive(message)

    def _sent_for(self, response: bytes) -> list[bytes]:
        if self._misbehaving is None:
            return [response]
        messages = self._misbehaving.sent_for(response)
        if self._misbehaving.closes:
            self._wire.edge.close(CHANNEL)
        return messages

    def close(self) -> None:
        """End the DSP."""
        self._remote.close()
