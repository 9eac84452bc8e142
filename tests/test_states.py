"""Tables of states: how they are asked and printed."""

from __future__ import annotations

import enum

import pytest

from qda.states import IllegalStep, Transitions


class Door(enum.Enum):
    """Where a door is."""

    SHUT = "nobody walks through"
    OPEN = "people walk through"
    GONE = "there is no door"


class Push(enum.Enum):
    """What happens to it."""

    PUSH = "somebody pushes"
    AXE = "somebody is angry"


DOOR = Transitions(
    "a door",
    Door.SHUT,
    (Door.SHUT, Push.PUSH, Door.OPEN, "it creaks"),
    (Door.OPEN, Push.PUSH, Door.OPEN, "it stays"),
    (Door.OPEN, Push.AXE, Door.GONE, "it falls"),
    (Door.GONE, Push.AXE, Door.GONE, "the angry go on"),
)


def test_a_step_that_is_not_in_the_table_is_illegal() -> None:
    """And the error says which step of which machine."""
    assert DOOR.after(Door.SHUT, Push.PUSH) is Door.OPEN
    assert DOOR.legal(Door.OPEN, Push.AXE)
    assert not DOOR.legal(Door.SHUT, Push.AXE)
    with pytest.raises(IllegalStep, match="a door: AXE is no legal step from SHUT"):
        DOOR.after(Door.SHUT, Push.AXE)
    assert [state for state in Door if DOOR.ends(state)] == [Door.GONE]


def test_a_table_has_one_row_for_a_state_and_an_event() -> None:
    """Two would contradict each other."""
    with pytest.raises(ValueError, match="two rows"):
        Transitions("x", Door.SHUT, *DOOR.rows[:1], (Door.SHUT, Push.PUSH, Door.GONE, "it falls"))


def test_the_picture_shows_what_changes_the_state() -> None:
    """A step that stays where it was is in the table only."""
    assert DOOR.picture().splitlines() == [
        "stateDiagram-v2",
        "    [*] --> shut",
        "    shut --> open: push",
        "    open --> gone: axe",
        "    gone --> [*]",
    ]
    assert "| open | push | open | it stays |" in DOOR.page()


def test_the_c_header_has_the_same_table() -> None:
    """Rows are states, columns events; -1 is illegal."""
    lines = DOOR.c_header("DOOR").splitlines()
    assert "    DOOR_SHUT, /* nobody walks through */" in lines
    at = lines.index("static const signed char door_after[3][2] = {")
    assert [line.split("}")[0] for line in lines[at + 1 : at + 4]] == [
        "    {1, -1",
        "    {1, 2",
        "    {-1, 2",
    ]
