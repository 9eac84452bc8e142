"""A queue of packets, whichever core is on either side."""

from __future__ import annotations

import itertools
import random
import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.errors import (
    BAD_ITEM,
    BAD_PARAMETER,
    CONNECTION_RESET,
    EXPIRED,
    INTERRUPTED,
    RPC_FAILED,
    UNSUPPORTED,
    WOULD_BLOCK,
    StatusError,
    plain,
)
from qda.fastrpc.queue import (
    BufferReference,
    Figure,
    PacketFlag,
    QueueHeader,
    lay_out_queue,
    places_of,
)
from qda.linux import address_of
from tests.core.queue_ends import CORES, PAIRS, Both, both
from tests.waiting import BOUND, until

AT_ONCE, FOR_LONG = 0, int(BOUND * 1e6)
BUSY = plain(WOULD_BLOCK)
READY = PacketFlag.USER_READY


def references(count: int) -> bytes:
    return b"".join(BufferReference(fd=9 + one, size=one, flags=4).pack() for one in range(count))


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_what_is_written_is_read(host: Any, dsp: Any) -> None:
    """In both directions, with buffers and without; the words of what is there are set."""
    pair = both(host, dsp)
    for writer, reader in ((pair.host, pair.dsp), (pair.dsp, pair.host)):
        assert writer.write(0, references(2), b"words", AT_ONCE) == (0, False)
        flags = READY | PacketFlag.MESSAGE | PacketFlag.BUFFERS
        assert reader.peek(AT_ONCE) == (0, flags, 2, 5)
        assert reader.read(AT_ONCE) == (0, False, flags, references(2), b"words")
        assert writer.write(PacketFlag.MESSAGE | PacketFlag.BUFFERS, b"", b"", AT_ONCE)[0] == 0
        assert reader.read(AT_ONCE) == (0, False, READY, b"", b"")
        assert reader.read(AT_ONCE)[0] == BUSY
        assert reader.peek(AT_ONCE)[0] == BUSY


@pytest.mark.parametrize("more", [0, 1], ids=["multiple of 8", "any length"])
@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_packets_wrap_and_keep_their_order(host: Any, dsp: Any, more: int) -> None:
    """A packet is never split, so there is room in an empty ring for what is half as long."""
    lengths = 512 + more, 1024 + 5 * more
    pair = both(host, dsp, *lengths)
    chance = random.Random(1)
    sides = (pair.host, pair.dsp), (pair.dsp, pair.host)
    for (writer, reader), length in zip(sides, lengths, strict=True):
        waiting: deque[tuple[bytes, bytes]] = deque()
        written = read = 0
        for _ in range(4000):
            if chance.random() < 0.55:
                message = chance.randbytes(chance.choice((0, 1, 7, 8, 40, 100)))
                packet = references(chance.choice((0, 0, 0, 1, 3))), message
                status, _ = writer.write(0, *packet, AT_ONCE)
                if status == 0:
                    waiting.append(packet)
                    written += 1
                else:
                    assert status == BUSY
                    assert waiting
            status, _, _, buffers, message = (
                reader.read(AT_ONCE)
                if chance.random() < 0.5
                else (
                    BUSY,
                    False,
                    0,
                    b"",
                    b"",
                )
            )
            if status == 0:
                assert (buffers, message) == waiting.popleft()
                read += 1
            figures = [reader.figure(one)[1] for one in (Figure.READ_PACKETS, Figure.READ_BYTES)]
            assert figures[0] == len(waiting)
            assert figures[1] <= length - 8
            assert figures == [
                writer.figure(one)[1] for one in (Figure.WRITE_PACKETS, Figure.WRITE_BYTES)
            ]
        assert written > 1000
    assert pair.counters[3 * 4 : 4 * 4] != b"\0" * 4


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_a_full_ring_takes_nothing_and_an_unfitting_packet_never_fits(host: Any, dsp: Any) -> None:
    pair = both(host, dsp, 128, 128)
    for _ in range(5):
        assert pair.host.write(0, b"", bytes(16), AT_ONCE)[0] == 0  # 24 bytes each, of 120
    assert pair.host.write(0, b"", b"", AT_ONCE)[0] == BUSY
    assert pair.host.write(0, b"", b"", 1)[0] == plain(EXPIRED)
    for flags, buffers, message in ((0, b"", bytes(113)), (0, references(65), b""), (32, b"", b"")):
        status = pair.host.write(flags, buffers, message, AT_ONCE)[0]
        assert status == plain(BAD_PARAMETER)
    assert pair.dsp.read(AT_ONCE)[0] == 0
    assert pair.host.write(0, b"", b"", AT_ONCE)[0] == 0
    assert pair.host.write(0, b"", bytes(112), AT_ONCE)[0] == BUSY


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_each_packet_is_counted_for_its_slot(host: Any, dsp: Any) -> None:
    """Four counters: requests, their room, responses, their room (3.1)."""
    pair = both(host, dsp)
    pair.host.write(0, b"", b"", AT_ONCE)
    pair.host.write(0, b"", b"", AT_ONCE)
    pair.dsp.read(AT_ONCE)
    pair.dsp.write(0, b"", b"", AT_ONCE)
    pair.host.read(AT_ONCE)
    counters = struct.unpack("<256I", pair.counters)
    assert [counters[at + 3] for at in (0, 64, 128, 192)] == [2, 1, 1, 1]
    assert sum(counters) == 5


