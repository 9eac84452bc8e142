"""Reverse calls on the DSP's side: who waits for what, and how each wait ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.dsp.reverse_calls import Reply, ReverseCalls
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    INTERRUPTED,
    NO_LISTENER,
    StatusError,
)
from qda.fastrpc.listener import (
    FIRST_RESULT,
    MoreRequest,
    NextAnswer,
    NextRequest,
)
from qda.fastrpc.nested import pack_reply, unpack_request
from qda.fastrpc.scalars import Scalars

NOTHING = memoryview(b"")
FIRST = NextRequest(result=FIRST_RESULT)
ECHO = Scalars(0, 1, 1)


def take(calls: ReverseCalls, request: NextRequest = FIRST, reply: bytes = b"") -> NextAnswer:
    return calls.next(1, request, memoryview(reply), memoryview(bytearray(4096)))


def brings(asked: NextAnswer, reply: bytes = b"", result: int = 0) -> NextRequest:
    return NextRequest(context=asked.context, result=result, reply_length=len(reply))


@pytest.fixture
def calls() -> ReverseCalls:
    found = ReverseCalls()
    found.announce(True)
    return found


def test_a_call_goes_to_a_parked_thread_and_its_result_comes_back(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """One round (7.2): request, reply, and the thread waits again."""
    parked = pool.submit(take, calls)
    call = pool.submit(calls.call, 5, ECHO, [b"abc"], [3])
    asked = parked.result()
    assert (asked.handle, asked.scalars) == (5, ECHO.word)
    assert asked.context != 0
    reply = pack_reply([b"xyz"])
    again = pool.submit(take, calls, brings(asked, reply), reply)
    assert call.result() == Reply(0, [b"xyz"])
    calls.end()
    with pytest.raises(StatusError):
        again.result()


def test_a_reply_may_be_longer_than_its_buffers(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """The length is rounded up to a page at times: the rest is ignored (7.2)."""
    call = pool.submit(calls.call, 5, ECHO, [b"abc"], [3])
    asked = take(calls)
    reply = pack_reply([b"xyz"]).ljust(4096, b"?")
    again = pool.submit(take, calls, brings(asked, reply), reply)
    assert call.result().outs == [b"xyz"]
    calls.end()
    assert isinstance(again.exception(), StatusError)


@pytest.mark.parametrize(
    "reply", [b"", b"\x03\0\0", pack_reply([b"four"]), b"\xff\xff\xff\xff" * 4]
)
def test_a_hostile_reply_ends_the_call(
    calls: ReverseCalls, pool: ThreadPoolExecutor, reply: bytes
) -> None:
    """Too short, or with other lengths than were asked for (7.3)."""
    call = pool.submit(calls.call, 5, ECHO, [b"abc"], [3])
    asked = take(calls)
    again = pool.submit(take, calls, brings(asked, reply), reply)
    assert call.result().status == BAD_PARAMETER
    calls.end()
    assert isinstance(again.exception(), StatusError)


def test_the_hosts_own_result_is_passed_unchanged(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """Errnos and AEE numbers of the host (8.2); a reply beside them is not looked at."""
    call = pool.submit(calls.call, 5, ECHO, [b"abc"], [3])
    asked = take(calls)
    pool.submit(take, calls, brings(asked, result=-5))
    assert call.result() == Reply(0xFFFFFFFB)
    calls.end()


def test_a_request_that_is_longer_than_the_room_is_fetched_in_a_second_step(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """`get_in_bufs2`; the first time the room is 0 (7.2, trap 6)."""
    data = bytes(range(256)) * 100
    call = pool.submit(calls.call, 5, ECHO, [data], [1])
    asked = calls.next(1, FIRST, NOTHING, memoryview(bytearray(0)))
    room = bytearray(asked.length)
    more = calls.more(MoreRequest(context=asked.context, capacity=len(room)), memoryview(room))
    assert more.length == asked.length
    assert bytes(unpack_request(room, 1, 1)[0][0]) == data
    tail = bytearray(10)
    place = MoreRequest(context=asked.context, offset=asked.length - 10, capacity=10)
    calls.more(place, memoryview(tail))
    assert tail == room[-10:]
    for context, offset in ((asked.context + 1, 0), (asked.context, asked.length + 1)):
        with pytest.raises(StatusError) as caught:
            calls.more(MoreRequest(context=context, offset=offset), memoryview(room))
        assert caught.value.status == BAD_PARAMETER
    calls.end()
    assert call.result().status == BAD_STATE


def test_several_parked_threads_run_calls_at_the_same_time(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """Each gets a call of its own, and they may be answered in any order."""
    made = [pool.submit(calls.call, 5, ECHO, [b"abc"], [1]) for _ in range(3)]
    asked = [calls.next(thread, FIRST, NOTHING, memoryview(bytearray(64))) for thread in (1, 2, 3)]
    assert len({one.context for one in asked}) == 3
    again = []
    for thread, one in reversed(list(enumerate(asked, 1))):
        reply = pack_reply([bytes([thread])])
        request, room = brings(one, reply), memoryview(bytearray(64))
        again.append(pool.submit(calls.next, thread, request, memoryview(reply), room))
    assert sorted(call.result().outs[0] for call in made) == [b"\1", b"\2", b"\3"]
    calls.end()
    assert all(isinstance(one.exception(), StatusError) for one in again)


def test_a_thread_that_brings_no_result_ends_its_call(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """It starts over with context 0 after an error (7.2), or ends: nobody waits for ever."""
    first = pool.submit(calls.call, 5, ECHO, [b"abc"], [1])
    take(calls)
    second = pool.submit(calls.call, 5, ECHO, [b"abc"], [1])
    take(calls)
    assert first.result().status == INTERRUPTED
    calls.thread_left(1)
    assert second.result().status == INTERRUPTED


def test_a_result_for_no_call_is_dropped(calls: ReverseCalls, pool: ThreadPoolExecutor) -> None:
    """A second reply, or one for a call that never was, does no harm (H15)."""
    parked = pool.submit(take, calls, NextRequest(context=77))
    call = pool.submit(calls.call, 5, Scalars(0), [], [])
    asked = parked.result()
    again = pool.submit(take, calls, brings(asked))
    assert call.result() == Reply(0, [])
    calls.end()
    assert isinstance(again.exception(), StatusError)


def test_without_a_listener_a_call_fails_at_once(pool: ThreadPoolExecutor) -> None:
    """And says so."""
    reply = ReverseCalls().call(5, ECHO, [b"abc"], [1])
    assert reply.status == NO_LISTENER
    assert "serve_host" in reply.failure


def test_an_announced_listener_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, calls: ReverseCalls
) -> None:
    """The listener is a race with the program (clients.md 4)."""
    monkeypatch.setattr(limits, "HOST_PATIENCE", 0.01)
    assert calls.call(5, ECHO, [b"abc"], [1]).status == NO_LISTENER


def test_the_end_of_the_session_ends_everything(
    calls: ReverseCalls, pool: ThreadPoolExecutor
) -> None:
    """Parked threads, calls that were taken, calls that were not, and later ones (6.6)."""
    taken = pool.submit(calls.call, 5, ECHO, [b"abc"], [1])
    take(calls)
    parked = pool.submit(calls.next, 2, FIRST, NOTHING, NOTHING)
    calls.end()
    calls.end()
    assert taken.result().status == BAD_STATE
    assert calls.call(5, ECHO, [b"abc"], [1]).status == BAD_STATE
    for ended in (parked, pool.submit(take, calls)):
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
    calls = ReverseCalls()
    calls.announce(True)
    replies: list[list[Reply]] = []
    waiting, asked = 0, NextAnswer()
    for step in [*steps, "end"]:
        if step == "post":
            replies.append([])
            assert calls.post(5, ECHO, [b"abc"], [3], replies[-1].append)
            waiting += 1
        elif step == "leave":
            calls.thread_left(1)
        elif step == "end":
            calls.end()
        elif waiting:  # another thread would have to wait
            waiting -= 1
            reply = b"" if step == "garbage" else pack_reply([b"xyz"])
            result = 7 if step == "refuse" else 0
            request = brings(asked, reply, result)
            if step in ("take", "stray"):
                request = NextRequest(context=12345 if step == "stray" else 0)
            asked = take(calls, request, reply)
    assert [len(one) for one in replies] == [1] * len(replies)
    known = {0, 7, BAD_PARAMETER, INTERRUPTED, BAD_STATE}
    assert {one[0].status for one in replies} <= known
