"""What every DRM node answers, whatever its driver."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from errno import EACCES, EFAULT, EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP

import pytest

from qda.driver import Front, LocalClient
from qda.layout import Record
from qda.memory import ClientAddress
from qda.uapi import Access, Command, drm_core
from qda.uapi.drm_core import GetCap, GetClient, GetStats, GetUnique, SetClientName
from qda.virtual import Machine
from tests.driver.structures import ioctl

NODE, HEAP, OLDER = "/dev/accel/accel0", "/dev/dma_heap/system", "/dev/fastrpc-adsp-secure"


@pytest.fixture
def client() -> Iterator[LocalClient]:
    caller = LocalClient()
    yield caller
    caller.close()


@pytest.fixture
def front(machine: Machine, client: LocalClient) -> Iterator[Front]:
    opened = machine.open_node(NODE)
    yield opened
    opened.close(client)


def asked(front: Front, client: LocalClient, command: Command[Record], record: Record) -> int:
    """The result of a command, whose record is answered in place."""
    data = bytearray(record.pack())
    result = ioctl(front, client, command.code, data)
    for field in record.fields:
        setattr(record, field.name, getattr(type(record).unpack(data), field.name))
    return result


CODES = {
    "GET_UNIQUE": 0xC0106401,
    "GET_CLIENT": 0xC0286405,
    "GET_STATS": 0x80F86406,
    "GET_CAP": 0xC010640C,
    "SET_CLIENT_NAME": 0x401064D1,
}


def test_codes_are_those_that_libraries_send() -> None:
    """linux include/uapi/drm/drm.h."""
    assert {command.key: command.code for command in drm_core.ANSWERED} == CODES


@pytest.mark.parametrize(("capability", "value"), [(5, 3), (6, 1), (0x13, 0), (0x14, 0)])
def test_capabilities_of_a_driver_that_shares_buffers(
    front: Front, client: LocalClient, capability: int, value: int
) -> None:
    """Import and export; monotonic time; no sync objects."""
    record = GetCap(capability=capability, value=99)
    assert asked(front, client, drm_core.GET_CAP, record) == 0
    assert record.value == value


@pytest.mark.parametrize("capability", [0, 1, 2, 7, 0x12, 0x15, 1 << 63])
def test_capabilities_of_displays_are_not_supported(
    front: Front, client: LocalClient, capability: int
) -> None:
    """drm_getcap: the value is 0 then."""
    record = GetCap(capability=capability, value=99)
    assert asked(front, client, drm_core.GET_CAP, record) == -EOPNOTSUPP
    assert record.value == 0


def test_client_is_told_of_itself_alone(front: Front, client: LocalClient) -> None:
    """drm_getclient: users are not told, and there are no others."""
    record = GetClient()
    assert asked(front, client, drm_core.GET_CLIENT, record) == 0
    assert (record.pid, record.uid, record.magic, record.iocs) == (os.getpid(), 65534, 0, 0)
    assert asked(front, client, drm_core.GET_CLIENT, GetClient(idx=1)) == -EINVAL


def test_there_is_no_bus_id_and_no_statistic(front: Front, client: LocalClient) -> None:
    """drm_getunique, without a master that has asked for one; drm_getstats."""
    unique, stats = GetUnique(unique_len=64), GetStats(count=9, data=b"\xff" * 240)
    assert asked(front, client, drm_core.GET_UNIQUE, unique) == 0
    assert asked(front, client, drm_core.GET_STATS, stats) == 0
    assert (unique.unique_len, stats.count, stats.data) == (0, 0, bytes(240))


@pytest.mark.parametrize(
    ("name", "length", "result"),
    [
        (b"camera", 6, 0),
        (b"", 0, 0),
        (b"n" * 64, 64, 0),
        (b"n" * 65, 65, -EINVAL),
        (b"two words", 9, -EINVAL),
        (b"ends\0early", 10, -EINVAL),
        (b"na\xefve", 5, -EINVAL),
    ],
)
def test_a_name_is_short_and_printable(
    front: Front, client: LocalClient, name: bytes, length: int, result: int
) -> None:
    """drm_set_client_name."""
    text = ctypes.create_string_buffer(name)
    record = SetClientName(name_len=length, name=ctypes.addressof(text))
    assert asked(front, client, drm_core.SET_CLIENT_NAME, record) == result


def test_a_name_that_cannot_be_read_is_efault(front: Front, client: LocalClient) -> None:
    """R3."""
    record = SetClientName(name_len=4, name=64)
    assert asked(front, client, drm_core.SET_CLIENT_NAME, record) == -EFAULT


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (0x07, EACCES),  # SET_VERSION
        (0x0A, EACCES),  # GEM_FLINK
        (0x0D, EOPNOTSUPP),  # SET_CLIENT_CAP
        (0x1E, EACCES),  # SET_MASTER
        (0x3A, EOPNOTSUPP),  # WAIT_VBLANK
        (0xA0, EOPNOTSUPP),  # MODE_GETRESOURCES
        (0xB2, ENOSYS),  # MODE_CREATE_DUMB
        (0xBF, EOPNOTSUPP),  # SYNCOBJ_CREATE
        (0x08, EINVAL),  # no command
        (0x3F, EINVAL),
        (0xFF, EINVAL),
    ],
)
@pytest.mark.parametrize("size", [0, 16, 64])
def test_what_such_a_driver_does_not_do_is_refused_as_by_the_core(
    front: Front, client: LocalClient, number: int, refusal: int, size: int
) -> None:
    """drm_ioctl_permit, drm_core_check_feature."""
    data = bytearray(b"\xa5" * max(size, 1))
    code = Access.BOTH << 30 | size << 16 | ord("d") << 8 | number
    assert ioctl(front, client, code, data) == -refusal
    assert data == b"\xa5" * max(size, 1)


@pytest.mark.parametrize("kind", "aHRb\0")
def test_a_code_of_another_type_is_enotty(front: Front, client: LocalClient, kind: str) -> None:
    """drm_ioctl: the number alone does not make it a command of a DRM node."""
    code = Access.BOTH << 30 | 20 << 16 | ord(kind) << 8 | 0x40
    assert front.ioctl(client, code, ClientAddress(0)) == -ENOTTY


@pytest.mark.parametrize(("path", "refusal"), [(HEAP, EINVAL), (OLDER, ENOTTY)])
def test_other_nodes_have_no_drm_core(
    machine: Machine, client: LocalClient, path: str, refusal: int
) -> None:
    """They are other drivers'."""
    front = machine.open_node(path)
    for code in CODES.values():
        assert front.ioctl(client, code, ClientAddress(0)) == -refusal
    front.close(client)
