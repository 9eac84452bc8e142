"""A session: an open file's connection to its protection domain, and the calls on it."""

from __future__ import annotations

import logging
from contextlib import ExitStack

from qda import limits
from qda.driver.banks import Attachment, ContextBank
from qda.driver.call import Call, Event, Key
from qda.driver.calls import Calls, Keeper, drop, heard
from qda.driver.lanes import Lanes, Memory
from qda.driver.memory import Client
from qda.driver.peer import Peer
from qda.errors import PROCESS_DIED
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import RESPONSE_MINIMUM
from qda.rpmsg import Channel, PeerGone

__all__ = ["Session"]

_log = logging.getLogger("qda.driver")
_SEND, _ANSWER = Event.SEND, Event.ANSWER


class Session:
    """Calls between one client id and one protection domain.

    `bank` is where message memory gets its addresses.  `tag` is the kind of protection domain that
    the context ids of its calls name (spec 2.8).  OSError ENODEV without a DSP, ENOMEM.
    """

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        bank: ContextBank,
        tag: ProtectionDomain = ProtectionDomain.ROOT,
    ) -> None:
        self.client_id = client_id
        self.tag = tag
        with ExitStack() as undo:
            self._peer = Peer(channel, client_id, kind, limits.LANES)
            undo.callback(self._peer.close)
            self._lanes = Lanes(bank, self._peer)
            undo.pop_all()
        self._calls = Calls(self._peer, self._lanes)

    def announce(self, attachment: Attachment) -> None:
        """Make sure that the protection domain knows memory that a message will name.

        OSError ENODEV; Died.
        """
        self._peer.announce(attachment)

    def refuse_if_dead(self) -> None:
        """Died, or OSError ENODEV, if no call can be answered any more."""
        self._peer.refuse_if_dead()

    # Calls.

    def call(self, key: Key | None = None) -> Keeper:
        """Begin a call: `with session.call(key) as call`.  `key` is None for the driver's own.

        OSError ENOSPC if there are too many, ENODEV; Died.
        """
        return Keeper(self._calls, Call(key))

    def resume(self, key: Key) -> Keeper | None:
        """Take up the interrupted call of the same thread with the same request (R24), if there
        is one: `with keeper as call`."""
        return self._calls.resume(key)

    def message(self, call: Call, size: int) -> Memory:
        """Zeroed message memory for the call, at least `size` bytes.  OSError ENOMEM, ENODEV."""
        return self._lanes.message(call, size)

    def send(self, call: Call, message: bytes) -> None:
        """Send the message of a call.  A failure shows in `wait`, like one a moment later."""
        assert call.lane is not None
        try:
            call.lane.endpoint.send_noted(message, call.departed)
        except PeerGone:
            self._peer.dead = True
        call.take(_SEND)

    def wait(self, call: Call, client: Client, timeout: float | None = None) -> int:
        """Wait for the response to a call; returns the call's result.

        Whatever breaks the wait off (a signal, Ctrl-C, the time) changes nothing: the call may be
        resumed, or is left with the session.  OSError ENODEV if the DSP is gone.
        """
        assert call.lane is not None
        try:
            while (result := heard(call)) is None:
                if client.wait(call.lane.endpoint, call.answer, timeout) < RESPONSE_MINIMUM:
                    drop(call, "a response that is too short")
        except PeerGone:
            call.take(Event.DEATH)
            return self._peer.gone(PROCESS_DIED)
        call.take(_ANSWER)
        return call.finish(result) if call.finish else result

    @property
    def calls(self) -> int:
        """Number of calls under way, abandoned ones included."""
        return len(self._calls)

    # The end.

    def close(self) -> None:
        """Destroy the session on the DSP and here.  Calls under way end with ENODEV.  Idempotent.

        A thread that does not end its call in time keeps its memory.
        """
        if not self._calls.close():
            return
        self._peer.disconnect()
        left = self._calls.drain(limits.PATIENCE)
        if left:
            _log.error("client %d: %d calls do not end", self.client_id, left)
            return
        self._lanes.close()
        self._peer.close()

    def disown(self) -> None:
        """In a forked child: close the parent's endpoints without ending the conversation."""
        self._peer.disown()
