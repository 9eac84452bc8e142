"""A DSP attached to the guest: its edge of GLINK, and behind that the remote processor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from qda.dsp.boot import Boot
from qda.glink import Code, Command, GlinkFault, What, Wire
from qda.glink import Edge as Protocol
from qda.kernel.board import CHANNEL, MESSAGE_RAM, Edge
from qda.kernel.doorbells import Doorbell
from qda.kernel.guest import Bus, GuestMemory
from qda.kernel.message_ram import fifos
from qda.kernel.misbehaviour import Misbehaving
from qda.kernel.remote import Remote
from qda.rpmsg import PeerGone
from qda.states import IllegalStep

__all__ = ["Attached", "Seen"]

_log = logging.getLogger("qda.kernel")

Seen = Callable[[str, Command, bool], None]
"""Called with a DSP's name, a command, and whether it has come from the guest."""


class Attached:
    """One DSP of the guest.  It announces its service when the kernel's end speaks.

    A DSP that dies is started again, as a Snapdragon restarts it: its channel closes, which the
    kernel's driver takes for its removal, and opens when both ends have closed it.
    `heard` is called when the guest has rung, before anything else.

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
        self.heard: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._told = threading.Condition(self._lock)
        self._ending = False
        self._restarts: list[threading.Thread] = []
        self._misbehaving = misbehaving
        reads, writes = fifos(memory.part(edge.message_ram, MESSAGE_RAM))
        self._wire = Wire(Protocol(), reads, writes, doorbell.ring, self._seen(seen))
        self._wire.edge.open(CHANNEL)
        boot = Boot(edge.dsp.name, dict(edge.dsp.capabilities))
        self._new = partial(Remote, boot, memory, bus, self._respond, self._died)
        self._remote = self._new()

    def _seen(self, seen: Seen | None) -> Callable[[Command, bool], None]:
        if seen is None:
            return lambda command, come: None
        return lambda command, come: seen(self.name, command, come)

    def start(self) -> None:
        """Begin to speak: nobody has to be there yet."""
        with self._lock:
            self._wire.edge.start()
            self._wire.pump()

    @property
    def sessions(self) -> list[int]:
        """See `Remote.sessions`."""
        return self._remote.sessions

    def ask_for_ring(self) -> None:
        """Have the guest ring, as one does who waits for room: so doorbells are timed."""
        with self._lock:
            self._wire.edge.outgoing.append(Command(Code.READ_NOTIFICATION))
            self._pump()

    def hear(self) -> None:
        """The guest has rung: take what it has said."""
        self.heard()
        self.doorbell.hear()
        messages: list[bytes] = []
        with self._lock:
            if self.fault is None:
                messages = self._pump()
            self._told.notify_all()
        for message in messages:
            self._remote.receive(message)

    def _pump(self) -> list[bytes]:
        try:
            events = self._wire.pump()
        except GlinkFault as fault:
            self.fault = fault
            _log.error("%s: %s", self.name, fault)
            return []
        messages = [
            event.data
            for event in events
            if event.what is What.MESSAGE and event.channel == CHANNEL
        ]
        if self._misbehaving is not None:
            for message in messages:
                self._misbehaving.asked(message)
        return messages

    def _respond(self, response: bytes) -> None:
        """Send a response; nothing if the kernel's end is not there any more."""
        with self._lock, suppress(IllegalStep):
            if self.fault is None and self._wire.edge.passes(CHANNEL):
                for message in self._sent_for(response):
                    if isinstance(message, Command):
                        self._wire.edge.outgoing.append(message)
                    else:
                        self._wire.edge.send(CHANNEL, message)
                for message in self._pump():
                    self._remote.receive(message)

    def _sent_for(self, response: bytes) -> Sequence[bytes | Command]:
        if self._misbehaving is None:
            return [response]
        messages = self._misbehaving.sent_for(response)
        if self._misbehaving.closes:
            self._wire.edge.close(CHANNEL)
        return messages

    def _died(self) -> None:
        with self._lock:
            if not self._ending:
                self._restarts = [threading.Thread(target=self._restart, name="qda restart")]
                self._restarts[0].start()

    def _restart(self) -> None:
        edge = self._wire.edge
        with self._lock, suppress(IllegalStep):  # it is closed already
            edge.close(CHANNEL)
            self._pump()
        self._remote.close()  # no answer of the old one comes on the new channel
        with self._lock:
            self._told.wait_for(lambda: edge.is_closed(CHANNEL) or self.fault or self._ending)
            if self._ending or self.fault:
                return
        try:
            remote = self._new()
        except (OSError, PeerGone):
            _log.exception("%s does not start again", self.name)
            return
        with self._lock:
            self._remote = remote
            edge.open(CHANNEL)
            self._pump()

    def close(self) -> None:
        """End the DSP."""
        with self._lock:
            self._ending = True
            self._told.notify_all()
        for thread in self._restarts:
            thread.join()
        self._remote.close()
