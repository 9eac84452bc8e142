"""Recordings: what was recorded is played on both sides, and what has changed is told."""

from __future__ import annotations

import dataclasses
import os
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import qda
from qda.cli import demo, pictures
from qda.driver import Device
from qda.driver.session import Session
from qda.recording.difference import Comparison
from qda.recording.events import EVENTS, Answered, Called, Change, Event, HostAnswered
from qda.recording.file import LINES, Writer, read
from qda.recording.program_side import play_against
from qda.recording.recorder import RecordedSession
from tests.system import System, open_session

calculator: Any = qda.idl.load(
    "interface calculator { long sum(in sequence<long> n, rout long total); "
    "long at(in uint64 place, in long count, rout long total); "
    "long ask(in long n, rout long total); long die(); long wait(in long which); "
    "long mark(rout sequence<long> many); };"
)
teller: Any = qda.idl.load("interface teller { long tell(in long n, rout long told); };")


class Calculator(calculator.Skeleton):  # type: ignore[misc]
    """What is called: with bytes, with memory at an address, with calls of the host."""

    def sum(self, n: Any) -> int:
        self.dsp.log.warning("summing")
        return int(n.sum())

    def at(self, place: int, count: int) -> int:
        numbers = np.frombuffer(self.dsp.memory(place, 4 * count), "i4")
        total = int(numbers.sum())
        numbers[:] = 7
        return total

    def ask(self, n: int) -> int:
        with self.dsp.host.open(teller) as host:
            return int(host.tell(n)) + int(host.tell(n + 1))

    def die(self) -> None:
        import os

        os._exit(3)

    def mark(self, many: Any) -> None:
        many[0] = 7

    both = threading.Barrier(2)

    def wait(self, which: int) -> None:
        Calculator.both.wait(10)


class Teller(teller.Skeleton):  # type: ignore[misc]
    """The host's module."""

    def __init__(self, more: int = 0) -> None:
        self.more = more

    def tell(self, n: int) -> int:
        return 2 * n + self.more


Open = Callable[[], qda.Session]


def program(open_one: Open, last: int = 3, marked: int = 1, more: int = 0) -> list[int]:
    """Calls of all kinds."""
    with open_one() as session, session.load(Calculator) as remote:
        session.provide(Teller(more))
        found = [remote.sum([1, 2, last])]
        shared = session.empty(3000, "i4")
        shared[:] = 1
        found.append(remote.sum(shared))
        with session.map(shared) as mapping:
            found.append(remote.at(mapping.address, 2000))
            shared[2500] = marked
            found.append(remote.at(mapping.address, 2000))
        found += [int(shared[0]), int(shared[2999]), remote.ask(5)]
        return found


EXPECTED = [6, 3000, 2000, 14000, 7, 1, 22]


def virtual() -> qda.Session:
    """A session on what this process's virtual device is now."""
    return qda.open("cdsp", device="virtual")


