"""A lane carries one call at a time, whichever core is at either end."""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from qda.core import LANES, POOL_SIZE, Side, Woken, lane_address
from qda.core.side import Waiter, Words, memory_at
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, NO_SUCH_CLIENT
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import metadata_size
from qda.fastrpc.scalars import Scalars
from qda.linux import address_of
from tests.core.ends import CLIENT, CORES, DEVICE, PAIRS, Ends, compiled, connect, needs_compiled
from tests.waiting import until


def signed(status: int) -> int:
    return status - (1 << 32)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_call_is_answered_with_the_methods_result(driver: Any, dsp: Any) -> None:
    seen = []

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        seen.append((handle, scalars, tid, arguments))
        return -handle

    with connect(driver, dsp, method) as ends:
        for handle in range(2, 300):
            assert ends.call(handle) == -handle
    assert seen == [(handle, 0, os.getpid(), []) for handle in range(2, 300)]


@pytest.mark.parametrize("polled", [False, True])
@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_the_word_behind_the_metadata_says_that_the_call_is_answered(
    driver: Any, dsp: Any, polled: bool
) -> None:
    """versions.md 6: where messages have a poll word, and nothing is written where they do not."""
    told = (0xDECAF if polled else 0).to_bytes(4, "little")
    with connect(driver, dsp, lambda *_: 0, polled=polled) as ends:
        for count in (0, 1, 3):
            place = 65536 + metadata_size(count)
            ends.memory[place : place + 4] = bytes(4)
            assert ends.call(5, Scalars(2, in_buffers=count).word) == 0
            assert ends.memory[place : place + 4] == told
        assert ends.call(5, 0, size=metadata_size(0)) == 0  # there is no room for one


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_poll_word_is_where_the_message_has_one_or_nowhere(driver: Any, dsp: Any) -> None:
    """versions.md 6: what a program makes of it decides nothing; a word outside the memory, or
    behind the end of all addresses, is left out, and the call is answered all the same."""
    filled = bytes(range(1, 5))
    place, one = 65536 + metadata_size(1), Scalars(2, in_buffers=1).word

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        return signed(arguments) if isinstance(arguments, int) else 0

    with connect(driver, dsp, method, polled=True) as ends:
        ends.memory[place : place + 4] = (0xDECAF).to_bytes(4, "little")
        assert ends.call(5) == 0
        ends.memory[65536 + 8 : 65536 + 16] = (8).to_bytes(8, "little")
        ends.memory[65536 + 16 : 65536 + 20] = (1).to_bytes(4, "little")
        ends.memory[place : place + 4] = bytes(4)
        assert ends.call(5, one) == signed(BAD_ADDRESS)  # answered, and so told
        assert ends.memory[place : place + 4] == (0xDECAF).to_bytes(4, "little")
        ends.memory[-4:] = ends.memory[:4] = filled
        for address in (DEVICE + POOL_SIZE - metadata_size(0) - 3, 0, (1 << 64) - 4, DEVICE - 8):
            assert ends.call(5, 0, address=address, size=(1 << 64) - 1) == 0
        assert (ends.memory[-4:], ends.memory[:4]) == (filled, filled)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_what_cannot_be_found_is_a_status(driver: Any, dsp: Any) -> None:
    """The method is given the status in place of arguments, and says what becomes of it."""

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        return signed(arguments) if isinstance(arguments, int) else 0

    one = Scalars(2, in_buffers=1).word
    with connect(driver, dsp, method) as ends:
        assert ends.call(5, one, size=100) == signed(BAD_PARAMETER)
        # The metadata is zeros: an argument without pages, which has no data.
        assert ends.call(5, one) == 0
        ends.memory[65536 + 16 : 65536 + 20] = (1).to_bytes(4, "little")
        ends.memory[65536 + 8 : 65536 + 16] = (8).to_bytes(8, "little")
        assert ends.call(5, one) == signed(BAD_ADDRESS)
        ends.memory[65536 + 20 : 65536 + 24] = (1).to_bytes(4, "little")
        assert ends.call(5, one) == signed(BAD_PARAMETER)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_message_of_another_client_is_refused(driver: Any, dsp: Any) -> None:
    """A lane is bound to its client: what its message says of that must be the same."""

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        return signed(arguments) if isinstance(arguments, int) else 0

    with connect(driver, dsp, method) as ends:
        for client, handle in ((CLIENT + 1, 5), (0, 5), (CLIENT, 1)):
            message = InvokeMessage(client_id=client, context=1 << 4, handle=handle)
            ends.pool.send(1, message.pack())
            assert ends.pool.wait(1) == Woken.RUNG
            assert int.from_bytes(ends.pool.answer(1)[8:12], "little") == NO_SUCH_CLIENT


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_an_answer_is_the_number_with_the_context(driver: Any, dsp: Any) -> None:
    """Whatever else is written to a lane ends no wait (H15)."""
    go = threading.Event()

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        go.wait()
        return 5

    with connect(driver, dsp, method) as ends:
        words = memory_at(lane_address(ends.address, 1) + Side.byte_size, Side.byte_size)
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=0x550, handle=9).pack())
        assert ends.pool.wait(1, -1, 0) == Woken.LATE
        words[0:4] = (77).to_bytes(4, "little")
        assert ends.pool.wait(1, -1, 0) == Woken.LATE
        words[0:4] = (1).to_bytes(4, "little")  # the number, but not the context
        assert ends.pool.wait(1, -1, 0) == Woken.LATE
        go.set()
        assert ends.pool.wait(1) == Woken.RUNG
        assert ends.pool.answer(1)[8:12] == bytes([5, 0, 0, 0])


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_wait_ends_when_nobody_will_answer(driver: Any, dsp: Any) -> None:
    go = threading.Event()

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        go.wait()
        return 0

    with connect(driver, dsp, method) as ends:
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=1 << 4, handle=9).pack())
        woken: list[int] = []
        thread = threading.Thread(target=lambda: woken.append(ends.pool.wait(1)))
        thread.start()
        ends.pool.kill()
        thread.join()
        assert woken == [Woken.DEAD]
        go.set()


