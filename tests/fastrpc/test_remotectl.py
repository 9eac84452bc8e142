"""The module manager's conversation: who asks and who answers, together, without a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.errors import UNABLE_TO_LOAD
from qda.fastrpc.remotectl import (
    REMOTECTL,
    REMOTECTL1,
    Answer,
    CloseAnswer,
    CloseRequest,
    Manager,
    ManagerCall,
    OpenAnswer,
    OpenRequest,
    Server,
    text,
)
from qda.fastrpc.scalars import Scalars

managers = pytest.mark.parametrize("manager", [REMOTECTL, REMOTECTL1], ids=["at-0", "at-8"])


class Table:
    """Modules that are open; a name that begins with "no" is refused with the rest of it."""

    def __init__(self, manager: Manager) -> None:
        self.names: dict[int, str] = {}
        self.server = Server(manager, self.open, self.close, self.refusal)

    def open(self, name: str) -> int:
        if name.startswith("no"):
            raise LookupError(name[2:])
        self.names[len(self.names) + 0x201] = name
        return len(self.names) + 0x200

    def close(self, handle: int) -> None:
        del self.names[handle]

    @staticmethod
    def refusal(error: BaseException, room: int) -> tuple[int, str]:
        if not isinstance(error, LookupError):
            raise error
        return UNABLE_TO_LOAD, str(error.args[0])

    def run(self, asked: ManagerCall) -> Answer:
        outs = [bytearray(size) for size in asked.sizes]
        ins = [memoryview(one) for one in asked.ins]
        assert self.server.serve(asked.scalars, [*ins, *(memoryview(one) for one in outs)])
        return asked.answer(outs)


def test_scalars_are_those_of_the_specification() -> None:
    """Method ids are two higher at handle 8 (6.4)."""
    open_at_8, close_at_8 = REMOTECTL1.ask_open("x"), REMOTECTL1.ask_close(5)
    assert [open_at_8.scalars.word, close_at_8.scalars.word] == [0x02020200, 0x03010200]
    open_at_0, close_at_0 = REMOTECTL.ask_open("x"), REMOTECTL.ask_close(5)
    assert [open_at_0.scalars.word, close_at_0.scalars.word] == [0x00020200, 0x01010200]
    assert [open_at_8.handle, open_at_0.handle] == [8, 0]


@managers
@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0")).map("x{}".format))
def test_what_is_opened_by_name_is_closed_by_handle(manager: Manager, name: str) -> None:
    """Both sides agree on every name."""
    table = Table(manager)
    opened = table.run(manager.ask_open(name))
    assert (opened.error, opened.text, table.names) == (0, "", {opened.handle: name})
    assert table.run(manager.ask_close(opened.handle)) == Answer(0, "")
    assert table.names == {}


@managers
@given(words=st.text(), room=st.integers(0, 300))
def test_a_refusal_has_its_status_and_as_many_words_as_fit(
    manager: Manager, words: str, room: int
) -> None:
    """With their NUL; a character that is cut in two is shown as such."""
    table = Table(manager)
    answer = table.run(manager.ask_open(f"no{words}".replace("\0", ""), room))
    assert (answer.error, answer.handle) == (UNABLE_TO_LOAD, 0)
    assert len(answer.text.encode()) <= max(room - 1, 0) + 2
    assert table.run(manager.ask_close(77)).error == UNABLE_TO_LOAD


@managers
def test_what_the_refusal_does_not_know_is_raised(manager: Manager) -> None:
    """It is no answer of the manager's, but the end of the call."""
    table = Table(manager)

    def fail(name: str) -> int:
        raise SystemExit(name)

    server = Server(manager, fail, table.close, table.refusal)
    asked = manager.ask_open("x")
    outs = [memoryview(bytearray(size)) for size in asked.sizes]
    with pytest.raises(SystemExit):
        server.serve(asked.scalars, [*(memoryview(one) for one in asked.ins), *outs])


@managers
def test_other_calls_are_left_to_others(manager: Manager) -> None:
    """Found by complete scalars: a method's number does not suffice."""
    table = Table(manager)
    for scalars in (manager.grow_heap, manager.set_param, Scalars(manager.open.method, 2, 1)):
        assert not table.server.serve(scalars, [])


@pytest.mark.parametrize(
    ("request_", "name", "room"),
    [
        (OpenRequest(name_length=2, text_capacity=0).pack()[:7], b"x\0", 8),
        (OpenRequest(name_length=0, text_capacity=0).pack(), b"x\0", 8),
        (OpenRequest(name_length=3, text_capacity=0).pack(), b"x\0", 8),
        (OpenRequest(name_length=2, text_capacity=0).pack(), b"xy", 8),
        (OpenRequest(name_length=2, text_capacity=0).pack(), b"x\0", 7),
    ],
    ids=["short request", "no name", "longer than its buffer", "no NUL", "no room"],
)
def test_an_open_that_makes_no_sense_opens_nothing(request_: bytes, name: bytes, room: int) -> None:
    """Its answer would have no place, or its name no end."""
    table = Table(REMOTECTL)
    buffers = [memoryview(bytearray(one)) for one in (request_, name, bytes(room), bytes(9))]
    with pytest.raises(ValueError, match=r"bytes|end mark"):
        table.server.serve(REMOTECTL.open, buffers)
    assert table.names == {}


@pytest.mark.parametrize(("size", "room"), [(7, 4), (8, 3)])
def test_a_close_that_makes_no_sense_closes_nothing(size: int, room: int) -> None:
    """As for open."""
    table = Table(REMOTECTL)
    table.open("x")
    request_ = CloseRequest(handle=0x201, text_capacity=0).pack()[:size]
    buffers = [memoryview(bytearray(one)) for one in (request_, bytes(room), b"")]
    with pytest.raises(ValueError, match="bytes"):
        table.server.serve(REMOTECTL.close, buffers)
    assert table.names == {0x201: "x"}


def test_records_have_the_sizes_of_the_specification() -> None:
    """8 and 8 bytes to open, 8 and 4 to close (6.4)."""
    sizes = [one.byte_size for one in (OpenRequest, OpenAnswer, CloseRequest, CloseAnswer)]
    assert sizes == [8, 8, 8, 4]


def test_a_text_ends_at_its_nul() -> None:
    """What follows is not part of it; what is no UTF-8 does no harm."""
    assert text(b"abc\0def") == "abc"
    assert text(b"\xff") == "\ufffd"
