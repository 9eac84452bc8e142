"""What a DSP does with frames and messages that no driver of ours would send."""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.core import POOL_SIZE, Pool, Woken
from qda.dsp.boot import Boot
from qda.dsp.process import Process
from qda.dsp.serving import Serving
from qda.dsp.threaded import start_threads
from qda.errors import BAD_STATE, as_signed
from qda.fastrpc.control import ProcessMethod
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.scalars import Scalars
from qda.linux import address_of
from qda.rpmsg import Endpoint, Frame, Link, Operation, PeerGone
from qda.rpmsg.channel import Control
from qda.rpmsg.frame import unpack_reply
from qda.rpmsg.watch import Watch

CLIENT = 3


def witness() -> int:
    """A descriptor that is told from all others of this process."""
    return os.memfd_create("witness")


def witnesses() -> int:
    """How many of them are open: the DSP's threads are in this process."""
    return sum("/memfd:witness" in link for link in map(_link, os.listdir("/proc/self/fd")))


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # another thread has closed it, or it was the directory's own
        return ""


@contextmanager
def pool() -> Iterator[int]:
    """A descriptor of memory for lanes."""
    descriptor = os.memfd_create("pool")
    os.ftruncate(descriptor, POOL_SIZE)
    yield descriptor
    os.close(descriptor)


