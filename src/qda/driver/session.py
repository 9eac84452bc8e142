"""A session: an open file's connection to its protection domain, and the calls under way on it.

A call owns a lane, which is an endpoint and the message buffer that goes with it, and a context
index, from sending to answer.  A call whose caller went away keeps both until the DSP answers or
dies, so that nothing that the DSP still works on is ever given to another call (H16).
"""

from __future__ import annotations

import errno
import logging
import mmap
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from qda.driver.memory import Client
from qda.driver.objects import Attachment, BufferObject, ContextBank
from qda.errors import BAD_STATE, PROCESS_DIED, as_signed
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import CONTEXT_NUMBERS, RESPONSE_MINIMUM, Response
from qda.linux import address_of
from qda.memory import align
from qda.rpmsg import Channel, Endpoint, PeerGone
from qda.rpmsg.channel import Link

__all__ = ["Call", "Died", "Lane", "Memory", "Session"]

_log = logging.getLogger("qda.driver")
_response = Response.codec

SLOT = 64 << 10
"""Message memory of a lane in bytes; longer messages get memory of their own."""
KEEP = 8 << 20
"""Own message memory up to this size stays with the lane for the next call."""
FIRST_LANES = 4


class Died(Exception):
    """The protection domain has died; `result` is that of the call which finds this out."""

    def __init__(self, result: int) -> None:
        super().__init__(f"the protection domain has died: {result}")
        self.result = result


class Mapped:
    """Shared memory that the driver has mapped: message buffers."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)
        self.address = address_of(self._map)

    def close(self) -> None:
        """Unmap.  Nobody may use the memory any more."""
        self.view.release()
        self._map.close()


@dataclass(slots=True)
class Memory:
    """A message buffer: mapped memory with its addresses in this process and on the bus."""

    view: memoryview
    process_address: int
    device_address: int
    size: int
    owned: tuple[Mapped, Attachment] | None = None


@dataclass(eq=False, slots=True)
class Lane:
    """An endpoint with its message memory: a slot of the session's pool, and at times its own."""

    endpoint: Endpoint
    slot: Memory
    own: Memory | None = None


@dataclass(eq=False, slots=True)
class Call:
    """A call under way: its lane, context id, and the attachments that it keeps in place.

    `key` identifies the caller's request, by which an interrupted call is found again (R24);
    `finish` copies the results back.  Once it is `sent` it belongs to the DSP until `answer` has
    its response, whatever becomes of the caller.
    """

    index: int
    lane: Lane | None = None
    sent: bool = False
    answer: bytearray = field(default_factory=lambda: bytearray(64))
    context: int = 0
    attachments: list[Attachment] = field(default_factory=list)
    key: tuple[int, ...] = ()
    finish: Callable[[int], int] | None = None


