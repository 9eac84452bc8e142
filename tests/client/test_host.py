"""The host's side of a session: what the DSP may ask of a program, and how it ends."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qda
from qda import limits
from qda.client import Session
from qda.client.host.apps_std import AppsStd
from qda.client.host.listener import ListenerThreads
from qda.client.host.modules import HostModules, Opened
from qda.client.host.search import BUILT_IN, search_folders
from qda.client.host.service import _system_skeleton
from qda.errors import BAD_STATE, NO_LISTENER, SKELETON_RAISED, HostError
from qda.fastrpc.listener import LISTENER, LISTENER1, MoreAnswer, NextAnswer, NextRequest
from qda.fastrpc.nested import pack_request, unpack_reply
from qda.fastrpc.scalars import Scalars
from qda.idl.python.system import SYSTEM_INTERFACES, system_interface
from qda.virtual import Machine
from tests.system import census, new_machine, open_session

VECTORS = Path(__file__).parents[1] / "vectors" / "idl"

logbook: Any = qda.idl.load(
    """interface logbook {
        long write(in string line, rout long count);
        long fail(in long how);
    };""",
    name="logbook.idl",
)
counter: Any = qda.idl.load(
    """#include "remote.idl"
    interface counter : remote_handle64 { long next(rout long number); };""",
    name="counter.idl",
)
worker: Any = qda.idl.load(
    """interface worker {
        long note(in string line, rout long count);
        long fail(in long how, rout long status);
        long count_twice(rout long first, rout long second);
        long down(in long depth, rout long reached);
        long environment(in string name, rout string value);
        long copy(in string source, in string target, rout long size);
        long request(in long size, in uint32_t flags, rout octet value);
        long load(in string name, rout sequence<octet> start, rout long size);
        long say(in string words);
        long echo(in sequence<octet> data, rout long size);
        long drop(in string name);
    };""",
    name="worker.idl",
)
tower: Any = qda.idl.load("interface tower { long down(in long depth, rout long reached); };")


class Worker(worker.Skeleton):  # type: ignore[misc]
    """Runs on the DSP, and calls the host."""

    def note(self, line: str) -> Any:
        with self.dsp.host.open(logbook) as book:
            return book.write(line)

    def fail(self, how: int) -> int:
        with self.dsp.host.open(logbook) as book:
            try:
                book.fail(how)
            except HostError as error:
                return error.status - (error.status >> 31 << 32)
        return 0

    def count_twice(self) -> tuple[int, int]:
        host = self.dsp.host
        with host.open(counter) as first, host.open(counter) as second:
            first.next()
            return first.next(), second.next()

    def down(self, depth: int) -> int:
        if not depth:
            return 0
        with self.dsp.host.open(tower) as host:
            return 1 + int(host.down(depth - 1))

    def environment(self, name: str, value: int) -> str:
        environment = self.dsp.environment
        environment["QDA_COPY"] = str(environment.get(name, "nothing"))
        found = environment["QDA_COPY"]
        del environment["QDA_COPY"]
        return str(found) + (" still" if "QDA_COPY" in environment else "")

    def copy(self, source: str, target: str) -> int:
        host = self.dsp.host
        with host.open_file(source) as text, host.open_file(target, "w") as copy:
            return int(copy.write(text.read()))

    def request(self, size: int, flags: int) -> int:
        with self.dsp.host.open("apps_mem") as memory:
            shown, address = memory.request_map64(0, 0, flags, 0, size)
            fd = flags == 0x10000
            view = self.dsp.memory_of_fd(address) if fd else self.dsp.memory(address, size)
            view[size - 1] = 7
            value = view[size - 1]
            view.release()
            memory.request_unmap64(address, size)
            assert bool(shown) == (flags not in (4, 8, 0x1000, 0x3000))
            return int(value)

    def load(self, name: str, start: Any) -> tuple[None, int]:
        with self.dsp.host.open("apps_std") as files:
            fd, size = files.fopen_fd(name, "r")
            view = self.dsp.memory_of_fd(fd)
            memoryview(start)[:] = view[: len(start)]
            view.release()
            files.fclose_fd(fd)
            return None, size

    def say(self, words: str) -> None:
        self.dsp.log.warning("%s", words)

    def drop(self, name: str) -> None:
        file = self.dsp.host.open_file(name, "w")
        file.write("lost")
        del file

    def echo(self, data: Any) -> int:
        with self.dsp.host.open("echo") as echo:
            back = bytearray(len(data))
            echo.invoke(0, [data], [back])
            assert back == bytes(data)
            return len(back)


class Book(logbook.Skeleton):  # type: ignore[misc]
    """The program's own module."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    def fail(self, how: int) -> None:
        if how == 1:
            raise OSError(errno.EBUSY, "busy")
        if how == 2:
            raise qda.StatusError(0x1234, "so")
        if how == 3:
            raise ValueError("no")


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    system = new_machine()
    yield system
    system.close()


