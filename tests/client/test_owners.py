"""Who owns what: a buffer belongs to its session, an import to itself, a mapping keeps its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import qda
from qda.client.device import DeviceFile
from qda.virtual import Machine
from tests.system import open_file, open_session


class Reader(qda.Skeleton):
    @qda.method(2)
    def copy(self, source: memoryview, target: memoryview) -> None:
        target[:] = source

    @qda.method(3)
    def read(self, address: memoryview, target: memoryview) -> None:
        target[:] = self.dsp.memory(int.from_bytes(address, "little"), len(target))

    @qda.method(4)
    def read_name(self, name: memoryview, target: memoryview) -> None:
        target[:] = self.dsp.memory_of_fd(int.from_bytes(name, "little"))[: len(target)]


@pytest.fixture(scope="module", params=["rfc", "v1", "legacy"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(machine: Machine, dialect: str) -> Iterator[qda.Session]:
    with open_session(machine, dialect) as opened:
        yield opened


@pytest.fixture
def other(machine: Machine, dialect: str) -> Iterator[qda.Session]:
    with open_session(machine, dialect) as opened:
        yield opened


@pytest.fixture
def held(session: qda.Session, other: qda.Session) -> Iterator[ExitStack]:
    """Closes what a test opens, before the sessions end."""
    with ExitStack() as stack:
        yield stack


def three(reader: qda.RemoteModule, memory: Any) -> bytes:
    """The first three bytes of memory, as the DSP sees them."""
    (seen,) = reader.invoke(2, [memory], [len(memory)])
    return bytes(seen[:3])


def imported(session: qda.Session, buffer: qda.Buffer) -> qda.Buffer:
    fd = buffer.export_fd()
    try:
        return session.import_fd(fd)
    finally:
        os.close(fd)


USES: dict[str, Callable[[qda.Session, Any], object]] = {
    "map": lambda session, memory: session.map(memory),
    "fd_of": lambda session, memory: session.fd_of(memory),
    "in_handles": lambda session, memory: session.invoke(0, 2, in_handles=[memory]),
    "out_handles": lambda session, memory: session.invoke(0, 2, out_handles=[memory]),
}


@pytest.mark.parametrize("use", USES)
def test_a_buffer_of_another_session_is_refused_by_name(
    session: qda.Session, other: qda.Session, held: ExitStack, use: str
) -> None:
    """Its number means another buffer here, or none."""
    held.enter_context(session.alloc(4096))
    foreign = held.enter_context(other.alloc(4096))
    forms: list[Any] = [foreign]
    if use != "fd_of":
        forms += [
            foreign.numpy(),
            foreign.numpy("f4")[4:],
            other.empty((3, 4)),
            memoryview(foreign),
        ]
    for memory in forms if use != "map" else forms[:-1]:
        with pytest.raises(qda.UsageError, match=r"another session.*import_fd"):
            USES[use](session, memory)


@pytest.mark.parametrize("use", USES)
def test_a_closed_buffer_is_refused_by_name(
    session: qda.Session, held: ExitStack, use: str
) -> None:
    """Also while an array keeps its pages: its number may be another buffer's by then."""
    buffer = session.alloc(4096)
    array = buffer.numpy()
    buffer.close()
    held.enter_context(session.alloc(4096))
    for memory in [buffer] if use == "fd_of" else [buffer, array]:
        with pytest.raises(qda.UsageError, match="is closed"):
            USES[use](session, memory)
    with pytest.raises(qda.DeviceError, match="EBADF"):
        buffer.export_fd()


@pytest.mark.parametrize(
    "use",
    [
        lambda buffer: buffer[0],
        lambda buffer: buffer[1:3],
        lambda buffer: buffer.__setitem__(0, 1),
        lambda buffer: list(buffer),
        lambda buffer: 1 in buffer,
        len,
        bool,
    ],
)
def test_a_closed_buffer_has_no_bytes_and_says_so(session: qda.Session, use: Any) -> None:
    """It can be shown and closed all the same."""
    with session.alloc(4096) as buffer:
        buffer[0] = 1
    with pytest.raises(qda.UsageError, match=r"\A<Buffer handle \d+, at 0x\w+> is closed\Z"):
        use(buffer)
    buffer.close()


