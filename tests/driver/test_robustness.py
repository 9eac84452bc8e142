"""Bad input and bad luck: a clear error, nothing leaked, and the next one is served."""

from __future__ import annotations

import _thread
import errno
import gc
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest

import qda
from qda.driver import Device, LocalNode, banks, calls, objects, peer
from qda.driver import session as driver_session
from qda.errors import (
    BAD_ADDRESS,
    BAD_HANDLE,
    BAD_PARAMETER,
    BAD_STATE,
    PROCESS_DIED,
    SKELETON_RAISED,
    UNABLE_TO_LOAD,
    UNSUPPORTED,
)
from qda.rpmsg import channel as rpmsg_channel
from qda.rpmsg.watch import Watch
from qda.uapi import DIALECTS
from qda.uapi.accel import InitCreate
from qda.virtual import Machine
from tests.system import System, census, children_of, descriptors, new_machine, open_session
from tests.waiting import until


class Trouble(qda.Skeleton):
    """Everything that a method can do wrong, and a few that do right."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.waiting = 0
        self.kept: memoryview | None = None

    @qda.method(2)
    def add_one(self, given: memoryview, result: memoryview) -> None:
        result[:] = bytes(value + 1 & 255 for value in given)

    @qda.method(3)
    def raises(self) -> None:
        raise RuntimeError("on purpose")

    @qda.method(4)
    def exits(self) -> None:
        raise SystemExit(3)

    @qda.method(5)
    def kills(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @qda.method(6)
    def waits(self) -> None:
        self.waiting += 1
        self.gate.wait()

    @qda.method(14)
    def counts(self, result: memoryview) -> None:
        result[0] = self.waiting

    @qda.method(7)
    def opens_the_gate(self) -> None:
        self.gate.set()

    @qda.method(8)
    def reads(self, place: memoryview, result: memoryview) -> None:
        address, length = np.frombuffer(place, "<u8")
        result[:] = self.dsp.memory(int(address), int(length))

    @qda.method(9)
    def keeps(self, place: memoryview) -> None:
        address, length = np.frombuffer(place, "<u8")
        self.kept = self.dsp.memory(int(address), int(length))

    @qda.method(10)
    def uses_what_it_kept(self) -> int:
        assert self.kept is not None
        return self.kept[0]

    @qda.method(11)
    def returns(self, number: memoryview) -> int:
        return int(np.frombuffer(number, "<i8")[0])

    @qda.method(12)
    def returns_nonsense(self) -> Any:
        return "seven"

    @qda.method(13)
    def writes_to_input(self, given: memoryview) -> None:
        given[0] = 1


@pytest.fixture(scope="module", params=["rfc", "legacy"])
def machine(request: pytest.FixtureRequest) -> Iterator[System]:
    system = new_machine(dialect=request.param)
    system.open("cdsp").close()  # the DSP is up before anything is counted
    yield system
    system.close()


@pytest.fixture
def counted(machine: System) -> Iterator[System]:
    """The machine, with everything counted before and after the test."""
    gc.collect()  # what other tests have left to the collector
    before, kinds = census(machine), descriptors()
    yield machine
    gc.collect()  # exceptions hold frames, and frames hold arrays
    after = census(machine)
    assert after == before, f"{descriptors() - kinds} {kinds - descriptors()}"


def status_of(action: Callable[[], object]) -> int:
    """The status with which the DSP refuses."""
    with pytest.raises(qda.DspError) as caught:
        action()
    return caught.value.status


def errno_of(action: Callable[[], object]) -> int | None:
    """The errno with which the device refuses."""
    with pytest.raises(qda.DeviceError) as caught:
        action()
    return caught.value.errno


def place(address: int, length: int) -> bytes:
    return np.array([address, length], "<u8").tobytes()


def test_a_session_leaves_nothing_behind(counted: System) -> None:
    """Opening, sharing, mapping, calling, closing: the census is as before (R10, R11)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        array = session.empty(100_000, np.uint8)
        mapping = session.map(array)
        assert module.invoke(2, [b"abc"], [3]) == [b"bcd"]
        assert module.invoke(2, [array], [np.empty_like(array)])[0][5] == 1
        assert mapping.address
        exported = session.alloc(4096)
        os.close(exported.export_fd())
        large = os.urandom(300_000)
        assert len(module.invoke(2, [large], [300_000])[0]) == 300_000
        del array, mapping, exported


