"""Our DSP behind GLINK, called as a kernel's driver calls it: messages in the guest's memory."""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qda.dsp.boot import Boot
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import BAD_ADDRESS, NO_SUCH_CLIENT, PROCESS_DIED, as_signed
from qda.fastrpc.control import AttachRequest, CreateRequest, MapRequest, MapResponse, Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.mapping import MmapFlag
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import PhysicalPage, metadata_size
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars
from qda.kernel.guest import GuestMemory
from qda.kernel.remote import Remote
from tests.kernel.tables import BASE, Tables, at

SIZE = 8 << 20
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


class Driver:
    """A driver's side: each buffer has pages that lie apart, and a range of bus addresses."""

    def __init__(self) -> None:
        self.memory = GuestMemory(BASE, SIZE)
        self.tables = Tables(self.memory)
        self.place = 0x1000_0000
        self.physical = BASE + SIZE
        self.answers: dict[int, queue.Queue[Response]] = {}
        self.remote = Remote(Boot("cdsp", {6: 0x73}), self.memory, self.tables.bus, self.respond)
        self.contexts = iter(range(1, 200))
        self.lock = threading.Lock()

    def respond(self, response: bytes) -> None:
        answer = Response.unpack(response)
        self.answers[answer.context].put(answer)

    def buffer(self, size: int) -> int:
        """Bus address of pages of which each lies below the one before it, two apart."""
        with self.lock:
            start = self.place
            for _ in range(0, max(size, 1), 4096):
                self.physical -= 8192
                self.tables.map(self.place, self.physical)
                self.place += 4096
            self.place += 4096
            return at(start)

    def bytes_at(self, address: int, length: int) -> bytes:
        runs = self.tables.bus.runs(address, length)
        return b"".join(self.memory.view[start : start + size] for start, size in runs)

    def write(self, address: int, data: bytes) -> None:
        done = 0
        for start, size in self.tables.bus.runs(address, len(data)):
            self.memory.view[start : start + size] = data[done : done + size]
            done += size

    def call(
        self,
        client: int,
        handle: int,
        method: int,
        ins: Sequence[bytes] = (),
        outs: Sequence[int] = (),
    ) -> tuple[int, list[bytes]]:
        """One call: its result, and its outputs."""
        count = len(ins) + len(outs)
        lengths = [len(data) for data in ins] + list(outs)
        places = [self.buffer(length) for length in lengths]
        for place, data in zip(places, ins, strict=False):
            self.write(place, data)
        size = max(4096, -(-metadata_size(count) // 4096) * 4096) if count else 0
        message = self.buffer(size) if count else 0
        words = [word for length in lengths for word in (0, length)]
        listed = [word for index in range(count) for word in (1, index)]
        pages = [
            word
            for place, length in zip(places, lengths, strict=True)
            for word in (place, -(-max(length, 1) // 4096) * 4096)
        ]
        packed = struct.pack(f"<{2 * count}Q{2 * count}I{2 * count}Q", *words, *listed, *pages)
        if count:
            self.write(message, packed)
        context = next(self.contexts) << 4
        self.answers[context] = queue.Queue()
        asked = InvokeMessage(
            client_id=client,
            tid=1,
            context=context,
            handle=handle,
            scalars=Scalars(method, len(ins), len(outs)).word,
            address=message,
            size=size,
        )
        self.remote.receive(asked.pack())
        answer = self.answers[context].get(timeout=30)
        found = [
            self.bytes_at(place, length)
            for place, length in zip(places[len(ins) :], outs, strict=True)
        ]
        return answer.result, found

    def copies(self, client: int, handle: int, data: bytes) -> tuple[int, bytes]:
        """The result of the skeleton's first method, and what came back."""
        ins = [struct.pack("<II", len(data), len(data)), data]
        result, outs = self.call(client, handle, 0, ins, [len(data)])
        return result, outs[0]

    def create(self, client: int) -> int:
        memory = PhysicalPage(address=self.buffer(8192), size=8192).pack()
        request = CreateRequest(client_id=client, name_length=5, pages=1)
        ins = [request.pack(), b"test\0", b"", memory]
        return self.call(0, Fixed.INIT, Method.CREATE, ins)[0]

    def load(self, client: int, uri: str) -> int:
        asked = REMOTECTL.ask_open(uri)
        method, ins = asked.scalars.method, [bytes(data) for data in asked.ins]
        result, outs = self.call(client, asked.handle, method, ins, asked.sizes)
        assert result == 0
        assert outs[0][4:8] == bytes(4), outs[1].split(b"\0")[0]
        return int.from_bytes(outs[0][:4], "little")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp("skeletons")
    Path(folder, "echo_skel.py").write_text(SKELETON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDERS_VARIABLE, str(folder))
        driver = Driver()
    yield driver
    driver.remote.close()
    driver.memory.close()


URI = "file:///libecho_skel.so?echo_skel_handle_invoke&_modver=1.0"


def test_calls_reach_memory_that_lies_in_pieces(driver: Driver) -> None:
    """Create, load, call with more than a page either way, release."""
    assert driver.create(CLIENT) == 0
    handle = driver.load(CLIENT, URI)
    data = bytes(number % 251 for number in range(10_000))
    assert driver.copies(CLIENT, handle, data) == (0, data[::-1])
    release = AttachRequest(client_id=CLIENT).pack()
    assert driver.call(0, Fixed.INIT, Method.RELEASE, [release]) == (0, [])
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
    driver.call(0, Fixed.INIT, Method.RELEASE, [AttachRequest(client_id=CLIENT).pack()])


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
    driver.call(0, Fixed.INIT, Method.RELEASE, [AttachRequest(client_id=CLIENT).pack()])


def test_a_protection_domain_that_dies_ends_its_calls_and_no_others(driver: Driver) -> None:
    assert driver.create(CLIENT) == 0
    assert driver.create(CLIENT + 1) == 0
    handle, other = driver.load(CLIENT, URI), driver.load(CLIENT + 1, URI)
    assert driver.call(CLIENT, handle, 1) == (as_signed(PROCESS_DIED), [])
    assert driver.copies(CLIENT, handle, b"a")[0] == as_signed(PROCESS_DIED)
    assert driver.copies(CLIENT + 1, other, b"ab") == (0, b"ba")
    for client in (CLIENT, CLIENT + 1):
        release = AttachRequest(client_id=client).pack()
        driver.call(0, Fixed.INIT, Method.RELEASE, [release])
    assert driver.create(CLIENT) == 0
    driver.call(0, Fixed.INIT, Method.RELEASE, [AttachRequest(client_id=CLIENT).pack()])


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
