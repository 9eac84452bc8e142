"""Time-outs of typed calls, calls that are started, and calls after the end."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import qda
from qda import limits
from qda.pending import _places as places_of

TEXT = """#include "remote.idl"
interface waiting : remote_handle64 {
    long twice(in long x, rout long y);
    long hold();
    long both(in long timeout, inrout string text, rout long timeout_);
    async long later(in sequence<octet> x, rout sequence<octet> y);
};
"""
waiting: Any = qda.idl.load(TEXT, name="waiting.idl")
go_on = threading.Event()
running = threading.Semaphore(0)


class Waits(waiting.Skeleton):  # type: ignore[misc]
    """Debugged: it shares the program's events."""

    def twice(self, x: int) -> int:
        return 2 * x

    def hold(self) -> None:
        running.release()
        go_on.wait(60)

    def both(self, timeout: int, text: str) -> tuple[str, int]:
        return text, timeout

    def later(self, x: Any, y: Any) -> None:
        y[:] = x


@pytest.fixture
def session() -> Iterator[qda.Session]:
    """A session with a DSP of this process."""
    go_on.clear()
    with qda.open("cdsp", device="virtual", debug=True) as session:
        yield session
        go_on.set()


@pytest.fixture
def remote(session: qda.Session) -> Any:
    """The remote object."""
    return session.load(Waits)


def test_a_typed_call_takes_a_timeout(remote: Any) -> None:
    """CallTimeout names the method; other calls go on, and so does that one."""
    assert remote.twice(4, timeout=30) == 8
    with pytest.raises(qda.CallTimeout) as caught:
        remote.hold(timeout=0.01)
    assert str(caught.value).startswith("waiting.hold on cdsp: no answer within 0.01 s")
    assert remote.twice(5) == 10
    assert running.acquire(timeout=30)


def test_a_parameter_may_be_called_timeout(remote: Any) -> None:
    """The time-out has an underscore then, or two."""
    result = remote.both(7, "abc", text_capacity=9, timeout_=30)
    assert result == ("abc", 7)


@pytest.mark.parametrize("wrong", ["soon", b"1", [], object()])
def test_a_timeout_is_a_number(remote: Any, wrong: Any) -> None:
    """UsageTypeError; nothing is called."""
    with pytest.raises(qda.UsageTypeError, match=r"waiting\.hold: timeout .*: a number of seconds"):
        remote.hold(timeout=wrong)
    assert not running.acquire(blocking=False)


def test_who_waits_for_a_started_call_is_told_which(remote: Any) -> None:
    """By CallTimeout, as who waits for a call."""
    started = qda.start(remote.hold)
    with pytest.raises(qda.CallTimeout, match=r"waiting\.hold: no answer within 0\.01 s"):
        started.result(timeout=0.01)
    go_on.set()
    assert started.result(timeout=30) is None
    assert remote.later(b"x", 1).result(timeout=30) == [ord("x")]


def test_a_started_call_that_times_out_itself_says_so(remote: Any) -> None:
    """Not the wait for it."""
    started = qda.start(remote.hold, timeout=0.01)
    with pytest.raises(qda.CallTimeout, match=r"on cdsp: no answer within 0\.01 s"):
        started.result(timeout=30)


def test_more_calls_than_may_be_on_their_way_wait_for_room() -> None:
    """The next one starts when one is over; one of a started call's own does not wait."""
    ends = [threading.Event() for _ in range(limits.STARTED)]
    started = [qda.start(one.wait, 60) for one in ends]
    more: list[bool] = []

    def start_another() -> None:
        more.append(qda.start(lambda: True).result(60))

    assert not places_of(os.getpid()).free
    waits = threading.Thread(target=start_another)
    waits.start()
    ends[7].set()
    waits.join(60)
    assert more == [True]
    for end in ends:
        end.set()
    assert all(one.result(60) for one in started)


def test_a_started_call_may_start_others_however_many_there_are() -> None:
    """They would wait for each other."""
    every = threading.Barrier(limits.STARTED)

    def outer() -> bool:
        every.wait(60)
        return qda.start(lambda: True).result(60)

    assert all(one.result(60) for one in [qda.start(outer) for _ in range(limits.STARTED)])


