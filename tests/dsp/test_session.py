"""The life of a session on the DSP: a random walk over legal and illegal steps, and deaths."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qda.core.twin import Server
from qda.dsp.session import LIFE, Life, LifeEvent, Session
from qda.errors import BAD_STATE, StatusError, as_signed
from qda.fastrpc.handles import Fixed
from qda.rpmsg import Endpoint

STOPS = st.sampled_from([LifeEvent.EXIT, LifeEvent.RELEASE])
STARTS = st.sampled_from([LifeEvent.CREATE, LifeEvent.ATTACH])


class FakeLane(Server):
    """The end of a lane on which a call has come, which keeps what it is given to answer."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.running, self.watched = True, False

    def answer(self, result: int) -> None:
        self.answers.append(result)

    def runs(self) -> bool:
        return self.running

    def watch(self) -> None:
        self.watched = True


class Walk(RuleBasedStateMachine):
    """A driver and a client that do anything, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.control, self.far = Endpoint.pair()
        self.session = Session(3, self.control)
        self.state = LIFE.start
        self.lanes: list[FakeLane] = []
        self.running: list[FakeLane] = []
        self.ended = False
        """Whether reverse calls have ended."""
        self.forgotten = 0

    def teardown(self) -> None:
        self.control.close()
        self.far.close()

    def expect(self, event: LifeEvent) -> bool:
        """Whether an event is legal; then the next state is known."""
        if not LIFE.legal(self.state, event):
            return False
        self.state = LIFE.after(self.state, event)
        return True

    @rule(event=STARTS)
    def start(self, event: LifeEvent) -> None:
        """By the driver."""
        if self.expect(event):
            self.session.step(event)
            return
        with pytest.raises(StatusError) as caught:
            self.session.step(event)
        assert caught.value.status == BAD_STATE

    @rule(event=STOPS)
    def stop(self, event: LifeEvent) -> None:
        """By its client, or by the driver."""
        if self.expect(event):
            self.session.stop(event)
            self.ended = True
            return
        with pytest.raises(StatusError) as caught:
            self.session.stop(event)
        assert caught.value.status == BAD_STATE

    @precondition(lambda self: self.state not in (Life.GONE, Life.FORGOTTEN))
    @rule()
    def begin(self) -> None:
        """A call comes."""
        lane = FakeLane()
        self.session.add(lane)
        self.lanes.append(lane)
        self.running.append(lane)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A method returns; with the last one a session that has gone is forgotten."""
        lane = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        lane.running = False
        last = not self.running and self.expect(LifeEvent.FORGET)
        assert self.session.finish() == last
        self.forgotten += last

    @precondition(lambda self: LIFE.legal(self.state, LifeEvent.GO))
    @rule()
    def die(self) -> None:
        """Its control endpoint ends, with or without a word before."""
        assert self.expect(LifeEvent.GO)
        last = not self.running and self.expect(LifeEvent.FORGET)
        assert self.session.go() == last
        self.forgotten += last
        self.ended = True

    @precondition(lambda self: self.running)
    @rule()
    def answer_all(self) -> None:
        """RELEASE answers what runs, and not the call that asks for it."""
        own, *others = self.running
        self.session.answer_all(but=own)
        assert not own.answers
        for one in others:
            assert one.answers == [as_signed(BAD_STATE)]
            one.answers.clear()
            one.running = False
            assert self.session.finish() is False
        self.running = [own]

    @invariant()
    def state_is_that_of_the_table(self) -> None:
        """And nothing is forgotten twice, or while a method runs."""
        assert self.session.state is self.state
        assert self.forgotten == (self.state is Life.FORGOTTEN)
        assert not (self.forgotten and self.running)

    @invariant()
    def calls_are_answered_as_long_as_somebody_may_call(self) -> None:
        """After exit, two handles are left (6.6, 10)."""
        begun = self.state in (Life.OPENED, Life.STARTED)
        after = begun or self.state in (Life.LEFT, Life.RELEASED)
        assert self.session.answers(0x201) == begun
        for handle in (Fixed.CURRENT_PROCESS1, Fixed.INIT):
            assert self.session.answers(handle) == after

    @invariant()
    def lanes_are_watched_from_the_first_call_that_is_refused(self) -> None:
        """Until then they may answer without asking the session."""
        begun = self.state in (Life.OPENED, Life.STARTED)
        assert all(lane.watched != begun for lane in self.lanes)

    @invariant()
    def reverse_calls_end_with_the_client(self) -> None:
        """Whatever ends it."""
        calls = self.session.reverse_calls
        assert calls.is_announced == self.ended
        if self.ended:
            assert calls.wait_for_host(0) is False


TestWalk = Walk.TestCase


def test_a_session_is_not_forgotten_while_something_of_it_ends() -> None:
    """Queues use its memory until they have ended, and the call that waited in them is over before:
    it is the thread that ends them that has the memory taken away."""
    mine, theirs = Endpoint.pair()
    session = Session(1, theirs)
    session.step(LifeEvent.CREATE)
    seen: list[bool] = []
    session.ends(lambda: seen.append(session.finish()))
    assert session.go()
    assert seen == [False]
    assert not session.finish()
    mine.close()
    theirs.close()