@pytest.fixture(scope="module")
def recorded(machine: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording of the program."""
    file = tmp_path_factory.mktemp("recording") / "calls.qda"
    with qda.record(file):
        assert program(lambda: open_session(machine)) == EXPECTED
    return file


def against(events: Sequence[Event], machine: System) -> list[str]:
    """The differences of a device from a recording."""
    comparison = Comparison([calculator.interface, teller.interface])
    play_against(events, lambda opened: open_session(machine), comparison)
    return [str(one) for one in comparison.differences]


def test_the_programs_side_is_played_against_a_device(recorded: Path, machine: System) -> None:
    """Calls inline, on buffers and at addresses, and those of the DSP to the host."""
    assert against(read(recorded), machine) == []


def test_the_dsps_side_is_played_for_a_program(recorded: Path) -> None:
    """No skeleton runs: nothing of it could be told from the recording."""
    with qda.replay(recorded):
        assert program(virtual) == EXPECTED


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"last": 4}, "call 4, calculator.sum: n[2]: 3 in the recording, 4 now"),
        ({"marked": 2}, ": 01 00 00 00 01 00 00 00 in the recording, 02 00 00 00 01 00 00 00 now"),
        ({"more": 1}, "calls teller, method 0: byte 0 of out-buffer 0: 0a 00 00 00 in the"),
    ],
)
def test_what_a_program_asks_for_otherwise_is_told(
    recorded: Path, changed: dict[str, int], told: str
) -> None:
    """Field by field; it gets the recorded answer all the same."""
    with pytest.raises(qda.Differs) as refused, qda.replay(recorded):
        assert program(virtual, **changed) == EXPECTED
    assert told in str(refused.value.differences[0])


def test_a_session_that_does_not_begin_any_more_is_told(recorded: Path) -> None:
    """In the end, when it does not begin any more."""
    replay = qda.replay(recorded)
    replay.__enter__()
    with pytest.raises(qda.Differs, match="its beginning: one in the recording, none now"):
        replay.__exit__(None, None, None)


def test_calls_that_are_not_made_or_were_not_recorded_are_told(recorded: Path) -> None:
    """What was not recorded has no answer, and fails."""
    replay = qda.replay(recorded)
    replay.__enter__()
    with virtual() as session, session.load(Calculator) as remote, pytest.raises(qda.DspError):
        remote.wait(1)
    with pytest.raises(qda.Differs) as refused:
        replay.__exit__(None, None, None)
    told = [str(one) for one in refused.value.differences]
    assert told[0] == "method 4 of calculator: the call: not made in the recording, made now"
    missing = "call 4, calculator.sum: the call: made in the recording, not made now"
    assert missing in told and not any("loader" in one for one in told)


def test_what_a_device_says_otherwise_is_told(recorded: Path, machine: System) -> None:
    """A result, by its parameter; memory, by its place; what it asks of the host, by its bytes."""
    events = read(recorded)
    numbers = {one.number: one for one in events if isinstance(one, Called)}
    changed: list[Event] = []
    for event in events:
        if isinstance(event, Answered) and event.outs == ((6).to_bytes(4, "little"),):
            event = dataclasses.replace(event, outs=((5).to_bytes(4, "little"),))
        if isinstance(event, Answered) and numbers[event.number].method == 1 and event.memory:
            [change] = event.memory
            data = b"\x08" + change.data[1:]
            event = dataclasses.replace(event, memory=(Change(change.address, data),))
        if isinstance(event, HostAnswered) and event.outs == ((10).to_bytes(4, "little"),):
            event = dataclasses.replace(event, outs=((11).to_bytes(4, "little"),))
        changed.append(event)
    told = against(changed, machine)
    assert told[0] == "call 4, calculator.sum: total: 5 in the recording, 6 now"
    assert "byte 0 of memory mapped at" in told[1]
    assert told[-1] == "call 8, calculator.ask: total: 22 in the recording, 23 now"


def test_what_the_dsp_leaves_as_it_was_is_as_it_was(machine: System, tmp_path: Path) -> None:
    """An out-buffer in shared memory has what stood there, and the DSP need not write all of it."""
    file = tmp_path / "marked.qda"
    with (
        qda.record(file),
        open_session(machine) as session,
        session.load(Calculator) as remote,
    ):
        shared = session.empty(4, "i4")
        shared[:] = 5
        remote.mark(shared)
        assert shared.tolist() == [7, 5, 5, 5]
    assert against(read(file), machine) == []


def test_threads_may_come_in_another_order(machine: System, tmp_path: Path) -> None:
    """And calls are under way together as they were: each waits for the other here."""
    file = tmp_path / "threads.qda"

    def run(open_one: Open, order: Sequence[int]) -> None:
        with open_one() as session, session.load(Calculator) as remote:
            threads = [threading.Thread(target=remote.wait, args=(one,)) for one in order]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    with qda.record(file):
        run(lambda: open_session(machine), (1, 2))
    assert against(read(file), machine) == []
    with qda.replay(file):
        run(virtual, (2, 1))


def test_a_process_that_has_died_dies_again(machine: System, tmp_path: Path) -> None:
    """On both sides; what is called afterwards finds nobody."""
    file = tmp_path / "death.qda"

    def run(open_one: Open) -> None:
        with open_one() as session:
            remote = session.load(Calculator)
            with pytest.raises(qda.DspError) as died:
                remote.die()
            assert died.value.status == 39
            with pytest.raises(qda.DspError):
                remote.sum([1])

    with qda.record(file):
        run(lambda: open_session(machine))
    assert against(read(file), machine) == []
    with qda.replay(file):
        run(virtual)


def test_there_is_one_recording_at_a_time_and_it_needs_a_file(tmp_path: Path) -> None:
    """Both are said when the block begins."""
    answer = Answered(1, 1, 0, (bytes(1000),), ())
    with qda.record(tmp_path / "one"):
        RecordedSession.book.write(answer)
        for name in ("one", "two"):
            with pytest.raises(qda.UsageError, match="recorded already"):
                qda.record(tmp_path / name).__enter__()
    assert read(tmp_path / "one") == [answer]
    assert not (tmp_path / "two").exists()
    with pytest.raises(qda.UsageError, match="No such file"):
        qda.record(tmp_path / "no" / "file").__enter__()


@pytest.mark.parametrize("many", [0, 100])
def test_a_recording_that_a_disk_has_no_room_for_is_told_at_its_end(many: int) -> None:
    """And not to the program whose call it was."""
    record = qda.record("/dev/full").__enter__()
    for number in range(many):
        data = np.random.default_rng(number).bytes(10_000)
        RecordedSession.book.write(Answered(1, number, 0, (data,), ()))
    with pytest.raises(qda.UsageError, match=r"/dev/full: No space left .* is not whole"):
        record.__exit__(None, None, None)


def test_what_is_no_file_is_no_recording(tmp_path: Path) -> None:
    """It could be read for ever, or never."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(qda.UsageError, match="a device or a pipe"):
            read(path)


def test_a_forked_child_spoils_no_recording(tmp_path: Path) -> None:
    """Its sessions are not recorded, and it writes nothing into the parent's file, at no end."""
    file = tmp_path / "parent.qda"
    answers = [Answered(1, number, 0, (bytes([number]) * 1000,), ()) for number in range(3)]
    with qda.record(file) as record:
        book = RecordedSession.book
        book.write(answers[0])
        child = os.fork()
        if not child:
            book.write(answers[2])
            is_left = Device.session_type is Session
            record.__exit__(None, None, None)
            os._exit(7 if is_left else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        book.write(answers[1])
    assert read(file) == answers[:2]


def test_the_demo_is_played_on_both_sides(machine: System, tmp_path: Path) -> None:
    """Its three ways, against another dialect, and without its skeleton."""
    photograph = np.ascontiguousarray(pictures.read_photograph()[:64, :64])
    expected, _ = demo.filter_on_host(photograph)
    file = tmp_path / "demo.qda"

    def run(session: qda.Session) -> None:
        with session:
            assert all(one.equal for one, _ in demo.filter_on_dsp(session, photograph, expected))

    with qda.record(file):
        run(open_session(machine))
    comparison = Comparison()
    play_against(read(file), lambda opened: open_session(machine, dialect="legacy"), comparison)
    assert str(comparison) == ""
    with qda.replay(file):
        run(virtual())


@settings(max_examples=25)
@given(some.lists(some.one_of(*(some.builds(kind) for kind in EVENTS)), max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, events: Any) -> None:
    """Whatever it is."""
    file = tmp_path_factory.getbasetemp() / "any.qda"
    writer = Writer(file)
    for event in events:
        writer.write(event)
    writer.close()
    assert read(file) == events


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('{"recording": 99}', "it is of version 99, and this QDA reads version 1"),
        ("nonsense", "Expecting value"),
        ('{"recording": 1}\n{"event": "sneeze"}', "sneeze"),
        ('{"recording": 1}\n{"event": "end"}', "session"),
        ('{"recording": 1}\n{"event": "end", "session": "one"}', "'one' where there should be"),
        (
            '{"recording": 1}\n{"event": "host_answer", "session": 1, "number": 1, "result": 0, '
            '"outs": [{"bytes": "../../etc/passwd"}]}',
            "no item named",
        ),
    ],
)
def test_what_is_no_recording_is_refused_in_words(tmp_path: Path, lines: str, words: str) -> None:
    """Anybody may have made the file."""
    file = tmp_path / "bad.qda"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(LINES, lines)
    with pytest.raises(qda.UsageError, match="is no recording") as refused:
        read(file)
    assert words in str(refused.value)
    for other in (tmp_path / "none.qda", tmp_path):
        with pytest.raises(qda.UsageError, match=str(other)):
            read(other)


def test_a_recording_that_has_been_changed_is_refused_in_words(
    recorded: Path, tmp_path: Path
) -> None:
    """Whichever byte it is of the archive, or it makes no difference to who reads."""
    whole, file = recorded.read_bytes(), tmp_path / "changed.qda"
    words: list[str] = []
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]):
            file.write_bytes(data)
            try:
                read(file)
            except qda.UsageError as error:
                words.append(str(error))
    assert len(words) > 200 and all(str(file) in one for one in words)
