"""Structures of ioctls: the driver copies them in and out, by the rules of each kind of node."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EFAULT, EINVAL, ENOTTY

import pytest

from qda.driver import LocalClient
from qda.memory import PAGE, ClientAddress
from qda.uapi import DIALECTS, RFC, dma_heap
from qda.uapi.accel import Query
from qda.uapi.legacy import Capability
from qda.virtual import Machine
from tests.driver.structures import ioctl

LEGACY = DIALECTS["legacy"]
NOWHERE = ClientAddress(PAGE)
ACCEL, HEAP, OLDER = "/dev/accel/accel0", dma_heap.PATH, "/dev/fastrpc-adsp-secure"


class ReadOnly(LocalClient):
    """A client that counts what is written to its memory, and whose memory cannot be written."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    def write(self, address: int, data: bytes) -> bool:
        self.attempts += 1
        return False


@pytest.fixture
def client() -> Iterator[ReadOnly]:
    caller = ReadOnly()
    yield caller
    caller.close()


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (ACCEL, RFC.command("GEM_CREATE").code),
        (HEAP, dma_heap.ALLOC.code),
        (OLDER, LEGACY.command("INVOKE").code),
    ],
)
def test_structure_that_cannot_be_read_is_efault(
    machine: Machine, client: ReadOnly, path: str, code: int
) -> None:
    """Spec 4.1, 5.2, 5.4: before anything happens."""
    front = machine.open_node(path)
    assert front.ioctl(client, code, NOWHERE) == -EFAULT
    front.close(client)
    assert not client.attempts


@pytest.mark.parametrize(
    ("path", "code", "refusal"),
    [(ACCEL, 0xC010647F, EINVAL), (HEAP, 0xC010487F, EINVAL), (OLDER, 0xC010527F, ENOTTY)],
)
def test_structure_of_an_unknown_command_is_not_touched(
    machine: Machine, client: ReadOnly, path: str, code: int, refusal: int
) -> None:
    """Spec 4.1, 5.2, 5.4: the address may be anything."""
    front = machine.open_node(path)
    assert front.ioctl(client, code, NOWHERE) == -refusal
    front.close(client)
    assert not client.attempts


def test_structure_that_cannot_be_written_back_is_efault(
    machine: Machine, client: ReadOnly
) -> None:
    """Spec 4.1: though the command itself was carried out."""
    front = machine.open_node(ACCEL)
    query = RFC.command("QUERY").code
    assert ioctl(front, client, query, bytearray(Query().pack())) == -EFAULT
    assert client.attempts == 1
    front.close(client)


def test_older_driver_writes_back_only_what_it_has_changed(
    machine: Machine, client: ReadOnly
) -> None:
    """Spec 5.2: a structure that answers nothing may lie in constant memory."""
    front = machine.open_node(OLDER)
    info = LEGACY.command("GET_DSP_INFO").code
    assert ioctl(front, client, info, bytearray(Capability().pack())) == 0
    assert client.attempts == 0
    assert ioctl(front, client, info, bytearray(Capability(capability=7).pack())) == -EFAULT
    assert client.attempts == 1
    front.close(client)


def test_room_that_is_too_small_in_this_process_is_efault(machine: Machine) -> None:
    """A kernel would write behind it."""
    node = machine.open("cdsp", "rfc")
    with pytest.raises(OSError, match="8 bytes") as refused:
        node.ioctl(RFC.command("QUERY").code, bytearray(8))
    assert refused.value.errno == EFAULT
    node.close()