@pytest.mark.parametrize("driver", CORES)
def test_a_lane_opened_while_or_after_the_dsp_dies_is_dead(driver: Any) -> None:
    """Lanes are added by the threads that call, deaths are told by one that watches."""
    reads, writes = os.pipe()
    with mmap.mmap(-1, POOL_SIZE) as memory:
        for _ in range(20):
            pool = driver.Pool(address_of(memory), DEVICE, CLIENT, 0)
            started = threading.Barrier(2)

            def add_lanes(pool: Any = pool, started: Any = started) -> None:
                started.wait()
                for number in range(1, LANES + 1):
                    pool.open(number, reads, writes, 0)

            thread = threading.Thread(target=add_lanes)
            thread.start()
            started.wait()
            pool.kill()
            thread.join()
            for number in range(1, LANES + 1):
                pool.send(number, InvokeMessage(context=number << 4, handle=9).pack())
                assert pool.wait(number, -1, 0) == Woken.DEAD
    os.close(reads)
    os.close(writes)


@pytest.mark.parametrize("driver", CORES)
def test_of_a_lane_that_nobody_answers_nothing_is_read(driver: Any) -> None:
    """Who takes it back from a program may come after its memory is gone."""
    reads, writes = os.pipe()
    with mmap.mmap(-1, POOL_SIZE) as memory:
        pool = driver.Pool(address_of(memory), DEVICE, CLIENT, 0)
        pool.open(1, reads, writes, 0)
        assert pool.claim(1)
        memory_at(lane_address(address_of(memory), 1), Side.byte_size)[:4] = b"\1\0\0\0"
        assert not pool.recount(1)
        pool.kill()
    assert pool.recount(1)
    os.close(reads)
    os.close(writes)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_another_descriptor_may_end_a_wait(driver: Any, dsp: Any) -> None:
    go = threading.Event()

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        go.wait()
        return 0

    reads, writes = os.pipe()
    try:
        with connect(driver, dsp, method) as ends:
            ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=1 << 4, handle=9).pack())
            os.write(writes, b"!")
            assert ends.pool.wait(1, reads) == Woken.ALSO
            assert ends.pool.wait(1, reads, 5) == Woken.ALSO
            go.set()
            os.read(reads, 1)
            assert ends.pool.wait(1, reads) == Woken.RUNG
    finally:
        os.close(reads)
        os.close(writes)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_call_may_be_answered_before_its_method_ends(driver: Any, dsp: Any) -> None:
    """RELEASE does so; what the method returns then goes nowhere."""
    go = threading.Event()

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        if handle == 9:
            go.wait()
        return handle

    with connect(driver, dsp, method) as ends:
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=1 << 4, handle=9).pack())
        while ends.pool.wait(1, -1, 1) == Woken.LATE:
            ends.server.answer(-3)
        assert int.from_bytes(ends.pool.answer(1)[8:12], "little", signed=True) == -3
        go.set()
        assert ends.call(10) == 10


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_lanes_are_taken_and_given_back(driver: Any, dsp: Any) -> None:
    with connect(driver, dsp, lambda *_: 0) as ends:
        assert ends.pool.claim(1)
        assert not ends.pool.claim(1)
        for _ in range(2):
            ends.pool.give_back(1)
        with pytest.raises(ValueError, match="none of this number"):
            ends.pool.wait(2)
        with pytest.raises(ValueError, match="each once"):
            ends.pool.open(1, ends.sleep, ends.wake, 0)
        assert ends.pool.claim(1)
        ends.pool.give_back(1)
        assert ends.pool.close(lambda: None)
        assert not ends.pool.claim(1)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_memory_that_is_withdrawn_is_kept_while_a_call_has_it(driver: Any, dsp: Any) -> None:
    """The owner goes when the last call that reaches the memory has ended."""
    inside, go = threading.Event(), threading.Event()

    class Owner:
        gone = False

        def __del__(self) -> None:
            Owner.gone = True

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        inside.set()
        go.wait()
        return bytes(arguments[0])[0]

    with connect(driver, dsp, method) as ends:
        room = memoryview(bytearray(b"*" * 8192))
        owner = Owner()
        ends.space.add(DEVICE + (64 << 20), 8192, address_of(room), owner)
        metadata = ends.memory
        metadata[65536 + 8 : 65536 + 16] = (8).to_bytes(8, "little")
        metadata[65536 + 16 : 65536 + 24] = (1).to_bytes(8, "little")
        metadata[65536 + 24 : 65536 + 32] = (DEVICE + (64 << 20)).to_bytes(8, "little")
        metadata[65536 + 32 : 65536 + 40] = (4096).to_bytes(8, "little")
        message = InvokeMessage(
            client_id=CLIENT,
            context=1 << 4,
            handle=9,
            scalars=Scalars(2, in_buffers=1).word,
            address=DEVICE + 65536,
            size=4096,
        )
        ends.pool.send(1, message.pack())
        inside.wait()
        ends.space.remove(owner)
        del owner
        assert not Owner.gone
        go.set()
        assert ends.pool.wait(1) == Woken.RUNG
        assert ends.pool.answer(1)[8] == ord("*")