def test_a_skeleton_that_raises_ends_the_call_with_its_traceback(counted: System) -> None:
    """Status 0x80000401, the traceback in the error and in the session's log (U3, U5)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        for method in (3, 4, 12):
            assert status_of(lambda method=method: module.invoke(method)) == SKELETON_RAISED  # type: ignore[misc]
        with pytest.raises(qda.DspError, match="on purpose"):
            module.invoke(3)
        assert module.invoke(2, [b"a"], [1]) == [b"b"]


def test_an_input_cannot_be_written(counted: System) -> None:
    """In-buffers are read-only views: writing raises in the skeleton."""
    with open_session(counted) as session, session.load(Trouble) as module:
        assert status_of(lambda: module.invoke(13, [b"a"])) == SKELETON_RAISED


def test_a_skeleton_that_kills_its_process_harms_nobody_else(counted: System) -> None:
    """The call in flight ends with 39, later ones with 0x8000040D; others go on (U7)."""
    with (
        open_session(counted) as victim,
        open_session(counted) as neighbour,
        neighbour.load(Trouble) as other,
    ):
        module = victim.load(Trouble)  # there will be nobody left to close it
        assert status_of(lambda: module.invoke(5)) == PROCESS_DIED
        assert status_of(lambda: module.invoke(2, [b"a"], [1])) == BAD_STATE
        assert other.invoke(2, [b"a"], [1]) == [b"b"]


def test_every_pending_call_ends_when_the_process_dies(counted: System) -> None:
    """Calls of other threads that wait in the same process end at once, with 39 (U7)."""
    with open_session(counted) as session:
        module = session.load(Trouble)
        ends: list[int] = []
        threads = [
            threading.Thread(target=lambda: ends.append(status_of(lambda: module.invoke(6))))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        until(lambda: module.invoke(14, outs=[1])[0][0] == 6)
        status_of(lambda: module.invoke(5))
        for thread in threads:
            thread.join()
        assert ends == [PROCESS_DIED] * 6


def test_an_exception_that_a_client_asks_for_is_a_fault(counted: System) -> None:
    """The call that asks ends with 0x8000040D, those under way with 39 (spec 6.7)."""
    with open_session(counted) as session:
        module = session.load(Trouble)
        session.serve_host()
        ends: list[int] = []
        threads = [
            threading.Thread(target=lambda: ends.append(status_of(lambda: module.invoke(6))))
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        until(lambda: module.invoke(14, outs=[1])[0][0] == 6)
        assert session.calls.status_of(4, 7, (), ()) == BAD_STATE
        for thread in threads:
            thread.join()
        assert ends == [PROCESS_DIED] * 6
        assert status_of(lambda: module.invoke(2, [b"a"], [1])) == BAD_STATE


def test_an_exception_ends_the_process(counted: System) -> None:
    """Not only its answers: what still ran would go on writing to the client's memory (H16)."""
    with open_session(counted) as session:
        number = bytearray(4)
        assert session.calls.status_of(4, 5, (), (number,)) == 0
        process = os.pidfd_open(int.from_bytes(number, "little"))
        assert session.calls.status_of(4, 7, (), ()) == BAD_STATE
        ended, _, _ = select.select([process], [], [], 10)
        assert ended == [process]
        os.close(process)


def test_an_exception_in_a_dsp_of_threads_ends_its_calls() -> None:
    """Its methods cannot be ended: they go on, unheard."""
    with qda.open("cdsp", device="virtual", debug=True) as session:
        assert session.calls.status_of(4, 7, (), ()) == BAD_STATE
        assert session.calls.status_of(4, 5, (), (bytearray(4),)) in (PROCESS_DIED, BAD_STATE)


def wait_for_calls(machine: Machine, count: int) -> None:
    """Wait until that many calls are under way on the cdsp."""
    until(lambda: machine.devices["cdsp"].census().calls >= count)


