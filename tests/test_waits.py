"""Nobody waits without a way out: whoever is stopped, a deadline or Ctrl-C ends the wait.

Patience is made short for it, or so long that a test which needs it does not end.  Ctrl-C comes
while something waits: at the second look that a wait takes whether a signal has come.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import qda
from qda import interrupts, limits
from qda.client import RemoteModule, Session
from qda.core import POOL_SIZE
from qda.interrupts import Deadline, Section, deadline
from qda.rpmsg import Endpoint, Frame, Operation
from qda.rpmsg.channel import Control
from qda.rpmsg.frame import pack_reply
from qda.virtual import Machine, machine
from tests.small_modules import HOST, Asking, Forking, Hoarder, Numbers
from tests.system import Census, census, children_of, new_machine, open_file, open_session
from tests.waiting import until

SOON, LATER = 0.3, 3600.0


@pytest.fixture
def system() -> Iterator[Machine]:
    """A machine whose processor may be harmed."""
    made = new_machine()
    yield made
    made.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that is stopped in a block, if it lives so long."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T"))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def process_of(module: RemoteModule) -> int:
    return int.from_bytes(module.invoke(2, outs=[4])[0], "little")


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and the next wait of this thread gets Ctrl-C when it has waited a while."""
    looks: list[int] = []
    real = Deadline._piece

    def piece(self: Deadline) -> float | None:
        if looks and threading.current_thread() is threading.main_thread():
            looks[0] -= 1
            if not looks[0]:
                looks.clear()
                signal.raise_signal(signal.SIGINT)
        return real(self)

    monkeypatch.setattr(Deadline, "_piece", piece)
    return lambda: looks.append(2)


WAITS: dict[str, Callable[[Session, RemoteModule], object]] = {
    "map": lambda session, module: session.map(session.alloc(4096)),
    "pass new memory": lambda session, module: module.invoke(2, outs=[session.empty(4, "u1")]),
    "close": lambda session, module: session.close(),
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_ends_a_wait_for_a_process_that_is_stopped(
    system: Machine,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[], None],
    wait: str,
) -> None:
    """It is raised there, and once; the next session works."""
    monkeypatch.setattr(limits, "PATIENCE", LATER)
    monkeypatch.setattr(limits, "GRACE", SOON)
    session = open_session(system)
    module = session.load(Numbers)
    with stopped(process_of(module)):
        ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            WAITS[wait](session, module)
    session.close()
    with open_session(system) as after, after.load(Numbers) as again:
        assert process_of(again)
    assert system.census()["cdsp"].files == 0


class Scribbling(qda.Skeleton):
    """A module that writes where the words of lanes are."""

    @qda.method(2)
    def scribble(self) -> None:
        pool = next(one for one in self.dsp.space._bus if one.size == POOL_SIZE)
        pool.view[: 4 * 128] = os.urandom(4 * 128)
        threading.Semaphore(0).acquire()


@pytest.mark.parametrize("debug", [False, True])
def test_a_call_whose_lane_is_overwritten_ends(
    monkeypatch: pytest.MonkeyPatch, debug: bool
) -> None:
    """Its answer could not be told from anything else: the session is over, and says why."""
    monkeypatch.setattr(limits, "FIRST_LOOK", 0.05)
    with qda.open("cdsp", debug=debug) as session:
        module = session.load(Scribbling)
        with pytest.raises(qda.DspError, match="has overwritten the words of lane"):
            module.invoke(2)
        with pytest.raises(qda.DspError, match="has overwritten the words of lane"):
            module.invoke(2)
    with qda.open("cdsp") as session:
        session.load(Numbers)


LANES = 4


class Held(qda.Skeleton):
    """A module that counts what its process has for programs."""

    opened = 0
    meeting = threading.Barrier(LANES)

    def open(self, uri: str) -> None:
        Held.opened += 1

    def close(self) -> None:
        Held.opened -= 1

    @qda.method(2)
    def process(self, result: memoryview) -> None:
        result[:] = os.getpid().to_bytes(4, "little")

    @qda.method(3)
    def count(self, result: memoryview) -> None:
        result[:] = bytes([Held.opened, len(self.dsp.space._mapped)])

    @qda.method(4)
    def meet(self) -> None:
        Held.meeting.wait()


