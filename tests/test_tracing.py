"""`qda.trace`: what this process does with its DSPs, as events, lines, a timeline and a summary."""

from __future__ import annotations

import gc
import importlib.util
import io
import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda import limits
from qda.core import IS_COMPILED
from qda.core.ring import Ring
from qda.driver.watching import watching
from qda.tracing.events import Call, Death, Event, Fault, Ioctl, Log, Released, ReverseCall
from qda.tracing.stream import Stream
from qda.tracing.summary import Summing
from tests.system import System, open_session
from tests.waiting import until

calculator: Any = qda.idl.load(
    "interface calculator { long sum(in sequence<long> n, rout long total); "
    "long fill(in long value, rout sequence<long> many); };"
)


class Calculator(calculator.Skeleton):  # type: ignore[misc]
    """What is called."""

    def sum(self, n: Any) -> int:
        self.dsp.log.warning("summing")
        return int(n.sum())

    def fill(self, value: int, many: Any) -> None:
        many[:] = value


class Dies(qda.Skeleton):
    """Ends its process, or touches what is nobody's."""

    @qda.method(2)
    def die(self) -> None:
        import os

        os._exit(3)

    @qda.method(3)
    def touch(self) -> None:
        self.dsp.memory(0x7000_0000, 4)


def calls(trace: qda.Trace, module: str) -> list[Call]:
    """The calls of a module."""
    return [one for one in trace.events if isinstance(one, Call) and one.module == module]


def test_calls_have_names_bytes_and_times_of_both_sides(machine: System) -> None:
    """In the order of the clock, whichever way they went."""
    with open_session(machine) as session, qda.trace() as trace, session.load(Calculator) as remote:
        for _ in range(10):
            remote.sum(np.arange(4, dtype="i4"))
        shared = session.empty(1000, "i4")
        remote.sum(shared)
        remote.close()
    made = calls(trace, "calculator")
    assert [one.name for one in made] == ["sum"] * 11
    for one in made:
        assert one.time <= one.sent <= one.method_begun <= one.method_ended <= one.answered
        assert one.answered <= one.ended and one.dsp_process not in (0, one.process)
    assert [(one.shared, one.longest) for one in made] == [(0, 16)] * 10 + [(4000, 4)]
    assert trace.lost == 0
    times = [one.time for one in trace.events]
    assert times == sorted(times)
    opened = [one.name for one in calls(trace, "remotectl1")]
    assert opened.count("open") == opened.count("close") + 1  # the loader stays
    assert any(isinstance(one, Ioctl) for one in trace.events)


def test_reverse_calls_logs_faults_and_deaths_are_events(
    machine: System, caplog: pytest.LogCaptureFixture
) -> None:
    """Of sessions that were opened meanwhile."""
    with qda.trace() as trace, open_session(machine) as session:
        session.serve_host()
        with session.load(Calculator) as remote:
            remote.sum([1])
        until(lambda: "summing" in caplog.text)  # the DSP tells it on its own, if it lives
        with session.load(Dies) as module:
            with pytest.raises(qda.DspError):
                module.invoke(3)
            with pytest.raises(qda.DspError, match="exit status 3"):
                module.invoke(2)
    seen = Counter(type(one) for one in trace.events)
    assert seen[Fault] == seen[Death] == 1
    assert any(one.module == "adspmsgd_apps" for one in trace.events if type(one) is ReverseCall)
    assert ("WARNING", "summing") in {
        (one.level, one.text) for one in trace.events if isinstance(one, Log)
    }


def test_a_trace_is_written_as_its_name_says(machine: System, tmp_path: Path) -> None:
    """Objects of JSON, or lines."""
    for name in ("trace.jsonl", "trace.txt"):
        file = tmp_path / name
        with open_session(machine) as session, qda.trace(file), session.load(Calculator) as remote:
            remote.sum([1])
    events = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert [one["name"] for one in events if one.get("module") == "calculator"] == ["sum"]
    assert "cdsp call calculator.sum" in (tmp_path / "trace.txt").read_text()


def test_the_summary_says_what_travels_inline(machine: System) -> None:
    """And what each method has cost."""
    with open_session(machine) as session, qda.trace() as trace, session.load(Calculator) as remote:
        remote.sum(np.ones(1 << 18, "i4"))
    [method] = [one for one in trace.summary().methods if one.name == "calculator.sum"]
    assert method.calls == 1 and method.longest == 1 << 20 and method.method > 0
    assert trace.summary().advice == [
        "calculator.sum: an argument of 1.0 MiB travels inline: use session.empty, whose memory "
        "is shared"
    ]
    assert "calculator.sum" in str(trace.summary())


