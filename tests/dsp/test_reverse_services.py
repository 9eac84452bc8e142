"""The modules by which a host listens, and their neighbours at fixed handles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import qda
from qda.client import Session
from qda.errors import BAD_PARAMETER, BAD_STATE, NO_LISTENER, UNSUPPORTED
from qda.fastrpc.listener import (
    FIRST_RESULT,
    LISTENER,
    LISTENER1,
    Entrance,
    NextAnswer,
    NextRequest,
)
from qda.virtual import Machine
from tests.system import open_session

FIRST = NextRequest(result=FIRST_RESULT)


def next2(session: Session, entrance: Entrance) -> int:
    """Park this thread; returns the status with which the call ends."""
    outs = bytearray(NextAnswer.byte_size), bytearray(256)
    return session.calls.status_of(entrance.handle, entrance.next.method, (FIRST.pack(), b""), outs)


@pytest.mark.parametrize("entrance", [LISTENER1, LISTENER])
def test_exit_ends_a_parked_thread_and_later_ones_at_once(
    session: Session, pool: ThreadPoolExecutor, entrance: Entrance
) -> None:
    """With 0x8000040D; the client would hang in a join otherwise (6.6, clients.md 13.8).  A thread
    may still say that it ends."""
    assert session.calls.status_of(entrance.handle, entrance.init2.method, (), ()) == 0
    parked = [pool.submit(next2, session, entrance) for _ in range(3)]
    assert session.calls.status_of(4, 2, (), ()) == 0
    assert [one.result() for one in parked] == [BAD_STATE] * 3
    assert next2(session, entrance) == BAD_STATE
    assert session.calls.status_of(4, 3, (), ()) == 0


@pytest.mark.parametrize("entrance", [LISTENER1, LISTENER])
def test_the_end_of_a_session_ends_a_parked_thread(
    machine: Machine, pool: ThreadPoolExecutor, entrance: Entrance
) -> None:
    """RELEASE does so too: a killed program calls no exit."""
    with open_session(machine) as session:
        assert session.calls.status_of(entrance.handle, entrance.init.method, (), ()) == 0
        parked = pool.submit(_ended, session, entrance)
    assert parked.result()


def _ended(session: Session, entrance: Entrance) -> bool:
    try:
        return next2(session, entrance) == BAD_STATE
    except OSError:
        return True


def test_old_and_unknown_methods_of_the_listener_are_refused(session: Session) -> None:
    """Nobody uses the old two (7.1)."""
    for handle in (3, 7):
        assert session.calls.status_of(handle, 0, (), ()) == UNSUPPORTED
    short = bytearray(4), bytearray(8)
    method = LISTENER1.next.method
    assert session.calls.status_of(7, method, (FIRST.pack(), b""), short) == BAD_PARAMETER
    assert session.calls.status_of(7, method, (b"", b""), short) == BAD_PARAMETER


def test_messages_and_performance_answer_as_clients_expect(session: Session) -> None:
    """Handle 5: init2 and deinit, no ring; 6 and 9: not supported (6.8, 6.9, 10)."""
    assert [session.calls.status_of(5, method, (), ()) for method in (2, 3)] == [0, 0]
    assert session.calls.status_of(5, 4, (bytes(24),), (bytearray(8),)) == UNSUPPORTED
    assert session.calls.status_of(6, 0, (bytes(4),), ()) == UNSUPPORTED
    assert session.calls.status_of(9, 2, (bytes(4),), ()) == UNSUPPORTED


def test_set_param_succeeds_at_both_managers(session: Session) -> None:
    """It decides over the success of a C client's open (clients.md 14)."""
    ins = bytes([1, 0, 0, 0, 2, 0, 0, 0]), bytes(8)
    assert session.calls.status_of(8, 5, ins, ()) == 0
    assert session.calls.status_of(0, 3, ins, ()) == 0


def test_current_process_is_there_by_name_too(session: Session) -> None:
    """Its methods count from 0 then (6.6, 1.3)."""
    process = session.load("adsp_current_process")
    identifier = process.invoke(3, outs=[4])[0]
    assert int.from_bytes(identifier, "little") > 1
    process.invoke(1)
    with pytest.raises(qda.DspError) as caught:
        process.invoke(8)
    assert caught.value.status == UNSUPPORTED
    process.invoke(0)
    assert session.calls.status_of(0, 3, (bytes(8), b""), ()) == BAD_STATE


CALLER = "file:///libcaller_skel.so?caller_skel_handle_invoke&_modver=1.0"


class Caller(qda.Skeleton, name="caller"):
    """Calls the host."""

    @qda.method(2)
    def call(self, result: memoryview) -> None:
        module = self.dsp.host.open("answers")
        try:
            module.invoke(2, [], [result])
        finally:
            module.close()


class Answers(qda.Skeleton, name="answers"):
    """A module of the host."""

    @qda.method(2)
    def answer(self, result: memoryview) -> None:
        result[:4] = b"42  "


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("adsp_default_listener", 0),
        (
            "file:///libadsp_default_listener1_skel.so?adsp_default_listener1_skel_handle_invoke"
            "&_modver=1.0&_dom=cdsp",
            2,
        ),
    ],
)
def test_a_registered_session_serves_those_that_have_no_listener(name: str, method: int) -> None:
    """Attached sessions may have no host thread of their own (7.8)."""
    daemon = qda.open(device="virtual", process="root")
    with (
        daemon,
        qda.open(device="virtual", process="root", skeletons=[Caller]) as other,
        other.load(CALLER) as caller,
    ):
        with pytest.raises(qda.DspError) as caught:
            caller.invoke(2, outs=[4])
        daemon.provide(Answers)
        with daemon.load(name) as listener:
            listener.invoke(method)
        assert caller.invoke(2, outs=[4]) == [b"42  "]
        daemon.close()
        with pytest.raises(qda.DspError) as caught:
            caller.invoke(2, outs=[4])
        assert caught.value.status == NO_LISTENER