MALFORMED = [
    pytest.param(16 | 0x01 << 32, id="not ready"),
    pytest.param(7 | 0x11 << 32, id="shorter than its word"),
    pytest.param(31 | 0x12 << 32 | 1 << 48, id="shorter than its buffers"),
    pytest.param(65600 * 8 | 0x11 << 32, id="too long"),
    pytest.param(4000 | 0x12 << 32 | 65 << 48, id="too many buffers"),
    pytest.param(48 | 0x11 << 32, id="longer than what was written"),
]


@pytest.mark.parametrize("dsp", CORES)
@pytest.mark.parametrize("word", MALFORMED)
def test_what_is_no_packet_is_refused_and_stays(dsp: Any, word: int) -> None:
    pair = both(CORES[0], dsp)
    pair.host.write(0, b"", bytes(8), AT_ONCE)
    ring = places_of(pair.memory).requests.ring
    pair.memory[ring : ring + 8] = word.to_bytes(8, "little")
    for _ in range(2):
        assert pair.dsp.read(AT_ONCE)[0] == plain(BAD_ITEM)
        assert pair.dsp.peek(AT_ONCE)[0] == plain(BAD_ITEM)


@pytest.mark.parametrize("dsp", CORES)
@pytest.mark.parametrize("position", [4, 1024, 0xFFFFFFF8])
def test_a_side_that_is_nowhere_in_the_ring_is_not_followed(dsp: Any, position: int) -> None:
    pair = both(CORES[0], dsp)
    sides = places_of(pair.memory)
    for at in (sides.requests.writer, sides.responses.reader):
        pair.memory[at : at + 4] = position.to_bytes(4, "little")
    assert pair.dsp.read(AT_ONCE)[0] == plain(BAD_ITEM)
    assert pair.dsp.write(0, b"", b"", AT_ONCE)[0] == plain(BAD_ITEM)


@given(words=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12), at=st.integers(0, 127))
def test_the_cores_say_the_same_of_any_ring(words: list[int], at: int) -> None:
    """Whatever the other side has written, and wherever it says that it is."""
    answers: list[list[Any]] = []
    for dsp in CORES:
        pair = both(CORES[0], dsp)
        places = places_of(pair.memory).requests
        for place, word in enumerate(words):
            pair.memory[places.ring + 8 * place : places.ring + 8 * place + 8] = word.to_bytes(
                8, "little"
            )
        pair.memory[places.writer : places.writer + 4] = (8 * at).to_bytes(4, "little")
        if any(word >> 32 & PacketFlag.WAKEUP for word in words):
            answers.append([pair.dsp.peek(AT_ONCE)])
        else:
            answers.append([pair.dsp.peek(AT_ONCE), *(pair.dsp.read(AT_ONCE) for _ in words)])
        del pair
    assert all(one == answers[0] for one in answers)


