"""What the DRM core answers by itself, without the driver (`qda.uapi.drm_core`)."""

from __future__ import annotations

import errno
from collections.abc import Callable

from qda.driver.front import copied_by_size
from qda.driver.memory import Client
from qda.layout import Record
from qda.memory import ClientAddress
from qda.uapi import drm_core as core
from qda.uapi import ioctl_number

__all__ = ["answer"]

_PRIME, _TIMESTAMP_MONOTONIC, _SYNCOBJ, _SYNCOBJ_TIMELINE = 0x5, 0x6, 0x13, 0x14
_IMPORT_AND_EXPORT = 3
_CAPABILITIES = {
    _PRIME: _IMPORT_AND_EXPORT,
    _TIMESTAMP_MONOTONIC: 1,
    _SYNCOBJ: 0,
    _SYNCOBJ_TIMELINE: 0,
}
_NO_USER = 65534
"""What the kernel says where it does not tell a user's number (`overflowuid`)."""


def answer(client: Client, code: int, address: ClientAddress) -> int:
    """The result of an ioctl that the driver does not have."""
    command = core.find(code)
    if command is None:
        return -core.REFUSED.get(ioctl_number(code), errno.EINVAL)

    def run(record: Record | None) -> int:
        match record:
            case core.GetUnique():
                record.unique_len = 0  # nobody has asked for one
            case core.GetClient():
                return _client(record, client)
            case core.GetStats():
                record.count, record.data = 0, bytes(len(record.data))
            case core.GetCap():
                record.value = _CAPABILITIES.get(record.capability, 0)
                return 0 if record.capability in _CAPABILITIES else -errno.EOPNOTSUPP
            case core.SetClientName():
                return _check_name(record, client.read)
        return 0

    return copied_by_size(client, command, code, address, run)


def _client(record: core.GetClient, client: Client) -> int:
    if record.idx:
        return -errno.EINVAL
    record.auth, record.pid, record.uid = 0, client.pid, _NO_USER
    record.magic = record.iocs = 0
    return 0


def _check_name(
    record: core.SetClientName, read: Callable[[ClientAddress, int], bytes | None]
) -> int:
    """A name is only for the kernel's own lists."""
    if record.name_len > core.CLIENT_NAME:
        return -errno.EINVAL
    if not record.name_len:
        return 0
    name = read(ClientAddress(record.name), record.name_len)
    if name is None:
        return -errno.EFAULT
    return 0 if all(0x20 < byte < 0x7F for byte in name) else -errno.EINVAL
