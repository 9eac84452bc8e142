"""Reverse calls on the DSP's side: the state machine, and the modules by which a host listens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qda
from qda.client import Session
from qda.dsp import listener as listener_module
from qda.dsp.listener import Listener, Reply
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    INTERRUPTED,
    NO_LISTENER,
    UNSUPPORTED,
    StatusError,
)
from qda.fastrpc.listener import (
    FIRST_RESULT,
    LISTENER,
    LISTENER1,
    Entrance,
    MoreRequest,
    NextAnswer,
    NextRequest,
)
from qda.fastrpc.nested import pack_reply, unpack_request
from qda.fastrpc.scalars import Scalars
from qda.virtual import Machine
from tests.system import new_machine, open_session

NOTHING = memoryview(b"")
FIRST = NextRequest(result=FIRST_RESULT)
ECHO = Scalars(0, 1, 1)


def take(listener: Listener, request: NextRequest = FIRST, reply: bytes = b"") -> NextAnswer:
    return listener.next(1, request, memoryview(reply), memoryview(bytearray(4096)))


def brings(asked: NextAnswer, reply: bytes = b"", result: int = 0) -> NextRequest:
    return NextRequest(context=asked.context, result=result, reply_length=len(reply))


@pytest.fixture
def listener() -> Listener:
    found = Listener()
    found.announce(True)
    return found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as found:
        yield found


# The state machine.


def test_a_call_goes_to_a_parked_thread_and_its_result_comes_back(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """One round (7.2): request, reply, and the thread waits again."""
    parked = pool.submit(take, listener)
    call = pool.submit(listener.call, 5, ECHO, [b"abc"], [3])
    asked = parked.result()
    assert (asked.handle, asked.scalars) == (5, ECHO.word)
    assert asked.context != 0
    reply = pack_reply([b"xyz"])
    again = pool.submit(take, listener, brings(asked, reply), reply)
    assert call.result() == Reply(0, [b"xyz"])
    listener.end()
    with pytest.raises(StatusError):
        again.result()


def test_a_reply_may_be_longer_than_its_buffers(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """The length is rounded up to a page at times: the rest is ignored (7.2)."""
    call = pool.submit(listener.call, 5, ECHO, [b"abc"], [3])
    asked = take(listener)
    reply = pack_reply([b"xyz"]).ljust(4096, b"?")
    again = pool.submit(take, listener, brings(asked, reply), reply)
    assert call.result().outs == [b"xyz"]
    listener.end()
    assert isinstance(again.exception(), StatusError)


@pytest.mark.parametrize(
    "reply", [b"", b"\x03\0\0", pack_reply([b"four"]), b"\xff\xff\xff\xff" * 4]
)
def test_a_hostile_reply_ends_the_call(
    listener: Listener, pool: ThreadPoolExecutor, reply: bytes
) -> None:
    """Too short, or with other lengths than were asked for (7.3)."""
    call = pool.submit(listener.call, 5, ECHO, [b"abc"], [3])
    asked = take(listener)
    again = pool.submit(take, listener, brings(asked, reply), reply)
    assert call.result().status == BAD_PARAMETER
    listener.end()
    assert isinstance(again.exception(), StatusError)


def test_the_hosts_own_result_is_passed_unchanged(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """Errnos and AEE numbers of the host (8.2); a reply beside them is not looked at."""
    call = pool.submit(listener.call, 5, ECHO, [b"abc"], [3])
    asked = take(listener)
    pool.submit(take, listener, brings(asked, result=-5))
    assert call.result() == Reply(0xFFFFFFFB)
    listener.end()


def test_a_request_that_is_longer_than_the_room_is_fetched_in_a_second_step(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """`get_in_bufs2`; the first time the room is 0 (7.2, trap 6)."""
    data = bytes(range(256)) * 100
    call = pool.submit(listener.call, 5, ECHO, [data], [1])
    asked = listener.next(1, FIRST, NOTHING, memoryview(bytearray(0)))
    room = bytearray(asked.length)
    more = listener.more(MoreRequest(context=asked.context, capacity=len(room)), memoryview(room))
    assert more.length == asked.length
    assert bytes(unpack_request(room, 1, 1)[0][0]) == data
    tail = bytearray(10)
    place = MoreRequest(context=asked.context, offset=asked.length - 10, capacity=10)
    listener.more(place, memoryview(tail))
    assert tail == room[-10:]
    for context, offset in ((asked.context + 1, 0), (asked.context, asked.length + 1)):
        with pytest.raises(StatusError) as caught:
            listener.more(MoreRequest(context=context, offset=offset), memoryview(room))
        assert caught.value.status == BAD_PARAMETER
    listener.end()
    assert call.result().status == BAD_STATE


def test_several_parked_threads_run_calls_at_the_same_time(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """Each gets a call of its own, and they may be answered in any order."""
    calls = [pool.submit(listener.call, 5, ECHO, [b"abc"], [1]) for _ in range(3)]
    asked = [
        listener.next(thread, FIRST, NOTHING, memoryview(bytearray(64))) for thread in (1, 2, 3)
    ]
    assert len({one.context for one in asked}) == 3
    again = []
    for thread, one in reversed(list(enumerate(asked, 1))):
        reply = pack_reply([bytes([thread])])
        request, room = brings(one, reply), memoryview(bytearray(64))
        again.append(pool.submit(listener.next, thread, request, memoryview(reply), room))
    assert sorted(call.result().outs[0] for call in calls) == [b"\1", b"\2", b"\3"]
    listener.end()
    assert all(isinstance(one.exception(), StatusError) for one in again)


def test_a_thread_that_brings_no_result_ends_its_call(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """It starts over with context 0 after an error (7.2), or ends: nobody waits for ever."""
    first = pool.submit(listener.call, 5, ECHO, [b"abc"], [1])
    take(listener)
    second = pool.submit(listener.call, 5, ECHO, [b"abc"], [1])
    take(listener)
    assert first.result().status == INTERRUPTED
    listener.thread_left(1)
    assert second.result().status == INTERRUPTED


def test_a_result_for_no_call_is_dropped(listener: Listener, pool: ThreadPoolExecutor) -> None:
    """A second reply, or one for a call that never was, does no harm (H15)."""
    parked = pool.submit(take, listener, NextRequest(context=77))
    call = pool.submit(listener.call, 5, Scalars(0), [], [])
    asked = parked.result()
    again = pool.submit(take, listener, brings(asked))
    assert call.result() == Reply(0, [])
    listener.end()
    assert isinstance(again.exception(), StatusError)


def test_without_a_listener_a_call_fails_at_once(pool: ThreadPoolExecutor) -> None:
    """And says so."""
    reply = Listener().call(5, ECHO, [b"abc"], [1])
    assert reply.status == NO_LISTENER
    assert "serve_host" in reply.failure


def test_an_announced_listener_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    """The listener is a race with the program (clients.md 4)."""
    monkeypatch.setattr(listener_module, "PATIENCE", 0.01)
    assert listener.call(5, ECHO, [b"abc"], [1]).status == NO_LISTENER


def test_the_end_of_the_session_ends_everything(
    listener: Listener, pool: ThreadPoolExecutor
) -> None:
    """Parked threads, calls that were taken, calls that were not, and later ones (6.6)."""
    taken = pool.submit(listener.call, 5, ECHO, [b"abc"], [1])
    take(listener)
    parked = pool.submit(listener.next, 2, FIRST, NOTHING, NOTHING)
    listener.end()
    listener.end()
    assert taken.result().status == BAD_STATE
    assert listener.call(5, ECHO, [b"abc"], [1]).status == BAD_STATE
    for ended in (parked, pool.submit(take, listener)):
        error = ended.exception()
        assert isinstance(error, StatusError)
        assert error.status == BAD_STATE


@given(
    st.lists(
        st.sampled_from(["post", "take", "answer", "refuse", "garbage", "stray", "leave"]),
        max_size=30,
    )
)
def test_every_call_gets_exactly_one_reply(steps: list[str]) -> None:
    """Whatever the host does, in whatever order."""
    listener = Listener()
    listener.announce(True)
    replies: list[list[Reply]] = []
    waiting, asked = 0, NextAnswer()
    for step in [*steps, "end"]:
        if step == "post":
            replies.append([])
            assert listener.post(5, ECHO, [b"abc"], [3], replies[-1].append)
            waiting += 1
        elif step == "leave":
            listener.thread_left(1)
        elif step == "end":
            listener.end()
        elif waiting:  # another thread would have to wait
            waiting -= 1
            reply = b"" if step == "garbage" else pack_reply([b"xyz"])
            result = 7 if step == "refuse" else 0
            request = brings(asked, reply, result)
            if step in ("take", "stray"):
                request = NextRequest(context=12345 if step == "stray" else 0)
            asked = take(listener, request, reply)
    assert [len(one) for one in replies] == [1] * len(replies)
    known = {0, 7, BAD_PARAMETER, INTERRUPTED, BAD_STATE}
    assert {one[0].status for one in replies} <= known


# The modules of a protection domain.


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    system = new_machine()
    yield system
    system.close()


@pytest.fixture
def session(machine: Machine) -> Iterator[Session]:
    with open_session(machine) as found:
        yield found


def next2(session: Session, entrance: Entrance) -> int:
    """Park this thread; returns the status with which the call ends."""
    outs = bytearray(NextAnswer.byte_size), bytearray(256)
    return session.status_of(entrance.handle, entrance.next.method, (FIRST.pack(), b""), outs)


@pytest.mark.parametrize("entrance", [LISTENER1, LISTENER])
def test_exit_ends_a_parked_thread_and_later_ones_at_once(
    session: Session, pool: ThreadPoolExecutor, entrance: Entrance
) -> None:
    """With 0x8000040D; the client would hang in a join otherwise (6.6, clients.md 13.8).  A thread
    may still say that it ends."""
    assert session.status_of(entrance.handle, entrance.init2.method, (), ()) == 0
    parked = [pool.submit(next2, session, entrance) for _ in range(3)]
    assert session.status_of(4, 2, (), ()) == 0
    assert [one.result() for one in parked] == [BAD_STATE] * 3
    assert next2(session, entrance) == BAD_STATE
    assert session.status_of(4, 3, (), ()) == 0


@pytest.mark.parametrize("entrance", [LISTENER1, LISTENER])
def test_the_end_of_a_session_ends_a_parked_thread(
    machine: Machine, pool: ThreadPoolExecutor, entrance: Entrance
) -> None:
    """RELEASE does so too: a killed program calls no exit."""
    with open_session(machine) as session:
        assert session.status_of(entrance.handle, entrance.init.method, (), ()) == 0
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
        assert session.status_of(handle, 0, (), ()) == UNSUPPORTED
    short = bytearray(4), bytearray(8)
    method = LISTENER1.next.method
    assert session.status_of(7, method, (FIRST.pack(), b""), short) == BAD_PARAMETER
    assert session.status_of(7, method, (b"", b""), short) == BAD_PARAMETER


def test_messages_and_performance_answer_as_clients_expect(session: Session) -> None:
    """Handle 5: init2 and deinit, no ring; 6 and 9: not supported (6.8, 6.9, 10)."""
    assert [session.status_of(5, method, (), ()) for method in (2, 3)] == [0, 0]
    assert session.status_of(5, 4, (bytes(24),), (bytearray(8),)) == UNSUPPORTED
    assert session.status_of(6, 0, (bytes(4),), ()) == UNSUPPORTED
    assert session.status_of(9, 2, (bytes(4),), ()) == UNSUPPORTED


def test_set_param_succeeds_at_both_managers(session: Session) -> None:
    """It decides over the success of a C client's open (clients.md 14)."""
    ins = bytes([1, 0, 0, 0, 2, 0, 0, 0]), bytes(8)
    assert session.status_of(8, 5, ins, ()) == 0
    assert session.status_of(0, 3, ins, ()) == 0


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
    assert session.status_of(0, 3, (bytes(8), b""), ()) == BAD_STATE


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
    with daemon, qda.open(device="virtual", process="root") as other:
        other.install(Caller)
        caller = other.load("file:///libcaller_skel.so?caller_skel_handle_invoke&_modver=1.0")
        with pytest.raises(qda.DspError) as caught:
            caller.invoke(2, outs=[4])
        daemon.provide(Answers)
        daemon.load(name).invoke(method)
        assert caller.invoke(2, outs=[4]) == [b"42  "]
        daemon.close()
        with pytest.raises(qda.DspError) as caught:
            caller.invoke(2, outs=[4])
        assert caught.value.status == NO_LISTENER
