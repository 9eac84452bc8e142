"""What a listening thread says: random walks over legal and illegal steps."""

from __future__ import annotations

import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.client.host.turns import TURN, Turn, TurnEvent, TurnState
from qda.errors import BAD_STATE, INTERRUPTED, UNSUPPORTED, as_signed
from qda.fastrpc.listener import FIRST_RESULT
from qda.states import IllegalStep


def step(turn: Turn, event: TurnEvent) -> None:
    """Let an event happen to a thread, whether it may or not."""
    if event is TurnEvent.CALL:
        turn.called(9)
    elif event is TurnEvent.RESULT:
        turn.ran(5, b"reply")
    else:
        turn.refused(
            {
                TurnEvent.INTERRUPT: INTERRUPTED,
                TurnEvent.REFUSE: UNSUPPORTED,
                TurnEvent.END: BAD_STATE,
            }[event]
        )


def said(turn: Turn) -> tuple[int, int, bytes]:
    """What it would say now."""
    request = turn.request(4096)
    assert (request.capacity, request.reply_length) == (4096, len(turn.reply))
    return request.context, request.result, turn.reply


BROUGHT = {
    TurnState.FRESH: (0, FIRST_RESULT, b""),
    TurnState.DONE: (9, 5, b"reply"),
    TurnState.REFUSED: (0, as_signed(UNSUPPORTED), b""),
}
"""What is said in each state in which anything is."""


@given(st.lists(st.sampled_from(TurnEvent), max_size=12))
def test_a_thread_makes_the_steps_of_its_table_and_no_others(events: list[TurnEvent]) -> None:
    """An illegal step raises and changes nothing; what is said follows from the state."""
    turn, expected = Turn(), TURN.start
    for event in events:
        before = said(turn)
        if TURN.legal(expected, event):
            expected = TURN.after(expected, event)
            step(turn, event)
        else:
            with pytest.raises(IllegalStep):
                step(turn, event)
            assert said(turn) == before
        assert turn.state is expected
        assert said(turn) == BROUGHT.get(expected, said(turn))


def test_every_state_is_reached_and_every_event_happens() -> None:
    """A row that nothing leads to would be a rule that nobody can break."""
    reached: set[enum.Enum] = {TURN.start}
    for _ in TURN.states:
        reached |= {after for state, _, after, _ in TURN.rows if state in reached}
    assert reached == set(TURN.states)
    assert {event for _, event, _, _ in TURN.rows} == set(TurnEvent)


def test_the_first_request_brings_nothing() -> None:
    """Context 0, result -1 (7.2)."""
    assert said(Turn()) == (0, -1, b"")


def test_a_second_refusal_ends_a_thread() -> None:
    """Whatever it is: the DSP means it (6.6, 7.2)."""
    for status in (INTERRUPTED, UNSUPPORTED, BAD_STATE, 14):
        turn = Turn()
        turn.refused(14)
        assert said(turn) == (0, 14, b"")
        turn.refused(status)
        assert turn.state is TurnState.ENDED


def test_interruptions_alone_never_end_a_thread() -> None:
    """Each of them may be a signal on the way (7.2)."""
    turn = Turn()
    for _ in range(100):
        turn.refused(INTERRUPTED)
    assert turn.state is TurnState.FRESH