@pytest.fixture(scope="module")
def session(machine: Machine) -> Iterator[Session]:
    """A session that serves its host's side, for tests that provide what they need."""
    with open_session(machine) as found:
        found.install(Worker)
        found.serve_host()
        yield found


@pytest.fixture(scope="module")
def remote(session: Session) -> Any:
    return session.load(worker)


@pytest.fixture
def fresh(machine: Machine) -> Iterator[Session]:
    """A session of the test's own."""
    with open_session(machine) as found:
        found.install(Worker)
        yield found


def host_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.endswith(" host")]


# Modules of the program.


def test_code_on_the_dsp_calls_a_module_of_the_program(session: Session) -> None:
    """`provide` on one side, `self.dsp.host.open` on the other; an object serves all opens."""
    book = Book()
    session.provide(book)
    remote = session.load(worker)
    assert [remote.note("one"), remote.note("two")] == [1, 2]
    assert book.lines == ["one", "two"]


def test_of_a_class_each_open_gets_an_object_of_its_own(session: Session, remote: Any) -> None:
    """Opened, used, closed, with the URI that names the interface."""
    events = []

    class Counter(counter.Skeleton):  # type: ignore[misc]
        def open(self, uri: str) -> None:
            self.number = 0
            events.append(uri)

        def next(self) -> int:
            self.number += 1
            return self.number

        def close(self) -> None:
            events.append("close")

    session.provide(Counter)
    assert remote.count_twice() == (2, 1)
    assert events == [counter.interface.uri] * 2 + ["close"] * 2


