"""The same calls through the core and the long way: the same messages, results and memory."""

from __future__ import annotations

import ctypes
import mmap
import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qda
from qda.core import BLOCK, IS_COMPILED, Side, lane_address
from qda.driver import session as driver_session
from qda.driver.call import Key
from qda.driver.calls import Keeper
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import metadata_size
from qda.fastrpc.scalars import Scalars
from qda.limits import KEPT_MESSAGE
from qda.linux import address_of
from qda.rpmsg import Channel, Link, PoolMemory
from qda.uapi.accel import InvokeElement
from tests.core.ends import needs_compiled
from tests.system import new_machine, open_file

ROOM = 4096
BIG = 3 * 4096


class Fill(qda.Skeleton):
    """Writes into every output what it has read from all inputs."""

    @qda.method(2)
    def fill(self, *arguments: object) -> None:
        views = [one for one in arguments if isinstance(one, memoryview)]
        seen = sum(sum(view) for view in views if view.readonly)
        for place, view in enumerate(view for view in views if not view.readonly):
            view[:] = bytes((seen + place + at) % 256 for at in range(len(view)))


class Join(qda.Skeleton):
    """Says what it has read."""

    @qda.method(2)
    def join(self, *arguments: memoryview) -> None:
        *given, result = arguments
        result[:] = b"".join(given)


class Bench:
    """A session with memory whose addresses stay, and one way to make a raw call."""

    def __init__(self, dialect: str = "rfc") -> None:
        self.machine = new_machine()
        pools: list[PoolMemory] = []
        connect = Channel.connect

        def note(
            channel: Channel, client_id: int, kind: int, tag: int, memory: PoolMemory, name: bytes
        ) -> Link:
            pools.append(memory)
            return connect(channel, client_id, kind, tag, memory, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Channel, "connect", note)
            self.file = open_file(self.machine, dialect)
        self.first_lane = pools[-1].address + BLOCK
        self.session = qda.Session(self.file)
        self.module = self.session.load(Fill)
        self.memory = bytearray(ROOM)
        self.buffer = self.session.alloc(BIG)
        self.name = self.file.name_of(self.buffer)

    def close(self) -> None:
        self.session.close()
        self.machine.close()

    def call(self, scalars: int, elements: bytes, count: int) -> tuple[object, bytes, bytes, bytes]:
        """Result or errno, the message in the lane's slot, and the memory afterwards."""
        generator = random.Random(7)
        self.memory[:] = generator.randbytes(ROOM)
        self.buffer[:] = generator.randbytes(BIG)
        request = bytearray(struct.pack("<IIQ", self.module.handle, scalars, 0) + elements)
        struct.pack_into("<Q", request, 8, address_of(request) + 16)
        try:
            result: object = self.file.node.ioctl(self.file.invoke_code, request)
        except OSError as error:
            result = error.errno
        message = ctypes.string_at(self.first_lane, metadata_size(count))
        return result, message, bytes(self.memory), self.buffer[:]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture(scope="module", params=["handle", "legacy-7.3"])