def test_a_uri_that_names_nothing_says_where_it_was_looked_for(counted: System) -> None:
    """The error has the status of the loader and the places that were searched (U9)."""
    with open_session(counted) as session:
        uri = "file:///libnothing_skel.so?nothing_skel_handle_invoke&_modver=1.0"
        with pytest.raises(
            qda.DspError, match=r"libnothing_skel\.so not found; searched"
        ) as caught:
            session.load(uri)
        assert caught.value.status == UNABLE_TO_LOAD
        for nonsense in ("file:///", "http://x?y", "file:///lib.so", ""):
            assert status_of(lambda nonsense=nonsense: session.load(nonsense)) == BAD_PARAMETER  # type: ignore[misc]


def test_stale_and_foreign_module_handles_are_refused(counted: System) -> None:
    """A handle that was closed, or that another session opened, is no handle (1.3)."""
    with open_session(counted) as session, open_session(counted) as other:
        module = session.load(Trouble)
        module.close()
        assert status_of(lambda: session.invoke(module.handle, 2)) == BAD_HANDLE
        live = other.load(Trouble)
        foreign = live.handle + 1000
        assert status_of(lambda: session.invoke(foreign, 2)) == BAD_HANDLE


def test_a_method_that_does_not_exist_and_a_wrong_number_of_arguments(counted: System) -> None:
    """Unknown method 0x80000414, wrong count 0x8000040E; the method does not run."""
    with open_session(counted) as session, session.load(Trouble) as module:
        assert status_of(lambda: module.invoke(30)) == UNSUPPORTED
        assert status_of(lambda: module.invoke(2, [b"a"])) == BAD_PARAMETER
        assert status_of(lambda: module.invoke(31)) == BAD_PARAMETER
        number = (40).to_bytes(4, "little")
        assert status_of(lambda: module.invoke(31, [number])) == UNSUPPORTED


@pytest.mark.parametrize("number", [1, 5, 0x7FFFFFFF, -4096, -(1 << 31), 0x8000040D])
def test_a_status_of_the_method_comes_back_unchanged(counted: System, number: int) -> None:
    """Any 32-bit result that is no errno is the method's own (8.3, H17)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        data = np.array([number], "<i8")
        assert status_of(lambda: module.invoke(11, [data])) == number & 0xFFFFFFFF


@pytest.mark.parametrize("number", [-1, -22, -4095])
def test_a_small_negative_result_is_an_errno(counted: System, number: int) -> None:
    """The system call turns -1 to -4095 into errno, whoever said it (8.3)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        data = np.array([number], "<i8")
        assert errno_of(lambda: module.invoke(11, [data])) == -number


def test_a_checked_access_outside_any_mapping_ends_the_call(counted: System) -> None:
    """After MUNMAP, or beyond a mapping, the status is 0x80000483 and the process lives."""
    with open_session(counted) as session, session.load(Trouble) as module:
        buffer = session.alloc(8192)
        buffer[:3] = b"xyz"
        with session.map(buffer) as mapping:
            assert module.invoke(8, [place(mapping.address, 3)], [3]) == [b"xyz"]
            beyond = place(mapping.address + 8190, 3)
            assert status_of(lambda: module.invoke(8, [beyond], [3])) == BAD_ADDRESS
        gone = place(mapping.address, 3)
        assert status_of(lambda: module.invoke(8, [gone], [3])) == BAD_ADDRESS
        assert status_of(lambda: module.invoke(8, [place(0, 1)], [1])) == BAD_ADDRESS
        assert module.invoke(2, [b"a"], [1]) == [b"b"]
        buffer.close()


def test_a_stale_view_ends_its_process_and_no_other(counted: System) -> None:
    """A skeleton that keeps a view over MUNMAP dies when it uses it; nobody else notices."""
    with (
        open_session(counted) as session,
        open_session(counted) as neighbour,
        neighbour.load(Trouble) as other,
    ):
        module = session.load(Trouble)
        buffer = session.alloc(4096)
        with session.map(buffer) as mapping:
            module.invoke(9, [place(mapping.address, 16)])
            assert module.invoke(10) is not None
        assert status_of(lambda: module.invoke(10)) == PROCESS_DIED
        assert other.invoke(2, [b"a"], [1]) == [b"b"]
        buffer.close()