@pytest.mark.parametrize("dsp", CORES)
def test_memory_that_is_another_queue_s_is_left_alone(dsp: Any) -> None:
    pair = both(CORES[0], dsp)
    pair.memory[44:48] = b"\x06\0\0\0"
    assert pair.dsp.read(AT_ONCE)[0] == plain(RPC_FAILED)
    assert pair.dsp.write(0, b"", b"", AT_ONCE)[0] == plain(RPC_FAILED)
    assert pair.host.write(0, b"", b"", AT_ONCE)[0] == plain(RPC_FAILED)


@contextmanager
def threads(pair: Both) -> Iterator[ThreadPoolExecutor]:
    """Threads that end with the test, however it ends."""
    with ThreadPoolExecutor() as pool:
        try:
            yield pool
        finally:
            pair.dsp_hub.cancel()
            pair.host.end(plain(INTERRUPTED))
            pair.dsp.end(plain(INTERRUPTED))


def fill(queue: Any) -> int:
    """Write packets of 8 bytes until there is room for none; returns how many."""
    return next(count for count in itertools.count() if queue.write(0, b"", b"", AT_ONCE)[0])


def waits(pair: Both, *, to_write: bool = False) -> int:
    """How many threads of the DSP wait."""
    sides = places_of(pair.memory)
    at = sides.responses.writer if to_write else sides.requests.reader
    return int.from_bytes(pair.memory[at + 8 : at + 12], "little")


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_who_waits_says_so_and_is_told(host: Any, dsp: Any) -> None:
    pair = both(host, dsp, 1024, 64)
    with threads(pair) as pool:
        reading = [pool.submit(pair.dsp.read, FOR_LONG) for _ in range(2)]
        until(lambda: waits(pair) == 2)
        for word in (b"one", b"two"):
            assert pair.host.write(0, b"", word, AT_ONCE) == (0, True)
        pair.dsp_hub.look()
        assert {one.result()[4] for one in reading} == {b"one", b"two"}
        assert waits(pair) == 0

        heard = pool.submit(pair.dsp_hub.listen)
        assert fill(pair.dsp) == 7
        writing = pool.submit(pair.dsp.write, 0, b"", b"", FOR_LONG)
        until(lambda: waits(pair, to_write=True))
        assert pair.host.read(AT_ONCE)[:2] == (0, True)
        pair.dsp_hub.look()
        assert writing.result()[0] == 0
        pair.dsp_hub.cancel()
        assert heard.result() is False


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_the_dsp_tells_a_host_that_waits(host: Any, dsp: Any) -> None:
    """`listen` is what `wait_signal` waits in; what was told before it is not lost."""
    pair = both(host, dsp)
    with threads(pair) as pool:
        for word in (b"one", b"two"):
            reading = pool.submit(pair.host.read, FOR_LONG)
            at = places_of(pair.memory).responses.reader
            until(lambda at=at: pair.memory[at + 8])  # type: ignore[misc]
            assert pair.dsp.write(0, b"", word, AT_ONCE)[0] == 0
            assert pair.dsp_hub.listen() is True
            pair.host_hub.look()
            assert reading.result()[4] == word
        pair.dsp_hub.cancel()
        assert pair.dsp_hub.listen() is False
        pair.dsp_hub.end()
        assert pair.dsp_hub.listen() is None


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_without_wait_counts_every_packet_is_told(host: Any, dsp: Any) -> None:
    pair = both(host, dsp, flags=0)
    assert pair.host.write(0, b"", b"", AT_ONCE) == (0, True)
    assert pair.dsp.figure(Figure.SIGNALLING) == (0, 0)
    assert both(host, dsp).dsp.figure(Figure.SIGNALLING) == (0, 100)


