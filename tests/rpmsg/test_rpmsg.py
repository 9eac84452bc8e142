"""The transport: whole messages, descriptors, and a peer that may go at any time."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.memory import Piece
from qda.rpmsg import (
    Channel,
    Endpoint,
    Frame,
    Operation,
    PeerGone,
    PoolMemory,
    pack_pieces,
    serve_frame,
    unpack_pieces,
)
from qda.rpmsg.channel import Control
from qda.rpmsg.frame import pack_reply, unpack_reply


@given(
    st.sampled_from(Operation),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.binary(max_size=128),
)
def test_a_frame_is_read_as_it_was_written(
    operation: Operation, client_id: int, address: int, size: int, number: int, name: bytes
) -> None:
    """Unpacking is the inverse of packing; only a session that begins has a name."""
    frame = Frame(operation, client_id, address, size, number, name)
    if name and operation is not Operation.OPEN:
        with pytest.raises(ValueError, match="has a name"):
            Frame.unpack(frame.pack())
    else:
        assert Frame.unpack(frame.pack()) == frame


@given(st.binary(max_size=40))
def test_any_message_is_a_frame_or_a_value_error(message: bytes) -> None:
    """The peer may send anything."""
    try:
        Frame.unpack(message)
    except ValueError:
        return


def test_messages_keep_their_boundaries_and_carry_descriptors() -> None:
    """Two sends are two receives; a descriptor arrives as one of the receiver's own."""
    ours, theirs = Endpoint.pair()
    read_end, write_end = os.pipe()
    ours.send(b"one")
    ours.send(b"two", [write_end])
    assert theirs.receive() == b"one"
    message, descriptors = theirs.receive_with_descriptors()
    assert message == b"two"
    os.write(descriptors[0], b"through")
    assert os.read(read_end, 10) == b"through"
    for descriptor in (read_end, write_end, *descriptors):
        os.close(descriptor)
    ours.close()
    theirs.close()


def test_the_end_of_the_peer_is_peer_gone_for_both_directions() -> None:
    """End of file means that the other side died."""
    ours, theirs = Endpoint.pair()
    theirs.close()
    with pytest.raises(PeerGone):
        ours.receive()
    with pytest.raises(PeerGone):
        ours.send(b"hello")
    ours.close()


def test_shutdown_wakes_a_blocked_receiver() -> None:
    """`close` alone would not."""
    ours, theirs = Endpoint.pair()
    ends: list[str] = []

    def receive() -> None:
        try:
            ours.receive()
        except PeerGone:
            ends.append("gone")

    thread = threading.Thread(target=receive)
    thread.start()
    ours.shutdown()
    thread.join()
    assert ends == ["gone"]
    ours.close()
    theirs.close()


def test_a_wait_can_have_a_limit() -> None:
    """TimeoutError after the time, and at once with time 0; the endpoint goes on."""
    ours, theirs = Endpoint.pair()
    for limit in (0, 0.001):
        with pytest.raises(TimeoutError):
            ours.receive(limit)
    theirs.send(b"late")
    assert ours.receive() == b"late"
    ours.close()
    theirs.close()


def answering(theirs: Endpoint, answer: Callable[[Frame], list[int]]) -> threading.Thread:
    """A peer that answers frames until its end."""

    def serve() -> None:
        while True:
            try:
                message, descriptors = theirs.receive_with_descriptors()
                for descriptor in descriptors:
                    os.close(descriptor)
                frame = Frame.unpack(message)
                for error in answer(frame):
                    theirs.send(pack_reply(error, frame.number))
            except PeerGone:
                theirs.close()
                return

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a wait was broken off, the answers that are owed are skipped first."""
    ours, theirs = Endpoint.pair()
    control = Control(ours)
    with monkeypatch.context() as patch:
        patch.setattr(limits, "PATIENCE", 0.01)
        with pytest.raises(TimeoutError):
            control.request(Frame(Operation.WITHDRAW))
    late = Frame.unpack(theirs.receive())
    theirs.send(pack_reply(errno.EIO, late.number))
    thread = answering(theirs, lambda frame: [0])
    Control.request(control, Frame(Operation.WITHDRAW))
    control.close()
    thread.join()


def test_a_refused_connection_leaves_no_descriptors() -> None:
    """Both ends of all pairs are closed when the DSP says no (R10)."""
    ours, theirs = Endpoint.pair()
    thread = answering(theirs, lambda frame: [errno.EBUSY])
    channel = Channel(ours)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="busy") as caught:
        channel.connect(3, 1, 0, PoolMemory(0, 0, 0))
    assert caught.value.errno == errno.EBUSY
    assert len(os.listdir("/proc/self/fd")) == before
    assert channel.alive
    channel.close()
    thread.join()
    assert not channel.alive


def test_a_handler_keeps_what_it_takes_and_the_rest_is_closed() -> None:
    """Before the answer; an error without a number is EIO."""
    ours, theirs = Endpoint.pair()
    kept: list[int] = []

    def handle(frame: Frame, descriptors: list[int]) -> None:
        if frame.operation is Operation.CLOSE:
            raise OSError("no number")
        kept.append(descriptors.pop())

    read_end, write_end = os.pipe()
    ours.send(Frame(Operation.OPEN, number=5).pack(), [write_end, write_end])
    os.close(write_end)
    serve_frame(theirs, handle)
    assert unpack_reply(ours.receive()) == (0, 5)
    os.close(kept.pop())
    assert os.read(read_end, 1) == b"", "a descriptor was left open"
    os.close(read_end)
    ours.send(Frame(Operation.CLOSE, number=6).pack())
    serve_frame(theirs, handle)
    assert unpack_reply(ours.receive()) == (errno.EIO, 6)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("operation", Operation)
def test_an_operation_says_how_many_descriptors_it_carries(operation: Operation) -> None:
    """A frame with others never reaches the handler."""
    ours, theirs = Endpoint.pair()
    null = os.open("/dev/null", os.O_RDONLY)
    reached: list[int] = []
    for count in range(4):
        ours.send(Frame(operation, number=count).pack(), [null] * count)
        serve_frame(theirs, lambda frame, descriptors: reached.append(len(descriptors)))
        refused = unpack_reply(ours.receive()) == (errno.EINVAL, count)
        assert refused == (count not in operation.descriptors)
    assert reached == [count for count in range(4) if count in operation.descriptors]
    os.close(null)
    ours.close()
    theirs.close()


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 1 << 20)), max_size=20))
def test_pieces_come_as_they_were_sent(numbers: list[tuple[int, int]]) -> None:
    pieces = tuple(Piece(4096 * offset, 4096 * size) for offset, size in numbers)
    assert unpack_pieces(pack_pieces(pieces), sum(piece.size for piece in pieces)) == pieces


@pytest.mark.parametrize(
    "file", [b"a", pack_pieces([Piece(1, 4096)]), pack_pieces([Piece(0, 100)]), b"", bytes(16)]
)
def test_pieces_that_are_not_whole_pages_of_that_size_are_refused(file: bytes) -> None:
    with pytest.raises(OSError, match="pieces"):
        unpack_pieces(file, 4096)
