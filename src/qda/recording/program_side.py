"""The program's side of a recording, played against a device: a driver, a dialect, a node, a DSP.

The events are gone through in their order.  What the program did is done; what the DSP did is
waited for, and compared.  Each call runs in a thread of its own until its answer, so that calls are
under way together as they were.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic

from qda import limits
from qda.client import Buffer, Mapping, Session
from qda.errors import BAD_STATE, QdaError, Refusal, as_signed
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars
from qda.recording.difference import Comparison, shown_result
from qda.recording.events import (
    Answered,
    Argument,
    Called,
    Ended,
    Event,
    HostAnswered,
    HostCalled,
    Mapped,
    Opened,
    Unmapped,
)
from qda.recording.play import ExpectedMemory, installs, is_log, of_log, opened, translated

__all__ = ["play_against"]

Bytes = bytes | bytearray | memoryview


def play_against(
    events: Sequence[Event], open_session: Callable[[Opened], Session], comparison: Comparison
) -> None:
    """Do what the program of a recording did, in sessions that `open_session` opens, and compare.

    What differs is noted, and the play goes on.  What opening a session raises.
    """
    listening = {one.session for one in events if isinstance(one, HostCalled)}
    events, log = _without_log(events)
    with ExitStack() as stack:
        played: dict[int, _Session] = {}
        for event in events:
            if isinstance(event, Opened):
                session = stack.enter_context(open_session(event))
                made = played[event.session] = _Session(session, comparison, log)
                if event.session in listening:
                    made.listen()
            elif event.session in played:
                played[event.session].play(event)


_Replies = dict[tuple[int, int, bytes], tuple[int, Sequence[bytes]]]
"""What the host says to calls: by handle, scalars, and the name that is opened."""


def _without_log(events: Sequence[Event]) -> tuple[list[Event], _Replies]:
    """The events without the calls that bring the DSP's log, which nothing waits for: it comes when
    it comes, and some of it together.  And what the host says to them."""
    calls = {one.number: one for one in events if isinstance(one, HostCalled) and is_log(one)}
    left: list[Event] = []
    said: _Replies = {}
    for event in events:
        if not isinstance(event, HostCalled | HostAnswered) or event.number not in calls:
            left.append(event)
        elif isinstance(event, HostAnswered):
            asked = calls[event.number]
            said[_key(asked.handle, asked.scalars, asked.ins)] = event.result, event.outs
    return left, said


def _key(handle: int, scalars: int, ins: Sequence[bytes]) -> tuple[int, int, bytes]:
    return handle, scalars, ins[1] if handle == REMOTECTL.handle and len(ins) > 1 else b""


class _Running:
    """A call under way, in its thread."""

    def __init__(self, call: Called, outs: list[Bytes], make: Callable[[], int]) -> None:
        self.call, self.outs = call, outs
        self._make = make
        self.result: int | str = 0
        self.thread = threading.Thread(target=self._run, daemon=True, name="qda replay")

    def _run(self) -> None:
        try:
            self.result = as_signed(self._make())
        except (OSError, QdaError) as error:
            self.result = str(error)


class _Asked:
    """A call of the DSP to the host, which waits for what the recording says to it."""

    def __init__(self, handle: int, scalars: int, ins: list[bytes], sizes: list[int]) -> None:
        self.handle, self.scalars, self.ins, self.sizes = handle, scalars, ins, sizes
        self.reply: tuple[int, Sequence[bytes]] | None = None


class _Host:
    """Takes the calls of the DSP, and keeps each until the recording answers it."""

    def __init__(self, takes_over: Callable[[], None], log: _Replies) -> None:
        self._takes_over, self._log = takes_over, log
        self.changed = threading.Condition()
        self.waiting: list[_Asked] = []
        self._ended = False

    def call(
        self, handle: int, scalars: Scalars, ins: Sequence[memoryview], outs: Sequence[bytearray]
    ) -> int:
        """See `qda.client.host.listener.Modules`."""
        asked = _Asked(handle, scalars.word, [bytes(one) for one in ins], [len(o) for o in outs])
        asked.reply = self._log.get(_key(handle, scalars.word, asked.ins))
        if asked.reply is None:
            self._wait(asked)
        result, given = asked.reply or (as_signed(BAD_STATE), ())
        for out, data in zip(outs, given, strict=False):
            size = min(len(out), len(data))
            out[:size] = data[:size]
        return result

    def _wait(self, asked: _Asked) -> None:
        self._takes_over()  # another thread listens, while this one waits
        with self.changed:
            self.waiting.append(asked)
            self.changed.notify_all()
            self.changed.wait_for(lambda: asked.reply is not None or self._ended)

    def end(self) -> None:
        """Answer what still waits."""
        with self.changed:
            self._ended = True
            self.changed.notify_all()


class _Session:
    """A session of the recording, and the one in which it is played."""

    def __init__(self, session: Session, comparison: Comparison, log: _Replies) -> None:
        self._session, self._comparison = session, comparison
        self._buffers: dict[int, Buffer] = {}
        self._mappings: dict[int, tuple[Mapping, ExpectedMemory]] = {}
        self._handles: dict[int, int] = {}
        self._running: dict[int, _Running] = {}
        self._asked: dict[int, tuple[HostCalled, _Asked | None]] = {}
        self._host = _Host(lambda: session.calls.begins and session.calls.begins(), log)

    def listen(self) -> None:
        """Serve the host's side as the program did."""
        self._session.host.answered_by(self._host)
        self._session.serve_host()

    def play(self, event: Event) -> None:
        """Do what the program did, or wait for what the DSP did."""
        if isinstance(event, Called):
            self._call(event)
        elif isinstance(event, Answered):
            self._is_answered(event)
        elif isinstance(event, HostCalled):
            self._host_is_called(event)
        elif isinstance(event, HostAnswered):
            self._host_answers(event)
        elif isinstance(event, Mapped):
            self._map(event)
        elif isinstance(event, Unmapped):
            self._unmap(event)
        elif isinstance(event, Ended):
            self._host.end()
            self._session.close()

    # Calls.

    def _call(self, call: Called) -> None:
        scalars = Scalars.decode(call.scalars)
        count = scalars.buffers
        try:
            given = [self._memory(one) for one in call.arguments]
        except Refusal as error:
            self._comparison.tell(self._comparison.name(call), "its memory", "allocated", error)
            return
        recorded = [one.data for one in call.arguments[: scalars.in_buffers]]
        data = translated(call.handle, call.scalars, recorded, self._handles)
        ins: list[Bytes] = []
        for argument, place, content in zip(call.arguments, given, data, strict=False):
            if isinstance(place, memoryview) and content:
                place[:] = content
            ins.append(place if argument.object else content)
        outs = given[scalars.in_buffers : count]
        for argument, place in zip(call.arguments[scalars.in_buffers : count], outs, strict=True):
            if isinstance(place, memoryview) and argument.data:
                place[:] = argument.data
        handles = [
            place if one.object else one.offset
            for one, place in zip(call.arguments[count:], given[count:], strict=True)
        ]
        for _, memory in self._mappings.values():
            memory.follow(call.memory, also_now=True)
        split = scalars.in_handles
        handle = self._handles.get(call.handle, call.handle)
        running = self._running[call.number] = _Running(
            call,
            outs,
            lambda: self._session.calls.status_of(
                handle, scalars.method, ins, outs, handles[:split], handles[split:]
            ),
        )
        running.thread.start()

    def _is_answered(self, answer: Answered) -> None:
        running = self._running.pop(answer.number, None)
        if running is None:
            return
        call, place = running.call, self._comparison.name(running.call)
        running.thread.join(limits.REPLAY_PATIENCE)
        if running.thread.is_alive():
            self._comparison.tell(place, "result", shown_result(answer.result), "no answer")
            return
        outs = [bytes(one) for one in running.outs]
        before = opened(call.handle, call.scalars, answer.outs)
        now = opened(call.handle, call.scalars, outs)
        if before and now:
            self._handles[before] = now
        if of_log(call):
            return
        compared = outs if not installs(call) else list(answer.outs)
        self._comparison.answered(call, answer, running.result, compared)
        for _, memory in self._mappings.values():
            memory.follow(answer.memory)
            memory.compare(self._comparison, place)

    # Memory.

    def _buffer(self, number: int, size: int) -> Buffer:
        if number not in self._buffers:
            self._buffers[number] = self._session.alloc(size)
        return self._buffers[number]

    def _memory(self, argument: Argument) -> Bytes:
        if not argument.object:
            return bytearray(argument.length)
        start, view = argument.offset, memoryview(self._buffer(argument.object, argument.size))
        return view[start : start + argument.length]

    def _map(self, mapped: Mapped) -> None:
        place = f"mapping of {mapped.size - mapped.offset} bytes"
        try:
            buffer = self._buffer(mapped.object, mapped.size)
            mapping = self._session.map(
                buffer,
                mapped.offset,
                hint=mapped.address,
                flags=mapped.flags,
                legacy=mapped.legacy,
            )
        except Refusal as error:
            if not mapped.result:
                self._comparison.tell(place, "result", 0, error)
            return
        now = memoryview(buffer)[mapped.offset :]
        now[:] = bytes(len(now))
        self._comparison.same(place, "result", shown_result(mapped.result), shown_result(0))
        self._comparison.same(place, "address", f"{mapped.address:#x}", f"{mapping.address:#x}")
        self._mappings[mapped.address] = mapping, ExpectedMemory(mapped, now)

    def _unmap(self, event: Unmapped) -> None:
        mapping, _ = self._mappings.pop(event.address, (None, None))
        if mapping is None or event.result:
            return
        try:
            mapping.close()
        except Refusal as error:
            self._comparison.tell(f"unmapping of {event.address:#x}", "result", 0, error)

    # Calls of the DSP.

    def _host_is_called(self, event: HostCalled) -> None:
        def fits(asked: _Asked) -> bool:
            return (asked.handle, asked.scalars) == (event.handle, event.scalars)

        host = self._host
        end = monotonic() + limits.REPLAY_PATIENCE
        with host.changed:
            while not any(map(fits, host.waiting)) and monotonic() < end:
                host.changed.wait(end - monotonic())
            same = [one for one in host.waiting if fits(one)]
            found = next((one for one in same if one.ins == list(event.ins)), None)
            found = found or next(iter(same), None)
            if found is not None:
                host.waiting.remove(found)
        self._asked[event.number] = event, found
        method = Scalars.decode(event.scalars).method
        place = f"call of {event.module or 'the host'}, method {method}, by the DSP"
        if found is None:
            self._comparison.tell(place, "the call", "made", "not made")
            return
        for number, (one, other) in enumerate(zip(event.ins, found.ins, strict=True)):
            self._comparison.octets(place, f"in-buffer {number}", one, other)
        self._comparison.same(place, "bytes of its out-buffers", list(event.sizes), found.sizes)

    def _host_answers(self, event: HostAnswered) -> None:
        _, asked = self._asked.pop(event.number, (None, None))
        if asked is not None:
            with self._host.changed:
                asked.reply = event.result, event.outs
                self._host.changed.notify_all()
