"""Events as a timeline for Perfetto (ui.perfetto.dev).

There is a track for each thread of a program, one beside it for its calls in the driver, and one
for each thread of a protection domain; arrows lead from a call to its method.  The format is
Perfetto's own, written by its authors' library, the extra `timeline`.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from qda import limits
from qda.errors import UsageError
from qda.tracing.events import Call, Death, Event, Fault, Ioctl, Log, Opened, ReverseCall
from qda.tracing.text import named, named_shortly, status

if TYPE_CHECKING:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket

__all__ = ["Timeline", "check_library", "write_timeline"]

_log = logging.getLogger("qda.tracing")

_SEQUENCE = 1

_LAST_PROCESS = 1 << 22
"""The largest number that Linux gives a process: a process is its own track's, others follow."""


class Track(NamedTuple):
    """A line of the timeline: a thread, or what the driver does for it."""

    process: int
    thread: int
    device: str = ""
    is_driver: bool = False


class Slice(NamedTuple):
    """What fills a track for some time, from `begin` to `end`; `flow` is the number of its call."""

    begin: int
    end: int
    name: str
    track: Track
    words: tuple[tuple[str, str | int], ...] = ()
    flow: int = 0


def check_library() -> None:
    """UsageError if the library that writes timelines is not installed."""
    try:
        import perfetto.trace_builder.proto_builder  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "a timeline is written by the package perfetto: pip install 'qda-accel[timeline]'"
        ) from error


class Timeline:
    """A sink that keeps events, and writes their timeline into a file at `close`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._events: list[Event] = []
        self._more = 0

    def __call__(self, event: Event) -> None:
        """Keep an event; those beyond limits.TIMELINE_EVENTS are only counted."""
        if len(self._events) < limits.TIMELINE_EVENTS:
            self._events.append(event)
        else:
            self._more += 1

    def close(self) -> None:
        """Write the timeline, and close the file."""
        with self._file:
            write_timeline(self._events, self._file)
        if self._more:
            _log.warning("the last %d events are not in the timeline", self._more)


def write_timeline(events: Sequence[Event], file: BinaryIO) -> None:
    """Write the timeline of events.  UsageError without the library."""
    check_library()
    from perfetto.trace_builder.proto_builder import TraceProtoBuilder

    builder = TraceProtoBuilder()
    slices, instants = _drawn(events)
    # A program under `qda run` is gone by now.
    comms = {one.process: one.comm for one in events if isinstance(one, Opened)}
    numbers: dict[Track, int] = {}
    tracks = dict.fromkeys(one.track for one in (*slices, *instants))
    for process in {track.process: track for track in tracks if not track.is_driver}.values():
        _describe_process(builder.add_packet(), process, comms)
    for track in tracks:
        numbers[track] = _LAST_PROCESS + len(numbers) + 1
        _describe(builder.add_packet(), track, numbers[track], comms)
    packets = [(one.begin, _INSTANT, one) for one in instants]
    for track in numbers:
        packets += _nested([one for one in slices if one.track == track])
    for time, kind, one in sorted(packets, key=lambda packet: packet[0]):
        packet = builder.add_packet()
        packet.timestamp = time
        packet.trusted_packet_sequence_id = _SEQUENCE
        packet.track_event.track_uuid = numbers[one.track]
        packet.track_event.type = kind
        if kind != _END:
            _say(packet, one)
    file.write(builder.serialize())


_BEGIN, _END, _INSTANT = 1, 2, 3
"""TrackEvent.Type of the format."""


def _nested(slices: list[Slice]) -> Iterator[tuple[int, int, Slice]]:
    """Begins and ends of a track's slices, each inside the one that was begun before it."""
    running: list[Slice] = []
    for one in sorted(slices, key=lambda one: (one.begin, -one.end)):
        while running and running[-1].end <= one.begin:
            yield running[-1].end, _END, running.pop()
        if running and one.end > running[-1].end:
            one = one._replace(end=running[-1].end)
        yield one.begin, _BEGIN, one
        running.append(one)
    while running:
        yield running[-1].end, _END, running.pop()


def _drawn(events: Sequence[Event]) -> tuple[list[Slice], list[Slice]]:
    """What fills the tracks, and what stands at one moment of them."""
    slices: list[Slice] = []
    instants: list[Slice] = []
    flows = itertools.count(1)
    words: tuple[tuple[str, str | int], ...]
    for event in events:
        own = Track(event.process, event.thread or event.process)  # what no thread did: the first
        if isinstance(event, Call):
            slices += _of_call(event, own, next(flows))
        elif isinstance(event, Ioctl):
            words = (("result", event.result), ("node", event.path))
            slices.append(Slice(event.time, event.time + event.duration, event.command, own, words))
        elif isinstance(event, ReverseCall):
            name = f"host: {event.module or hex(event.handle)}"
            words = (("result", status(event.result)),)
            slices.append(Slice(event.time, event.time + event.duration, name, own, words))
        elif isinstance(event, Log):
            words = (("level", event.level), ("file", event.file), ("line", event.line))
            instants.append(Slice(event.time, event.time, event.text, own, words))
        elif isinstance(event, Death):
            instants.append(Slice(event.time, event.time, "\n".join(event.report), own))
        elif isinstance(event, Fault):
            instants.append(Slice(event.time, event.time, "fault", own))
    return slices, instants


def _of_call(event: Call, own: Track, flow: int) -> Iterator[Slice]:
    """A call on the program's track, on the driver's, and its method on the DSP's."""
    name = named_shortly(event)
    words = (
        ("call", named(event)),
        ("result", status(event.result)),
        ("copied", event.copied),
        ("shared", event.shared),
        ("handle", event.handle),
        ("method", event.method),
    )
    yield Slice(event.time, event.ended, name, own, words, flow)
    driver = own._replace(device=event.device, is_driver=True)
    yield Slice(event.sent, event.answered, name, driver, (), flow)
    if event.method_begun:
        there = Track(event.dsp_process, event.dsp_thread, event.device)
        yield Slice(event.method_begun, event.method_ended, name, there, (), flow)


def _say(packet: TracePacket, one: Slice) -> None:
    """What a slice or moment is called, and what is known of it."""
    said = packet.track_event
    said.name = one.name
    for name, value in one.words:
        note = said.debug_annotations.add()
        note.name = name
        if isinstance(value, int):
            note.int_value = value
        else:
            note.string_value = value
    if one.flow and one.track.device and not one.track.is_driver:
        said.terminating_flow_ids.append(one.flow)
    elif one.flow:
        said.flow_ids.append(one.flow)


def _describe(packet: TracePacket, track: Track, number: int, comms: Mapping[int, str]) -> None:
    said = packet.track_descriptor
    said.uuid = number
    if track.is_driver:
        said.parent_uuid = track.process
        said.name = f"driver of {track.device}, thread {track.thread}"
        return
    said.thread.pid, said.thread.tid = track.process, track.thread
    said.thread.thread_name = (
        comms.get(track.thread) or _comm(track.thread) or f"thread {track.thread}"
    )


def _describe_process(packet: TracePacket, track: Track, comms: Mapping[int, str]) -> None:
    """Name a process: that of a protection domain, or a program."""
    said = packet.track_descriptor
    said.uuid = said.process.pid = track.process
    said.process.process_name = (
        track.device or comms.get(track.process) or _comm(track.process) or "program"
    )


def _comm(task: int) -> str:
    """What the kernel calls a thread, and a process by its first, "" if it is gone."""
    try:
        return Path(f"/proc/{task}/comm").read_text().strip()
    except OSError:
        return ""
