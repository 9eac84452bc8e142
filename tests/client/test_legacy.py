"""The client on the older driver's nodes: where buffers come from, and what becomes of them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda.client import Node
from qda.client.legacy import LegacyFile
from qda.memory import PAGE
from qda.uapi import LEGACY, dma_heap, legacy
from qda.virtual import machine

SLOW = """
title = "Slow"
[[dsp]]
name = "cdsp"
stream_ids = [1]
poll_mode = false
"""


class Echo(qda.Skeleton, name="legacy_echo"):
    @qda.method(2)
    def echo(self, source: memoryview, target: memoryview) -> None:
        target[:] = source


class Recorder:
    """A node that writes down its commands; `heap` is what it says of the heap."""

    def __init__(self, node: Node, heap: int = 0) -> None:
        self.node, self.name, self.path, self.heap = node, node.name, node.path, heap
        self.codes: list[int] = []
        self.sizes: list[int] = []
        self.handed_over, self.obituary = node.handed_over, None

    def neighbour(self, path: str) -> Node:
        if self.heap:
            raise qda.DeviceError("open", path, self.heap)
        return self.node.neighbour(path)

    def ioctl(self, code: int, data: bytearray) -> int:
        self.codes.append(code)
        if code == code_of("ALLOC_DMA_BUFF"):
            self.sizes.append(legacy.AllocDmaBuffer.unpack(data).size)
        return self.node.ioctl(code, data)

    def notes(self) -> None:
        return None

    def mmap(self, length: int, offset: int, kind: Any) -> Any:
        return self.node.mmap(length, offset, kind)

    def close(self) -> None:
        self.node.close()


@pytest.fixture(params=[0, errno.ENOENT, errno.EACCES], ids=["heap", "no heap", "forbidden heap"])
def node(request: pytest.FixtureRequest) -> Recorder:
    return Recorder(machine().open("cdsp", "legacy"), request.param)


@pytest.fixture
def session(node: Recorder) -> Iterator[qda.Session]:
    file = LegacyFile(node, LEGACY, "cdsp")
    file.create(b"", 8)
    with qda.Session(file) as opened:
        yield opened


def code_of(key: str) -> int:
    return LEGACY.command(key).code


def test_buffers_come_from_the_heap_or_else_from_the_driver(
    session: qda.Session, node: Recorder
) -> None:
    """clients.md 6: where the heap is missing or may not be opened, ALLOC_DMA_BUFF."""
    with session.load(Echo) as module:
        source, target = session.empty(100_000, np.uint8), session.empty(100_000, np.uint8)
        source[:] = 7
        module.invoke(2, [source], [target])
        assert np.array_equal(source, target)
    assert (code_of("ALLOC_DMA_BUFF") in node.codes) == bool(node.heap)
    assert not [size for size in node.sizes if size % PAGE]  # a kernel maps whole pages only
    assert dma_heap.ALLOC.code not in node.codes


def test_descriptors_are_not_inherited_and_go_with_their_buffers(session: qda.Session) -> None:
    """A thousand buffers are a thousand descriptors only while they are used."""
    session.alloc(1).close()
    before = len(os.listdir("/proc/self/fd"))
    with session.alloc(5000) as buffer:
        assert not os.get_inheritable(buffer.dma_buf)
        assert len(buffer) == 5000
        exported = buffer.export_fd()
        assert not os.get_inheritable(exported)
        os.close(exported)
    assert buffer.dma_buf == -1
    with pytest.raises(qda.DeviceError, match="EBADF"):
        buffer.export_fd()
    assert len(os.listdir("/proc/self/fd")) == before


def test_import_is_refused_at_once(session: qda.Session) -> None:
    """Like in other dialects: not only when a call names it."""
    before = len(os.listdir("/proc/self/fd"))
    fd = os.memfd_create("mine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    for refused in (fd, os.open("/dev/null", os.O_RDWR), -1):
        with pytest.raises(qda.DeviceError, match=f"import fd {refused}"):
            session.import_fd(refused)
        if refused not in (fd, -1):
            os.close(refused)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    first = session.import_fd(fd)
    second = session.import_fd(fd)
    assert second is not first
    second.close()
    first.close()
    again = session.import_fd(fd)
    assert again is not first
    again.close()
    os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def test_mapping_is_undone_after_its_buffer_is_closed(session: qda.Session) -> None:
    """By its address: the number of the descriptor may be another's by then."""
    buffer = session.alloc(4096)
    mapping = session.map(buffer)
    buffer.close()
    other = session.alloc(4096)
    with session.map(other) as second:
        mapping.close()
        assert second.address != 0


def test_shell_image_is_passed_in_a_buffer() -> None:
    """Spec 4.5: drivers differ in how they read one from memory."""
    before = len(os.listdir("/proc/self/fd"))
    with qda.open("cdsp", device="virtual", dialect="legacy", shell=b"\x7fELF" * 1000) as session:
        assert session.dialect == "legacy"
        with pytest.raises(qda.DeviceError, match="EINVAL"):
            qda.open("cdsp", device="virtual", dialect="legacy", shell=bytes((2 << 20) + 1))
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # those of the DSP, if it has started


def test_root_process_and_debugging_work_as_in_other_dialects() -> None:
    """The same session class on another file."""
    options: dict[str, Any] = {"device": "virtual", "dialect": "legacy"}
    with qda.open("adsp", process="root", **options) as session, session.load(Echo) as module:
        assert module.invoke(2, [b"abc"], [3]) == [b"abc"]
    with qda.open("cdsp", debug=True, **options) as session, session.load(Echo) as module:
        assert module.invoke(2, [b"abc"], [3]) == [b"abc"]


def test_poll_mode_is_asked_of_a_driver_that_has_it() -> None:
    """versions.md 6: what calls return is the same, and whoever speaks another dialect is told."""
    with qda.open("cdsp", device="virtual", poll=True) as session:
        assert session.dialect == "legacy-7.3"
        with session.load(Echo) as module:
            assert module.invoke(2, [b"abc"], [3]) == [b"abc"]
    for dialect in ("rfc", "v1", "legacy"):
        with pytest.raises(qda.UsageError, match="has no poll mode"):
            qda.open("cdsp", device="virtual", dialect=dialect, poll=True)


def test_poll_mode_of_a_system_without_it_is_a_named_error(tmp_path: Path) -> None:
    """versions.md 6: EOPNOTSUPP."""
    profile = tmp_path / "slow.toml"
    profile.write_text(SLOW)
    with pytest.raises(qda.DeviceError, match="EOPNOTSUPP"):
        qda.open("cdsp", device="virtual", profile=str(profile), poll=True)