BROKEN_OFF: dict[str, Callable[[Session, qda.Buffer, qda.client.Mapping], object]] = {
    "map": lambda session, buffer, mapping: session.map(buffer),
    "map in the older way": lambda session, buffer, mapping: session.map(buffer, legacy=True),
    "map new memory": lambda session, buffer, mapping: session.map(session.alloc(4096)),
    "unmap": lambda session, buffer, mapping: mapping.close(),
    "load": lambda session, buffer, mapping: session.load("Held"),
}


@pytest.mark.parametrize("dialect", ["rfc", "v1", "handle", "legacy"])
def test_what_comes_after_its_wait_was_broken_off_is_undone(
    monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None], dialect: str
) -> None:
    """When the DSP goes on it makes a mapping, or opens a module, of which nobody knows: nothing of
    it stays, on either side, and the session works."""
    monkeypatch.setattr(interrupts, "_PIECE", 0.01)
    with qda.open("cdsp", dialect=dialect) as session, session.alloc(4096) as buffer:
        module = session.load(Held)
        for call in [qda.start(module.invoke, 4) for _ in range(LANES)]:
            call.result()  # the call after one that is broken off has a lane already

        def counted() -> tuple[Census, bytes]:
            return census(machine()), bytes(module.invoke(3, outs=[2])[0])

        session.map(buffer).close()  # it has a descriptor, where the dialect wants one
        before = counted()
        for name, broken_off in BROKEN_OFF.items():
            if name == "map in the older way" and dialect == "legacy":
                continue
            monkeypatch.setattr(limits, "GRACE", LATER)
            with session.alloc(4096) as other:
                session.map(other).close()  # who has been silent has little time for the next
            mapping = session.map(buffer)
            if name != "unmap":
                mapping.close()
            with stopped(process_of(module)):
                monkeypatch.setattr(limits, "GRACE", 0.01)
                ctrl_c()
                with pytest.raises(KeyboardInterrupt):
                    broken_off(session, buffer, mapping)
            monkeypatch.setattr(limits, "GRACE", LATER)
            until(lambda: counted() == before)


