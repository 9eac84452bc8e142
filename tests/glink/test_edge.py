"""Two ends of a GLINK edge on small FIFOs: what one sends, the other gets, whatever happens."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qda.glink import Code, Command, Edge, Event, GlinkFault, What
from qda.states import IllegalStep
from tests.glink.ends import Ends, opened


@pytest.mark.parametrize("intentless", [True, False])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_messages_arrive_whole_and_in_order(intentless: bool, data: st.DataObject) -> None:
    """Of any length, both ways, on several channels, through FIFOs in which few fit."""
    ends = Ends(intentless=intentless)
    names = ["a", "b"]
    for name in names:
        opened(ends, name)
    sent: list[list[tuple[str, bytes]]] = [[], []]
    lengths = st.one_of(st.integers(0, 300), st.integers(0, 5000))
    turns = st.tuples(st.integers(0, 1), st.sampled_from(names), lengths, st.booleans())
    for number, (me, name, length, rings) in enumerate(data.draw(st.lists(turns, max_size=30))):
        message = bytes((number + at) % 251 for at in range(length))
        ends.edge(me).send(name, message)
        sent[me].append((name, message))
        if rings:
            ends.ring(me)
    for me in range(2):
        ends.ring(me)
    for me in range(2):
        for name in names:  # in order on each channel: on several, intents decide
            assert [m for m in ends.messages(1 - me) if m[0] == name] == [
                m for m in sent[me] if m[0] == name
            ]
        assert not ends.edge(me).outgoing


def test_a_full_fifo_is_waited_for_and_nothing_is_lost() -> None:
    """Who finds no room says so once, and is rung when there is some."""
    ends = Ends(size=64, chunk=16)
    opened(ends)
    for number in range(100):
        ends.edge(0).send("c", bytes([number] * 20))
    ends.wires[0].pump()
    assert ends.edge(0).outgoing
    ends.settle()
    assert [message for _, message in ends.messages(1)] == [bytes([n] * 20) for n in range(100)]


def test_a_channel_closed_by_its_server_can_be_opened_again() -> None:
    """A DSP that starts anew: what was under way is gone, numbers may come again."""
    ends = Ends()
    opened(ends)
    for turn in range(3):
        ends.edge(0).send("c", b"before")
        ends.ring(0)
        ends.edge(1).close("c")
        ends.ring(1)
        assert Event(What.CLOSED, "c") in ends.events[0]
        assert not ends.edge(0).passes("c")
        ends.edge(0).close("c")
        ends.ring(0)
        opened(ends)
        assert ends.edge(0).passes("c") and ends.edge(1).passes("c"), turn
    ends.edge(1).send("c", b"after")
    ends.ring(1)
    assert ends.messages(0) == [("c", b"after")]


def test_a_receiver_without_room_refuses_and_the_next_message_passes() -> None:
    ends = Ends(intentless=False, size=4096)
    opened(ends)
    ends.edge(0).send("c", b"x" * 100)
    ends.wires[0].pump()
    # The other end's word in place of its own answer.
    ends.rung.clear()
    events = ends.edge(0).receive(Command(Code.INTENT_REQUEST_ACK, 1, 0))
    assert events == [Event(What.REFUSED, "c", b"x" * 100)]


def test_nothing_is_sent_on_what_is_not_open() -> None:
    edge = Edge()
    with pytest.raises(IllegalStep):
        edge.send("c", b"")
    with pytest.raises(IllegalStep):
        edge.close("c")
    edge.open("c")
    with pytest.raises(IllegalStep):
        edge.open("c")
    for name in ("", "a" * 32, "a\0b"):
        with pytest.raises(ValueError, match="1 to 31 characters"):
            edge.open(name)


@pytest.mark.parametrize(
    "commands",
    [
        [Command(Code.OPEN_ACK, 7)],
        [Command(Code.CLOSE, 7)],
        [Command(Code.CLOSE_ACK, 1)],
        [Command(Code.OPEN, 0, 2, b"d\0")],
        [Command(Code.OPEN, 5, 2, b"d\0"), Command(Code.OPEN, 5, 2, b"e\0")],
        [Command(Code.OPEN, 5, 2, b"d\0"), Command(Code.OPEN, 6, 2, b"d\0")],
        [Command(Code.OPEN, 5, 1, b"d")],
        [Command(Code.OPEN, 5, 2, b"\xff\0")],
        [Command(Code.OPEN, 5, 2, b"\0\0")],
        [Command(Code.DATA, 9, 0, struct.pack("<II", 1, 0) + b"a")],
        [Command(Code.DATA_CONTINUED, 1, 0, struct.pack("<II", 1, 0) + b"a")],
        [Command(Code.DATA, 1, 0, struct.pack("<II", 0, 4))],
        [Command(Code.DATA, 1, 0, struct.pack("<II", 1, 1) + b"a")] * 2,
        [
            Command(Code.DATA, 1, 0, struct.pack("<II", 1, 4) + b"a"),
            Command(Code.DATA_CONTINUED, 1, 0, struct.pack("<II", 1, 4) + b"a"),
        ],
        [Command(Code.RX_DONE, 1, 3)],
        [Command(Code.INTENT_REQUEST_ACK, 1, 1)],
        [Command(Code.VERSION_ACK, 2)],
    ],
)
def test_what_breaks_the_protocol_is_a_fault(commands: list[Command]) -> None:
    ends = Ends()
    opened(ends)
    *before, last = commands
    for command in before:
        ends.edge(0).receive(command)
    with pytest.raises(GlinkFault):
        ends.edge(0).receive(last)


def test_a_message_has_its_intent_or_is_a_fault() -> None:
    ends = Ends(intentless=False)
    opened(ends)
    data = struct.pack("<II", 4, 0) + b"abcd"
    with pytest.raises(GlinkFault, match="no intent 9"):
        ends.edge(0).receive(Command(Code.DATA, 1, 9, data))