def test_there_is_one_trace_at_a_time(tmp_path: Path) -> None:
    """The second is told so, and changes nothing: not the first, nor the file it would write."""
    file = tmp_path / "kept.jsonl"
    file.write_text("kept")
    second = qda.trace(file)
    with qda.trace() as first:
        with pytest.raises(qda.UsageError, match="traced already"):
            second.__enter__()
        second.__exit__(None, None, None)
        assert watching() is first
    assert file.read_text() == "kept"


def test_a_trace_begins_anew_each_time(machine: System) -> None:
    """And any thread may end it."""
    gc.collect()  # a session that lies in a cycle may have had another module at that handle
    trace = qda.trace()
    with open_session(machine) as session, session.load(Calculator) as remote:
        for count in (3, 2):
            trace.__enter__()
            for _ in range(count):
                remote.sum([1])
            ends = threading.Thread(target=trace.__exit__, args=(None, None, None))
            ends.start()
            ends.join()
            assert len(calls(trace, "calculator")) == count


def test_a_trace_that_a_disk_has_no_room_for_is_told_at_its_end(machine: System) -> None:
    """In place of no other error: that has a note of it."""

    def traced(error: Exception | None = None) -> None:
        with qda.trace("/dev/full"):
            open_session(machine).close()
            if error is not None:
                raise error

    with pytest.raises(qda.UsageError, match=r"/dev/full: No space left .* is not whole"):
        traced()
    with pytest.raises(KeyError) as refused:
        traced(KeyError())
    assert "is not whole" in refused.value.__notes__[0]


def test_a_forked_child_spoils_no_trace(machine: System, tmp_path: Path) -> None:
    """What it does is not traced, its copy of the block writes nothing, and it may begin a trace of
    its own."""
    target, own = tmp_path / "parent.json", tmp_path / "child.json"
    with qda.trace(target) as trace, open_session(machine) as session:
        with session.load(Calculator) as remote:
            remote.sum([1])
        child = os.fork()
        if not child:
            status = 1
            try:
                with qda.trace(own):
                    pass
                trace.__exit__(None, None, None)
                status = 7 if own.stat().st_size and not trace.events else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert not target.stat().st_size
    assert calls(trace, "calculator") and target.stat().st_size
    assert {event.process for event in trace.events} == {0, os.getpid()}


def test_what_cannot_be_decoded_or_shown_takes_nothing_else_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is told to the logger, and the next event is shown."""
    shown: list[str] = []

    def show(event: Event) -> None:
        if event.thread == 2:
            raise ValueError("no room")
        shown.append(event.kind)

    def broken() -> list[Event]:
        raise ValueError("no event")

    stream = Stream([show])
    stream.put(broken)
    stream.tell(Released(1, 1, 2, "/dev/accel/accel0"))
    stream.tell(Released(1, 1, 3, "/dev/accel/accel0"))
    stream.close()
    stream.tell(Released(1, 1, 4, "/dev/accel/accel0"))
    assert shown == ["release"]
    assert [one.getMessage() for one in caplog.records] == [
        "an event of the trace cannot be decoded",
        "an event of the trace cannot be shown",
    ]


def test_who_cannot_write_is_given_no_more_and_told_at_the_end() -> None:
    """Once, and not the others; who reads no more needs no words."""
    given = Counter[str]()

    def full(event: Event) -> None:
        given["full"] += 1
        raise qda.UsageError("no space")

    def left(event: Event) -> None:
        given["left"] += 1
        raise BrokenPipeError

    def well(event: Event) -> None:
        given["well"] += 1

    stream = Stream([full, left, well])
    for thread in (2, 3):
        stream.tell(Released(1, 1, thread, "/dev/accel/accel0"))
    with pytest.raises(qda.UsageError, match="no space"):
        stream.close()
    assert given == {"full": 1, "left": 1, "well": 2}


def test_what_is_too_much_for_a_file_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And told: nobody would miss it otherwise."""
    monkeypatch.setattr(limits, "TIMELINE_EVENTS", 1)
    summing = Summing(io.StringIO())
    call = Call(1, 1, 1, "cdsp", 1, 1, 0, 0, "m", "n", "", 2, 3, 4, *(0,) * 4, 0, 0, 0, 0)
    for _ in range(3):
        summing(call)
    summing.close()
    assert caplog.messages == ["the last 2 calls are not in the summary"]


