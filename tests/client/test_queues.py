"""Queues between a program in Python and skeletons in Python (spec/dspqueue.md)."""

from __future__ import annotations

import _thread
import asyncio
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import qda
from qda import limits
from qda.client import RemoteModule, Session
from qda.client.queues import HostQueue, OnPacket
from qda.core.packets import Packet
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    BUSY,
    NO_SUCH_MAP,
    UNSUPPORTED,
    DspError,
    QueueTimeout,
    UsageError,
    UsageTypeError,
)
from qda.fastrpc.queue import (
    CANCEL_WAIT,
    COUNTERS,
    CREATE_QUEUE,
    DESTROY_QUEUE,
    INIT_STATE,
    IS_IMPORTED,
    MODULE,
    PROBE,
    SIGNAL,
    WAIT_SIGNAL,
    BufferFlag,
    Figure,
    QueueHeader,
    QueueRequest,
    lay_out_queue,
    places_of,
)
from qda.fastrpc.uri import skeleton_uri
from qda.virtual import Machine
from tests.client.queue_skeletons import CALL_BACK, CLOSE, DIE, ECHO, OPEN, Queues
from tests.system import open_session
from tests.waiting import BOUND, until


@pytest.fixture(scope="module")
def session(machine: Machine) -> Iterator[Session]:
    with open_session(machine) as found:
        yield found


@pytest.fixture(scope="module")
def remote(session: Session) -> Iterator[RemoteModule]:
    with session.load(Queues) as found:
        yield found


def key(queue: HostQueue) -> list[bytes]:
    return [queue.id.to_bytes(8, "little")]


@contextmanager
def opened(
    session: Session,
    remote: RemoteModule,
    method: int,
    requests: int = limits.QUEUE_REQUESTS,
    responses: int = limits.QUEUE_RESPONSES,
    on_packet: OnPacket | None = None,
) -> Iterator[HostQueue]:
    """A queue that code on the DSP has open."""
    with session.queue(requests, responses, on_packet) as queue:
        remote.invoke(method, key(queue))
        yield queue
        remote.invoke(CLOSE, key(queue))


def write_all(queue: HostQueue, messages: list[bytes]) -> None:
    for message in messages:
        queue.write(message, timeout=BOUND)


def check_echo(session: Session, remote: RemoteModule) -> None:
    """Some packets go there and back."""
    sent = words(30)
    with opened(session, remote, ECHO) as queue:
        write_all(queue, sent)
        assert [queue.read(BOUND).message for _ in sent] == sent


def words(count: int) -> list[bytes]:
    return [bytes([number % 256]) * (number % 70) for number in range(count)]


@pytest.mark.parametrize("method", [ECHO, CALL_BACK], ids=["thread", "callback"])
@pytest.mark.parametrize("ring", [256, 65536])
def test_packets_come_back_in_their_order(
    session: Session, remote: RemoteModule, method: int, ring: int
) -> None:
    """Also when the rings are full, where both sides wait for room."""
    with opened(session, remote, method, ring, ring) as queue, ThreadPoolExecutor() as pool:
        writing = pool.submit(write_all, queue, words(300))
        assert [queue.read(BOUND).message for _ in range(300)] == words(300)
        writing.result()


def test_responses_reach_a_callback(session: Session, remote: RemoteModule) -> None:
    """One after the other, in one thread; one that raises does not end them."""
    found: list[bytes] = []
    threads = set()

    def on_packet(queue: HostQueue, packet: Packet) -> None:
        found.append(packet.message)
        threads.add(threading.current_thread())
        if packet.message == b"\1":
            raise ValueError("of a test")

    with opened(session, remote, ECHO, 1024, 1024, on_packet=on_packet) as queue:
        write_all(queue, words(100))
        until(lambda: len(found) == 100)
    assert found == words(100)
    assert len(threads) == 1