def test_the_256th_concurrent_call_has_a_named_error(counted: System) -> None:
    """Context ids that could not come back are not handed out: ENOSPC (R8)."""
    with open_session(counted) as session:
        module = session.load(Trouble)
        ends: list[qda.Refusal] = []
        threads = [threading.Thread(target=park, args=(module, ends)) for _ in range(255)]
        for thread in threads:
            thread.start()
        wait_for_calls(counted, 255)
        assert errno_of(lambda: module.invoke(2, [b"a"], [1])) == errno.ENOSPC
        session.close()
        for thread in threads:
            thread.join()
        assert len(ends) == 255


def park(module: qda.RemoteModule, ends: list[qda.Refusal]) -> None:
    """Make a call that waits, and note how it ends."""
    try:
        module.invoke(6)
    except qda.Refusal as refusal:
        ends.append(refusal)


def test_a_timeout_gives_up_the_wait_and_not_the_call(counted: System) -> None:
    """CallTimeout; the call keeps its memory and id until it is answered (H16)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        with pytest.raises(qda.CallTimeout):
            module.invoke(6, timeout=0.02)
        assert counted.devices["cdsp"].census().calls == 1
        assert module.invoke(2, [b"a"], [1], timeout=10) == [b"b"]
        module.invoke(7)
        until(lambda: not counted.devices["cdsp"].census().calls)


def test_closing_a_session_ends_calls_of_other_threads(counted: System) -> None:
    """RELEASE ends every pending call of its client (3.4)."""
    session = open_session(counted)
    module = session.load(Trouble)
    ends: list[qda.Refusal] = []
    threads = [threading.Thread(target=park, args=(module, ends)) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for_calls(counted, 3)
    session.close()
    for thread in threads:
        thread.join()
    assert len(ends) == 3


def test_ctrl_c_in_a_call_raises_at_once_and_the_session_goes_on(counted: System) -> None:
    """An interrupted call is abandoned, not repeated (R24); the next one works."""
    with open_session(counted) as session, session.load(Trouble) as module:
        _leave_a_call(module, lambda: _interrupt_when_waiting(counted))
        assert counted.devices["cdsp"].census().calls == 1
        module.invoke(7)
        assert module.invoke(2, [b"a"], [1]) == [b"b"]


def test_ctrl_c_just_before_a_call_sleeps_ends_it(counted: System) -> None:
    """The handler in C has run, Python's has not, and nothing interrupts the sleep: as here."""

    def interrupt() -> None:
        wait_for_calls(counted, 1)
        _thread.interrupt_main()

    with open_session(counted) as session, session.load(Trouble) as module:
        _leave_a_call(module, interrupt)
        module.invoke(7)
        assert module.invoke(2, [b"a"], [1]) == [b"b"]


@pytest.mark.parametrize("timeout", [None, 50])
def test_what_a_handler_of_signals_raises_is_the_programs(
    counted: System, timeout: float | None
) -> None:
    """Also if it is an OSError, as those of alarms raise: the device has not refused."""

    came = threading.Event()

    def raises(number: int, frame: object) -> None:
        if not came.is_set():
            came.set()
            raise TimeoutError("the program's own")

    def interrupt() -> None:
        wait_for_calls(counted, 1)
        while not came.wait(0.1):  # Python's own waits miss one that comes just before
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    with open_session(counted) as session, session.load(Trouble) as module:
        before = signal.signal(signal.SIGUSR1, raises)
        try:
            interrupter = threading.Thread(target=interrupt)
            interrupter.start()
            with pytest.raises(TimeoutError, match="own") as caught:
                module.invoke(6, timeout=timeout)
            interrupter.join()
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert type(caught.value) is TimeoutError
        module.invoke(7)
        assert module.invoke(2, [b"a"], [1]) == [b"b"]


def test_call_that_was_left_is_over_with_its_session() -> None:
    """Who counts the calls then reads nothing of their lanes, which are gone, too."""
    machine = new_machine()
    with pytest.raises(qda.Refusal, match="gone"):  # its module's end, of which the DSP is not told
        _leave_a_call_when_its_session_ends(machine)
    machine.close()