def test_bytes_of_another_sessions_buffer_are_copied(
    session: qda.Session, other: qda.Session, held: ExitStack
) -> None:
    """As arguments they are memory like any other."""
    reader = held.enter_context(session.load(Reader))
    foreign = other.alloc(4096)
    own = held.enter_context(session.alloc(4096))
    foreign[:3], own[:3] = b"abc", b"xyz"
    assert three(reader, foreign) == b"abc"
    array = foreign.numpy()
    foreign.close()
    assert three(reader, array) == b"abc"


def test_a_buffer_is_imported_from_another_session(
    session: qda.Session, other: qda.Session, held: ExitStack
) -> None:
    """What the refusal says is what works."""
    reader = held.enter_context(session.load(Reader))
    foreign = held.enter_context(other.alloc(4096))
    foreign[:3] = b"abc"
    shared = imported(session, foreign)
    with session.map(shared) as mapping:
        (seen,) = reader.invoke(3, [mapping.address.to_bytes(8, "little")], [3])
    assert bytes(seen) == b"abc"
    shared.close()
    assert foreign[:3] == b"abc"
    other.map(foreign).close()


def test_imports_of_an_own_buffer_are_closed_by_themselves(
    session: qda.Session, held: ExitStack
) -> None:
    """One object with several owners: it goes with the last of them, in whichever order."""
    reader = held.enter_context(session.load(Reader))
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]):
        first = session.alloc(4096)
        first[:3] = b"abc"
        owners = [first, imported(session, first), imported(session, first)]
        new: list[qda.Buffer] = []
        for index in order:
            closed = owners[index]
            closed.close()
            closed.close()
            new.append(session.alloc(4096))
            new[-1][:3] = b"new"
            for left in owners:
                if not left.is_closed:
                    assert three(reader, left) == b"abc"
                    session.map(left).close()
                    os.close(left.export_fd())
        assert [three(reader, buffer) for buffer in new] == [b"new"] * 3
        for buffer in new:
            buffer.close()


def test_a_buffer_that_dies_during_its_import_leaves_the_import(
    machine: Machine, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for what is gone and the import: both have had the same handle."""
    file = open_file(machine, dialect)
    held = [file.allocate(4096)]
    held[0][:3] = b"abc"
    fd = file.export(held[0])
    collect = DeviceFile.collect

    def then_die(of: DeviceFile) -> None:
        collect(of)
        held.clear()

    monkeypatch.setattr(DeviceFile, "collect", then_die)
    with pytest.warns(ResourceWarning, match="unclosed <Buffer"):
        again = file.import_fd(fd)
    monkeypatch.undo()
    file.collect()
    assert again[:3] == b"abc"
    os.close(file.export(again))
    assert file.find(again.address, 3) is again
    again.close()
    os.close(fd)
    file.close()


@pytest.mark.parametrize("looked_up", [False, True])
def test_a_mapping_outlives_its_buffers_handle(
    session: qda.Session, held: ExitStack, looked_up: bool
) -> None:
    """Its name is kept, not looked up again: the number may be another buffer's by then."""
    reader = held.enter_context(session.load(Reader))
    session.alloc(1).close()
    before = len(os.listdir("/proc/self/fd"))
    buffer = session.alloc(4096)
    buffer[:3] = b"abc"
    if looked_up:
        os.close(buffer.export_fd())
    mapping = session.map(buffer)
    buffer.close()
    again = session.alloc(4096)
    again[:3] = b"new"
    with session.map(again):
        name = session.fd_of(again).to_bytes(4, "little")
        (seen,) = reader.invoke(3, [mapping.address.to_bytes(8, "little")], [3])
        assert bytes(seen) == b"abc"
        (named,) = reader.invoke(4, [name], [3])
        assert bytes(named) == b"new"
        mapping.close()
        (named,) = reader.invoke(4, [name], [3])
        assert bytes(named) == b"new"
    again.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_threads_may_import_and_close_the_same_memory(
    session: qda.Session, held: ExitStack
) -> None:
    """None closes the handle under another."""
    from concurrent.futures import ThreadPoolExecutor

    buffer = held.enter_context(session.alloc(4096))
    buffer[:3] = b"abc"
    fd = buffer.export_fd()

    def turn(_: int) -> bytes:
        with session.import_fd(fd) as own:
            session.map(own).close()
            return own[:3]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(turn, range(100))) == {b"abc"}
    session.map(buffer).close()
    os.close(fd)
    assert np.array_equal(buffer.numpy()[:3], list(b"abc"))