def test_a_trace_looks_for_a_pause_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it wakes, it disturbs the calls that it is of."""
    waited: list[float] = []
    shown = threading.Event()

    class Waits(threading.Event):
        """Something else comes during each of the first waits, which take no time."""

        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None:
                return super().wait()
            waited.append(timeout)
            if len(waited) < 8:
                stream.tell(Released(1, 1, 2, "/dev/accel/accel0"))
            return False

    with monkeypatch.context() as patch:
        patch.setattr(threading, "Event", Waits)
        stream = Stream([lambda event: shown.set() if event.thread == 3 else None])
    stream.tell(Released(1, 1, 2, "/dev/accel/accel0"))
    assert until(lambda: len(waited) == 8)
    stream.tell(Released(1, 1, 3, "/dev/accel/accel0"))
    assert shown.wait(30)
    stream.close()
    assert waited[:8] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.32, 0.32]


def test_a_trace_that_waits_for_a_pause_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and what waits is shown."""
    monkeypatch.setattr(limits, "TRACE_QUIET", 3600)
    shown: list[Event] = []
    stream = Stream([shown.append])
    stream.tell(Released(1, 1, 2, "/dev/accel/accel0"))
    stream.close()
    assert len(shown) == 1


def test_no_event_waits_for_many_others_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who makes a call shows two at most, so that fewer wait, and they keep their order."""
    monkeypatch.setattr(limits, "TRACE_QUIET", 3600)
    monkeypatch.setattr(limits, "TRACED_EVENTS", 3)
    shown: list[Event] = []
    stream = Stream([shown.append])
    seen = []
    for number in range(8):
        stream.tell(Released(1, 1, number, "/dev/accel/accel0"))
        seen.append(len(shown))
    stream.close()
    assert seen == [0, 0, 0, 2, 2, 4, 4, 6]
    assert [event.thread for event in shown] == list(range(8))


@pytest.mark.skipif(not IS_COMPILED, reason="the twin makes no calls by itself")
def test_a_ring_keeps_the_last_calls_and_counts_the_others(machine: System) -> None:
    """The newest takes the place of the oldest."""
    ring = Ring(4)
    with open_session(machine) as session, session.load(Calculator) as remote:
        ring.begin()
        try:
            for count in range(6):
                remote.sum([1] * count)
        finally:
            ring.end()
    assert (ring.written, ring.lost) == (6, 2)
    assert [one.longest for one in ring.records()] == [8, 12, 16, 20]


@pytest.mark.skipif(
    importlib.util.find_spec("perfetto") is None, reason="perfetto is not installed (timeline)"
)
def test_a_timeline_has_tracks_and_arrows(machine: System, tmp_path: Path) -> None:
    """For the program, the driver and the DSP's thread; begins and ends in pairs on each."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    file = tmp_path / "out.pftrace"
    with (
        open_session(machine) as session,
        qda.trace(file) as trace,
        session.load(Calculator) as remote,
    ):
        for _ in range(3):
            remote.sum([1])
        session.map(session.alloc(4096)).close()
    written = Trace.FromString(file.read_bytes()).packet
    tracks = {
        one.track_descriptor.uuid: one.track_descriptor
        for one in written
        if one.HasField("track_descriptor")
    }
    open_, flows = Counter[int](), Counter[int]()
    named = Counter[str]()
    for packet in written:
        event = packet.track_event
        if not packet.HasField("track_event"):
            continue
        assert event.track_uuid in tracks
        open_[event.track_uuid] += {1: 1, 2: -1, 3: 0}[event.type]
        assert open_[event.track_uuid] >= 0
        named[event.name] += event.type == 1
        flows.update([*event.flow_ids, *event.terminating_flow_ids])
    assert set(open_.values()) == {0}
    assert named["calculator.sum"] == 9  # the program's, the driver's and the DSP's
    assert set(flows.values()) == {3}
    [method, *_] = calls(trace, "calculator")
    assert method.dsp_thread in {one.thread.tid for one in tracks.values()}
    # What the driver asks by itself is on the track of who made it do so.
    made = [one for one in trace.events if isinstance(one, Call)]
    assert {one.process for one in made} == {os.getpid()} and "init.mem_map" in named
    drivers = [one for one in tracks.values() if one.name.startswith("driver of cdsp")]
    assert {one.parent_uuid for one in drivers} == {os.getpid()}
    names = {one.process.pid: one.process.process_name for one in tracks.values()}
    assert names[method.dsp_process] == "cdsp" and names[os.getpid()]


def test_a_profile_says_where_the_time_goes(machine: System) -> None:
    """Of one session's modules, with what the DSP has said."""
    with (
        open_session(machine) as session,
        open_session(machine) as other,
        session.load(Calculator) as remote,
        other.load(Calculator) as not_asked,
        session.profile() as profile,
    ):
        for _ in range(5):
            remote.sum([1])
        remote.fill(1, 4)
        not_asked.sum([1])
    found = {one.name: one for one in profile.methods}
    assert {name: one.calls for name, one in found.items()} == {
        "calculator.sum": 5,
        "calculator.fill": 1,
    }
    for one in found.values():
        assert one.method is not None and one.transport is not None
        assert 0 < one.method < one.p99 and one.median <= one.p99
    assert "calculator.sum, µs of a call" in str(profile)
