"""The states of reverse calls: random walks over legal and illegal steps, and deaths."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qda.dsp.switchboard import (
    CALL,
    HOST,
    CallEvent,
    CallState,
    HostEvent,
    HostState,
    Reply,
    ReverseCall,
    Switchboard,
)
from qda.errors import BAD_STATE, INTERRUPTED, NO_LISTENER, StatusError
from qda.fastrpc.scalars import Scalars
from qda.states import IllegalStep, Transitions

THREADS = st.integers(1, 3)
STRAY = st.integers(0x1000_0000, 0x2000_0000)


def new_call() -> ReverseCall:
    return ReverseCall(5, Scalars(0, 1, 1), b"abc", [3])


def step(call: ReverseCall, event: CallEvent) -> None:
    """Let an event happen to a call, whether it may or not."""
    if event is CallEvent.TAKE:
        call.take(1, 1)
    else:
        call.end(event, Reply(0))


@given(st.lists(st.sampled_from(CallEvent), max_size=6))
def test_a_call_makes_the_steps_of_its_table_and_no_others(events: list[CallEvent]) -> None:
    """An illegal step raises, and changes nothing."""
    call, expected = new_call(), CALL.start
    for event in events:
        if CALL.legal(expected, event):
            expected = CALL.after(expected, event)
            step(call, event)
        else:
            before = call.context, call.thread, call.reply
            with pytest.raises(IllegalStep):
                step(call, event)
            assert (call.context, call.thread, call.reply) == before
        assert call.state is expected
        assert (call.reply is None) == (expected is not CallState.ENDED)


@pytest.mark.parametrize("machine", [CALL, HOST])
def test_every_state_is_reached_and_every_event_happens(machine: Transitions[Any, Any]) -> None:
    """A row that nothing leads to would be a rule that nobody can break."""
    reached: set[enum.Enum] = {machine.start}
    for _ in machine.states:
        reached |= {after for state, _, after, _ in machine.rows if state in reached}
    assert reached == set(machine.states)
    assert {event for _, event, _, _ in machine.rows} == set(machine.events)


class Walk(RuleBasedStateMachine):
    """A host and a DSP that do anything, also what they must not."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Switchboard()
        self.host = HOST.start
        self.calls: dict[ReverseCall, CallState] = {}
        self.ends: dict[ReverseCall, int] = {}
        """With which status each has to end."""
        self.parked: list[int] = []

    def expect(self, calls: list[ReverseCall], event: CallEvent, status: int) -> None:
        for call in calls:
            self.calls[call] = CALL.after(self.calls[call], event)
            self.ends[call] = status

    def of(self, state: CallState, thread: int | None = None) -> list[ReverseCall]:
        return [
            call
            for call, known in self.calls.items()
            if known is state and thread in (None, call.thread)
        ]

    @rule()
    def announce(self) -> None:
        """Legal at any time."""
        self.host = HOST.after(self.host, HostEvent.ANNOUNCE)
        self.board.announce()

    @rule()
    def call(self) -> None:
        """Refused unless the host listens."""
        refusal = self.board.refusal()
        status = {HostState.SILENT: NO_LISTENER, HostState.ENDED: BAD_STATE}.get(self.host)
        assert (refusal and refusal.status) == status
        if refusal is None:
            call = new_call()
            self.calls[call] = CALL.start
            self.board.put(call)

    @rule(thread=THREADS, stray=STRAY, brings=st.sampled_from(["nothing", "own", "any", "stray"]))
    def come(self, thread: int, stray: int, brings: str) -> None:
        """With the result of its own call, of somebody else's, of none, of one that never was."""
        known = self.of(CallState.TAKEN, thread if brings == "own" else None)
        named = known[:1] if brings in ("own", "any") else []
        context = named[0].context if named else stray * (brings == "stray")
        if not HOST.legal(self.host, HostEvent.COME):
            with pytest.raises(StatusError) as caught:
                self.board.come(thread, context, lambda call: Reply(7))
            assert caught.value.status == BAD_STATE
            return
        self.host = HOST.after(self.host, HostEvent.COME)
        ended = self.board.come(thread, context, lambda call: Reply(7))
        self.expect(named, CallEvent.REPLY, 7)
        lost = self.of(CallState.TAKEN, thread)
        self.expect(lost, CallEvent.LOSE, INTERRUPTED)
        assert ended == named + lost
        self.parked.append(thread)

    @precondition(lambda self: self.parked)
    @rule()
    def take(self) -> None:
        """The first call, or the end; a thread for which there is none goes on waiting."""
        thread = self.parked[0]
        if self.host is HostState.ENDED:
            with pytest.raises(StatusError) as caught:
                self.board.take(thread)
            assert caught.value.status == BAD_STATE
        elif self.board.has_waiting:
            first = self.of(CallState.WAITING)[0]
            assert self.board.take(thread) is first
            self.calls[first] = CALL.after(self.calls[first], CallEvent.TAKE)
            assert self.board.find(first.context) is first
        else:
            return
        self.parked.pop(0)
        self.board.unpark()

    @rule(thread=THREADS)
    def leave(self, thread: int) -> None:
        """A thread dies: what it had is lost, at any time."""
        lost = self.of(CallState.TAKEN, thread)
        assert self.board.leave(thread) == lost
        self.expect(lost, CallEvent.LOSE, INTERRUPTED)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Only a call that nobody has taken."""
        call = data.draw(st.sampled_from(list(self.calls)))
        if CALL.legal(self.calls[call], CallEvent.GIVE_UP):
            self.board.give_up(call, "nobody came")
            self.expect([call], CallEvent.GIVE_UP, NO_LISTENER)
        else:
            with pytest.raises(IllegalStep):
                self.board.give_up(call, "nobody came")

    @precondition(lambda self: len(self.calls) > 3)
    @rule()
    def end(self) -> None:
        """The session ends, perhaps once more."""
        self.host = HOST.after(self.host, HostEvent.END)
        left = self.of(CallState.WAITING) + self.of(CallState.TAKEN)
        assert set(self.board.end()) == set(left)
        self.expect(left, CallEvent.END, BAD_STATE)

    @invariant()
    def states_are_those_of_the_tables(self) -> None:
        """And each call has one reply, when it has ended and not before."""
        assert self.board.host is self.host
        for call, state in self.calls.items():
            assert call.state is state
            assert (call.reply and call.reply.status) == self.ends.get(call)

    @invariant()
    def contexts_tell_calls_apart(self) -> None:
        """0 means none (7.3)."""
        contexts = [call.context for call in self.of(CallState.TAKEN)]
        assert len(set(contexts)) == len(contexts)
        assert 0 not in contexts

    @invariant()
    def a_call_waits_only_as_long_as_somebody_may_come(self) -> None:
        """What `ReverseCalls` decides by."""
        assert self.board.has_threads == bool(self.parked or self.of(CallState.TAKEN))
        assert self.board.has_waiting == bool(self.of(CallState.WAITING))


TestWalk = Walk.TestCase
