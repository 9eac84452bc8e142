"""Messages of a driver that has lost its wits, through the bridge to a real DSP."""

from __future__ import annotations

import os
import random
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import PROCESS_DIED, as_signed
from qda.fastrpc.control import MapRequest, MapResponse, Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.mapping import MmapFlag
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import PhysicalPage
from qda.fastrpc.scalars import Scalars
from tests.kernel.driver import SIZE, URI, Driver
from tests.kernel.tables import BASE

SEEDS = 250 if "QDA_EVERYWHERE" in os.environ else 1
ROUNDS, MESSAGES = 4, 40
"""Each round has a session of its own, with so many messages."""
OUTSIDE = b"outside!"
"""What stands in memory that no message can name."""
CLIENT = 77
SKELETON = """
import qda

echo = qda.idl.load('''
    interface echo {
        long copies(in sequence<octet> given, rout sequence<octet> back);
    };
''')


class Echo(echo.Skeleton):
    def copies(self, given, back):
        back[:] = given[::-1]
"""


class Attacked(Driver):
    """Counts what is answered, and with what."""

    def __init__(self) -> None:
        self.sent = 0
        self.results: Counter[int] = Counter()
        self.come = threading.Condition()
        super().__init__()
        self.top = self.lowest = self.physical
        for start in range(SIZE // 2 + 4096, SIZE, 8192):
            self.memory.view[start : start + 4096] = OUTSIDE * 512

    def respond(self, response: bytes) -> None:
        answer = Response.unpack(response)
        if answer.context in self.answers:
            super().respond(response)
            return
        with self.come:
            self.results[answer.result] += 1
            self.come.notify()

    def attack(self, asked: InvokeMessage) -> None:
        """Send a message, when few are under way."""
        self.sent += 1
        self.remote.receive(asked.pack())
        self.settle(7)

    def settle(self, most: int = 0) -> None:
        """Wait until at most so many are not answered."""
        with self.come:
            assert self.come.wait_for(lambda: self.sent - self.results.total() <= most, 30)

    def valid(self, handle: int, chance: random.Random) -> InvokeMessage:
        """A message that is right, of one kind or another."""
        kind = chance.randrange(3)
        if kind == 0:
            data = chance.randbytes(chance.choice([1, 100, 5000]))
            ins = [struct.pack("<II", len(data), len(data)), data]
            return self.message(CLIENT, handle, 0, ins, [len(data)])[0]
        if kind == 1:
            request = MapRequest(client_id=CLIENT, flags=MmapFlag.ADD_PAGES, pages_size=16)
            page = PhysicalPage(address=self.buffer(8192), size=8192)
            ins, outs = [request.pack(), page.pack()], [MapResponse.byte_size]
            return self.message(0, Fixed.INIT, Method.MMAP, ins, outs)[0]
        ins = [struct.pack("<II", len(URI) + 1, 200), URI.encode() + b"\0"]
        return self.message(CLIENT, Fixed.REMOTECTL, 0, ins, [8, 200])[0]

    def reset(self) -> None:
        """Forget all buffers."""
        self.lowest = min(self.lowest, self.physical)
        self.physical, self.place = self.top, 0x1000_0000


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attacked]:
    (tmp_path / "echo_skel.py").write_text(SKELETON)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    driver = Attacked()
    yield driver
    driver.close()


def changed(whole: bytes, chance: random.Random) -> bytes:
    """The same bytes with bits or words of it changed."""
    found = bytearray(whole)
    for _ in range(chance.choice([0, 1, 1, 2, 4])):
        at = 4 * chance.randrange(len(found) // 4)
        (word,) = struct.unpack_from("<I", found, at)
        flipped = word ^ 1 << chance.randrange(32)
        word = chance.choice(
            [flipped, flipped, 0, 0xFFFF_FFFF, 0x7FFF_FFFF, word + 1 & 0xFFFF_FFFF]
        )
        struct.pack_into("<I", found, at, word)
    return bytes(found)


def broken(driver: Attacked, asked: InvokeMessage, chance: random.Random) -> InvokeMessage:
    """A message that is not quite right, or whose arguments are not."""
    if chance.random() < 0.6:
        length = chance.choice([64, 256])
        driver.write(asked.address, changed(driver.bytes_at(asked.address, length), chance))
        return asked
    found = InvokeMessage.unpack(changed(asked.pack(), chance))
    found.context = asked.context  # answers are told apart by it
    return found


def is_spared(asked: InvokeMessage) -> bool:
    """Whether it is one that rightly waits for long, or ends the session or closes its module."""
    method = Scalars.decode(asked.scalars).method
    ending = {(Fixed.INIT, Method.RELEASE), (Fixed.REMOTECTL, 1)}
    waiting = (Fixed.ADSP_LISTENER, Fixed.CURRENT_PROCESS1)
    return asked.handle in waiting or (asked.handle, method) in ending


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_message_is_answered_and_the_dsp_goes_on(driver: Attacked, seed: int) -> None:
    """No process of the DSP dies, and nothing is read or written that no message can name."""
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        driver.reset()
        assert driver.create(CLIENT) == 0
        handle = driver.load(CLIENT, URI)
        for _ in range(MESSAGES):
            asked = broken(driver, driver.valid(handle, chance), chance)
            if not is_spared(asked):
                driver.attack(asked)
        driver.settle()
        assert driver.copies(CLIENT, handle, b"abc") == (0, b"cba")
        assert driver.release(CLIENT) == 0
    assert not driver.results[as_signed(PROCESS_DIED)]
    driver.reset()
    assert driver.lowest - BASE > SIZE // 2
    for start in range(SIZE // 2, SIZE, 8192):
        named, other = (bytes(driver.memory.view[at : at + 4096]) for at in (start, start + 4096))
        assert other == OUTSIDE * 512
        assert OUTSIDE not in named
        assert OUTSIDE[::-1] not in named
