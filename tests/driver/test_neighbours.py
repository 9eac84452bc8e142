"""Sessions beside each other, and calls that outlive their callers: nobody harms anybody."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import numpy as np
import pytest

import qda
from qda.driver import session as driver_session
from qda.errors import BAD_STATE, PROCESS_DIED
from qda.virtual import Machine, machine
from tests.system import new_machine, open_file, open_session
from tests.waiting import until


class Slow(qda.Skeleton):
    """Methods that take as long as they are told."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.written = False

    @qda.method(2)
    def fill_after_the_gate(self, result: memoryview) -> None:
        self.gate.wait()
        result[:] = b"x" * len(result)
        self.written = True

    @qda.method(3)
    def open_the_gate(self) -> None:
        self.gate.set()

    @qda.method(4)
    def answer(self, result: memoryview) -> None:
        result[:] = b"here"

    @qda.method(5)
    def of_fd(self, fd: memoryview, result: memoryview) -> None:
        result[:] = self.dsp.memory_of_fd(int.from_bytes(fd, "little"))[: len(result)]

    @qda.method(6)
    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @qda.method(7)
    def fork_and_kill(self) -> None:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def system() -> Iterator[Machine]:
    created = new_machine()
    yield created
    created.close()


@pytest.mark.parametrize("ending", ["exit", "death"])
def test_every_refusal_is_told_even_if_the_log_cannot_be_read(system: Machine, ending: str) -> None:
    """An error asks for the DSP's log, which a DSP that refuses everything refuses, too."""
    with open_session(system) as session:
        if ending == "exit":
            session.invoke(4, 2)
        else:
            with pytest.raises(qda.DspError) as died:
                session.load(Slow).invoke(6)
            assert died.value.status == PROCESS_DIED
        for _ in range(2):
            with pytest.raises(qda.DspError) as caught:
                session.invoke(0x999, 2)
            assert caught.value.status == BAD_STATE
        with pytest.raises(qda.DspError):
            session.load(Slow)


def test_an_attached_client_may_go_while_its_method_runs() -> None:
    """Its memory stays until the method has returned; the root protection domain lives on."""
    with qda.open(device="virtual", process="root") as neighbour:
        leaving = qda.open(device="virtual", process="root")
        module = leaving.load(Slow)
        room = leaving.empty(1 << 20, np.uint8)
        with pytest.raises(qda.CallTimeout):
            module.invoke(2, outs=[room], timeout=0.05)
        other = neighbour.load(Slow)
        leaving.close()
        assert other.invoke(4, outs=[4]) == [b"here"]
    assert machine().devices["cdsp"].channel.alive


def test_attached_clients_follow_each_other_at_the_same_addresses() -> None:
    """A stream id is used again at once; the memory of who had it before is never in the way."""
    for turn in range(150):
        with qda.open(device="virtual", process="root") as session:
            module = session.load(Slow)
            assert module.invoke(4, outs=[4]) == [b"here"], turn


def test_a_name_of_one_client_is_not_a_name_of_another() -> None:
    """Handles begin at 1 in every file; in the root protection domain they are told apart."""
    with (
        qda.open(device="virtual", process="root") as one,
        qda.open(device="virtual", process="root") as two,
    ):
        first, second = one.alloc(4096), two.alloc(4096)
        assert first.handle == second.handle
        first[:4], second[:4] = b"AAAA", b"BBBB"
        with one.map(first), two.map(second):
            module = two.load(Slow)
            fd = second.handle.to_bytes(4, "little")
            assert module.invoke(5, [fd], [4]) == [b"BBBB"]


