"""Calls as events: what was kept of each, decoded by what is known of modules and interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import monotonic_ns
from typing import NamedTuple

from qda.driver.watching import Crossing
from qda.errors import BAD_ADDRESS, as_unsigned
from qda.fastrpc.hostlog import LOG, LOG_MODULE, read_log_records
from qda.fastrpc.listener import LISTENER, LISTENER1, NextAnswer, NextRequest
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.nested import unpack_reply, unpack_request
from qda.fastrpc.obituary import Obituary
from qda.fastrpc.remotectl import REMOTECTL, OpenAnswer
from qda.fastrpc.scalars import Scalars
from qda.tracing.events import Call, Death, Event, Fault, Log, Message, Response, ReverseCall
from qda.tracing.names import Names
from qda.tracing.payloads import Payload, in_words, sizes
from qda.tracing.stream import Stream

__all__ = ["CallDecoder", "CallWatcher"]

_NEXT = {(entrance.handle, entrance.next.word) for entrance in (LISTENER, LISTENER1)}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class _Reverse(NamedTuple):
    """A reverse call under way: its beginning, what it asks, and its in-buffers."""

    begun: int
    process: int
    thread: int
    asked: NextAnswer
    ins: list[memoryview]


class CallDecoder:
    """Makes events of calls, in the order in which these have come.

    `wire` adds the messages and responses themselves.
    """

    def __init__(self, names: Names, wire: bool = False) -> None:
        self._names, self._wire = names, wire
        self._reverse: dict[tuple[str, int, int], _Reverse] = {}

    def sent(self, crossing: Crossing) -> Iterator[Event]:
        """A message has left."""
        sent = InvokeMessage.unpack(crossing.message)
        payload = Payload(sent, crossing.address, crossing.payload)
        if self._wire:
            words = tuple(in_words(payload, is_output=False))
            yield Message(crossing.sent, 0, sent.tid, crossing.device, sent, words)
        if (sent.handle, sent.scalars) in _NEXT:
            yield from self._reverse_ends(crossing, payload)

    def answered(self, crossing: Crossing) -> Iterator[Event]:
        """A call has ended."""
        sent = InvokeMessage.unpack(crossing.message)
        before = Payload(sent, crossing.address, crossing.payload)
        after = Payload(sent, crossing.address, crossing.outputs)
        after.arguments = before.arguments  # what the DSP has made of them is not believed
        if self._wire and not crossing.has_died:
            words = tuple(in_words(after, is_output=True))
            result = crossing.result
            who = crossing.answered, crossing.process, sent.tid
            yield Response(*who, crossing.device, sent.context, result, words)
        if (sent.handle, sent.scalars) in _NEXT:
            self._reverse_begins(crossing, after)
            return
        self._names.learn(crossing.device, before, after, crossing.result)
        yield self._call(crossing, before, after)
        if as_unsigned(crossing.result) == BAD_ADDRESS:
            who = crossing.answered, crossing.process, sent.tid
            method = before.scalars.method
            yield Fault(*who, crossing.device, sent.client_id, sent.handle, method)

    def _call(self, crossing: Crossing, before: Payload, after: Payload) -> Call:
        sent, names = before.sent, self._names
        named = names.method(crossing.device, before, after, crossing.result)
        method_begun, method_ended, dsp_process, dsp_thread = crossing.times
        return Call(
            crossing.begun,
            crossing.process,
            sent.tid,
            crossing.device,
            sent.client_id,
            sent.handle,
            sent.scalars,
            *named,
            crossing.sent,
            crossing.answered,
            crossing.ended,
            method_begun,
            method_ended,
            dsp_process,
            dsp_thread,
            *sizes(before),
            crossing.result,
        )

    # Reverse calls, which are the answers to some calls, and in-buffers of the next.

    def _reverse_begins(self, crossing: Crossing, after: Payload) -> None:
        buffers = after.buffers()
        if crossing.result or buffers is None or len(buffers[2]) < NextAnswer.byte_size:
            return
        asked = NextAnswer.unpack(buffers[2])
        scalars = Scalars.decode(asked.scalars)
        try:
            ins, _ = unpack_request(buffers[3], scalars.in_buffers, scalars.out_buffers)
        except ValueError:
            ins = []  # the rest of it comes by a call of its own
        key = crossing.device, after.sent.client_id, asked.context
        who = crossing.process, after.sent.tid
        self._reverse[key] = _Reverse(crossing.ended, *who, asked, ins)

    def _reverse_ends(self, crossing: Crossing, payload: Payload) -> Iterator[Event]:
        buffers = payload.buffers()
        if buffers is None or len(buffers[0]) < NextRequest.byte_size:
            return
        brought = NextRequest.unpack(buffers[0])
        device, client = crossing.device, payload.sent.client_id
        begun = self._reverse.pop((device, client, brought.context), None)
        if begun is None:
            return
        asked = begun.asked
        module = self._names.of_host(device, client, asked.handle)
        who = begun.begun, begun.process, begun.thread
        taken = crossing.sent - begun.begun
        yield ReverseCall(
            *who, device, client, asked.handle, asked.scalars, module, taken, brought.result
        )
        scalars = Scalars.decode(asked.scalars)
        if asked.handle == REMOTECTL.handle and scalars == REMOTECTL.open and len(begun.ins) == 2:
            try:
                outs = unpack_reply(buffers[1], [OpenAnswer.byte_size])
            except ValueError:
                return
            opened = OpenAnswer.unpack(outs[0])
            self._names.learn_of_host(device, client, opened, begun.ins[1])
        elif module == LOG_MODULE and scalars == LOG and len(begun.ins) == 2:
            for level, file, line, words in read_log_records(begun.ins[1]):
                yield Log(*who, device, _LEVELS[level], file, line, words)


class CallWatcher:
    """A `Watcher` that puts the calls of this process's drivers into a stream."""

    def __init__(self, stream: Stream, decoder: CallDecoder) -> None:
        self._put, self._tell, self._decoder = stream.put, stream.tell, decoder

    def sent(self, crossing: Crossing) -> None:
        """See `Watcher.sent`."""
        self._put(partial(self._decoder.sent, crossing))

    def answered(self, crossing: Crossing) -> None:
        """See `Watcher.answered`."""
        self._put(partial(self._decoder.answered, crossing))

    def died(self, device: str, process: int, words: Obituary) -> None:
        """See `Watcher.died`."""
        self._tell(Death(monotonic_ns(), process, 0, device, tuple(words.report)))

    def asked(
        self, path: str, code: int, before: bytes, after: bytes, result: int, time: int
    ) -> None:
        """See `Watcher.asked`.  A server's observer sees more of it."""