def test_what_a_module_raises_is_the_status_of_the_call(
    session: Session, remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An errno, a status, or 1 for anything else, which is logged (8.2)."""
    session.provide(Book)
    assert [remote.fail(how) for how in range(4)] == [0, errno.EBUSY, 0x1234, 1]
    assert "no" in [str(one.exc_info[1]) for one in caplog.records if one.exc_info]


def test_a_module_that_is_not_provided_is_an_error_with_names(fresh: Session) -> None:
    """Of those that there are."""
    fresh.serve_host()
    with pytest.raises(qda.DspError) as caught:
        fresh.load(worker).note("x")
    assert caught.value.status == SKELETON_RAISED
    assert "adspmsgd_apps, apps_mem, apps_std" in str(caught.value)


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_calls_nest_both_ways(session: Session, remote: Any, depth: int) -> None:
    """A method of the host calls the DSP, which calls the host: another thread serves it."""

    class Tower(tower.Skeleton):  # type: ignore[misc]
        def down(self, depth: int) -> int:
            return 1 + int(remote.down(depth))

    session.provide(Tower)
    assert remote.down(depth) == 2 * depth


@pytest.mark.parametrize("size", [0, 1, 4000, 5000, 1 << 20])
def test_data_of_any_size_travels(session: Session, remote: Any, size: int) -> None:
    """Longer than the first room, than a message, than what is kept (7.2)."""

    class Echo(qda.Skeleton, name="echo"):
        @qda.method(0)
        def echo(self, data: memoryview, back: memoryview) -> None:
            back[:] = data

    session.provide(Echo)
    assert remote.echo(np.arange(size, dtype=np.uint8)) == size


def test_what_is_no_skeleton_is_refused(session: Session) -> None:
    """With what was given."""
    with pytest.raises(qda.UsageTypeError, match="42 is no skeleton"):
        session.provide(42)


# Files, environment, memory, log.


def test_a_skeleton_reads_and_writes_files_of_the_host(remote: Any, tmp_path: Path) -> None:
    """As with `open`; what is not there is an errno."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("äöü\n" * 20000)
    assert remote.copy(str(source), str(target)) == 80000
    assert target.read_text() == source.read_text()
    with pytest.raises(qda.DspError, match="ENOENT"):
        remote.copy(str(tmp_path / "none"), str(target))


def test_a_file_that_is_dropped_is_closed_with_the_session(fresh: Session, tmp_path: Path) -> None:
    """The collector of the DSP calls nobody: not to close, nor to write what was left."""
    (tmp_path / "f").touch()
    fresh.serve_host()
    fresh.load(worker).drop(str(tmp_path / "f"))
    assert (tmp_path / "f").read_text() == ""
    before = len(os.listdir("/proc/self/fd"))
    fresh.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_a_skeleton_has_the_environment_of_the_host(
    remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables as they are now, however long; a missing one is not there."""
    monkeypatch.setenv("QDA_TEST", "x" * 1000)
    assert remote.environment("QDA_TEST", 2000) == "x" * 1000
    assert remote.environment("QDA_NOT_THERE", 100) == "nothing"
    assert "QDA_COPY" not in os.environ


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_the_dsp_gets_memory_on_request(machine: Machine, dialect: str) -> None:
    """Of all kinds; mapped while the reverse call is open, and given back (7.6)."""
    with open_session(machine, dialect) as session:
        session.install(Worker)
        session.serve_host()
        remote = session.load(worker)
        before = census(machine).device
        for flags in (4, 8, 6, 0x1000, 0x3000, 0x10000, 0):
            assert remote.request(10000, flags) == 7
            assert census(machine).device == before


@pytest.mark.parametrize("size", [0, -1, 1 << 40])
def test_senseless_requests_for_memory_are_refused(remote: Any, size: int) -> None:
    """Nothing is allocated."""
    with pytest.raises((qda.DspError, qda.UsageError)):
        remote.request(size, 0)


def test_a_whole_file_is_mapped_under_an_fd(remote: Any, tmp_path: Path) -> None:
    """`fopen_fd` (7.5)."""
    file = tmp_path / "data"
    file.write_bytes(b"abc" * 5000)
    start, size = remote.load(str(file), 3)
    assert (bytes(start), size) == (b"abc", 15000)


def test_each_message_reaches_the_logger_once(
    fresh: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """Those from before the host listened too, and `read_log` still has them (U5)."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    remote = fresh.load(worker)
    remote.say("read")
    assert fresh.read_log() == ["WARNING read"]
    remote.say("early")
    fresh.serve_host()
    remote.say("late\n" + "x" * 500)
    fresh.provide(Book)
    remote.note("the log goes the same way, and is there before")
    assert fresh.read_log() == ["WARNING early", "WARNING late", "x" * 500]
    fresh.close()
    said = [one.getMessage() for one in caplog.records if one.name == "qda.dsp.cdsp"]
    assert said[:3] == ["WARNING read", "early", "late"]
    assert "".join(said[3:]) == "x" * 500
    early = next(one for one in caplog.records if one.getMessage() == "early")
    assert (early.levelno, early.filename) == (logging.WARNING, "test_host.py")


def test_a_host_that_takes_no_log_is_not_asked_again(machine: Machine) -> None:
    """hexagonrpcd has no such module, and says so; calls go on (7.4)."""
    with open_session(machine) as session:
        session.install(Worker)
        del session._host._modules._openers["adspmsgd_apps"]
        session.provide(Book)
        remote = session.load(worker)
        remote.say("nobody hears it")
        assert remote.note("x") == 1


# Life.


def test_a_session_that_needs_no_host_has_no_thread(fresh: Session) -> None:
    """Not even with modules, if they are installed; without a listener a reverse call says so."""
    before = host_threads()
    remote = fresh.load(worker)
    assert host_threads() == before
    with pytest.raises(qda.DspError, match="serve_host") as caught:
        remote.note("x")
    assert caught.value.status == NO_LISTENER


def test_loading_a_file_starts_the_host(fresh: Session) -> None:
    """Because the DSP asks for it."""
    before = len(host_threads())
    with pytest.raises(qda.DspError):
        fresh.load("nothing_there")
    assert len(host_threads()) == before + 1


def test_no_thread_is_left_at_the_end(machine: Machine) -> None:
    """Nor a descriptor, mapping or process."""
    with open_session(machine) as session:  # what is made once and stays
        session.serve_host()
    before, others = census(machine), set(host_threads())
    for error in (None, KeyboardInterrupt):
        try:
            with open_session(machine) as session:
                session.provide(Book)
                session.install(Worker)
                session.load(worker).note("x")
                assert len(set(host_threads()) - others) == 1
                if error:
                    raise error
        except KeyboardInterrupt:
            pass
        assert set(host_threads()) == others
        assert census(machine) == before


def test_a_dsp_that_dies_ends_the_threads(machine: Machine) -> None:
    """And the session can still be closed."""
    others = set(host_threads())
    with open_session(machine) as session:
        session.provide(Book)
        with pytest.raises(qda.DspError):
            session.load(Killer).invoke(2)
        for thread in set(host_threads()) - others:
            thread.join(30)
        assert set(host_threads()) == others


class Killer(qda.Skeleton, name="killer"):
    """Ends its process."""

    @qda.method(2)
    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_session_closes_while_the_host_is_in_a_method(machine: Machine) -> None:
    """The reverse call ends with the session, its method when it likes."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(logbook.Skeleton):  # type: ignore[misc]
        def write(self, line: str) -> int:
            entered.set()
            leave.wait(30)
            return 1

    others = set(host_threads())
    session = open_session(machine)
    session.install(Worker)
    session.provide(Slow)
    remote = session.load(worker)
    calling = qda.start(remote.note, "x")
    entered.wait(30)
    closing = threading.Thread(target=session.close)
    closing.start()
    with pytest.raises((qda.DspError, qda.DeviceError)) as caught:
        calling.result(30)
    if isinstance(caught.value, qda.DspError):
        assert caught.value.status == BAD_STATE
    leave.set()
    closing.join(30)
    assert set(host_threads()) == others


def test_a_debugged_dsp_calls_the_host_too() -> None:
    """Both sides in one process."""
    with qda.open(device="virtual", debug=True, skeletons=[Worker]) as session:
        session.provide(Book)
        assert session.load(worker).note("x") == 1


# A hostile DSP.


class Dsp:
    """Answers `next2` with given requests, and keeps what the host brings."""

    def __init__(self, requests: Sequence[tuple[NextAnswer, bytes]], more: bytes | None) -> None:
        self.requests, self.more = list(requests), more
        self.results: list[tuple[int, int, bytes]] = []

    def __call__(self, handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        assert handle == LISTENER1.handle
        if method == LISTENER1.init2.method:
            return 0
        if method == LISTENER1.more.method:
            if self.more is None:
                return 14
            outs[0][:4] = MoreAnswer(length=len(self.more)).pack()
            room = outs[1]
            room[: len(self.more)] = self.more[: len(room)]
            return 0
        brought = NextRequest.unpack(ins[0])
        self.results.append((brought.context, brought.result, bytes(ins[1])))
        if not self.requests:
            return BAD_STATE
        answer, stream = self.requests.pop(0)
        outs[0][:] = answer.pack()
        outs[1][: len(stream)] = stream
        return 0


def served(requests: Sequence[tuple[NextAnswer, bytes]], more: bytes | None = None) -> Dsp:
    dsp, modules = Dsp(requests, more), HostModules()
    modules.provide("files", lambda _: Opened(AnyModule(), lambda: None))
    threads = ListenerThreads(dsp, modules, "hostile")
    assert threads.start() == 0
    threads.stop()
    assert "hostile host" not in [one.name for one in host_threads()]
    return dsp


class AnyModule:
    """Takes everything."""

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        return 0


def asks(scalars: Scalars, stream: bytes, handle: int = 0, length: int | None = None) -> Any:
    size = len(stream) if length is None else length
    return NextAnswer(context=9, handle=handle, scalars=scalars.word, length=size), stream


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asks(Scalars(0, 1), b""), 0xE),
        (asks(Scalars(0, 1), b"\xff\xff\xff\xff"), 0xE),
        (asks(Scalars(0, 0, 2), b"\xff\xff\xff\xff" * 2), 0xE),
        (asks(Scalars(0, 0, 0, 1), b""), 0xE),
        (asks(Scalars(0), b"", length=-1), 0xE),
        (asks(Scalars(0), b"", length=limits.STREAM + 1), 0xE),
        (asks(Scalars(0), b"", length=5000), 0xE),
        (asks(Scalars(0), b"", handle=77), 0x2C),
        (asks(Scalars(9), b""), 0x14),
        (asks(Scalars(0, 2, 2), pack_request([b"", b""], [8, 8])), 0xE),
        (asks(Scalars(0, 2, 2), pack_request([bytes(8), b"no end"], [8, 8])), 0xE),
        (asks(Scalars(1, 1, 2), pack_request([bytes(8)], [0, 8])), 0xE),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    request_: tuple[NextAnswer, bytes], status: int
) -> None:
    """And the host goes on."""
    good = asks(Scalars(1, 1, 2), pack_request([bytes(8)], [4, 8]))
    dsp = served([request_, good])
    assert [(context, result) for context, result, _ in dsp.results] == [
        (0, -1),
        (9, status),
        (9, 0),
    ]
    assert len(unpack_reply(dsp.results[-1][2], [4, 8])) == 2


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 3), st.binary(max_size=80))
def test_any_request_is_answered(word: int, handle: int, stream: bytes) -> None:
    """Whatever the scalars and the bytes are."""
    answer = NextAnswer(context=9, handle=handle, scalars=word, length=len(stream))
    assert len(served([(answer, stream)]).results) == 2


def test_a_dsp_that_has_handle_3_only_is_served_there() -> None:
    """As the C library falls back (7.2)."""
    called = []

    def invoke(handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        called.append((handle, method))
        return 0 if (handle, method) == (3, LISTENER.init2.method) else 0x80000600

    threads = ListenerThreads(invoke, HostModules(), "old")
    assert threads.start() == 0
    threads.stop()
    assert called[:3] == [(7, 5), (3, 3), (3, 4)]
    assert threads.start() == 0  # and nothing runs after the end
    assert "old host" not in [one.name for one in host_threads()]


def test_a_dsp_opens_only_so_many_modules() -> None:
    """Then it is told so, and what was opened for nothing is closed."""
    modules, closed = HostModules(), []
    modules.provide("x", lambda _: Opened(AnyModule(), lambda: closed.append(1)))
    name = b"x\0"
    request = memoryview(bytes([2, 0, 0, 0, 8, 0, 0, 0])), memoryview(name)
    answer = bytearray(8)
    for _ in range(limits.HOST_MODULES + 1):
        assert modules.call(0, Scalars(0, 2, 2), request, [answer, bytearray(8)]) == 0
    assert answer[4:] == bytes([0x2D, 0, 0, 0])
    assert len(closed) == 1
    modules.close()
    assert len(closed) == limits.HOST_MODULES + 1


# apps_std, method by method.


class Direct:
    """Calls a skeleton as the DSP would, without one."""

    def __init__(self, skeleton: Any) -> None:
        self.modules = HostModules()
        self.modules.provide("apps_std", lambda _: Opened(skeleton, lambda: None))
        name = memoryview(b"apps_std\0")
        answer = bytearray(8)
        request = memoryview(bytes([9, 0, 0, 0, 0, 0, 0, 0]))
        self.modules.call(0, Scalars(0, 2, 2), [request, name], [answer, bytearray()])
        self.handle = int.from_bytes(answer[:4], "little")

    def invoke(self, method: int, ins: Any, outs: Any, _in: Any, _out: Any, *, label: str) -> None:
        scalars = Scalars(min(method, 31), len(ins), len(outs))
        given = [memoryview(bytes(memoryview(one).cast("B"))) for one in ins]
        rooms = [bytearray(memoryview(one).nbytes) for one in outs]
        status = self.modules.call(self.handle, scalars, given, rooms)
        if status:
            raise HostError(label, status)
        for out, room in zip(outs, rooms, strict=True):
            memoryview(out).cast("B")[:] = room


@pytest.fixture
def files() -> Iterator[Any]:
    shared: dict[int, bytes] = {}

    def share(data: bytes) -> int:
        shared[len(shared) + 1] = data
        return len(shared)

    def unshare(fd: int) -> None:
        del shared[fd]

    methods = AppsStd("cdsp", share, unshare)
    skeleton = _system_skeleton("apps_std", AppsStd)(methods)
    yield system_interface("apps_std")(Direct(skeleton))
    methods.close_all()


def status_of(call: Any, *arguments: Any) -> int:
    with pytest.raises(HostError) as caught:
        call(*arguments)
    return caught.value.status


@pytest.mark.parametrize("name", SYSTEM_INTERFACES)
def test_interfaces_are_those_of_the_original(name: str) -> None:
    """Method by method (7.5, 7.6)."""
    original = json.loads((VECTORS / f"{name}.json").read_text())["methods"]
    ours = system_interface(name).interface.methods
    assert [f"{one};" for one in ours] == [one["idl"] for one in original]


def test_every_method_is_there(files: Any) -> None:
    """Each of the interface's has an implementation."""
    for name in SYSTEM_INTERFACES:
        for method in system_interface(name).interface.methods:
            if name == "apps_std":
                assert hasattr(AppsStd, method.name)


def test_reading(files: Any, tmp_path: Path) -> None:
    """fopen, fread, feof, fseek, ftell, flen, rewind, fgets, fclose."""
    (tmp_path / "f").write_bytes(b"one\ntwo")
    file = files.fopen(str(tmp_path / "f"), "r")
    assert files.flen(file) == 7
    found = files.fread(file, 4)
    assert (bytes(found.buf), found.bytesRead, found.bEOF) == (b"one\n", 4, 0)
    assert files.ftell(file) == 4
    assert files.feof(file) == 0
    found = files.fread(file, 10)
    assert (bytes(found.buf[:3]), found.bytesRead, found.bEOF) == (b"two", 3, 1)
    assert files.feof(file) == 1
    files.rewind(file)
    assert (files.feof(file), files.ftell(file)) == (0, 0)
    line = files.fgets(file, 10)
    assert (bytes(line.buf[:5]), line.bEOF) == (b"one\n\0", 0)
    assert bytes(files.fgets(file, 3).buf) == b"tw\0"
    files.fseek(file, -3, 2)
    assert files.fgets(file, 10).bEOF == 1
    assert status_of(files.fseek, file, -100, 1) == errno.EINVAL
    assert status_of(files.fseek, file, 0, 9) == 0xE
    assert status_of(files.fwrite, file, b"x") == errno.EBADF
    assert files.ferror(file) == 1
    files.clearerr(file)
    assert files.ferror(file) == 0
    files.fclose(file)
    assert status_of(files.fclose, file) == 0xE
    assert status_of(files.fread, file, 4) == 0xE


def test_writing(files: Any, tmp_path: Path) -> None:
    """fwrite, fflush, fsync, fgetpos, fsetpos, ftrunc, freopen."""
    path = tmp_path / "f"
    file = files.fopen(str(path), "w+")
    assert files.fwrite(file, b"hello").bytesWritten == 5
    assert files.flen(file) == 5
    files.fflush(file)
    assert path.read_bytes() == b"hello"
    place = files.fgetpos(file, 8)
    assert place.posLenReq == 8
    assert files.fgetpos(file, 2).posLenReq == 8
    files.fwrite(file, b"more")
    files.fsetpos(file, place.pos)
    assert files.ftell(file) == 5
    assert status_of(files.fsetpos, file, b"abc") == 0xE
    files.fsync(file)
    files.ftrunc(file, 2)
    assert path.read_bytes() == b"he"
    assert status_of(files.ftrunc, file, -1) == errno.EINVAL
    file = files.freopen(file, str(path), "a")
    files.fwrite(file, b"y")
    files.fclose(file)
    assert path.read_bytes() == b"hey"
    assert status_of(files.fopen, str(path), "q") == errno.EINVAL
    assert status_of(files.fopen, str(tmp_path / "none"), "r") == errno.ENOENT
    assert status_of(files.fopen, str(tmp_path), "r") == errno.EISDIR
    assert status_of(files.fdopen_decrypt, 100) == 0x14


def test_folders_and_names(files: Any, tmp_path: Path) -> None:
    """mkdir, opendir, readdir, closedir, stat, fileExists, frename, fremove, rmdir."""
    folder = tmp_path / "folder"
    files.mkdir(str(folder), 0o755)
    assert status_of(files.mkdir, str(folder), 0o755) == errno.EEXIST
    (folder / "one").write_bytes(b"12345")
    opened = files.opendir(str(folder))
    names = []
    while not (found := files.readdir(opened)).bEOF:
        names.append(np.array(found.dirent.name, np.int8).tobytes().rstrip(b"\0"))
    assert names == [b".", b"..", b"one"]
    assert found.dirent.ino == 0
    files.closedir(opened)
    assert status_of(files.readdir, opened) == 0xE
    assert status_of(files.opendir, str(folder / "one")) == errno.ENOTDIR
    known, real = files.stat(str(folder / "one")), os.stat(folder / "one")
    assert (known.size, known.mode, known.ino) == (5, real.st_mode, real.st_ino)
    assert known.mtime * 10**9 + known.mtimensec == real.st_mtime_ns
    assert status_of(files.stat, str(folder / "two")) == errno.ENOENT
    assert files.fileExists(str(folder / "one")) is True
    files.frename(str(folder / "one"), str(folder / "two"))
    assert files.fileExists(str(folder / "one")) is False
    assert status_of(files.rmdir, str(folder)) == errno.ENOTEMPTY
    files.fremove(str(folder / "two"))
    files.rmdir(str(folder))
    assert not folder.exists()


def test_environment(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """getenv with too little room says how much is needed; setenv, unsetenv."""
    monkeypatch.setenv("QDA_TEST", "value")
    assert files.getenv("QDA_TEST", 100) == ("value", 6)
    assert files.getenv("QDA_TEST", 3) == ("va", 6)
    assert status_of(files.getenv, "QDA_NOT_THERE", 3) == 0x63
    files.setenv("QDA_TEST", "other", 0)
    assert os.environ["QDA_TEST"] == "value"
    files.setenv("QDA_TEST", "other", 1)
    assert os.environ["QDA_TEST"] == "other"
    assert status_of(files.setenv, "A=B", "x", 1) == 0x64
    files.unsetenv("QDA_TEST")
    files.unsetenv("QDA_TEST")
    assert "QDA_TEST" not in os.environ


def test_print_string(files: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """On the program's standard output (clients.md 10)."""
    files.print_string("hello\n")
    assert capsys.readouterr().out == "hello\n"


def test_files_along_a_search_path(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fopen_with_env, its variant in a buffer, and get_search_paths_with_env (U9)."""
    for name in ("a", "b", "b/cdsp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    monkeypatch.setenv("DSP_LIBRARY_PATH", f"{tmp_path}/none;{tmp_path}/b")
    monkeypatch.setenv("ADSP_LIBRARY_PATH", f"{tmp_path}/a")
    asked = ("ADSP_LIBRARY_PATH", ";", "f", "r")
    file = files.fopen_with_env(*asked)
    assert bytes(files.fread(file, 6).buf) == b"b/cdsp"
    assert files.fopen_with_env_fd(*asked) == (1, 6)
    files.fclose_fd(1)
    (tmp_path / "b" / "f").unlink()
    (tmp_path / "b" / "cdsp" / "f").unlink()
    assert bytes(files.fread(files.fopen_with_env(*asked), 1).buf) == b"a"
    assert status_of(files.fopen_with_env, *asked[:2], "g", "r") == errno.ENOENT
    absolute = str(tmp_path / "a" / "f")
    assert bytes(files.fread(files.fopen_with_env(*asked[:2], absolute, "r"), 1).buf) == b"a"
    folders = files.get_search_paths_with_env("ADSP_LIBRARY_PATH", ";", [200] * 3)
    want = [f"{tmp_path}/none/cdsp", f"{tmp_path}/none", f"{tmp_path}/b/cdsp"]
    assert folders.paths == want
    assert folders.numPaths == 6 + 2 * len(BUILT_IN)
    assert folders.maxPathLen == max(map(len, want)) + 1


@given(st.dictionaries(st.sampled_from(["DSP_LIBRARY_PATH", "ADSP_LIBRARY_PATH", "X"]), st.text()))
def test_search_folders_for_any_environment(environment: dict[str, str]) -> None:
    """Each once, that of the DSP before the general one, the built-in ones last."""
    found = search_folders("ADSP_LIBRARY_PATH", ";", "cdsp", environment)
    assert len(set(found)) == len(found)
    assert set(BUILT_IN) < set(found)
    assert search_folders("X", ":", "cdsp", {}) == []


def test_a_dsp_opens_only_so_many_files(files: Any, tmp_path: Path) -> None:
    """EMFILE, and nothing leaks."""
    (tmp_path / "f").touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(limits.HOST_FILES):
        files.fopen(str(tmp_path / "f"), "r")
    assert status_of(files.fopen, str(tmp_path / "f"), "r") == errno.EMFILE
    assert len(os.listdir("/proc/self/fd")) == before + limits.HOST_FILES
