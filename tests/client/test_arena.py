"""The arena: where arguments lie that lie in no buffer, where there are handles alone (R5)."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import qda
from qda import limits
from qda.uapi import HANDLE
from qda.uapi.accel import Invoke, InvokeElementHandle


class Copier(qda.Skeleton, name="arena"):
    """Methods for these tests."""

    def open(self, uri: str) -> None:
        self.gate = threading.Event()

    @qda.method(2)
    def copy(self, source: memoryview, target: memoryview) -> None:
        target[: len(source)] = source

    @qda.method(3)
    def peek(self, target: memoryview) -> None:
        target[:1] = target[1:2]

    @qda.method(4)
    def wait(self, source: memoryview) -> None:
        self.gate.wait()

    @qda.method(5)
    def release(self) -> None:
        self.gate.set()

    @qda.method(6)
    def both(self, source: memoryview, first: memoryview, second: memoryview) -> None:
        first[: len(source)] = source


@pytest.fixture(scope="module")
def session() -> Iterator[qda.Session]:
    with qda.open(device="virtual", dialect="handle") as opened:
        yield opened


@pytest.fixture(scope="module")
def module(session: qda.Session) -> Iterator[int]:
    with session.load(Copier) as remote:
        yield remote.handle


@pytest.fixture
def elements(session: qda.Session, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The elements of all calls that the session makes."""
    seen: list[Any] = []
    node = session._file.node
    issued = node.ioctl

    def ioctl(code: int, data: bytearray) -> int:
        if code == HANDLE.command("INVOKE").code:
            request = Invoke.unpack(data)
            counts = struct.unpack("<4B", request.scalars.to_bytes(4, "little"))
            count = counts[1] + counts[2] + (counts[0] >> 4) + (counts[0] & 15)
            from qda.core.side import memory_at

            raw = bytes(memory_at(request.arguments, count * 24)) if count else b""
            seen.extend(InvokeElementHandle.unpack(raw, at) for at in range(0, len(raw), 24))
        return issued(code, data)

    monkeypatch.setattr(node, "ioctl", ioctl)
    return seen


@pytest.mark.parametrize("size", [1, 127, 128, 4096, 65000, 70_000, 3 << 20])
def test_nothing_but_handles_and_places_crosses_the_interface(
    session: qda.Session, module: int, elements: list[Any], size: int
) -> None:
    """R5: what fits into a slot, and what does not; each argument at a multiple of 128 bytes."""
    source, target = bytes(range(256)) * (size // 256 + 1), bytearray(size)
    for _ in range(3):
        session.invoke(module, 2, [source[:size]], [target])
        assert target == source[:size]
    assert len(elements) == 6
    for element in elements:
        assert element.fd > 0
        buffer = session._file.find(element.ptr, element.length)
        assert buffer is not None
        assert buffer.handle == element.fd
        assert (element.ptr - buffer.address) % 128 == 0


def test_what_lies_in_a_buffer_stays_there(
    session: qda.Session, module: int, elements: list[Any]
) -> None:
    """R5: it is named by its own handle; empty arguments name nothing."""
    with session.alloc(4096) as buffer:
        buffer[:4] = b"here"
        (target,) = session.invoke(module, 2, [memoryview(buffer)[:4]], [8])
        assert bytes(target) == b"here\0\0\0\0"
        session.invoke(module, 2, [b""], [0])
        assert [(one.fd == buffer.handle, one.length) for one in elements] == [
            *[(True, 4), (False, 8)],
            *[(False, 0), (False, 0)],
        ]
        assert [one.fd for one in elements[2:]] == [0, 0]


def test_outputs_start_as_zeros_whatever_was_in_the_slot(session: qda.Session, module: int) -> None:
    """Spec 2.5: what the DSP does not write is 0; so it does not see what was there before."""
    session.invoke(module, 2, [b"\xff" * 1000], [bytearray(1000)])
    assert bytes(session.invoke(module, 2, [b"ab"], [bytearray(b"\xee" * 1000)])[0]) == (
        b"ab" + bytes(998)
    )
    assert bytes(session.invoke(module, 3, [], [2])[0]) == b"\0\0"


def test_arguments_that_overlap_are_one_memory(session: qda.Session, module: int) -> None:
    """Spec 2.2: as those that the driver copies."""
    memory = bytearray(b"0123456789")
    view = memoryview(memory)
    session.invoke(module, 2, [view[:4]], [view[2:8]])
    whole = bytearray(b"0123456789")
    with qda.open(device="virtual", dialect="rfc") as other, other.load(Copier) as remote:
        same = memoryview(whole)
        other.invoke(remote.handle, 2, [same[:4]], [same[2:8]])
    assert memory == whole
    first = bytearray(8)
    session.invoke(module, 6, [b"abcd"], [memoryview(first)[:6], memoryview(first)[2:]])
    assert first == b"abcd\0\0\0\0"


def test_a_refused_call_changes_no_output_and_loses_no_slot(
    session: qda.Session, module: int
) -> None:
    """uapi: an error of the driver has changed nothing."""
    target = bytearray(b"as it was")
    for _ in range(2 * limits.ARENA_SLOTS):
        with pytest.raises(qda.DeviceError):
            session.invoke(1, 2, [b"source"], [target])
    assert target == b"as it was"
    assert session._file.arena is not None
    assert len(session._file.arena._buffers) <= 2


def test_more_calls_at_a_time_than_slots(session: qda.Session, module: int) -> None:
    """Each has a slot of its own, of a second arena if need be."""
    count = limits.ARENA_SLOTS + 3
    calls = [qda.start(session.invoke, module, 4, [b"wait"]) for _ in range(count)]
    assert bytes(session.invoke(module, 2, [b"beside"], [6])[0]) == b"beside"
    session.invoke(module, 5)
    for call in calls:
        call.result(20)
    assert session._file.arena is not None
    assert len(session._file.arena._buffers) >= 2