def test_ctrl_c_ends_an_open_while_the_processor_is_stopped(
    system: Machine, monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    """What comes up too late is ended again: nobody knows of it."""
    monkeypatch.setattr(limits, "GRACE", SOON)
    open_session(system).close()
    before = len(children_of(system.pids[0]))
    with stopped(system.pids[0]):
        ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            open_session(system)
        assert system.census()["cdsp"].files == 0
    open_session(system).close()
    assert len(children_of(system.pids[0])) == before


def test_a_close_takes_its_time_once_and_then_kills(
    system: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped answers neither RELEASE nor anything else."""
    monkeypatch.setattr(limits, "PATIENCE", SOON)
    session = open_session(system)
    pid = process_of(session.load(Numbers))
    os.kill(pid, signal.SIGSTOP)
    session.close()
    assert not os.path.exists(f"/proc/{pid}")
    assert system.census()["cdsp"].files == 0


def test_many_closes_at_once_take_as_long_as_one(
    system: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor is stopped: who waits for another one's turn has a deadline, too, and one that
    has been silent is not given the whole patience again."""
    monkeypatch.setattr(limits, "PATIENCE", LATER)
    monkeypatch.setattr(limits, "GRACE", SOON)
    sessions = [open_session(system) for _ in range(4)]
    with stopped(system.pids[0]):
        monkeypatch.setattr(limits, "PATIENCE", SOON)
        threads = [threading.Thread(target=session.close) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        monkeypatch.setattr(limits, "PATIENCE", LATER)
        with pytest.raises(qda.DeviceError) as caught:
            open_file(system)
    assert caught.value.errno == errno.ETIMEDOUT


def test_the_sections_of_a_section_have_its_deadline() -> None:
    """One deadline for an operation, not one for each of its waits."""
    with Section(LATER):
        outer = deadline()
        with Section(2 * LATER):
            assert deadline() is outer
        with Section():
            assert deadline() is outer
    assert deadline() is not deadline()


def test_the_last_thing_to_do_has_time_even_if_all_is_spent() -> None:
    """But no more than it needs."""
    with Section(0):
        assert deadline().left == 0
        assert 0 < (deadline(at_least=SOON).left or 0) <= SOON
    with Section(LATER):
        assert deadline(at_least=SOON) is deadline()


def test_a_peer_that_only_talks_does_not_make_a_wait_longer() -> None:
    """Answers to other numbers, and what is no answer, are not heard of."""
    ours, theirs = Endpoint.pair()
    control, over = Control(ours), threading.Event()

    def talk() -> None:
        number = 1 << 32
        while not over.is_set():
            theirs.send(pack_reply(0, number))
            theirs.send(b"nonsense")
            number += 1

    thread = threading.Thread(target=talk)
    thread.start()
    with pytest.raises(TimeoutError):
        control.request(Frame(Operation.WITHDRAW), within=Deadline(SOON))
    over.set()
    while thread.is_alive():
        with suppress(TimeoutError):
            ours.receive(0.01)
    control.close()
    theirs.close()


def test_a_peer_that_takes_nothing_is_not_waited_for() -> None:
    """A stopped processor whose socket is full."""
    ours, theirs = Endpoint.pair()
    with pytest.raises(TimeoutError):  # noqa: PT012
        while True:
            ours.send_in(Deadline(0), bytes(4000))
    ours.close()
    theirs.close()


def test_a_method_of_the_program_may_be_interrupted_in_a_close(
    system: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the program's own: Ctrl-C is raised in it, everything else is closed, and it is raised
    by the close of the session."""

    class Host(HOST.Skeleton):  # type: ignore[misc]
        def ask(self) -> None:
            """Nobody does."""

        def close(self) -> None:
            met.append("begun")
            signal.raise_signal(signal.SIGINT)
            met.append("not reached")

    met: list[str] = []
    session = open_session(system)
    session.provide(Host)
    session.load(Asking).invoke(2)
    with pytest.raises(KeyboardInterrupt):
        session.close()
    assert met == ["begun"]
    assert system.census()["cdsp"].files == 0


EXITS = {
    "with the processor stopped": """
for _ in range(3): sessions.append(qda.open())
os.kill(machine().pids[0], signal.SIGSTOP)
""",
    "with a protection domain stopped": """
sessions.append(qda.open())
from pathlib import Path
pid = machine().pids[0]
for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
    os.kill(int(child), signal.SIGSTOP)
""",
    "with calls under way": """
class Never(qda.Skeleton):
    @qda.method(2)
    def never(self):
        import threading
        threading.Event().wait()
sessions.append(qda.open())
module = sessions[0].load(Never)
pending = [qda.start(module.invoke, 2) for _ in range(3)]
while machine().census()["cdsp"].calls < 3: pass
""",
    "in the middle of a host's method": """
sessions.append(qda.open())
sessions[0].serve_host()
""",
}


@pytest.mark.parametrize("how", EXITS)
def test_a_program_ends(how: str) -> None:
    """And its processor with it, whatever became of the others."""
    code = f"""
import os, signal, qda
from qda import interrupts, limits
from qda.virtual import machine
limits.PATIENCE = limits.GRACE = {SOON}
sessions = []
{EXITS[how]}
print(machine().pids[0], flush=True)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    until(lambda: not os.path.exists(f"/proc/{int(run.stdout)}"))


@pytest.mark.parametrize("end", ["close", "death"])
def test_what_a_skeleton_has_forked_dies_with_it(system: Machine, end: str) -> None:
    """Although it has a session of its own, and an end of each endpoint; so the death of the
    process is known at once."""
    session = open_session(system)
    module = session.load(Forking)
    child = int.from_bytes(module.invoke(2, outs=[4])[0], "little")
    assert os.path.exists(f"/proc/{child}")
    if end == "death":
        with pytest.raises(qda.DspError):
            module.invoke(3)
        until(lambda: not os.path.exists(f"/proc/{child}"))
    session.close()
    assert not os.path.exists(f"/proc/{child}")


def test_a_process_without_descriptors_refuses_memory_and_lives_on(system: Machine) -> None:
    """EMFILE at once, for a mapping and for an argument; afterwards both are possible."""
    with open_session(system) as session, session.load(Hoarder) as module:
        module.invoke(2)
        array = session.empty(4096, "u1")
        for ask in (lambda: session.map(array), lambda: module.invoke(4, [array])):
            with pytest.raises(qda.DeviceError) as caught:
                ask()
            assert caught.value.errno == errno.EMFILE
        module.invoke(3)
        session.map(array).close()
        module.invoke(4, [array])
