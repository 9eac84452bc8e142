"""Recording, at the wall between driver and DSP: there everything is bytes, whoever the program is.

A recorded session makes each call the long way, through the driver's Python, where its message and
the memory that it names can be read before it leaves and when it is answered.  Reverse calls are
put together from the listener's calls, which carry them.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from qda.core import Port
from qda.driver import Device
from qda.driver.banks import Attachment, ContextBank
from qda.driver.call import Call
from qda.driver.lanes import Memory
from qda.driver.memory import Client
from qda.driver.session import Session
from qda.errors import UsageError
from qda.fastrpc import control
from qda.fastrpc.control import Method
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import FIRST_OPENED, Fixed
from qda.fastrpc.listener import LISTENER, LISTENER1, MoreRequest, NextAnswer, NextRequest
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.nested import unpack_reply, unpack_request
from qda.fastrpc.payload import PhysicalPage, WireArgument, decode
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1, OpenAnswer, text
from qda.fastrpc.scalars import EXTENDED_METHOD, Scalars
from qda.interrupts import Deadline
from qda.recording.events import (
    Answered,
    Argument,
    Called,
    Change,
    Ended,
    HostAnswered,
    HostCalled,
    Mapped,
    Opened,
    ProcessKind,
    Unmapped,
)
from qda.recording.file import Writer
from qda.recording.memory import MappedMemory, contents
from qda.rpmsg import Channel

__all__ = ["recording"]

_NEXT = {(one.handle, one.next.word) for one in (LISTENER, LISTENER1)}
_MORE = {(one.handle, one.more.word) for one in (LISTENER, LISTENER1)}
_OPENS = {(one.handle, one.open.word) for one in (REMOTECTL, REMOTECTL1)}


@contextmanager
def recording(make: Callable[[], Writer]) -> Iterator[None]:
    """Write down what sessions do that this process's devices begin in a block; not what those of
    its children do.  `make` makes the file, if it may be made.

    UsageError if somebody does so already, perhaps into the same file.
    """
    if Device.session_type is not Session:
        raise UsageError("this process is recorded already: there is one recording at a time")
    _forget_in_children()
    writer = make()
    RecordedSession.book = _Book(writer)
    Device.session_type = RecordedSession
    try:
        yield
    finally:
        Device.session_type = Session
        writer.close()


@cache
def _forget_in_children() -> None:
    """Have forked children know nothing of a recording, whose file they would spoil."""

    def forget() -> None:
        if Device.session_type is RecordedSession:
            Device.session_type = Session
            RecordedSession.book.disown()

    os.register_at_fork(after_in_child=forget)


class _Book:
    """What the sessions of a recording share: its writer, and the numbers of everything."""

    def __init__(self, writer: Writer) -> None:
        self.write, self.disown = writer.write, writer.disown
        self.sessions, self.calls, self.host_calls = (itertools.count(1) for _ in range(3))
        self._objects: dict[object, int] = {}
        self._lock = threading.Lock()

    def number_of(self, attachment: Attachment) -> int:
        """The number of a buffer object, which is kept in mind as long as the recording."""
        with self._lock:
            return self._objects.setdefault(attachment.buffer, len(self._objects) + 1)


@dataclass(slots=True)
class _Under:
    """A call under way: its number if it is one of a module's, its message, its arguments."""

    number: int
    sent: InvokeMessage
    memory: Memory
    arguments: list[WireArgument]
    ins: list[bytes]


@dataclass(slots=True)
class _Reverse:
    """A reverse call under way, and as much as has come of its stream."""

    number: int
    asked: NextAnswer
    stream: bytes
    sizes: list[int]
    opens: str = ""