def test_a_packet_refers_to_buffers_of_the_session(session: Session, remote: RemoteModule) -> None:
    """No byte is copied; what was mapped is found, what was not is refused on the DSP."""
    with (
        opened(session, remote, ECHO) as queue,
        session.alloc(4096) as buffer,
        session.map(buffer),
    ):
        buffer[:3] = b"abc"
        whole = queue.reference(buffer, BufferFlag.REF | BufferFlag.FLUSH_SENDER)
        queue.write(b"m", [whole, queue.reference(buffer, offset=1, size=1)], timeout=BOUND)
        packet = queue.read(BOUND)
        assert buffer[:3] == b"bdd"
        assert packet.message == b"m"
        one, other = packet.buffers
        assert (one.size, one.flags) == (4096, BufferFlag.DEREF)
        assert other.memory is not None
        assert (bytes(other.memory), other.offset) == (b"d", 1)
        del packet, one, other, whole


def test_a_reference_is_taken_away_once(session: Session, remote: RemoteModule) -> None:
    """Each side counts those that its packets take and bring; what is refused counts nothing."""
    with (
        opened(session, remote, ECHO) as queue,
        session.alloc(4096) as buffer,
        session.map(buffer),
    ):
        taken = queue.reference(buffer, BufferFlag.REF)
        given = queue.reference(buffer, BufferFlag.DEREF)
        for refused in ([given], [taken, given, given]):
            with pytest.raises(UsageError, match="a reference that there is not"):
                queue.write(b"", refused, timeout=BOUND)
        write: Callable[..., None] = queue.write
        for wrong in ({"message": 5}, {"flags": "none"}, {"timeout": "soon"}):
            with pytest.raises(TypeError):
                write(buffers=[taken], **{"timeout": BOUND, **wrong})
        with pytest.raises(UsageError, match="a reference that there is not"):
            queue.write(b"", [given], timeout=BOUND)
        queue.write(b"", [taken], timeout=BOUND)
        assert queue.read(BOUND).buffers[0].flags == BufferFlag.DEREF
        with pytest.raises(UsageError, match="a reference that there is not"):
            queue.write(b"", [given], timeout=BOUND)


def test_a_dsp_of_threads_has_queues() -> None:
    """With `debug` both ends of a queue are in one process."""
    with qda.open("cdsp", device="virtual", debug=True) as session, session.load(Queues) as remote:
        check_echo(session, remote)


def test_an_early_wake_up_comes_before_its_packet(session: Session, remote: RemoteModule) -> None:
    with opened(session, remote, ECHO) as queue:
        queue.write(b"early")
        assert queue.read(BOUND).message == b"early"
        assert queue.figure(Figure.READ_PACKETS) == 0
        assert queue.figure(Figure.SIGNALLING) == 100


def test_a_time_limit_is_kept_and_nothing_has_happened(
    session: Session, remote: RemoteModule
) -> None:
    with opened(session, remote, OPEN, 64, 64) as queue:
        for timeout in (0, 1e-3):
            with pytest.raises(QueueTimeout, match="no packet"):
                queue.read(timeout)
            with pytest.raises(QueueTimeout, match="no packet"):
                queue.peek(timeout)
        for _ in range(7):
            queue.write(timeout=0)
        for timeout in (0, 1e-3):
            with pytest.raises(QueueTimeout, match="no room"):
                queue.write(timeout=timeout)
        assert queue.figure(Figure.WRITE_PACKETS) == 7
        queue.write_early_wakeup()
        assert queue.figure(Figure.WRITE_PACKETS) == 7