def _leave_a_call_when_its_session_ends(machine: Machine) -> None:
    with open_session(machine) as session, session.load(Trouble) as module:
        _leave_a_call(module, lambda: _interrupt_when_waiting(machine))
        device = machine.devices["cdsp"]
        assert device.census().calls == 1
        (file,) = device._files
        device.close()
        assert not file.calls


def _leave_a_call(module: qda.RemoteModule, interrupt: Callable[[], None]) -> None:
    """A call that Ctrl-C breaks off, while the DSP goes on with it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with pytest.raises(KeyboardInterrupt):
            module.invoke(6)
        interrupter.join()
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_when_waiting(machine: Machine) -> None:
    wait_for_calls(machine, 1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_a_signal_whose_handler_returns_does_not_end_a_call(counted: System) -> None:
    """A storm of signals during calls: none is lost, none is sent twice (R24)."""
    seen: list[int] = []
    with open_session(counted) as session, session.load(Trouble) as module:
        before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
        storm, over = threading.main_thread().ident or 0, threading.Event()

        def blow() -> None:
            while not over.is_set():
                signal.pthread_kill(storm, signal.SIGUSR1)

        wind = threading.Thread(target=blow)
        wind.start()
        try:
            for turn in range(300):
                assert module.invoke(2, [bytes([turn & 127])], [1]) == [bytes([(turn & 127) + 1])]
        finally:
            over.set()
            wind.join()
            signal.signal(signal.SIGUSR1, before)
    assert seen


def test_eight_threads_get_their_own_answers(counted: System) -> None:
    """Calls of several threads on one session do not mix."""
    with open_session(counted) as session, session.load(Trouble) as module:
        wrong: list[object] = []

        def work(seed: int) -> None:
            for turn in range(200):
                given = bytes([seed, turn & 127]) * (1 + turn)
                answer = module.invoke(2, [given], [len(given)])[0]
                if answer != bytes(value + 1 for value in given):
                    wrong.append((seed, turn))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


GONE = pytest.mark.parametrize(
    ("dialect", "gone"), [("rfc", errno.ENODEV), ("v1", errno.ENODEV), ("legacy", errno.EPIPE)]
)
"""What says that the DSP is gone (spec 2.9)."""


@GONE
def test_a_dead_dsp_ends_calls_and_boots_again(dialect: str, gone: int) -> None:
    """When the DSP dies, pending and later calls end at once, the next open works (U7, R16)."""
    system = new_machine(dialect=dialect)
    try:
        session = open_session(system)
        module = session.load(Trouble)
        ends: list[int | None] = []
        thread = threading.Thread(target=lambda: ends.append(errno_of(lambda: module.invoke(6))))
        thread.start()
        wait_for_calls(system, 1)
        os.kill(system.pids[0], signal.SIGKILL)
        thread.join()
        assert ends == [gone]
        assert errno_of(lambda: module.invoke(2, [b"a"], [1])) == gone
        with open_session(system) as again, again.load(Trouble) as other:
            assert other.invoke(2, [b"a"], [1]) == [b"b"]
        session.close()
    finally:
        system.close()


@GONE
def test_the_death_of_the_root_protection_domain_is_a_restart(dialect: str, gone: int) -> None:
    """If the root protection domain dies the subsystem goes down with every session (U7)."""
    system = new_machine(dialect=dialect)
    try:
        session = open_session(system)
        root = min(children_of(system.pids[0]))
        os.kill(root, signal.SIGKILL)
        until(lambda: not system.pids)
        assert errno_of(lambda: session.load(Trouble)) == gone
        with open_session(system) as again:
            again.load(Trouble)
        session.close()
    finally:
        system.close()


def test_a_node_that_is_opened_during_restarts_always_leads_to_a_dsp() -> None:
    """A node never leads to a DSP that is not ready (R16)."""
    system = new_machine()
    try:
        for _ in range(3):
            with open_session(system) as session, session.load(Trouble) as module:
                assert module.invoke(2, [b"a"], [1]) == [b"b"]
            os.kill(system.pids[-1], signal.SIGKILL)
            until(lambda: not is_alive(system.devices["cdsp"]))
    finally:
        system.close()


def test_a_restart_ends_the_calls_that_have_not_heard_of_the_death(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who opens a node may notice the death before the sessions that there were are told of it."""
    slow = threading.Event()
    monkeypatch.setattr(Watch, "_tell", lambda *_: slow.wait())
    system = new_machine()
    try:
        session = open_session(system)
        module = session.load(Trouble)
        ends: list[int | None] = []
        thread = threading.Thread(target=lambda: ends.append(errno_of(lambda: module.invoke(6))))
        thread.start()
        wait_for_calls(system, 1)
        os.kill(system.pids[0], signal.SIGKILL)
        until(lambda: not is_alive(system.devices["cdsp"]))
        with open_session(system):
            thread.join()
        assert ends == [errno.ENODEV]
        session.close()
    finally:
        slow.set()
        system.close()


