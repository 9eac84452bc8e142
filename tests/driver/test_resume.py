"""A signal in the middle of a call: it is never sent twice (R24)."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from qda.driver import open_front
from qda.driver.accel import AccelFront
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.message import InvokeMessage
from qda.uapi import RFC
from qda.uapi.accel import CREATE, INVOKE, InitCreate, Invoke
from qda.virtual import Machine
from tests.driver.structures import Interrupted, run
from tests.waiting import until


@pytest.fixture
def front(machine: Machine, client: Interrupted) -> Iterator[AccelFront]:
    opened = open_front(machine.devices["cdsp"], RFC)
    assert run(opened, client, CREATE, InitCreate(filefd=-1)) == 0
    yield opened
    opened.close(client)


@pytest.fixture
def sent(front: AccelFront, monkeypatch: pytest.MonkeyPatch) -> list[InvokeMessage]:
    """The messages that go out."""
    session = front.file.session
    assert session is not None
    messages: list[InvokeMessage] = []
    real = session.send

    def send(call: object, message: bytes) -> None:
        messages.append(InvokeMessage.unpack(message))
        real(call, message)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "send", send)
    return messages


def invoke(front: AccelFront, client: Interrupted, handle: int = 0x1234) -> int:
    """A call without arguments to a module that is not there, so its answer is known."""
    return run(front, client, INVOKE, Invoke(handle=handle))


UNKNOWN = as_signed(BAD_HANDLE)


def test_the_same_request_goes_back_to_waiting(
    front: AccelFront, client: Interrupted, sent: list[InvokeMessage]
) -> None:
    """EINTR as often as there are signals, then the result; one message in all."""
    client.signals = 3
    assert [invoke(front, client) for _ in range(3)] == [-errno.EINTR] * 3
    assert front.file.calls == 1
    assert invoke(front, client) == UNKNOWN
    assert len(sent) == 1
    assert front.file.calls == 0


def test_another_request_of_the_thread_is_a_new_call(
    front: AccelFront, client: Interrupted, sent: list[InvokeMessage]
) -> None:
    """The interrupted one is given up: its id and lane come back when it is answered."""
    client.signals = 1
    assert invoke(front, client) == -errno.EINTR
    assert invoke(front, client, 0x4321) == UNKNOWN
    assert [message.handle for message in sent] == [0x1234, 0x4321]

    def is_given_up() -> bool:
        assert invoke(front, client, 0x4321) == UNKNOWN
        return not front.file.calls

    until(is_given_up)


def test_an_interrupted_call_ends_with_its_file(
    front: AccelFront, client: Interrupted, machine: Machine
) -> None:
    """Close frees what was kept (H16)."""
    client.signals = 1
    assert invoke(front, client) == -errno.EINTR
    front.close(client)
    assert machine.devices["cdsp"].census().calls == 0


def test_requests_of_the_driver_itself_are_not_interrupted(
    machine: Machine, client: Interrupted
) -> None:
    """CREATE changes the session: it must not be sent a second time."""
    client.signals = 1
    opened = open_front(machine.devices["cdsp"], RFC)
    assert run(opened, client, CREATE, InitCreate(filefd=-1)) == 0
    client.signals = 0
    opened.close(client)
