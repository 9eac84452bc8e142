"""Client memory: of this process or another, with faults as values."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.driver.memory import KERNEL, LocalClient, Piece, ProcessMemory
from qda.memory import ClientAddress

_OTHER = """
import ctypes, sys
data = ctypes.create_string_buffer(b"in another process", 64)
print(ctypes.addressof(data), flush=True)
sys.stdin.readline()
print(data.value.decode(), flush=True)
"""


@dataclass
class Other:
    """A process with 64 known bytes at `address`."""

    process: subprocess.Popen[str]
    address: int


@pytest.fixture
def other() -> Iterator[Other]:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Other(process, int(process.stdout.readline()))


class Message:
    """A message buffer of a page."""

    def __init__(self) -> None:
        self._pages = mmap.mmap(-1, 4096)
        self.view = memoryview(self._pages)
        self.process_address = ctypes.addressof(ctypes.c_char.from_buffer(self._pages))
        self.device_address = 0


def test_another_process_is_read_and_written(other: Other) -> None:
    """process_vm_readv and process_vm_writev; the bytes are really there."""
    memory = ProcessMemory(other.process.pid)
    assert memory.read(other.address + 3, 7) == b"another"
    assert memory.write(other.address + 3, b"ANOTHER")
    message = Message()
    assert memory.fetch([Piece(ClientAddress(other.address), 18, 100)], message)
    assert bytes(message.view[100:118]) == b"in ANOTHER process"
    message.view[0:2] = b"IN"
    assert memory.store([Piece(ClientAddress(other.address), 2, 0)], message)
    assert other.process.communicate("go\n")[0] == "IN ANOTHER process\n"


@given(st.integers(0, (1 << 64) - 1), st.integers(1, 64))
def test_any_address_is_bytes_or_none(address: int, length: int) -> None:
    """A bad pointer never raises and never ends this process (R3)."""
    memory = ProcessMemory(os.getpid())
    found = memory.read(address, length)
    assert found is None or len(found) == length


def test_a_range_that_ends_in_inaccessible_memory_is_a_fault() -> None:
    """Not all of it is there: None, False."""
    with mmap.mmap(-1, 8192) as pages:
        start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + 4096), 4096, 0)
        memory = ProcessMemory(os.getpid())
        assert memory.read(start, 4096) == bytes(4096)
        assert memory.read(start, 4097) is None
        assert not memory.write(start + 4000, bytes(200))
        message = Message()
        pieces = [Piece(ClientAddress(start), 10, 0), Piece(ClientAddress(start + 4090), 10, 16)]
        assert not memory.fetch(pieces, message)
        assert not memory.store(pieces, message)


def test_a_local_client_is_this_thread() -> None:
    """pid, tid and comm are those of the caller."""
    client = LocalClient()
    assert client.pid == os.getpid()
    assert client.tid == os.getpid()
    assert 0 < len(client.comm) < 16
    client.close()


def test_the_driver_itself_has_no_memory() -> None:
    """A request without a caller cannot read or write anything."""
    message = Message()
    piece = Piece(ClientAddress(4096), 1, 0)
    assert KERNEL.read(ClientAddress(4096), 1) is None
    assert not KERNEL.write(ClientAddress(4096), b"x")
    assert KERNEL.fetch([], message)
    assert not KERNEL.fetch([piece], message)
    assert not KERNEL.store([piece], message)
    assert KERNEL.area(ClientAddress(4096)) is None
    with pytest.raises(OSError, match="no descriptors"):
        KERNEL.descriptor(0)