FIXED, OPENED = 9, 0x201


@needs_compiled
@pytest.mark.skipif(os.cpu_count() == 1, reason="who waits on the only CPU does not look")
@pytest.mark.parametrize(
    ("poll", "handle", "sleeps"), [(10**8, OPENED, 0), (10**8, FIXED, 1), (0, OPENED, 1)]
)
def test_a_call_of_an_opened_module_waits_awake_in_poll_mode(
    poll: int, handle: int, sleeps: int
) -> None:
    """versions.md 6: any other call may be parked for ever.  The twin never looks."""
    go = threading.Event()

    def method(handle: int, scalars: int, tid: int, arguments: Any) -> int:
        go.wait()
        return 5

    with connect(compiled, compiled, method) as ends:
        words = memory_at(lane_address(ends.address, 1), 2 * Side.byte_size).cast("I")
        ends.pool.poll(10**8)
        ends.pool.poll(poll)
        words[Side.byte_size // 4 + 2] = 1000  # the DSP was last on another CPU
        message = InvokeMessage(client_id=CLIENT, context=1 << 4, handle=handle)
        ends.pool.send(1, message.pack())
        waiter = threading.Thread(target=lambda: ends.pool.wait(1))
        waiter.start()
        if sleeps:
            until(lambda: words[1] == 1)
        else:
            assert waiter.ident is not None
            clock = time.pthread_getcpuclockid(waiter.ident)
            until(lambda: time.clock_gettime(clock) > 0.02)
            assert words[1] == 0
        go.set()
        waiter.join()
        assert ends.pool.answer(1)[8:12] == bytes([5, 0, 0, 0])


def test_numbers_wrap_in_the_twin() -> None:
    """A bell has 32 bits; `program.c` lets those of the compiled core wrap."""
    memory = mmap.mmap(-1, 2 * Side.byte_size)
    asked, told = os.pipe(), os.pipe()
    try:
        near, far = (Words(address_of(memory) + place) for place in (0, Side.byte_size))
        driver = Waiter(near, far, told[0], asked[1])
        dsp = Waiter(far, near, asked[0], told[1])
        for number in range((1 << 32) - 3, (1 << 32) + 3):
            assert not dsp.has_rung(number, None)
            driver.ring(number)
            assert dsp.wait(number, None) == Woken.RUNG
            dsp.ring(number)
            assert driver.wait(number, None) == Woken.RUNG
    finally:
        for descriptor in (*asked, *told):
            os.close(descriptor)


@contextmanager
def waiting(ends: Ends) -> Iterator[list[int]]:
    """A thread that waits on the lane for a call that has been sent; how its wait has ended."""
    ended: list[int] = []

    def wait() -> None:
        woken: int = Woken.SIGNAL
        while woken == Woken.SIGNAL:  # each look asks for that
            woken = ends.pool.wait(1)
        ended.append(woken)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: ends.pool.look() == 1)
    try:
        yield ended
    finally:
        ends.pool.kill()
        thread.join()


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_who_looks_after_waits_is_told_of_the_first(driver: Any, dsp: Any) -> None:
    """And of the next one after a look; while nobody waits there is nothing to look after."""
    go = threading.Event()
    told, bell = os.pipe()
    os.set_blocking(told, False)
    with connect(driver, dsp, lambda *_: 0 if go.wait() else 1) as ends:
        ends.pool.guard(bell)
        assert ends.pool.look() == 0
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=16, handle=9).pack())
        for _ in range(2):
            for _ in range(2):  # it has been told
                assert ends.pool.wait(1, -1, 0) == Woken.LATE
            assert os.read(told, 9) == b"\0"
            assert ends.pool.look() == 0
        ends.pool.guard(-1)
        assert ends.pool.wait(1, -1, 0) == Woken.LATE
        with pytest.raises(BlockingIOError):
            os.read(told, 9)
        go.set()
        assert ends.pool.wait(1) == Woken.RUNG
    os.close(told)
    os.close(bell)