class RecordedSession(Session):
    """A session all of whose calls are written down in `book`."""

    lends = False
    book: ClassVar[_Book]

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        bank: ContextBank,
        tag: int = ProtectionDomain.ROOT,
        name: bytes = b"",
    ) -> None:
        super().__init__(channel, client_id, kind, bank, tag, name)
        self._book, self._number = RecordedSession.book, 0
        self._reading = threading.RLock()
        self._attached: dict[Attachment, None] = {}
        self._mapped: dict[int, MappedMemory] = {}
        self._under: dict[Call, _Under] = {}
        self._modules: dict[int, str] = {}
        self._reverse: dict[int, _Reverse] = {}
        self._of_host: dict[int, str] = {}

    def invoke(self, port: Port, request: bytearray) -> int | None:
        """See `Session.invoke`: no call goes by itself."""
        return None

    def announce(self, attachment: Attachment) -> None:
        """See `Session.announce`."""
        super().announce(attachment)
        with self._reading:
            self._attached[attachment] = None

    def send(self, call: Call, message: bytes) -> None:
        """See `Session.send`."""
        with self._reading:
            self._leaves(call, message)
        finish = call.finish

        def recorded(result: int) -> int:
            with self._reading:
                self._comes_back(call, result)
            return finish(result) if finish is not None else result

        call.finish = recorded
        super().send(call, message)

    def wait(self, call: Call, client: Client, within: Deadline | None = None) -> int:
        """See `Session.wait`.  The call of a process that has died has its end without an
        answer."""
        result = super().wait(call, client, within)
        with self._reading:
            if call in self._under:
                self._comes_back(call, result)
        return result

    def close(self) -> None:
        """See `Session.close`."""
        super().close()
        with self._reading:
            number, self._number = self._number, 0
            if number:
                self._book.write(Ended(number))

    # What leaves, and what comes back.

    def _leaves(self, call: Call, message: bytes) -> None:
        assert call.lane is not None
        sent = InvokeMessage.unpack(message)
        memory = call.lane.memory_at(sent.address)
        scalars = Scalars.decode(sent.scalars)
        arguments = decode(scalars.length, memory.view)
        under = self._under[call] = _Under(0, sent, memory, arguments, [])
        under.ins = [self._bytes(under, one) for one in arguments[: scalars.in_buffers]]
        if (sent.handle, sent.scalars) in _NEXT:
            self._host_answers(under)
        elif self._number and (
            sent.handle >= FIRST_OPENED or sent.handle in (Fixed.REMOTECTL, Fixed.REMOTECTL1)
        ):
            under.number = next(self._book.calls)
            self._book.write(self._called(under, scalars))

    def _called(self, under: _Under, scalars: Scalars) -> Called:
        sent, method = under.sent, scalars.method
        if method == EXTENDED_METHOD and under.ins:
            method = int.from_bytes(under.ins[0][:4], "little")
        return Called(
            self._number,
            under.number,
            sent.tid,
            sent.handle,
            self._modules.get(sent.handle, ""),
            method,
            sent.scalars,
            tuple(self._argument(under, index) for index in range(scalars.length)),
            self._changes(),
        )

    def _comes_back(self, call: Call, result: int) -> None:
        under = self._under.pop(call)
        sent, scalars = under.sent, Scalars.decode(under.sent.scalars)
        outs = [
            self._bytes(under, one) for one in under.arguments[scalars.in_buffers : scalars.buffers]
        ]
        if under.number:
            given = Answered(self._number, under.number, result, tuple(outs), self._changes())
            self._book.write(given)
        if sent.handle == Fixed.INIT:
            self._controlled(under, scalars.method, result, outs)
        elif (sent.handle, sent.scalars) in _NEXT and not result:
            self._host_is_called(NextAnswer.unpack(outs[0]), outs[1])
        elif (sent.handle, sent.scalars) in _MORE and not result:
            self._host_hears_more(MoreRequest.unpack(under.ins[0]), outs[1])
        elif (sent.handle, sent.scalars) in _OPENS and not result:
            opened = OpenAnswer.unpack(outs[0])
            if not opened.error:
                self._modules[opened.handle] = text(under.ins[1])

    # Sessions and mappings, which the driver asks for.

    def _controlled(self, under: _Under, method: int, result: int, outs: Sequence[bytes]) -> None:
        begins = (Method.ATTACH, Method.CREATE, Method.CREATE_ATTR, Method.CREATE_STATIC)
        if method in begins and not result and not self._number:
            self._number = next(self._book.sessions)
            attributes = 0
            if method == Method.CREATE_ATTR:
                attributes = control.CreateRequest.unpack(under.ins[0]).attributes
            process = _process(method, self.kind)
            self._book.write(Opened(self._number, self.device, process, attributes))
        elif method in (Method.MMAP, Method.MEM_MAP):
            address = 0 if result else control.MapResponse.unpack(outs[0]).address
            self._maps(under, method == Method.MMAP, address, result)
        elif method == Method.MUNMAP:
            self._unmaps(control.UnmapRequest.unpack(under.ins[0]).address, result)
        elif method == Method.MEM_UNMAP:
            self._unmaps(control.MemUnmapRequest.unpack(under.ins[0]).address, result)

    def _maps(self, under: _Under, legacy: bool, address: int, result: int) -> None:
        offset, flags = 0, 0
        if legacy:
            flags = control.MapRequest.unpack(under.ins[0]).flags
        else:
            request = control.MemMapRequest.unpack(under.ins[0])
            offset, flags = request.offset & 0xFFFFFFFF, request.flags
        page = PhysicalPage.unpack(under.ins[1])
        found = self._find(page.address)
        if found is None:
            return
        attachment, _ = found
        where = self._book.number_of(attachment), attachment.buffer.size, offset
        self._book.write(Mapped(self._number, *where, flags, legacy, address, result))
        if not result:
            self._mapped[address] = MappedMemory(attachment, offset, address)

    def _unmaps(self, address: int, result: int) -> None:
        self._book.write(Unmapped(self._number, address, result))
        if not result:
            self._mapped.pop(address, None)

    # Reverse calls.

    def _host_is_called(self, asked: NextAnswer, room: bytes) -> None:
        call = _Reverse(next(self._book.host_calls), asked, room[: max(asked.length, 0)], [])
        self._reverse[asked.context] = call
        self._host_call_is_whole(call)

    def _host_hears_more(self, asked: MoreRequest, room: bytes) -> None:
        call = self._reverse.get(asked.context)
        if call is not None and asked.offset <= len(call.stream):
            call.stream = (call.stream[: asked.offset] + room)[: call.asked.length]
            self._host_call_is_whole(call)

    def _host_call_is_whole(self, call: _Reverse) -> None:
        asked, scalars = call.asked, Scalars.decode(call.asked.scalars)
        try:
            if len(call.stream) < asked.length:
                return
            ins, call.sizes = unpack_request(call.stream, scalars.in_buffers, scalars.out_buffers)
        except ValueError:
            return  # the host refuses it
        if asked.handle == REMOTECTL.handle and scalars == REMOTECTL.open:
            call.opens = text(ins[1])
        self._book.write(
            HostCalled(
                self._number,
                call.number,
                max((one.number for one in self._under.values()), default=0),
                asked.handle,
                self._of_host.get(asked.handle, ""),
                asked.scalars,
                tuple(map(bytes, ins)),
                tuple(call.sizes),
            )
        )

    def _host_answers(self, under: _Under) -> None:
        brought = NextRequest.unpack(under.ins[0])
        call = self._reverse.pop(brought.context, None)
        if call is None:
            return
        outs: list[bytes] = []
        if not brought.result:
            try:
                outs = [bytes(one) for one in unpack_reply(under.ins[1], call.sizes)]
            except ValueError:
                return  # the DSP refuses it
            if call.opens and not OpenAnswer.unpack(outs[0]).error:
                self._of_host[OpenAnswer.unpack(outs[0]).handle] = call.opens
        given = HostAnswered(self._number, call.number, brought.result, tuple(outs))
        self._book.write(given)

    # Memory.

    def _find(self, address: int) -> tuple[Attachment, int] | None:
        """The object at an address of the bus, and how far into it that is."""
        for attachment in reversed(self._attached):
            offset = address - attachment.address
            if 0 <= offset < attachment.buffer.size and attachment.users:
                return attachment, offset
        return None

    def _inline(self, under: _Under, argument: WireArgument) -> int:
        """Where in the message an argument begins, -1 for one that lies elsewhere."""
        start = argument.address - under.sent.address
        return start if 0 <= start <= under.sent.size - argument.length else -1

    def _bytes(self, under: _Under, argument: WireArgument) -> bytes:
        if not argument.pages or argument.page is None:
            return b""
        start = self._inline(under, argument)
        if start >= 0:
            return bytes(under.memory.view[start : start + argument.length])
        found = self._find(argument.address)
        return b"" if found is None else contents(*found, argument.length)

    def _argument(self, under: _Under, index: int) -> Argument:
        argument, scalars = under.arguments[index], Scalars.decode(under.sent.scalars)
        is_handle = index >= scalars.buffers
        if is_handle and (argument.page is None or not argument.page[0]):
            return Argument(0, offset=argument.words[0])
        if not argument.pages or argument.page is None:
            return Argument(0)
        data = under.ins[index] if index < scalars.in_buffers else b""
        if not is_handle and self._inline(under, argument) >= 0:
            return Argument(argument.length, data=data)
        found = self._find(argument.page[0] if is_handle else argument.address)
        if found is None:
            return Argument(argument.length, data=data)
        attachment, offset = found
        length = argument.length
        if is_handle:
            offset, length = argument.handle.offset, argument.handle.length
        elif index >= scalars.in_buffers:  # the DSP may leave some of it as it was
            data = contents(attachment, offset, length)
        where = self._book.number_of(attachment), offset, attachment.buffer.size
        return Argument(length, *where, data)

    def _changes(self) -> tuple[Change, ...]:
        return tuple(change for one in self._mapped.values() for change in one.changes())


def _process(method: int, kind: ProtectionDomain) -> ProcessKind:
    """What `qda.open` calls a session that was begun in that way."""
    if method == Method.ATTACH:
        return "root" if kind is ProtectionDomain.ROOT else "sensors"
    return "audio" if method == Method.CREATE_STATIC else "user"