@pytest.mark.parametrize("dsp", CORES)
def test_an_early_wake_up_is_taken_and_waited_after(dsp: Any) -> None:
    pair = both(CORES[0], dsp)
    pair.host.write(PacketFlag.WAKEUP, b"", b"", AT_ONCE)
    assert pair.dsp.peek(AT_ONCE)[1] & PacketFlag.WAKEUP
    assert pair.dsp.read(AT_ONCE)[0] == BUSY
    assert pair.dsp.figure(Figure.WAKEUP_MISSES) == (0, 1)
    assert pair.dsp.figure(Figure.WAKEUP_TIME)[1] > 0
    assert pair.dsp.figure(Figure.WAKEUP_MISSES) == (0, 0)
    assert pair.dsp.figure(Figure.WAKEUP_TIME) == (0, 0)
    pair.host.write(PacketFlag.WAKEUP, b"", (0xFFFFFFFF).to_bytes(4, "little"), AT_ONCE)
    pair.host.write(0, b"", b"here", AT_ONCE)
    assert pair.dsp.read(AT_ONCE)[4] == b"here"
    assert pair.dsp.figure(Figure.WAKEUP_MISSES) == (0, 0)


@pytest.mark.parametrize("dsp", CORES)
@pytest.mark.parametrize(
    ("buffers", "message", "status"),
    [(b"", b"abc", BAD_ITEM), (references(1), b"", RPC_FAILED)],
    ids=["another length", "buffers"],
)
def test_an_early_wake_up_says_a_time_or_nothing(
    dsp: Any, buffers: bytes, message: bytes, status: int
) -> None:
    pair = both(CORES[0], dsp)
    pair.host.write(PacketFlag.WAKEUP, buffers, message, AT_ONCE)
    assert pair.dsp.read(AT_ONCE)[0] == plain(status)


@pytest.mark.parametrize("dsp", CORES)
def test_who_leaves_a_queue_waits_in_it_no_more(dsp: Any) -> None:
    """Nor later, also when somebody else has it."""
    pair = both(CORES[0], dsp)
    claimed = pair.dsp.claim()
    assert claimed is not None
    assert pair.dsp.claim() is None
    assert pair.dsp.is_claimed()
    with threads(pair) as pool:
        waiting: list[Future[Any]] = [
            pool.submit(claimed.read, -1),
            pool.submit(claimed.await_packets, 0, -1),
        ]
        until(lambda: waits(pair) == 2)
        claimed.give_back()
        assert [one.result()[0] for one in waiting] == [plain(INTERRUPTED)] * 2
        assert not pair.dsp.is_claimed()
        assert claimed.read(-1)[0] == plain(INTERRUPTED)
        next_one = pair.dsp.claim()
        assert next_one is not None
        assert claimed.write(0, b"", b"", -1)[0] == plain(INTERRUPTED)
        pair.host.write(0, b"", b"words", AT_ONCE)
        assert next_one.read(-1)[4] == b"words"


@pytest.mark.parametrize("dsp", CORES)
def test_a_queue_that_has_ended_lets_nobody_wait(dsp: Any) -> None:
    """From when `end` returns nobody touches the memory."""
    pair = both(CORES[0], dsp)
    with threads(pair) as pool:
        waiting = pool.submit(pair.dsp.read, -1)
        until(lambda: waits(pair) == 1)
        pair.dsp.end(plain(CONNECTION_RESET))
        assert waiting.result()[0] == plain(CONNECTION_RESET)
    before = bytes(pair.memory)
    assert pair.dsp.write(0, b"", b"", AT_ONCE)[0] == plain(CONNECTION_RESET)
    assert pair.dsp.peek(-1)[0] == plain(CONNECTION_RESET)
    assert pair.dsp.figure(Figure.READ_BYTES)[0] == plain(CONNECTION_RESET)
    pair.dsp.end(plain(INTERRUPTED))
    assert pair.memory == before


