"""A trace says what the driver's messages and the DSP's responses say."""

from __future__ import annotations

import pytest

from qda.errors import BAD_ADDRESS, as_signed, explain_status
from qda.fastrpc.control import Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.scalars import Scalars
from qda.kernel.words import message_in_words, response_in_words


def message(handle: int, scalars: Scalars, size: int = 0) -> bytes:
    asked = InvokeMessage(
        client_id=3, tid=77, context=0x10, handle=handle, scalars=scalars.word, size=size
    )
    return asked.pack()


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (message(Fixed.INIT, Scalars(Method.CREATE, 4)), "init create, 4 in, 0 out"),
        (message(0x201, Scalars(2, 2, 1), 4096), "handle 0x201 method 2, 2 in, 1 out, 4096 bytes"),
        (
            message(0, Scalars(0, 1, 0, 2, 1)),
            "remotectl method 0, 1 in, 0 out, 2 handles in, 1 out",
        ),
    ],
)
def test_a_message_is_told_in_words(packed: bytes, words: str) -> None:
    assert message_in_words(packed).startswith(f"call 0x10 of session 3, thread 77: {words}")


def test_a_response_is_told_with_its_status() -> None:
    assert response_in_words(Response(context=0x10).pack()) == "call 0x10 is answered: 0"
    died = Response(context=0x10, result=as_signed(BAD_ADDRESS)).pack()
    words = f"{BAD_ADDRESS:#x} {explain_status(BAD_ADDRESS).symbol}"
    assert response_in_words(died[:12]) == f"call 0x10 is answered: {words}"


def test_what_is_neither_is_told_by_its_length() -> None:
    assert message_in_words(b"short") == "5 bytes: a message has 40"
    assert response_in_words(b"short") == "5 bytes: a response has 16"