def test_ctrl_c_just_before_a_wait_sleeps_ends_it(session: Session) -> None:
    """The handler in C has run, Python's has not, and nothing interrupts the sleep: as here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with session.queue() as queue:
            waits = places_of(memoryview(queue._buffer)).responses.reader + 8

            def interrupt() -> None:
                until(lambda: queue._buffer[waits] == 1)
                _thread.interrupt_main()

            for wait in (queue.read, queue.peek):
                interrupter = threading.Thread(target=interrupt)
                interrupter.start()
                with pytest.raises(KeyboardInterrupt):
                    wait()
                interrupter.join()
                assert queue._buffer[waits] == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_peek_tells_of_a_packet_that_stays(session: Session, remote: RemoteModule) -> None:
    with opened(session, remote, ECHO) as queue:
        queue.write(b"words")
        assert queue.peek(BOUND)[:2] == (5, 0)
        assert queue.read(0).message == b"words"


def test_coroutines_wait_without_threads(session: Session, remote: RemoteModule) -> None:
    """Several at once; one that is cancelled has taken nothing."""

    async def run(queue: HostQueue) -> None:
        cancelled = asyncio.create_task(queue.read_async())
        await asyncio.wait({cancelled}, timeout=0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        reading = asyncio.gather(*(queue.read_async() for _ in range(40)))
        for word in words(40):
            await queue.write_async(word)
        found = await asyncio.wait_for(reading, BOUND)
        assert sorted(packet.message for packet in found) == sorted(words(40))

    with opened(session, remote, ECHO, 256, 256) as queue:
        asyncio.run(run(queue))


def test_a_queue_is_open_once_and_closed_first_on_the_dsp(
    session: Session, remote: RemoteModule
) -> None:
    with opened(session, remote, OPEN) as queue:
        with pytest.raises(DspError) as refused:
            remote.invoke(OPEN, key(queue))
        assert refused.value.status == BUSY
        with pytest.raises(UsageError, match="open on the DSP"):
            queue.close()
    queue.close()
    with pytest.raises(DspError) as refused:
        remote.invoke(OPEN, key(queue))
    assert refused.value.status == BAD_PARAMETER
    for use in (queue.read, queue.peek, queue.write):
        with pytest.raises(UsageError, match="closed"):
            use()


def test_a_close_ends_what_waits(session: Session, pool: ThreadPoolExecutor) -> None:
    with session.queue() as queue:
        reading, going_through = pool.submit(queue.read), pool.submit(lambda: list(queue))
        reader = places_of(memoryview(queue._buffer)).responses.reader
        until(lambda: queue._buffer[reader + 8] == 2)
    with pytest.raises(UsageError, match="closed"):
        reading.result()
    assert going_through.result() == []


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as found:
        yield found


def test_a_session_has_64_queues(session: Session, remote: RemoteModule) -> None:
    """Each with packets of its own; the place of one that is closed is the next one's."""
    queues = [session.queue(64, 64) for _ in range(64)]
    with pytest.raises(UsageError, match="64 queues"):
        session.queue()
    for queue in queues:
        remote.invoke(CALL_BACK, key(queue))
    for number, queue in enumerate(queues):
        queue.write(bytes([number]))
    assert [queue.read(BOUND).message for queue in queues] == [bytes([one]) for one in range(64)]
    for queue in queues:
        remote.invoke(CLOSE, key(queue))
    queues[7].close()
    queues[7] = session.queue(64, 64)
    for queue in queues:
        queue.close()


def test_sessions_have_queues_of_their_own(
    machine: Machine, session: Session, remote: RemoteModule
) -> None:
    """A number means nothing to another client, whose process has a queue of the same number."""
    with (
        open_session(machine) as other,
        other.load(Queues) as theirs,
        opened(session, remote, ECHO) as one,
        opened(other, theirs, ECHO) as another,
    ):
        one.write(b"one")
        another.write(b"another")
        assert another.read(BOUND).message == b"another"
        assert one.read(BOUND).message == b"one"


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.queue(1001),
        lambda session: session.queue(8),
        lambda session: session.queue(64, 1 << 25),
        lambda session: session.queue(requests=0),
    ],
)
def test_a_ring_has_a_length_that_makes_sense(
    session: Session, use: Callable[[Session], object]
) -> None:
    with pytest.raises(UsageError, match="a multiple of 8"):
        use(session)


def test_what_is_no_packet_is_refused_by_its_words(session: Session) -> None:
    with session.queue(128) as queue:
        with pytest.raises(UsageError, match="113 bytes and 0 buffers do not make a packet"):
            queue.write(bytes(113))
        with pytest.raises(UsageTypeError, match="bytes"):
            queue.write("words")  # type: ignore[arg-type]
        with pytest.raises(UsageTypeError, match="timeout 'soon'"):
            queue.read("soon")  # type: ignore[arg-type]
        with pytest.raises(UsageTypeError):
            session.queue("long")  # type: ignore[arg-type]


