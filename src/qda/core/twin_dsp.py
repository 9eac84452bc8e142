"""The DSP's side of the core in Python; see `qda.core.twin`, which has the driver's."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from qda.core.layout import Arguments, Handle, Side, Woken
from qda.core.side import Waiter, Words
from qda.core.space import Space
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, NO_SUCH_CLIENT
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import POLL_WORD, POLLED, WireArgument, decode, metadata_size
from qda.fastrpc.scalars import Scalars

__all__ = ["Method", "Server", "Space"]

_response = Response.codec


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


Method = Callable[[int, int, int, Arguments], int]


class Server:
    """Serves the lane whose words lie at `address`.

    `client_id` is bound to the lane: what a message says of it must be the same.  `driver` says
    that handle 1 may come on it, `polled` that messages have a poll word.
    """

    def __init__(
        self,
        space: Space,
        address: int,
        sleep: int,
        wake: int,
        client_id: int,
        driver: bool,
        patience: int,
        polled: bool,
    ) -> None:
        self._space = space
        words = Words(address + Side.byte_size), Words(address)
        self._waiter = Waiter(*words, sleep, wake)
        self._client_id, self._driver = client_id, driver
        self._polled, self._poll_word = polled, memoryview(b"")
        self._number, self._context = 0, 0
        self._answered = True
        self._running, self._watched = False, False
        self._begun = 0
        self._tid, self._noted = 0, False

    def serve(
        self, method: Method, over: Callable[[int, int], None], ended: Callable[[], None]
    ) -> None:
        """Serve calls until nobody can ring any more.

        Those that are not for a module in C go to method(handle, scalars, tid, arguments), which
        returns the result, signed; `arguments` is a status, an int, if they could not be found.
        Before the answer of one that has failed, or is noted, over(tid, result) is called.
        """
        while self._waiter.wait(self._number + 1, None) is Woken.RUNG:
            self._number += 1
            self._begun = monotonic_ns() if self._waiter.other.timed else 0
            self._running, self._answered, self._noted = True, False, False
            message = InvokeMessage.unpack(bytes(self._waiter.other.record))
            self._context, self._tid = message.context, message.tid
            pinned: list[object] = []
            arguments: Arguments
            try:
                arguments = self._arguments(message, pinned)
            except _Refused as refused:
                arguments = refused.status
            result = method(message.handle, message.scalars, message.tid, arguments)
            if result or self._noted:
                over(message.tid, result)
            self.answer(result)
            self._poll_word = memoryview(b"")
            del arguments, pinned  # the call is over: what was withdrawn meanwhile may go
            self._running = False
            if self._watched:
                ended()

    def answer(self, result: int) -> None:
        """Answer the call under way; nothing if it is answered."""
        if not self._answered:
            self._answered = True
            if self._poll_word:
                self._poll_word[:] = POLLED.to_bytes(POLL_WORD, "little")
            if self._begun:
                self._waiter.mine.tell_times(self._begun)
            self._waiter.mine.record[: _response.size] = _response.pack(self._context, result)
            self._waiter.ring(self._number)

    def watch(self) -> None:
        """From now on all calls go to the method, and `ended` is called after each."""
        self._watched = True

    def runs(self) -> bool:
        """Whether a call is under way."""
        return self._running

    def note(self) -> int:
        """Have the end of the call under way in this thread told; returns the caller's thread."""
        self._noted = True
        return self._tid

    def handles(self) -> list[Handle]:
        """The handle arguments of the call that runs in C in this thread."""
        return []

    def _arguments(self, message: InvokeMessage, pinned: list[object]) -> list[memoryview | Handle]:
        control = message.handle == Fixed.INIT
        if (control and not self._driver) or message.client_id != (
            0 if control else self._client_id
        ):
            raise _Refused(NO_SUCH_CLIENT)
        scalars = Scalars.decode(message.scalars)
        count = scalars.length
        needed = metadata_size(count)
        if self._polled and message.size >= needed + POLL_WORD:
            reached = self._space.reach(message.address + needed, POLL_WORD)
            if reached is not None:
                self._poll_word = reached[0]
                pinned.append(reached[1])
        if not count:
            return []
        if message.size < needed:
            raise _Refused(BAD_PARAMETER)
        metadata = bytes(self._reach(message.address, needed, pinned))
        found: list[memoryview | Handle] = []
        for index, wire in enumerate(decode(count, metadata)):
            if index >= scalars.buffers:
                found.append(self._handle(wire, pinned))
                continue
            view = self._buffer(wire, pinned)
            found.append(view.toreadonly() if index < scalars.in_buffers else view)
        return found

    def _reach(self, bus: int, length: int, pinned: list[object]) -> memoryview:
        reached = self._space.reach(bus, length)
        if reached is None:
            raise _Refused(BAD_ADDRESS)
        pinned.append(reached[1])
        return reached[0]

    def _buffer(self, wire: WireArgument, pinned: list[object]) -> memoryview:
        if not wire.pages:
            return memoryview(bytearray())
        if wire.page is None:
            raise _Refused(BAD_PARAMETER)
        return self._reach(wire.address & (1 << 64) - 1, wire.length, pinned)

    def _handle(self, wire: WireArgument, pinned: list[object]) -> Handle:
        named = wire.handle
        view = None
        if wire.page is not None and wire.page[1]:
            address, size = wire.page
            if named.offset + named.length > size:
                raise _Refused(BAD_ADDRESS)
            view = self._reach(address + named.offset & (1 << 64) - 1, named.length, pinned)
        return named.fd, named.offset, named.length, wire.words[0], view