class Asked:
    """An endpoint to which anything can be sent, and its answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def answer(self, message: bytes, descriptors: Sequence[int] = ()) -> int:
        """Send a message with descriptors; returns the errno."""
        self.endpoint.send(message, descriptors)
        return unpack_reply(self.endpoint.receive())[0]

    def answer_witnesses(self, message: bytes, count: int) -> int:
        """The same with so many witnesses."""
        opened = [witness() for _ in range(count)]
        try:
            return self.answer(message, opened)
        finally:
            for descriptor in opened:
                os.close(descriptor)


@contextmanager
def opened_session(processor: Asked, client_id: int) -> Iterator[Endpoint]:
    """The control endpoint of a session in a process of its own."""
    near, far = Endpoint.pair()
    frame = Frame(Operation.OPEN, client_id, 0, ProtectionDomain.USER)
    with pool() as memory:
        assert processor.answer(frame.pack(), [far.fileno(), memory]) == 0
    far.close()
    yield near
    near.close()
    assert processor.answer(Frame(Operation.CLOSE, client_id).pack()) == 0


@pytest.fixture(scope="module")
def processor() -> Iterator[Asked]:
    """The endpoint on which sessions are opened and closed, of a DSP of threads: its descriptors
    are those of this process."""
    found = Asked(start_threads(Boot("cdsp", {}), {}))
    yield found
    found.endpoint.close()


@pytest.fixture(scope="module")
def control(processor: Asked) -> Iterator[Asked]:
    """The control endpoint of a session."""
    with opened_session(processor, CLIENT) as found:
        yield Asked(found)


@pytest.mark.parametrize(
    ("operation", "descriptors"),
    [
        (Operation.LANES, 0),
        (Operation.LANES, 1),
        (Operation.LANES, 2),
        (Operation.LANES, 3),
        (Operation.ANNOUNCE, 0),
        (Operation.ANNOUNCE, 2),
        (Operation.WITHDRAW, 1),
        (Operation.OPEN, 1),
        (Operation.CLOSE, 0),
    ],
)
def test_a_session_refuses_a_frame_with_other_descriptors_than_its_own(
    control: Asked, operation: Operation, descriptors: int
) -> None:
    """Too few, too many, or a frame for a processor: nothing stays open, and the next one works."""
    frame = Frame(operation, 0, 0x10000, 4096).pack()
    assert control.answer_witnesses(frame, descriptors) == errno.EINVAL
    assert witnesses() == 0
    assert control.answer(Frame(Operation.WITHDRAW, 0, 1).pack()) == errno.ENOENT


@pytest.mark.parametrize(
    ("frame", "descriptors"),
    [
        (Frame(Operation.OPEN, 7, 0, ProtectionDomain.USER), 0),
        (Frame(Operation.OPEN, 7, 0, ProtectionDomain.USER), 1),
        (Frame(Operation.OPEN, 7, 0, ProtectionDomain.USER), limits.DESCRIPTORS + 1),
        (Frame(Operation.OPEN, 7, 0, 99), 1),
        (Frame(Operation.CLOSE, 7), 1),
        (Frame(Operation.ANNOUNCE, 7, 0x10000, 4096), 1),
    ],
)
def test_a_processor_refuses_what_it_does_not_know(
    processor: Asked, frame: Frame, descriptors: int
) -> None:
    """As a session does; then it opens one."""
    assert processor.answer_witnesses(frame.pack(), descriptors) == errno.EINVAL
    assert witnesses() == 0
    with opened_session(processor, 7):
        pass


@given(st.binary(max_size=40), st.integers(0, 2))
def test_what_is_no_frame_is_refused_and_leaves_nothing(
    control: Asked, processor: Asked, message: bytes, descriptors: int
) -> None:
    """An operation that nobody knows, or another length."""
    for asked in (control, processor):
        assert asked.answer_witnesses(b"\xff" + message, descriptors) == errno.EINVAL
        assert witnesses() == 0


@pytest.mark.parametrize(("first", "descriptors"), [(1, 2), (0, 2), (256, 2), (255, 4)])
def test_lanes_without_pipes_or_without_numbers_are_refused(
    control: Asked, first: int, descriptors: int
) -> None:
    """Memory has no bells, and a pool has 255 lanes."""
    frame = Frame(Operation.LANES, 0, first, 0)
    assert control.answer_witnesses(frame.pack(), descriptors) == errno.EINVAL
    assert witnesses() == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_session_that_cannot_begin_harms_no_other(count: int) -> None:
    """A protection domain goes on, whatever its supervisor sends."""
    supervisor, far = Endpoint.pair()
    process = Process(ProtectionDomain.ROOT, "cdsp", {}, window=1 << 20)
    given = [witness() for _ in range(count)]
    near, control = Endpoint.pair()
    supervisor.send(Frame(Operation.OPEN, CLIENT).pack(), given)
    supervisor.send(b"no frame")
    with pool() as memory:
        supervisor.send(Frame(Operation.OPEN, CLIENT).pack(), [control.fileno(), memory])
    for descriptor in given:
        os.close(descriptor)
    control.close()
    supervisor.close()
    Serving(process).serve(far)
    assert Asked(near).answer(Frame(Operation.WITHDRAW, 0, 1).pack()) == errno.ENOENT
    far.close()
    process.end()
    with pytest.raises(PeerGone):
        near.receive()
    near.close()


def test_a_process_that_dies_runs_no_call_any_more() -> None:
    """Its client has been answered for its fault; what it calls next finds nobody, however long
    dying takes."""
    go = threading.Event()
    supervisor, far = Endpoint.pair()
    process = Process(ProtectionDomain.USER, "cdsp", {}, window=1 << 20)

    def die(_reason: str) -> None:
        go.wait()

    serving = Serving(process, die=die)
    thread = threading.Thread(target=serving.serve, args=(far,))
    thread.start()
    near, control = Endpoint.pair()
    with pool() as memory, mmap.mmap(memory, POOL_SIZE) as mapped:
        supervisor.send(Frame(Operation.OPEN, CLIENT).pack(), [control.fileno(), memory])
        lanes = Pool(address_of(mapped), 1 << 32, CLIENT, 0)
        link = Link(Control(near), lanes, 0, Watch())
        link.add_lanes(2)
        methods = (ProcessMethod.EXCEPTION, ProcessMethod.THREAD_EXIT)
        for lane, method in enumerate(methods, 1):
            scalars = Scalars(method).word
            message = InvokeMessage(
                client_id=CLIENT, context=lane << 4, handle=Fixed.CURRENT_PROCESS1, scalars=scalars
            )
            lanes.send(lane, message.pack())
            assert lanes.wait(lane) == Woken.RUNG
            assert Response.unpack(lanes.answer(lane)).result == as_signed(BAD_STATE)
        go.set()
        link.close()
    control.close()
    supervisor.close()
    thread.join()
    far.close()
    process.end()