class Session:
    """Calls between one client id and one protection domain.

    `bank` is where message buffers get their addresses.  Errors: OSError ENODEV once the DSP is
    gone, ENOSPC when 255 calls are under way, ENOMEM; `Died`.  `put` gives up an object's last use.
    `tag` is the kind of protection domain that the context ids of its calls name (spec 2.8).
    """

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        bank: ContextBank,
        put: Callable[[BufferObject], None],
        tag: ProtectionDomain = ProtectionDomain.ROOT,
    ) -> None:
        self.client_id = client_id
        self.kind = kind
        self.tag = tag
        self._channel = channel
        self._bank = bank
        self._put = put
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._announcing = threading.Lock()
        self._active: dict[int, Call] = {}
        self._abandoned: set[Call] = set()
        self._announced: set[Attachment] = set()
        self._interrupted: dict[tuple[int, ...], Call] = {}
        self._last_index = 0
        self._died = False
        self._closed = False
        self._link: Link | None = None
        self._free: list[Lane] = []
        with ExitStack() as undo:
            self._pool, self._pool_attachment = self._create_pool(undo)
            try:
                link = self._link = channel.connect(client_id, kind, FIRST_LANES)
                undo.callback(link.close)
                undo.callback(self._disconnect)
                self.announce(self._pool_attachment)
            except PeerGone as error:
                raise OSError(errno.ENODEV, "the DSP is gone") from error
            self._free = [self._lane(link, endpoint) for endpoint in link.endpoints]
            undo.pop_all()

    def _create_pool(self, undo: ExitStack) -> tuple[Mapped, Attachment]:
        buffer = BufferObject.create(SLOT * len(CONTEXT_NUMBERS))
        try:
            attachment = self._bank.attach(buffer)
        finally:
            buffer.put()
        undo.callback(self.detach, attachment)
        pool = Mapped(buffer.descriptor, buffer.size)
        undo.callback(pool.close)
        return pool, attachment

    # Memory that the protection domain may see.

    def announce(self, attachment: Attachment) -> None:
        """Make sure that the protection domain knows the memory.  OSError, Died.

        Announcing again what it knows already does no harm, should a first time be broken off.
        """
        if attachment in self._announced:
            return
        with self._announcing:
            if attachment not in self._announced:
                buffer = attachment.buffer
                self._frame(
                    lambda link: link.announce(attachment.address, buffer.size, buffer.descriptor)
                )
                self._announced.add(attachment)

    def withdraw(self, attachment: Attachment) -> None:
        """Take memory away from the protection domain; nothing to do if it is dead."""
        if attachment in self._announced:
            self._announced.discard(attachment)
            if not self._died:
                try:
                    self._frame(lambda link: link.withdraw(attachment.address))
                except (OSError, Died) as error:
                    _log.debug("withdraw %#x: %s", attachment.address, error)

    def _frame(self, send: Callable[[Link], None]) -> None:
        link = self._link
        if link is None:
            raise OSError(errno.ENODEV, "the session is closed")
        try:
            send(link)
        except PeerGone as error:
            raise Died(self._gone(as_signed(BAD_STATE))) from error

    # Calls.

    def resume(self, key: tuple[int, ...]) -> Call | None:
        """The interrupted call of the same thread with the same arguments, if there is one."""
        if not self._interrupted:
            return None
        with self._lock:
            return self._interrupted.pop(key, None)

    def begin(self, key: tuple[int, ...], begun: list[Call]) -> Call:
        """Reserve a lane and a context index.  `key` begins with the caller's thread id.

        The call is put into `begun` as soon as it exists, so that the caller can `leave` it
        whenever a signal handler raises.  OSError ENOSPC, ENODEV; Died.
        """
        if self._abandoned or self._interrupted:
            self._collect(key)
        with self._lock:
            if self._closed:
                raise OSError(errno.ENODEV, "the session is closed")
            call = Call(self._next_index(), key=key)
            begun.append(call)
            self._active[call.index] = call
            if self._free:
                call.lane = self._free.pop()
        if call.lane is None:
            call.lane = self._new_lane()
        return call

    def leave(self, call: Call) -> None:
        """Give up a call that did not come to its end.  If it was sent, it stays with the session
        until the DSP has answered (H16)."""
        with self._lock:
            if self._active.get(call.index) is not call:
                return
            keep = call.sent and not self._died
            if keep:
                self._abandoned.add(call)
        if not keep:
            self.end(call)

    def interrupted(self, call: Call) -> None:
        """Keep a call to which its caller will come back with the same request (R24)."""
        with self._lock:
            self._interrupted[call.key] = call

    def _collect(self, key: tuple[int, ...]) -> None:
        """End abandoned calls that the DSP has answered by now.  A thread that goes on to another
        call will not come back to the one in which it was interrupted."""
        with self._lock:
            for other in [other for other in self._interrupted if other[:1] == key[:1]]:
                self._abandoned.add(self._interrupted.pop(other))
            answered = [call for call in self._abandoned if self._is_answered(call)]
            self._abandoned.difference_update(answered)
        for call in answered:
            self.end(call)

    def _is_answered(self, call: Call) -> bool:
        assert call.lane is not None
        try:
            while self._result(call) is None:
                if call.lane.endpoint.receive_into(call.answer, 0) < RESPONSE_MINIMUM:
                    _drop(call, "a response that is too short")
        except TimeoutError:
            return False
        except PeerGone:
            pass
        return True

    def _next_index(self) -> int:
        for _ in CONTEXT_NUMBERS:
            self._last_index = self._last_index % CONTEXT_NUMBERS[-1] + 1
            if self._last_index not in self._active:
                return self._last_index
        raise OSError(errno.ENOSPC, f"{len(CONTEXT_NUMBERS)} calls are under way on the session")

    def _new_lane(self) -> Lane:
        link = self._link
        if link is None:
            raise OSError(errno.ENODEV, "the session is closed")
        try:
            return self._lane(link, link.add_endpoint())
        except PeerGone as error:
            raise Died(self._gone(as_signed(BAD_STATE))) from error

    def _lane(self, link: Link, endpoint: Endpoint) -> Lane:
        start = SLOT * link.endpoints.index(endpoint)
        slot = Memory(
            self._pool.view[start : start + SLOT],
            self._pool.address + start,
            self._pool_attachment.address + start,
            SLOT,
        )
        return Lane(endpoint, slot)

    def message(self, call: Call, size: int) -> Memory:
        """Zeroed message memory for the call, at least `size` bytes.  OSError ENOMEM, ENODEV."""
        lane = call.lane
        assert lane is not None
        memory = lane.slot
        if size > SLOT:
            if lane.own is None or lane.own.size < size:
                self._drop_own(lane)
                lane.own = self._allocate(align(size, 1 << 20))
            memory = lane.own
        memory.view[:size] = bytes(size)
        return memory

    def _allocate(self, size: int) -> Memory:
        buffer = BufferObject.create(size)
        try:
            attachment = self._bank.attach(buffer)
        finally:
            buffer.put()
        try:
            mapped = Mapped(attachment.buffer.descriptor, size)
            self.announce(attachment)
        except BaseException:
            self.detach(attachment)
            raise
        return Memory(mapped.view, mapped.address, attachment.address, size, (mapped, attachment))

    def _drop_own(self, lane: Lane) -> None:
        if lane.own is not None and lane.own.owned is not None:
            mapped, attachment = lane.own.owned
            lane.own = None
            mapped.close()
            self.detach(attachment)

    def detach(self, attachment: Attachment) -> None:
        """Give up one use of an attachment; the last one takes the memory away from the DSP."""
        attachment.bank.detach(attachment, self.withdraw, self._put)

    def send(self, call: Call, message: bytes) -> None:
        """Send the message of a call.  A failure shows in `wait`, like one a moment later."""
        assert call.lane is not None
        call.sent = True
        try:
            call.lane.endpoint.send(message)
        except PeerGone:
            self._died = True

    def wait(self, call: Call, client: Client, timeout: float | None = None) -> int:
        """Wait for the answer and give back the lane; returns the call's result.

        Whatever breaks the wait off (a signal, Ctrl-C, the time) changes nothing: the wait may be
        taken up again, or the call given up by `leave`.  OSError ENODEV if the DSP is gone.
        """
        assert call.lane is not None
        try:
            while (result := self._result(call)) is None:
                if client.wait(call.lane.endpoint, call.answer, timeout) < RESPONSE_MINIMUM:
                    _drop(call, "a response that is too short")
            call.sent = False
            return call.finish(result) if call.finish else result
        except PeerGone:
            return self._gone(PROCESS_DIED)
        finally:
            if not call.sent or self._died:
                self.end(call)

    def _result(self, call: Call) -> int | None:
        """The result of a call whose answer has come; other responses are dropped (H15)."""
        context, result = _response.unpack_from(call.answer)
        if context == call.context:
            return int(result)
        if context:
            _drop(call, f"a response to context {context:#x}")
        return None

    def _gone(self, status: int) -> int:
        self._died = True
        if self._closed or self.kind is not ProtectionDomain.USER or not self._channel.alive:
            raise OSError(errno.ENODEV, "the DSP is gone")
        return status

    def refuse_if_dead(self) -> None:
        """Died, or OSError ENODEV, if no call can be answered any more."""
        if self._died:
            raise Died(self._gone(as_signed(BAD_STATE)))

    def end(self, call: Call) -> None:
        """Give back what a call has reserved; nothing if that has been done."""
        if self._active.get(call.index) is not call:
            return
        while call.attachments:
            self.detach(call.attachments.pop())
        lane = call.lane
        if lane is not None and lane.own is not None and lane.own.size > KEEP:
            self._drop_own(lane)
        with self._lock:
            if lane is not None:
                self._free.append(lane)
            del self._active[call.index]
            if self._closed:
                self._idle.notify_all()

    # The end.

    @property
    def calls(self) -> int:
        """Number of calls under way, abandoned ones included."""
        return len(self._active)

    def close(self, patience: float = 10.0) -> None:
        """Destroy the session on the DSP and here.  Calls under way end with ENODEV."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        link = self._link
        self._disconnect()
        with self._lock:
            left = [*self._abandoned, *self._interrupted.values()]
            self._abandoned, self._interrupted = set(), {}
        for call in left:
            self.end(call)
        with self._lock:
            if not self._idle.wait_for(lambda: not self._active, patience):
                _log.error("client %d: %d calls do not end", self.client_id, len(self._active))
                return
        for lane in self._free:
            self._drop_own(lane)
            lane.slot.view.release()
        self._pool.close()
        self.detach(self._pool_attachment)
        if link is not None:
            link.close()

    def _disconnect(self) -> None:
        """Destroy the session on the DSP, and wake whoever waits for it."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            self._channel.disconnect(self.client_id)
        except OSError as error:
            _log.debug("disconnect of client %d: %s", self.client_id, error)
        self._died = True
        for endpoint in list(link.endpoints):
            endpoint.shutdown()

    def disown(self) -> None:
        """In a forked child: close the parent's endpoints without ending the conversation."""
        if self._link is not None:
            self._link.disown()


def _drop(call: Call, what: str) -> None:
    _log.warning("dropped %s: context %#x is awaited", what, call.context)
    call.answer[:] = bytes(len(call.answer))
