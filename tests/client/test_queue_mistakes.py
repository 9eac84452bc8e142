"""What a queue refuses, by its words: another process, another session's buffer, no sense."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qda.client import Session
from qda.client.queues import HostQueue
from qda.core.packets import Packet
from qda.errors import QdaError, UsageError, UsageTypeError
from qda.fastrpc.queue import BufferFlag, Figure, PacketFlag
from qda.virtual import Machine
from tests.client.queue_skeletons import CLOSE, ECHO, Queues
from tests.system import open_session
from tests.waiting import BOUND, until


@pytest.fixture(scope="module")
def session(machine: Machine) -> Iterator[Session]:
    with open_session(machine) as found:
        yield found


@pytest.fixture
def queue(session: Session) -> Iterator[HostQueue]:
    with session.queue(1024, 1024) as found:
        yield found


def use(queue: HostQueue) -> list[Callable[[], object]]:
    return [
        queue.read,
        queue.peek,
        queue.write,
        queue.write_early_wakeup,
        lambda: next(iter(queue)),
    ]


def refusals_of(queue: HostQueue) -> int:
    """How many uses say whose the queue is."""
    count = 0
    for one in use(queue):
        try:
            one()
        except UsageError as error:
            count += f"belongs to process {os.getppid()}" in str(error)
    return count


def test_a_forked_child_has_no_queues(session: Session) -> None:
    """It waits for nothing, writes nothing into the parent's ring, and ends in silence."""
    with session.load(Queues) as remote, session.queue() as queue:
        key = [queue.id.to_bytes(8, "little")]
        remote.invoke(ECHO, key)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = refusals_of(queue) - len(use(queue))
                queue.close()
            finally:
                os._exit(status & 0xFF)
        assert os.waitpid(child, 0)[1] == 0
        queue.write(b"the parent's", timeout=BOUND)
        assert queue.read(BOUND).message == b"the parent's"
        remote.invoke(CLOSE, key)


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_queue_is_not_copied(queue: HostQueue, way: Callable[[object], object]) -> None:
    with pytest.raises(UsageTypeError, match="belongs to one process"):
        way(queue)


def test_a_reference_is_of_one_session(machine: Machine, queue: HostQueue) -> None:
    """Its number may be that of another buffer in another session; also where it was pickled."""
    with open_session(machine) as other, other.queue(64, 64) as theirs, other.alloc(64) as buffer:
        named = theirs.reference(buffer)
        for one in (named, pickle.loads(pickle.dumps(named))):
            with pytest.raises(UsageError, match="is a buffer of session"):
                queue.write(b"", [one])
    assert queue.figure(Figure.WRITE_PACKETS) == 0  # no packet was written


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"offset": -1}, "from -1"),
        ({"offset": 60, "size": 5}, "5 bytes from 60"),
        ({"offset": 64}, "from 64"),
        ({"flags": BufferFlag.REF | BufferFlag.DEREF}, "not both"),
        ({"flags": 1 << 40}, "BufferFlag"),
        ({"flags": "x"}, "an integer"),
        ({"size": 0.5}, "an integer"),
    ],
)
def test_a_reference_lies_in_its_buffer(
    session: Session, queue: HostQueue, named: dict[str, Any], words: str
) -> None:
    with session.alloc(64) as buffer:
        with pytest.raises(QdaError, match=words):
            queue.reference(buffer, **named)
        assert queue.reference(buffer, offset=60).size == 4


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda queue: queue.write(flags=0x20), "PacketFlag"),
        (lambda queue: queue.write(flags=1 << 40), "PacketFlag"),
        (lambda queue: queue.write(flags="x"), "PacketFlag"),
        (lambda queue: queue.write(b"", 5), "references, in a list"),
        (lambda queue: queue.write_early_wakeup(-1), "microseconds"),
        (lambda queue: queue.write_early_wakeup(1 << 32), "microseconds"),
        (lambda queue: queue.write_early_wakeup(0.5), "microseconds"),
    ],
)
def test_a_mistake_has_words(
    queue: HostQueue, mistake: Callable[[HostQueue], object], words: str
) -> None:
    with pytest.raises(QdaError, match=words):
        mistake(queue)
    assert queue.figure(Figure.WRITE_PACKETS) == 0
    queue.write(flags=PacketFlag.WAKEUP)


def test_a_callback_that_exits_ends_no_others(session: Session) -> None:
    found: list[bytes] = []

    def on_packet(queue: HostQueue, packet: Packet) -> None:
        found.append(packet.message)
        raise SystemExit(1)

    with session.load(Queues) as remote, session.queue(on_packet=on_packet) as queue:
        key = [queue.id.to_bytes(8, "little")]
        remote.invoke(ECHO, key)
        queue.write(b"a")
        queue.write(b"b")
        until(lambda: found == [b"a", b"b"])
        remote.invoke(CLOSE, key)