@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_a_look_wakes_who_has_missed_the_other(driver: Any, dsp: Any) -> None:
    """The DSP's program has written that it, or the driver, does not sleep."""
    go = threading.Event()
    with connect(driver, dsp, lambda *_: 0 if go.wait() else 1) as ends:
        lane = memory_at(lane_address(ends.address, 1), 2 * Side.byte_size)
        go.set()
        assert ends.call(5) == 0
        go.clear()
        lane[Side.byte_size + 4 : Side.byte_size + 8] = bytes(4)
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=16, handle=9).pack())
        with waiting(ends) as ended:
            lane[4:8] = bytes(4)
            go.set()
            until(lambda: ends.pool.look() == 0)
            until(lambda: ended)
            assert ended == [Woken.RUNG]


@pytest.mark.parametrize("place", ["asked", "told", "context"])
@pytest.mark.parametrize(("driver", "dsp"), PAIRS)
def test_words_that_nobody_can_have_written_are_found(driver: Any, dsp: Any, place: str) -> None:
    """A second time, a while later: the first may have been in the middle of something."""
    go = threading.Event()
    with connect(driver, dsp, lambda *_: 0 if go.wait() else 1) as ends:
        lane = memory_at(lane_address(ends.address, 1), 2 * Side.byte_size)
        ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=16, handle=9).pack())
        with waiting(ends):
            number = {"asked": 7, "told": 7, "context": 1}[place]
            start = 0 if place == "asked" else Side.byte_size
            lane[start : start + 4] = number.to_bytes(4, "little")
            assert until(ends.pool.look) == 1  # who was roused sleeps again
            lane[start : start + 4] = (1 if place == "asked" else 0).to_bytes(4, "little")
            assert until(ends.pool.look) == 1  # it was
            lane[start : start + 4] = number.to_bytes(4, "little")
            assert [until(ends.pool.look), until(ends.pool.look)] == [1, -1]
        go.set()