def is_alive(device: Device) -> bool:
    """Whether a device has a DSP that has not died."""
    try:
        return device.channel.alive
    except OSError:
        return False


STEPS: list[tuple[str, object, str]] = [
    ("no room in the context bank", banks.ContextBank, "attach"),
    ("no memory", objects.BufferObject, "create"),
    ("no descriptors", rpmsg_channel.Channel, "connect"),
    ("no answer to a frame", rpmsg_channel.Link, "announce"),
    ("no message memory", driver_session.Session, "message"),
    ("no lane", calls.Calls, "begin"),
    ("no send", driver_session.Session, "send"),
]


@pytest.mark.parametrize(("what", "owner", "name"), STEPS, ids=[step[0] for step in STEPS])
def test_a_failure_at_any_step_of_create_leaves_nothing(
    counted: System, monkeypatch: pytest.MonkeyPatch, what: str, owner: object, name: str
) -> None:
    """Each step of making a session is broken in turn, at each of its uses (R10)."""
    real = getattr(owner, name)
    for turn in range(4):
        uses = iter(range(turn, -1, -1))

        def broken(*arguments: Any, uses: Iterator[int] = uses, **named: Any) -> Any:
            if next(uses, 1) == 0:
                raise OSError(errno.ENOMEM, what)
            return real(*arguments, **named)

        with monkeypatch.context() as patch:
            node = counted.open("cdsp", counted.dialect)
            patch.setattr(owner, name, broken)
            with suppress(OSError):  # later turns may be more than the step has uses
                _create(node, counted.dialect)
            patch.undo()
            node.close()
        assert _fails_at_first(counted, monkeypatch, owner, name) == errno.ENOMEM


def _fails_at_first(
    machine: System, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> int:
    node = machine.open("cdsp", machine.dialect)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _fails)
        with pytest.raises(OSError, match="memory") as caught:
            _create(node, machine.dialect)
    node.close()
    return caught.value.errno or 0


def _create(node: LocalNode, dialect: str) -> None:
    request = bytearray(InitCreate(filefd=-1, attrs=8).pack())
    node.ioctl(DIALECTS[dialect].command("CREATE").code, request)


def test_a_failure_in_a_call_leaves_nothing(
    counted: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that cannot be packed gives back its lane, its id and its buffers (R10)."""
    with open_session(counted) as session, session.load(Trouble) as module:
        monkeypatch.setattr(driver_session.Session, "invoke", lambda *_: None)  # not in the core
        array = session.empty(4096, np.uint8)
        module.invoke(2, [array], [4096])
        before = census(counted)
        steps: list[tuple[object, str]] = [(calls.Calls, "begin"), (peer.Peer, "announce")]
        steps += [(driver_session.Session, name) for name in ("message", "announce", "send")]
        for owner, name in steps:
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, _fails)
                assert errno_of(partial(module.invoke, 2, [array], [4096])) == errno.ENOMEM
        assert census(counted) == before
        assert module.invoke(2, [b"a"], [1]) == [b"b"]


def _fails(*_: object) -> None:
    raise OSError(errno.ENOMEM, "on purpose")


def test_processes_that_die_and_close_at_once_do_not_take_the_dsp_along(counted: System) -> None:
    """The end of a process and the CLOSE of its session may be seen in either order."""
    pid = counted.pids
    for _ in range(30):
        with open_session(counted) as session:
            module = session.load(Trouble)
            assert status_of(lambda module=module: module.invoke(5)) == PROCESS_DIED  # type: ignore[misc]
    assert counted.pids == pid
