"""A session: an open file's connection to its protection domain, and the calls on it."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from time import monotonic_ns

from qda import limits
from qda.core import POOL_SIZE, Port
from qda.driver.banks import Attachment, ContextBank
from qda.driver.call import Call, Event, Key
from qda.driver.calls import Calls, Keeper, heard
from qda.driver.lanes import Block, Lanes, Memory
from qda.driver.leases import Leases, Terms
from qda.driver.memory import Client
from qda.driver.peer import Peer
from qda.driver.sharing import Uses
from qda.driver.watching import Crossing, watching
from qda.errors import PROCESS_DIED
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import CallForm, ContextId, InvokeMessage
from qda.interrupts import Deadline, Section, deadline
from qda.rpmsg import Channel, PeerGone, PoolMemory

__all__ = ["Session"]


class _Named:
    """An object that the core knows by name: it holds it."""

    def __init__(self, attachment: Attachment) -> None:
        self._uses = Uses()
        with attachment.lock:
            self._uses.hold(attachment)

    def __del__(self) -> None:
        with Section(later=True):
            self._uses.release()


_log = logging.getLogger("qda.driver")
_SEND, _ANSWER = Event.SEND, Event.ANSWER


class Session:
    """Calls between one client id and one protection domain.

    `bank` is where message memory gets its addresses.  `tag` is the kind of protection domain that
    the context ids of its calls name (spec 2.8), with the form of the calls above it; `name` is
    that of a static process.  `is_private` says that nobody else has sessions with the process.
    OSError ENODEV without a DSP, ENOMEM.
    `leases` has the lanes that programs call on by themselves.
    """

    lends = True
    """Whether there may be calls of which it knows nothing."""

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        bank: ContextBank,
        tag: int = ProtectionDomain.ROOT,
        name: bytes = b"",
    ) -> None:
        self.client_id = client_id
        self.device = channel.name
        self.kind = kind
        self.is_private = kind is ProtectionDomain.USER and not name
        self._tag, self.form = ProtectionDomain(tag & 0xFF), CallForm(tag & ~0xFF)
        with ExitStack() as undo:
            block = Block(POOL_SIZE, bank)
            undo.callback(block.close)
            memory = block.memory
            places = PoolMemory(block.descriptor, memory.process_address, memory.device_address)
            self.peer = Peer(channel, client_id, kind, tag, places, name)
            undo.callback(self.peer.close)
            block.show(self.peer)
            self.pool = self.peer.pool
            self._lanes = Lanes(bank, self.peer, block)
            undo.pop_all()
        terms = Terms(block.descriptor, memory.device_address, client_id, tag, self.peer.patience)
        self.leases = Leases(self.peer, self._lanes, terms)
        self._calls = Calls(self.peer, self._lanes, self.leases)

    def announce(self, attachment: Attachment) -> None:
        """Make sure that the protection domain knows memory that a message will name.

        OSError ENODEV; Died.
        """
        self.peer.announce(attachment)

    def refuse_if_dead(self) -> None:
        """Died, or OSError ENODEV, if no call can be answered any more."""
        self.peer.refuse_if_dead()

    def name(self, number: int, attachment: Attachment) -> None:
        """Let the core find an object by a handle, which does not name one for it yet."""
        buffer = attachment.buffer
        major, minor, inode = buffer.identity
        with Section():
            owner = _Named(attachment)
            self.pool.add(number, attachment.address, buffer.size, inode, major, minor, owner)

    # Calls.

    def poll(self, microseconds: int) -> None:
        """Look for so long before sleeping, in calls of opened modules; 0: as long as in others.
        Concerns calls that begin later."""
        self.pool.poll(microseconds)
        self.leases.poll(microseconds)

    def invoke(self, port: Port, request: bytearray) -> int | None:
        """Carry out a call of this thread in the core, with no more than that; returns its result.

        None if it has to go the long way, and nothing was sent.  OSError ENODEV, EFAULT; Died.
        """
        loose, dead = self._calls.untidy
        if loose or dead:
            self._calls.tidy(threading.get_native_id())
        result = self.pool.invoke(port, request)
        return self.peer.gone(PROCESS_DIED) if result is False else result

    def call(self, key: Key | None = None) -> Keeper:
        """Begin a call: `with session.call(key) as call`.  `key` is None for the driver's own.

        OSError ENOSPC if there are too many, ENODEV; Died.
        """
        call = Call(key)
        if watching() is not None:
            call.crossing = Crossing(self.device, monotonic_ns())
        return Keeper(self._calls, call)

    def resume(self, key: Key) -> Keeper | None:
        """Take up the interrupted call of the same thread with the same request (R24), if there
        is one: `with keeper as call`."""
        return self._calls.resume(key)

    def message(self, call: Call, size: int) -> Memory:
        """Zeroed message memory for the call, at least `size` bytes.  OSError ENOMEM, ENODEV."""
        return self._lanes.message(call, size)

    def context_of(self, call: Call, domain: ProtectionDomain | None = None) -> int:
        """The context word of a call that has a lane; `domain` is the kind that it names, if that
        is not the session's."""
        assert call.lane is not None
        sequence = call.lane.sent + 1 if CallForm.NUMBERED in self.form else None
        return ContextId(call.number, domain or self._tag, sequence).word

    def send(self, call: Call, message: bytes) -> None:
        """Send the message of a call.  A failure shows in `wait`, like one a moment later."""
        assert call.lane is not None
        if (watcher := watching()) is not None:
            watcher.sent(self._crossing(call, message))
        call.lane.send(message)
        call.take(_SEND)

    def _crossing(self, call: Call, message: bytes) -> Crossing:
        """What is kept of a call whose message is about to leave."""
        assert call.lane is not None
        crossing = call.crossing = call.crossing or Crossing(self.device, monotonic_ns())
        sent = InvokeMessage.unpack(message)
        memory = call.lane.memory_at(sent.address)
        crossing.leaves(message, memory.device_address, memory.view, sent.size)
        return crossing

    def wait(self, call: Call, client: Client, within: Deadline | None = None) -> int:
        """Wait for the response to a call; returns the call's result.

        Whatever breaks the wait off (a signal, Ctrl-C, the time) changes nothing: the call may be
        resumed, or is left with the session.  OSError ENODEV if the DSP is gone.
        """
        assert call.lane is not None
        try:
            client.wait(call.lane, within)
        except PeerGone:
            call.take(Event.DEATH)
            result = self.peer.gone(PROCESS_DIED)
            if call.crossing is not None:
                call.crossing.dies()
                _tell(call.crossing, client, result)
            return result
        result = heard(call)
        call.take(_ANSWER)
        if call.crossing is not None:
            return self._finish_watched(call, call.crossing, client, result)
        return call.finish(result) if call.finish else result

    def _finish_watched(self, call: Call, crossing: Crossing, client: Client, result: int) -> int:
        """Give the results to the caller, and tell who watches."""
        assert call.lane is not None
        memory = call.lane.memory_at(crossing.address)
        crossing.comes_back(memory.view, call.lane.times())
        try:
            return call.finish(result) if call.finish else result
        finally:
            _tell(crossing, client, result)

    @property
    def calls(self) -> int:
        """Number of calls under way, abandoned ones included."""
        return len(self._calls) + self.pool.calls + self.leases.calls

    def tidy(self) -> None:
        """End the calls that nobody waits for and the DSP has answered, as the next call would."""
        self._calls.tidy()

    # The end.

    def close(self) -> None:
        """Destroy the session on the DSP and here.  Calls under way end with ENODEV.  Idempotent.

        A thread that does not end its call in time keeps its memory.
        """
        with Section(ends=True):
            if self._calls.close():
                self._close()

    def _close(self) -> None:
        idle = threading.Event()
        if self.pool.close(idle.set):
            idle.set()
        self.peer.disconnect()
        self.leases.close()
        left = self._calls.drain()
        if not deadline(limits.GRACE).until(idle.wait):
            left += self.pool.calls
        if left:
            _log.error("client %d: %d calls do not end", self.client_id, left)
            return
        self._lanes.close()
        self.peer.close()

    def disown(self) -> None:
        """In a forked child: close the parent's endpoints without ending the conversation, and its
        memory."""
        self.peer.disown()
        self._lanes.disown()


def _tell(crossing: Crossing, client: Client, result: int) -> None:
    """Tell who watches that a call has ended."""
    crossing.process, crossing.result = client.pid or crossing.process, result
    crossing.ended = monotonic_ns()
    if (watcher := watching()) is not None:
        watcher.answered(crossing)