def other_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Elements without numbers below 0; messages with poll words, context words with sequences."""
    made = Bench(request.param)
    yield made
    made.close()


kinds = st.sampled_from(["inline", "inline", "inline", "zero", "buffer", "buffer", "odd"])


@st.composite
def calls(draw: st.DrawFn) -> tuple[Scalars, list[tuple[str, int, int, int]]]:
    """A shape, and for each argument what it is, where, how long, and an fd for odd ones."""
    scalars = Scalars(
        2,
        draw(st.integers(0, 4)),
        draw(st.integers(0, 4)),
        draw(st.integers(0, 1)),
        draw(st.integers(0, 1)),
    )
    arguments = [
        (
            draw(kinds),
            draw(st.integers(0, ROOM)),
            draw(st.one_of(st.integers(0, 300), st.sampled_from([ROOM, BIG, 1 << 31, 1 << 63]))),
            draw(st.sampled_from([0, -1, -2, 1, 77, 1 << 30])),
        )
        for _ in range(scalars.length)
    ]
    return scalars, arguments


def elements_of(
    bench: Bench, scalars: Scalars, arguments: list[tuple[str, int, int, int]]
) -> bytes:
    packed = []
    memory, buffer = address_of(bench.memory), bench.buffer.address
    for index, (kind, place, length, fd) in enumerate(arguments):
        if index >= scalars.buffers:
            name = bench.name if kind == "buffer" else fd
            packed.append(InvokeElement.codec.pack(place, length, name, 0))
        elif kind == "buffer":
            packed.append(InvokeElement.codec.pack(buffer + place, length, bench.name, 0))
        elif kind == "odd":
            packed.append(InvokeElement.codec.pack(place << 30, length, fd, 0))
        else:
            short = min(length, ROOM - place)
            packed.append(
                InvokeElement.codec.pack(memory + place, short, 0 if kind == "zero" else -1, 0)
            )
    return b"".join(packed)


@needs_compiled
@given(calls())
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_ways_do_the_same(
    bench: Bench, call: tuple[Scalars, list[tuple[str, int, int, int]]]
) -> None:
    """Overlaps, handles, faults and lengths: what the core makes of them the driver does, too."""
    compare(bench, call)


@needs_compiled
@given(calls())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_both_ways_do_the_same_in_other_forms(
    other_bench: Bench, call: tuple[Scalars, list[tuple[str, int, int, int]]]
) -> None:
    """Where drivers write calls otherwise: handles alone (versions.md 3), sequence numbers (6)."""
    compare(other_bench, call)


def compare(bench: Bench, call: tuple[Scalars, list[tuple[str, int, int, int]]]) -> None:
    scalars, arguments = call
    elements = elements_of(bench, scalars, arguments)
    bench.call(scalars.word, elements, scalars.length)  # now the core knows the buffer by name
    in_core = bench.call(scalars.word, elements, scalars.length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver_session.Session, "invoke", lambda *_: None)
        the_long_way = bench.call(scalars.word, elements, scalars.length)
    if isinstance(in_core[0], int) and in_core[0] > 0:  # refused: what is in the slot is nobody's
        assert in_core[0] == the_long_way[0]
        assert in_core[2:] == the_long_way[2:]
    else:
        assert in_core == the_long_way


def test_context_words_have_sequence_numbers_since_7_3(other_bench: Bench) -> None:
    """versions.md 6: number in bits 15..8, sequence above, the kind of domain below; in calls of
    the core, of the driver, and in answers alike."""
    words = []
    numbered = other_bench.file.dialect.numbers_calls
    for in_core in (True, True, False, True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not in_core:
                patch.setattr(driver_session.Session, "invoke", lambda *_: None)
            assert other_bench.call(2 << 24, b"", 0)[0] == 0
        lane = lane_address(other_bench.first_lane - BLOCK, 1)
        sides = [
            ctypes.string_at(lane + place * Side.byte_size, Side.byte_size) for place in (0, 1)
        ]
        message, answer = (Side.unpack(side).record for side in sides)
        words.append(InvokeMessage.unpack(message).context)
        assert Response.unpack(answer).context == words[-1]
    if not numbered:
        assert words == [1 << 4] * 5
        return
    assert [word & 0xFFFF for word in words] == [1 << 8 | ProtectionDomain.USER] * 5
    sequences = [word >> 16 for word in words]
    assert sequences == list(range(sequences[0], sequences[0] + 5))


@pytest.mark.skipif(not IS_COMPILED, reason="the twin declines all calls")
def test_the_core_declines_nothing_that_is_plain(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inline bytes and known buffers go through it: the long way is not taken."""
    scalars = Scalars(2, 1, 2)
    arguments = [("inline", 0, 32, 0), ("inline", 64, 32, 0), ("buffer", 0, BIG, 0)]
    elements = elements_of(bench, scalars, arguments)
    bench.call(scalars.word, elements, scalars.length)

    def refuse(*_: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr(driver_session.Session, "call", refuse)
    assert bench.call(scalars.word, elements, scalars.length)[0] == 0


@needs_compiled
def test_a_long_message_goes_through_the_core_once_the_lane_has_memory_for_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the longest that the driver has let pass; a longer one, and one that is too long to
    keep memory for, go the long way."""
    given = random.Random(5).randbytes(4 * KEPT_MESSAGE)
    taken: list[int] = []
    begin = driver_session.Session.call

    def note(session: driver_session.Session, key: Key | None = None) -> Keeper:
        taken.append(1)
        return begin(session, key)

    with bench.session.load(Join) as module:
        monkeypatch.setattr(driver_session.Session, "call", note)
        for size, long_way in (
            (BLOCK, True),
            (BLOCK, False),
            (BLOCK // 2, False),
            (BLOCK + 4096, True),
            (BLOCK + 4096, False),
            (KEPT_MESSAGE, True),
            (KEPT_MESSAGE, True),
            (BLOCK, True),
            (BLOCK, False),
        ):
            taken.clear()
            assert module.invoke(2, [given[:size]], [size])[0] == given[:size]
            assert bool(taken) is long_way, size


def test_small_arguments_of_one_page_arrive_each_in_its_place(bench: Bench) -> None:
    """As many as there can be, beside each other and apart, up to the end of what can be read."""
    generator = random.Random(3)
    pages = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    address = address_of(pages)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    assert not protect(ctypes.c_void_p(address + 2 * mmap.PAGESIZE), mmap.PAGESIZE, 0)
    end = 2 * mmap.PAGESIZE
    pages[:end] = generator.randbytes(end)
    with bench.session.load(Join) as module:
        for count in (1, 2, 63, 64, 65, 127, 128, 255):
            for size, step in ((8, 8), (8, 24), (24, 32)):
                end = 2 * mmap.PAGESIZE
                places = [(end - size - step * at, size) for at in range(count)]
                generator.shuffle(places)
                words = [pages[place : place + size] for place, size in places]
                given = [memoryview(pages)[place : place + size] for place, size in places]
                assert module.invoke(2, given, [count * size])[0] == b"".join(words)
    with pytest.raises(OSError, match="EFAULT"):
        bench.session.load(Join).invoke(2, [memoryview(pages)[end - 8 : end + 8]], [16])