def test_ctrl_c_just_after_a_message_is_sent_leaves_the_call_to_the_dsp(
    system: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lane, id and buffers are kept until the answer (H16), wherever the signal strikes."""
    with open_session(system) as session, session.load(Slow) as module:
        room = session.empty(4096, np.uint8)
        real = driver_session.Session.send

        def interrupted(own: driver_session.Session, call: object, message: bytes) -> None:
            real(own, call, message)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(driver_session.Session, "send", interrupted)
            with pytest.raises(KeyboardInterrupt):
                module.invoke(2, outs=[room])
        assert system.devices["cdsp"].census().calls == 1
        assert module.invoke(4, outs=[4]) == [b"here"]
        module.invoke(3)
        until(lambda: module.invoke(4, outs=[4]) and not system.devices["cdsp"].census().calls)
        assert bytes(room[:3]) == b"xxx"


def test_interrupts_anywhere_in_a_call_use_nothing_up(system: Machine) -> None:
    """A storm of Ctrl-C: afterwards no call is left over and the session works."""
    with open_session(system) as session, session.load(Slow) as module:
        main, over = threading.main_thread().ident or 0, threading.Event()

        def blow() -> None:
            while not over.wait(0.0007):
                signal.pthread_kill(main, signal.SIGUSR2)

        def raises(number: int, frame: FrameType | None) -> None:
            while frame is not None and frame.f_code.co_name != "invoke":
                frame = frame.f_back
            if frame is not None:  # only inside a call
                raise KeyboardInterrupt

        before = signal.signal(signal.SIGUSR2, raises)
        wind = threading.Thread(target=blow)
        wind.start()
        interrupts = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                module.invoke(4, outs=[4])
            except KeyboardInterrupt:
                interrupts += 1
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        over.set()
        wind.join()
        signal.signal(signal.SIGUSR2, before)
        assert interrupts
        for _ in range(300):
            assert module.invoke(4, outs=[4]) == [b"here"]
        assert system.devices["cdsp"].census().calls == 0


def test_a_process_that_a_skeleton_forks_does_not_hide_the_death(system: Machine) -> None:
    """The call ends at once although a child of the dead process lives on."""
    with open_session(system) as session:
        module = session.load(Slow)
        with pytest.raises(qda.DspError) as caught:
            module.invoke(7)
        assert caught.value.status == PROCESS_DIED


def test_the_answer_of_a_capability_query_is_bounded(system: Machine) -> None:
    """There are 255 attributes, however long the array is."""
    with open_session(system) as session:
        length = (255).to_bytes(4, "little")
        values = session.empty(1 << 20, np.uint32)
        values[:] = 7
        session.invoke(2, 0, [length], [values])
        assert values[5] == 0x73
        assert (values[255:] == 7).all()


def test_objects_cannot_be_passed() -> None:
    """The DSP would read and write pointers of Python."""
    with (
        qda.open(device="virtual") as session,
        session.load(Slow) as module,
        pytest.raises(qda.UsageTypeError, match="objects"),
    ):
        module.invoke(2, outs=[np.empty(4, object)])


def test_commands_and_close_at_the_same_time_leave_nothing(system: Machine) -> None:
    """A closed file refuses with EBADF, and what was under way is given back."""
    before = system.devices["cdsp"].census()
    for _ in range(30):
        session = open_session(system)
        refusals: list[int | None] = []

        def allocate(session: qda.Session = session, refusals: list[int | None] = refusals) -> None:
            try:
                while True:
                    session.alloc(4096)
            except qda.DeviceError as error:
                refusals.append(error.errno)

        threads = [threading.Thread(target=allocate) for _ in range(3)]
        for thread in threads:
            thread.start()
        session.close()
        for thread in threads:
            thread.join()
        assert set(refusals) <= {errno.EBADF, errno.EINVAL, errno.ENODEV}
    assert system.devices["cdsp"].census() == before


def test_threads_share_and_drop_buffers_without_losing_any(system: Machine) -> None:
    """A buffer is found by its address from the first moment to the last, and imports are one."""
    import fcntl

    file = open_file(system, "v1")
    with qda.Session(file) as session:
        fd = os.memfd_create("shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, 4096)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        lost: list[object] = []
        found: set[int] = set()

        def work() -> None:
            for _ in range(200):
                buffer = session.alloc(4096)
                if file.find(buffer.address, 4096) is not buffer:
                    lost.append(buffer)
                file.name_of(buffer)
            imported = session.import_fd(fd)
            found.add(imported.handle)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.close(fd)
        assert not lost
        assert found
