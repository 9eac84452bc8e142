"""DSP addresses: what nobody uses gives them up, what is used call after call keeps them."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import qda
from qda import limits
from qda.driver import LocalClient, open_front
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.scalars import Scalars
from qda.linux import address_of
from qda.rpmsg import Link
from qda.uapi import V1, accel
from qda.uapi.accel import InitCreate, Invoke, InvokeElement
from qda.virtual import Machine
from tests.driver.structures import run
from tests.shim.system import needs_library, serving
from tests.system import open_session

LARGE = 256 << 20
NOBODY = 0x1234
"""A module that is not there: the driver makes and sends the whole call all the same."""


class Holder(qda.Skeleton):
    """Methods that read what they are given, at once or when they are told."""

    def __init__(self) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()

    @qda.method(2)
    def first(self, memory: memoryview, result: memoryview) -> None:
        result[:] = memory[: len(result)]

    @qda.method(3)
    def first_after_the_gate(self, memory: memoryview, result: memoryview) -> None:
        self.entered.set()
        self.gate.wait()
        result[:] = memory[: len(result)]

    @qda.method(4)
    def wait_until_entered(self) -> None:
        self.entered.wait()

    @qda.method(5)
    def open_the_gate(self) -> None:
        self.gate.set()

    @qda.method(6)
    def read(self, address: memoryview, result: memoryview) -> None:
        result[:] = self.dsp.memory(int.from_bytes(address, "little"), len(result))


@pytest.fixture(params=["rfc", "v1", "legacy"])
def session(machine: Machine, request: pytest.FixtureRequest) -> Iterator[qda.Session]:
    with open_session(machine, request.param) as opened:
        yield opened


def numbered(session: qda.Session, count: int, size: int) -> list[qda.Buffer]:
    """Buffers that begin with their index."""
    buffers = [session.alloc(size) for _ in range(count)]
    for index, buffer in enumerate(buffers):
        buffer[0] = index % 251
    return buffers


def first(holder: qda.RemoteModule, buffer: qda.Buffer, method: int = 2) -> int:
    """The first byte of a buffer, as the DSP sees it."""
    return int(holder.invoke(method, [buffer], [1])[0][0])


def test_what_was_mapped_gives_its_addresses_back(session: qda.Session) -> None:
    """At most two mappings at a time, of more memory than there are addresses."""
    holder = session.load(Holder)
    buffers = numbered(session, 12, LARGE)
    live: list[qda.Mapping] = []
    for turn in range(24):
        if len(live) == 2:
            live.pop(0).close()
        live.append(session.map(buffers[turn % 12]))
        (seen,) = holder.invoke(6, [live[-1].address.to_bytes(8, "little")], [1])
        assert seen[0] == turn % 12


def test_what_was_passed_gives_its_addresses_back(session: qda.Session) -> None:
    """And is told again when it is passed again."""
    holder = session.load(Holder)
    buffers = numbered(session, 12, LARGE)
    for _ in range(2):
        assert [first(holder, buffer) for buffer in buffers] == list(range(12))
    live = [session.map(buffer) for buffer in buffers[:3]]
    assert [first(holder, buffer) for buffer in buffers] == list(range(12))
    for mapping in live:
        mapping.close()


def test_many_small_buffers_are_passed(session: qda.Session) -> None:
    """Each is a descriptor of the process on the DSP: others make room for it."""
    holder = session.load(Holder)
    buffers = numbered(session, 1500, 4096)
    for _ in range(2):
        assert [first(holder, buffer) for buffer in buffers] == [i % 251 for i in range(1500)]


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_what_is_used_call_after_call_is_told_once(
    machine: Machine, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it fits the half of the window that is for it, and then no more of it is there."""
    told: list[int] = []
    announce, withdraw = Link.announce, Link.withdraw

    def tell(link: Link, address: int, size: int, descriptor: int) -> None:
        told.append(size)
        announce(link, address, size, descriptor)

    def take(link: Link, address: int) -> None:
        told.append(-LARGE)
        withdraw(link, address)

    with open_session(machine, dialect) as session:
        holder = session.load(Holder)
        fitting = limits.KNOWN_MEMORY // LARGE - 1  # beside what the process was given at first
        buffers = numbered(session, fitting + 1, LARGE)
        monkeypatch.setattr(Link, "announce", tell)
        monkeypatch.setattr(Link, "withdraw", take)
        for _ in range(20):
            assert [first(holder, buffer) for buffer in buffers[:fitting]] == list(range(fitting))
        assert told == [LARGE] * fitting
        assert first(holder, buffers[fitting]) == fitting
        assert told[fitting:] == [-LARGE, LARGE]
        monkeypatch.undo()


def test_memory_that_a_call_or_a_mapping_uses_stays(session: qda.Session) -> None:
    """However much room others need meanwhile."""
    holder = session.load(Holder)
    used, *others = numbered(session, 12, LARGE)
    used[0] = 99
    with session.map(used) as mapping:
        pending = qda.start(first, holder, used, 3)
        holder.invoke(4)
        assert [first(holder, buffer) for buffer in others] == list(range(1, 12))
        (seen,) = holder.invoke(6, [mapping.address.to_bytes(8, "little")], [1])
        assert seen[0] == 99
        holder.invoke(5)
        assert pending.result(30) == 99


def test_threads_compete_for_room(session: qda.Session) -> None:
    """Each call has its memory, however often it is taken away between calls."""
    from concurrent.futures import ThreadPoolExecutor

    holder = session.load(Holder)
    buffers = numbered(session, 8, LARGE)

    def turn(index: int) -> bool:
        if index % 5 == 0:
            session.map(buffers[index % 8]).close()
        return first(holder, buffers[index % 8]) == index % 8

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(turn, range(200)))


def test_memory_that_v1_is_passed_by_descriptor_goes(machine: Machine) -> None:
    """The program has no handle of it that it could close: neither addresses nor memory stay."""
    client, device = LocalClient(), machine.devices["cdsp"]
    front = open_front(device, V1)
    assert run(front, client, accel.CREATE, InitCreate(filefd=-1)) == 0
    before = device.census().objects
    for _ in range(40):
        fd = os.memfd_create("foreign", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, LARGE)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        elements = bytearray(InvokeElement.codec.pack(0, 4096, fd, 0))
        scalars = Scalars(2, in_handles=1).word
        request = Invoke(handle=NOBODY, scalars=scalars, arguments=address_of(elements))
        assert run(front, client, accel.INVOKE, request) == as_signed(BAD_HANDLE)
        os.close(fd)
        assert device.census().objects - before <= limits.KNOWN_MEMORY // LARGE
    front.close(client)
    client.close()


PROGRAM = f"""
import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
import qda
from tests.driver.test_room import LARGE, Holder, first, numbered
with qda.open("cdsp") as session:
    holder = session.load(Holder)
    buffers = numbered(session, 12, LARGE)
    for turn in range(3):
        assert [first(holder, buffer) for buffer in buffers for _ in range(3)] == [
            index for index in range(12) for _ in range(3)]
        for buffer in buffers:
            session.map(buffer).close()
print(session.node, "good")
"""


@needs_library
@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_programs_that_call_directly_have_room(tmp_path: Path, dialect: str) -> None:
    """The lanes that they are lent name objects by themselves: that ends before memory is taken."""
    with serving(tmp_path, dialect=dialect) as system:
        assert "good" in system.run(sys.executable, "-c", PROGRAM)