def test_calls_of_a_closed_module_say_so(session: qda.Session) -> None:
    """With the status that any DSP has for them."""
    remote: Any = session.load(Waits)
    remote.close()
    uses: list[Any] = [lambda: remote.twice(1), lambda: remote._module.invoke(2)]
    for use in uses:
        with pytest.raises(qda.DspError, match="AEE_EBADHANDLE: the module is closed"):
            use()


@pytest.mark.parametrize(
    "use",
    [
        lambda session, remote: remote.twice(1),
        lambda session, remote: remote.twice(1, timeout=1),
        lambda session, remote: qda.start(remote.twice, 1).result(30),
        lambda session, remote: remote.later(b"x", 1).result(30),
        lambda session, remote: session.invoke(3, 2),
        lambda session, remote: session.load(Waits),
        lambda session, remote: session.load(waiting),
        lambda session, remote: session.install(Waits),
        lambda session, remote: session.provide(Waits),
        lambda session, remote: session.serve_host(),
        lambda session, remote: session.alloc(1),
        lambda session, remote: session.empty(1),
        lambda session, remote: session.import_fd(0),
    ],
)
def test_whatever_comes_after_the_end_says_that_the_session_is_closed(
    session: qda.Session, remote: Any, use: Any
) -> None:
    """In its first line."""
    session.close()
    with pytest.raises(qda.DeviceError, match=r"\A[^\n]* EBADF: the session is closed"):
        use(session, remote)


def test_a_call_after_the_end_says_so_also_where_its_memory_has_gone() -> None:
    """In the dialect in which a client packs calls itself, into memory of the session."""
    with qda.open("cdsp", device="virtual", dialect="handle") as session:
        remote: Any = session.load(Waits)
        assert remote.twice(2) == 4
    with pytest.raises(qda.DeviceError, match=r"\A[^\n]* EBADF: the session is closed"):
        remote.twice(2)


def test_what_has_ended_with_its_session_closes_in_silence() -> None:
    """Whoever left the blocks in the other order has nothing to mend."""
    with qda.open("cdsp", device="virtual") as session:
        remote, buffer = session.load(Waits), session.alloc(4096)
        mapping = session.map(buffer)
    for one in (mapping, buffer, remote, session) * 2:
        one.close()


def test_a_forked_child_leaves_its_parents_blocks_in_silence() -> None:
    """Nothing in them is its own; what ends its work is what it sees."""
    with qda.open("cdsp", device="virtual") as session, session.alloc(4096) as buffer:
        child = 0
        try:
            with session.map(buffer), session.load(Waits):
                child = os.fork()
                if not child:
                    raise ZeroDivisionError
        except BaseException as error:
            if not child:
                os._exit(7 if isinstance(error, ZeroDivisionError) else 1)
            raise
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_call_that_cannot_begin_shows_no_frames_of_ours(remote: Any) -> None:
    """Of one that was started, either: whoever asks for its result is told as who calls."""
    for arguments in ((), (1, 2)):
        pending = qda.start(remote.twice, *arguments)
        for _ in range(2):
            with pytest.raises(TypeError, match="twice") as caught:
                pending.result()
            frames = traceback.extract_tb(caught.value.__traceback__)
            assert {frame.filename for frame in frames} == {__file__}


def test_a_refused_call_shows_no_frames_of_ours(remote: Any) -> None:
    """The words say it all."""
    for arguments in (("x",), (1 << 40,)):
        with pytest.raises(qda.QdaError) as caught:
            remote.twice(*arguments)
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert frames[1:] == []
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


@pytest.mark.parametrize("method", [0, 1])
@pytest.mark.parametrize("shape", ["right", "wrong"])
def test_the_loaders_methods_are_no_clients(remote: Any, method: int, shape: str) -> None:
    """0 and 1 of an interface with handles: the module manager calls them."""
    ins = [b"\4\0\0\0", b"abc\0"] if shape == "right" and method == 0 else []
    handles = [1] if shape == "right" else []
    with pytest.raises(qda.DspError, match=r"AEE_EUNSUPPORTED: method \d is the loader's"):
        remote._module.invoke(method, ins, in_handles=handles)
