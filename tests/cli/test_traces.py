"""`qda run --trace=json`: the events of programs, for programs."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from qda.errors import PROCESS_DIED
from qda.tracing.events import EVENTS, Event
from tests.cli.command import qda
from tests.shim.conftest import programs as programs  # the fixture
from tests.shim.system import SKELETONS, Programs, needs_library

pytestmark = needs_library

FIELDS = {kind.kind: [field.name for field in dataclasses.fields(kind)] for kind in EVENTS}


LOGS = """
import qda
class Logs(qda.Skeleton):
    @qda.method(2)
    def say(self):
        self.dsp.log.warning("hello")
    @qda.method(3)
    def die(self):
        import os
        os._exit(3)
with qda.open("cdsp", device="/dev/accel/accel1") as session:
    session.serve_host()
    with session.load(Logs) as module:
        module.invoke(2)
with qda.open("cdsp", device="/dev/accel/accel1") as session, session.load(Logs) as module:
    try:
        module.invoke(3)
    except qda.DspError:
        pass
"""


def traced(folder: Path, *command: str | Path) -> list[dict[str, Any]]:
    """The events of a run of a program."""
    file = folder / "trace.jsonl"
    more = (f"--trace-file={file}", f"--skeletons={SKELETONS}", "--")
    qda("run", "--trace=json", *more, *map(str, command))
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_events_are_objects_with_the_fields_of_their_declaration(
    programs: Programs, tmp_path: Path
) -> None:
    """A line each, in the order of the clock as far as they are of one thread."""
    events = traced(tmp_path, programs.build("calculator"))
    assert events[0]["event"] == "trace"
    for event in events:
        assert list(event) == ["event", *FIELDS[event["event"]]]
    counted = Counter(event["event"] for event in events)
    assert counted["ioctl_begun"] == counted["ioctl"] > 10
    assert counted["message"] == counted["response"]
    # Those of the driver itself included; a call that is refused has none.
    assert counted["call"] == counted["response"]
    named = {(event["module"], event["result"]) for event in events if event["event"] == "call"}
    assert {("calculator", 0), ("remotectl", 0), ("init", 0)} <= named


@pytest.mark.skipif(
    importlib.util.find_spec("perfetto") is None, reason="perfetto is not installed (timeline)"
)
def test_a_timeline_and_a_summary_of_one_run(programs: Programs, tmp_path: Path) -> None:
    """The timeline has the calls of the program and their methods; the summary sums them up."""
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    file = tmp_path / "out.pftrace"
    options = ("--trace=summary", f"--timeline={file}", f"--skeletons={SKELETONS}")
    ran = qda("run", *options, "--", str(programs.build("calculator")))
    written = Trace.FromString(file.read_bytes()).packet
    began = [one.track_event for one in written if one.track_event.type == 1]
    methods = [one for one in began if one.terminating_flow_ids]
    assert "calculator.method 2" in {one.name for one in methods}
    assert {one.name for one in began} >= {"DRM_IOCTL_QDA_INVOKE", "init.create_attr"}
    processes = {one.track_descriptor.process.process_name for one in written}
    assert "calculator-rfc-" in processes and "program" not in processes
    assert "calculator.method 2" in ran.stderr and "remotectl.open" in ran.stderr


def test_a_trace_that_a_disk_has_no_room_for_is_told_once(tmp_path: Path) -> None:
    """At the end, with the file; the program has not noticed."""
    options = ("--trace=json", "--trace-file=/dev/full")
    ran = qda("run", *options, "--", "touch", str(tmp_path / "went_on"), status=1)
    words = "qda: --trace-file /dev/full: No space left on device: the trace is not whole\n"
    assert ran.stderr == words and (tmp_path / "went_on").exists()


def test_reverse_calls_and_the_log_are_events(tmp_path: Path) -> None:
    """From the payloads of the listener's calls (spec 7.2, 7.7)."""
    events = traced(tmp_path, sys.executable, "-c", LOGS)
    reverse = [event for event in events if event["event"] == "reverse_call"]
    assert {event["module"] for event in reverse} >= {"remotectl", "adspmsgd_apps"}
    assert all(event["duration"] > 0 for event in reverse)
    said = [(event["level"], event["text"]) for event in events if event["event"] == "log"]
    assert ("WARNING", "hello") in said
    # A call that has ended with a death has a result, though there was no response.
    assert ("Logs", 3, PROCESS_DIED) in {
        (event["module"], event["method"], event["result"])
        for event in events
        if event["event"] == "call"
    }
    counted = Counter(event["event"] for event in events)
    assert counted["death"] == 1 and counted["response"] < counted["message"]


def test_every_event_says_what_its_fields_mean() -> None:
    """The reference is made of it."""
    for kind in EVENTS:
        assert kind.kind and issubclass(kind, Event)
        hints = get_type_hints(kind, include_extras=True)
        assert all(get_args(hints[name])[1] for name in FIELDS[kind.kind])