def test_a_process_that_dies_ends_its_queues(machine: Machine, pool: ThreadPoolExecutor) -> None:
    """Whatever waits, and callbacks; the session can still be closed, and others go on."""
    failed: list[Exception] = []
    with open_session(machine) as session:
        remote = session.load(Queues)
        with (
            session.queue() as queue,
            session.queue(
                on_packet=lambda *_: None, on_error=lambda _, error: failed.append(error)
            ) as other,
        ):
            remote.invoke(ECHO, key(queue))
            queue.write(b"words")
            assert queue.read(BOUND).message == b"words"
            waiting = pool.submit(queue.read)
            with pytest.raises(DspError):
                remote.invoke(DIE)
            with pytest.raises(DspError, match="read from queue"):
                waiting.result()
            until(lambda: failed)
            assert isinstance(failed[0], DspError)
            with pytest.raises(DspError):
                other.write(b"words")
    with open_session(machine) as session, session.queue():
        pass


# The module, as any host calls it.


@contextmanager
def module(session: Session) -> Iterator[RemoteModule]:
    with session.load(f"{skeleton_uri(MODULE)}&_dom=cdsp") as found:
        yield found


def refused(call: Callable[[], object]) -> int:
    with pytest.raises(DspError) as error:
        call()
    return error.value.status


def test_the_module_makes_queues_as_hosts_expect(
    session: Session, pool: ThreadPoolExecutor
) -> None:
    """The probe is refused (5), a queue is made in memory that is mapped, its id is its name."""
    header, size = lay_out_queue(64, 64, 9)
    with (
        module(session) as calls,
        session.alloc(COUNTERS) as counters,
        session.alloc(size) as buffer,
        session.map(counters),
        session.map(buffer),
    ):
        names = session.fd_of(counters), session.fd_of(buffer)
        asked = QueueRequest(slot=63, fd=names[1], serial=9).pack()

        def create(request: bytes = asked) -> bytes:
            return bytes(calls.invoke(CREATE_QUEUE.method, [request], [8])[0])

        buffer[: QueueHeader.byte_size] = header.pack()
        assert refused(create) == BAD_PARAMETER  # no counters yet
        calls.invoke(INIT_STATE.method, [struct.pack("<i", names[0])])
        again = struct.pack("<i", names[0])
        assert refused(lambda: calls.invoke(INIT_STATE.method, [again])) == BAD_STATE
        header.version, header.flags = PROBE, 0
        buffer[: QueueHeader.byte_size] = header.pack()
        assert refused(create) == UNSUPPORTED
        header.version, header.flags = 2, 1
        buffer[: QueueHeader.byte_size] = header.pack()
        wrong = QueueRequest(slot=64, fd=names[1], serial=9).pack()
        assert refused(lambda: create(wrong)) == BAD_PARAMETER
        wrong = QueueRequest(slot=63, fd=names[1], serial=8).pack()
        assert refused(lambda: create(wrong)) == BAD_PARAMETER
        wrong = QueueRequest(slot=63, fd=9999, serial=9).pack()
        assert refused(lambda: create(wrong)) == NO_SUCH_MAP
        number = create()
        assert refused(create) == BAD_PARAMETER  # the slot is taken
        assert calls.invoke(IS_IMPORTED.method, [number], [4]) == [bytes(4)]
        calls.invoke(SIGNAL.method)
        parked = pool.submit(lambda: calls.invoke(WAIT_SIGNAL.method, (), [4]))
        calls.invoke(CANCEL_WAIT.method)
        assert parked.result() == [b"\xff\xff\xff\xff"]
        calls.invoke(DESTROY_QUEUE.method, [number])
        assert refused(lambda: calls.invoke(DESTROY_QUEUE.method, [number])) == BAD_PARAMETER
        assert refused(lambda: calls.invoke(IS_IMPORTED.method, [number], [4])) == BAD_PARAMETER
        assert refused(lambda: calls.invoke(9)) == UNSUPPORTED


def test_memory_is_unmapped_under_no_reader(machine: Machine) -> None:
    """A host that unmaps before it destroys ends the queue, not the process."""
    with open_session(machine) as session:
        remote = session.load(Queues)
        queue = session.queue()
        remote.invoke(ECHO, key(queue))
        queue._mapping.close()
        assert refused(lambda: remote.invoke(OPEN, key(queue))) == BAD_PARAMETER
        remote.invoke(CLOSE, key(queue))
        with session.queue() as other:
            remote.invoke(ECHO, key(other))
            other.write(b"words")
            assert other.read(BOUND).message == b"words"
            remote.invoke(CLOSE, key(other))
