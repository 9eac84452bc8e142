"""A DSP that misbehaves does so after the first calls, in the way that was asked for."""

from __future__ import annotations

import pytest

from qda.fastrpc.message import InvokeMessage, Response
from qda.glink import Code, Command, TransferSizes
from qda.kernel.misbehaviour import Misbehaving, Misbehaviour


def response(number: int) -> bytes:
    return Response(context=number << 4, result=number).pack()


def sent(kind: Misbehaviour, count: int = 14) -> tuple[Misbehaving, list[list[bytes | Command]]]:
    """What is sent for the answers of so many calls; the first twelve are left out."""
    dsp = Misbehaving(kind, "c")
    messages = [dsp.sent_for(response(number)) for number in range(count)]
    assert messages[:12] == [[response(number)] for number in range(12)]
    assert not dsp.closes or kind is Misbehaviour.CLOSED
    return dsp, messages[12:]


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        (Misbehaviour.TWICE, [[response(12)] * 2, [response(13)] * 2]),
        (Misbehaviour.LATE, [[response(10), response(12)], [response(11), response(13)]]),
        (Misbehaviour.SWAPPED, [[], [response(13), response(12)]]),
        (Misbehaviour.SHORT, [[response(n)[:7], response(n)] for n in (12, 13)]),
        (Misbehaviour.LONG, [[response(n) + b"\xff" * 64] for n in (12, 13)]),
        (Misbehaviour.SILENT, [[], []]),
        (
            Misbehaviour.REOPENED,
            [[Command(Code.OPEN, 1, 2, b"c\0"), response(n)] for n in (12, 13)],
        ),
    ],
)
def test_answers_are_wrong_as_asked(
    kind: Misbehaviour, messages: list[list[bytes | Command]]
) -> None:
    assert sent(kind)[1] == messages


def test_an_unknown_call_is_one_that_there_is_not() -> None:
    first, second = sent(Misbehaviour.UNKNOWN)[1][0]
    assert isinstance(first, bytes)
    assert second == response(12)
    assert Response.unpack(first).context not in {number << 4 for number in range(1, 256)} | {0}


def test_calls_under_way_get_each_others_answers() -> None:
    """Each is answered once; one that is alone gets its own."""
    dsp = Misbehaving(Misbehaviour.ANOTHER, "c")
    for number in range(12):
        dsp.sent_for(response(number))
    for number in (20, 21, 22):
        dsp.asked(InvokeMessage(context=number << 4).pack())
    for number, target in ((20, 22), (22, 21), (21, 20)):
        wrong = Response(context=target << 4, result=number).pack()
        assert dsp.sent_for(response(number)) == [wrong]


def test_commands_of_glink_are_wrong_as_asked() -> None:
    whole = TransferSizes(chunk=16, left=0).pack() + response(12)
    assert sent(Misbehaviour.UNOPENED)[1][0] == [Command(Code.DATA, 99, 0, whole), response(12)]
    begun = TransferSizes(chunk=16, left=16).pack() + response(12)
    assert sent(Misbehaviour.UNFINISHED)[1][0] == [Command(Code.DATA, 1, 0, begun)]


def test_a_closed_channel_carries_nothing() -> None:
    dsp, messages = sent(Misbehaviour.CLOSED)
    assert dsp.closes
    assert messages == [[], []]
