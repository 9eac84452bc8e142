"""Commands of the DRM core that no client of the accelerator needs, and every DRM node answers.

Libraries that look for devices ask them of each node (linux `include/uapi/drm/drm.h`,
`drivers/gpu/drm/drm_ioctl.c`).  The driver of an accelerator has buffers and shares them, and has
neither displays nor sync objects; nobody is its master.
"""

from __future__ import annotations

from collections.abc import Mapping
from errno import EACCES, ENOSYS, EOPNOTSUPP

from qda.layout import INOUT, OUT, Record, octets, s32, u64
from qda.uapi.interface import Command
from qda.uapi.ioctl import Access, ioctl_number

__all__ = [
    "ANSWERED",
    "CLIENT_NAME",
    "GET_CAP",
    "GET_CLIENT",
    "GET_STATS",
    "GET_UNIQUE",
    "REFUSED",
    "SET_CLIENT_NAME",
    "GetCap",
    "GetClient",
    "GetStats",
    "GetUnique",
    "SetClientName",
    "find",
]

CLIENT_NAME = 64
"""Bytes of a client's name, at most (DRM_CLIENT_NAME_MAX_LEN)."""


class GetUnique(Record, spelling="drm_unique"):
    """The bus id that a master has asked for."""

    unique_len: int = u64("Room at unique; afterwards the id's length", direction=INOUT)
    unique: int = u64("Address of a buffer for the id", unit="address", points_to="the id")


class GetClient(Record, spelling="drm_client"):
    """Who has a node open; only who asks is told."""

    idx: int = s32("Which client; there is only 0")
    auth: int = s32("Whether it may use objects of others by their global names", direction=OUT)
    pid: int = u64("Its process", direction=OUT)
    uid: int = u64("Its user, which is not told", direction=OUT)
    magic: int = u64("0", direction=OUT)
    iocs: int = u64("0", direction=OUT)


class GetStats(Record, spelling="drm_stats"):
    """Counters of which there are none any more."""

    count: int = u64("0", direction=OUT)
    data: bytes = octets(240, "15 counters, all 0", direction=OUT)


class GetCap(Record, spelling="drm_get_cap"):
    """What a driver can do."""

    capability: int = u64("Which of the DRM_CAP_* is asked for")
    value: int = u64("Its value", direction=OUT)


class SetClientName(Record, spelling="drm_set_client_name"):
    """A name for lists of clients."""

    name_len: int = u64("Length of the name, without an end mark", unit="bytes")
    name: int = u64("Address of the name", unit="address", points_to="printable ASCII, no spaces")


GET_UNIQUE = Command(
    "GET_UNIQUE", "DRM_IOCTL_GET_UNIQUE", 0x01, Access.BOTH, GetUnique, "Ask for the bus id."
)
GET_CLIENT = Command(
    "GET_CLIENT", "DRM_IOCTL_GET_CLIENT", 0x05, Access.BOTH, GetClient, "Ask for a client."
)
GET_STATS = Command(
    "GET_STATS", "DRM_IOCTL_GET_STATS", 0x06, Access.READ, GetStats, "Ask for counters."
)
GET_CAP = Command("GET_CAP", "DRM_IOCTL_GET_CAP", 0x0C, Access.BOTH, GetCap, "Ask for an ability.")
SET_CLIENT_NAME = Command(
    "SET_CLIENT_NAME",
    "DRM_IOCTL_SET_CLIENT_NAME",
    0xD1,
    Access.WRITE,
    SetClientName,
    "Name the client.",
)

ANSWERED: tuple[Command[Record], ...] = (
    GET_UNIQUE,
    GET_CLIENT,
    GET_STATS,
    GET_CAP,
    SET_CLIENT_NAME,
)

_FOR_MASTERS = (
    *(0x07, 0x10, 0x11, 0x12, 0x13, 0x1E, 0x1F),  # SET_VERSION to DROP_MASTER
    *(0xA2, 0xA3, 0xA5, 0xA8, 0xA9, 0xAB, 0xB0, 0xB1, 0xB7, 0xBA, 0xBB, 0xBC),  # MODE_*
    *(0xC6, 0xC7, 0xC8, 0xC9),  # leases
)
_FOR_AUTHENTICATED = (0x0A, 0x0B)  # GEM_FLINK, GEM_OPEN
_DUMB_BUFFERS = (0xB2, 0xB3, 0xB4)
_FOR_DISPLAYS = (
    *(0x0D, 0x3A, 0x3B, 0x3C),  # SET_CLIENT_CAP, WAIT_VBLANK, CRTC_*_SEQUENCE
    *(0xA0, 0xA1, 0xA4, 0xA6, 0xA7, 0xAA, 0xAC, 0xAD, 0xAE, 0xAF),  # MODE_*
    *(0xB5, 0xB6, 0xB8, 0xB9, 0xBD, 0xBE, 0xCE, 0xD0),
)
_SYNC_OBJECTS = (*range(0xBF, 0xC6), *range(0xCA, 0xCE), 0xCF)

REFUSED: Mapping[int, int] = {
    **dict.fromkeys((*_FOR_MASTERS, *_FOR_AUTHENTICATED), EACCES),
    **dict.fromkeys(_DUMB_BUFFERS, ENOSYS),
    **dict.fromkeys((*_FOR_DISPLAYS, *_SYNC_OBJECTS), EOPNOTSUPP),
}
"""With which errno the core refuses what such a driver does not do, by the command's number."""

_BY_NUMBER = {command.number: command for command in ANSWERED}


def find(code: int) -> Command[Record] | None:
    """The command of an ioctl code, by its number alone; None if it is answered by no record."""
    return _BY_NUMBER.get(ioctl_number(code))