@pytest.mark.parametrize(("host", "dsp"), PAIRS)
def test_no_wake_up_is_lost(host: Any, dsp: Any) -> None:
    """Small rings: both sides wait for packets and for room, and are told as calls would."""
    count = 3000
    pair = both(host, dsp, 128, 128)

    def tell_host() -> None:
        while pair.dsp_hub.listen():
            pair.host_hub.look()

    def echo() -> None:
        for _ in range(count):
            message = pair.dsp.read(FOR_LONG)[4]
            assert pair.dsp.write(0, b"", message, FOR_LONG)[0] == 0

    def write() -> None:
        for number in range(count):
            status, tell = pair.host.write(0, b"", number.to_bytes(4, "little"), FOR_LONG)
            assert status == 0
            if tell:
                pair.dsp_hub.look()

    with threads(pair) as pool:
        listening = pool.submit(tell_host)
        working = [pool.submit(echo), pool.submit(write)]
        for number in range(count):
            status, tell, _, _, message = pair.host.read(FOR_LONG)
            assert (status, int.from_bytes(message, "little")) == (0, number)
            if tell:
                pair.dsp_hub.look()
        for one in working:
            one.result()
        pair.dsp_hub.cancel()
        listening.result()


def test_a_slot_is_had_once() -> None:
    pair = both(CORES[0], CORES[-1])
    with pytest.raises(ValueError, match="taken"):
        both_again(pair, CORES[-1])
    pair.dsp.end(1)
    both_again(pair, CORES[-1])


def both_again(pair: Both, core: Any) -> None:
    sides = places_of(pair.memory)
    places = sides.requests, sides.responses
    core.Queue(pair.dsp_hub, 3, address_of(pair.memory), *places, True, pair)


# The header.


@given(
    st.integers(2, 40).map(lambda units: 8 * units),
    st.integers(2, 40).map(lambda units: 8 * units),
)
def test_a_header_says_where_its_queue_lies(requests: int, responses: int) -> None:
    header, size = lay_out_queue(requests, responses, 1)
    memory = bytearray(size)
    header.pack_into(memory)
    sides = places_of(memory)
    spans = sorted(
        (at, at + length)
        for places in sides[:2]
        for at, length in (
            (places.ring, places.length),
            (places.reader, 12),
            (places.writer, 12),
        )
    )
    assert spans[0][0] >= QueueHeader.byte_size
    assert all(one[1] <= next_[0] for one, next_ in pairwise(spans))
    assert all(at % 256 == 0 for at, _ in spans)


def test_the_default_queue_is_that_of_the_public_library() -> None:
    header, size = lay_out_queue(65536, 16384, 1)
    assert header.values()[3:11] == [256, 65536, 65792, 66048, 66304, 16384, 82688, 82944]
    assert size == 83200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"version": 0xFFFFFFFF}, UNSUPPORTED),
        ({"version": 3}, UNSUPPORTED),
        ({"flags": 2}, UNSUPPORTED),
        ({"flags": 5}, UNSUPPORTED),
        ({"response_length": 4 * 256 + 1024, "response_ring": 1288}, BAD_PARAMETER),
        ({"request_length": 8}, BAD_PARAMETER),
        ({"response_length": 1 << 25}, BAD_PARAMETER),
        ({"response_ring": 40}, BAD_PARAMETER),
        ({"request_reader": 0xFFFFFFF8}, BAD_PARAMETER),
        ({"response_writer": 1 << 20}, BAD_PARAMETER),
        ({"response_reader": 257}, BAD_PARAMETER),
    ],
    ids=str,
)
def test_what_is_no_queue_is_refused(change: dict[str, int], status: int) -> None:
    header, size = lay_out_queue(1024, 1024, 1)
    for name, value in change.items():
        setattr(header, name, value)
    memory = bytearray(size)
    header.pack_into(memory)
    with pytest.raises(StatusError) as refused:
        places_of(memory)
    assert refused.value.status == status


def test_flags_count_from_version_2_on() -> None:
    header, size = lay_out_queue(1024, 1024, 1)
    header.version, header.flags = 1, 0xFFFF
    memory = bytearray(size)
    header.pack_into(memory)
    assert not places_of(memory).wait_counts
    with pytest.raises(StatusError):
        places_of(memory[:40])
