"""When the host's side begins, and how it ends."""

from __future__ import annotations

import errno
import os
import signal
import threading

import pytest

import qda
from qda.client import Session
from qda.client.host.service import HostService
from qda.client.memory import SessionMemory
from qda.errors import BAD_STATE, NO_LISTENER
from qda.fastrpc.handles import Fixed
from qda.fastrpc.listener import LISTENER1
from qda.virtual import Machine
from tests.client.hosts import (
    Book,
    Worker,
    host_threads,
    logbook,
    worker,
)
from tests.system import census, open_file, open_session


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


def test_a_dsp_that_cannot_be_told_of_the_end_is_not_waited_for(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """With no call, lane or descriptor left there is none for exit: the thread that is parked comes
    home with the close of the node, which is still to come."""
    others, closed = set(host_threads()), threading.Event()

    def invoke(handle: int, method: int, *_: object) -> int:
        if handle == Fixed.CURRENT_PROCESS1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if method == LISTENER1.next.method:
            closed.wait(30)
            return BAD_STATE
        return 0

    file = open_file(machine)
    host = HostService(file, invoke, SessionMemory(file), "cdsp")
    host.start()
    (parked,) = set(host_threads()) - others
    host.close()
    assert parked.is_alive()
    assert not caplog.records
    closed.set()
    parked.join(30)
    file.close()


def test_a_debugged_dsp_calls_the_host_too() -> None:
    """Both sides in one process."""
    with qda.open(device="virtual", debug=True, skeletons=[Worker]) as session:
        session.provide(Book)
        assert session.load(worker).note("x") == 1
