"""Ioctls on structures of the test itself."""

from __future__ import annotations

from qda.driver import Client, Front
from qda.linux import address_of
from qda.memory import ClientAddress

__all__ = ["ioctl"]


def ioctl(front: Front, client: Client, code: int, data: bytearray) -> int:
    """Carry out an ioctl on `data`, in place, for a client whose memory is this process's."""
    return front.ioctl(client, code, ClientAddress(address_of(data)))
