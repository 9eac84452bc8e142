"""Our DSP behind GLINK, called as a kernel's driver calls it: messages in the guest's memory."""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import BAD_ADDRESS, BAD_STATE, NO_SUCH_CLIENT, PROCESS_DIED, as_signed
from qda.fastrpc.control import CreateRequest, MapRequest, MapResponse, Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.mapping import MmapFlag
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import PhysicalPage
from tests.kernel.driver import URI, Driver
from tests.kernel.tables import at

CLIENT = 77
SKELETON = """
import os, signal
import qda

echo = qda.idl.load('''
    interface echo {
        long copies(in sequence<octet> given, rout sequence<octet> back);
        long dies();
    };
''')


class Echo(echo.Skeleton):
    def copies(self, given, back):
        back[:] = given[::-1]

    def dies(self):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp("skeletons")
    Path(folder, "echo_skel.py").write_text(SKELETON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDERS_VARIABLE, str(folder))
        driver = Driver()
    yield driver
    driver.close()


def test_calls_reach_memory_that_lies_in_pieces(driver: Driver) -> None:
    """Create, load, call with more than a page either way, release."""
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    data = bytes(number % 251 for number in range(10_000))
    assert driver.copies(CLIENT, handle, data) == (0, data[::-1])
    assert driver.release(CLIENT) == 0
    assert driver.copies(CLIENT, handle, b"a")[0] == as_signed(NO_SUCH_CLIENT)


def test_memory_of_a_mapping_is_named_in_the_request(driver: Driver) -> None:
    """MMAP's pages stand in its second argument; the driver's own session needs no request."""
    assert driver.call(0, Fixed.UTILITIES, 0, [b"\0\0\0\0" * 2], [1024])[0] is not None
    assert driver.create(CLIENT) == 0
    request = MapRequest(client_id=CLIENT, flags=MmapFlag.ADD_PAGES, pages_size=16)
    page = PhysicalPage(address=driver.buffer(8192), size=8192)
    result, outs = driver.call(
        0, Fixed.INIT, Method.MMAP, [request.pack(), page.pack()], [MapResponse.byte_size]
    )
    assert (result, MapResponse.unpack(outs[0]).address > 0) == (0, True)
    driver.release(CLIENT)


def test_a_request_that_fails_ends_no_session_but_its_own(driver: Driver) -> None:
    """A second CREATE, and one that is no CREATE at all."""
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    request = CreateRequest(client_id=CLIENT, name_length=1 << 20).pack()
    assert driver.call(0, Fixed.INIT, Method.CREATE, [request])[0] != 0
    assert driver.copies(CLIENT, handle, b"ab") == (0, b"ba")
    assert driver.release(CLIENT) == 0


def test_many_calls_at_once_are_each_answered(driver: Driver) -> None:
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    wrong: list[int] = []

    def calls(number: int) -> None:
        for turn in range(5):
            data = bytes([number, turn]) * 100
            if driver.copies(CLIENT, handle, data) != (0, data[::-1]):
                wrong.append(number)

    threads = [threading.Thread(target=calls, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    driver.release(CLIENT)


def test_parts_of_one_buffer_may_have_a_page_in_common(driver: Driver) -> None:
    """What a message shows takes nothing away from another of its arguments, nor from a call that
    is under way."""
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    data = bytes(range(1, 251)) * 20
    wrong: list[int] = []

    def calls() -> None:
        for _ in range(5):
            buffer, lengths = driver.buffer(5 * 4096), driver.buffer(8)
            for given, back in ((0, 4096), (8192, 4096), (8192, 12288), (0, 8192)):
                ins = [struct.pack("<II", len(data), len(data)), data]
                places = [lengths, buffer + given, buffer + back]
                result, outs = driver.call(CLIENT, handle, 0, ins, [len(data)], places)
                if result or outs != [data[::-1]]:
                    wrong.append(result)

    threads = [threading.Thread(target=calls) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    driver.release(CLIENT)


def test_calls_under_way_see_parts_that_others_see_too(driver: Driver) -> None:
    """Two threads, each with a part of one buffer; the parts have a page in common."""
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    results: list[int] = []
    for _ in range(5):
        buffer = driver.buffer(3 * 4096)
        threads = [
            threading.Thread(target=lambda at=at: results.append(copied(driver, handle, at)))
            for at in (buffer, buffer + 4096)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [0] * 10
    driver.release(CLIENT)


def copied(driver: Driver, handle: int, at: int) -> int:
    """The result of a call whose input is at a place."""
    ins = [struct.pack("<II", 5000, 5000), bytes(5000)]
    places = [driver.buffer(8), at, driver.buffer(5000)]
    return driver.call(CLIENT, handle, 0, ins, [5000], places)[0]


def test_a_protection_domain_that_dies_ends_its_calls_and_no_others(driver: Driver) -> None:
    assert driver.create(CLIENT) == 0
    assert driver.create(CLIENT + 1) == 0
    handle, other = driver.load(CLIENT, URI), driver.load(CLIENT + 1, URI)
    assert driver.call(CLIENT, handle, 1) == (as_signed(PROCESS_DIED), [])
    assert driver.copies(CLIENT, handle, b"a")[0] == as_signed(BAD_STATE)
    assert driver.copies(CLIENT + 1, other, b"ab") == (0, b"ba")
    for client in (CLIENT, CLIENT + 1):
        driver.release(client)
    assert driver.create(CLIENT) == 0
    driver.release(CLIENT)


def test_what_a_message_names_and_nobody_has_is_refused(driver: Driver) -> None:
    """The guest is not trusted: the DSP never sees such a message."""
    context = next(driver.contexts) << 4
    driver.answers[context] = queue.Queue()
    for address, size in ((at(0x5000_0000), 4096), (driver.buffer(4096), 8)):
        asked = InvokeMessage(
            client_id=0, context=context, handle=1, scalars=0x10000, address=address, size=size
        )
        driver.remote.receive(asked.pack())
        assert driver.answers[context].get(timeout=10).result == as_signed(BAD_ADDRESS)
    driver.remote.receive(b"short")  # is not answered: nobody could be
