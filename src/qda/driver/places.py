"""Where an argument lies in the buffer object that it names."""

from __future__ import annotations

import errno

from qda.driver.banks import Attachment
from qda.driver.memory import Client
from qda.fastrpc.payload import NOVA, Argument, Backing
from qda.linux import Area
from qda.memory import PAGE, ClientAddress, align

__all__ = ["locate", "select"]


def locate(argument: Argument, attachment: Attachment, client: Client) -> Argument:
    """A buffer argument with the place in the object that its address points to.

    With attribute NOVA the client need not have mapped the object: addresses that it has only
    reserved, as `remote_register_fd` of Qualcomm's library does, stand for it.
    OSError: EFAULT outside any mapping (H09), EINVAL for a mapping of something else (H10) or
    a range that leaves the object (H11).
    """
    area = client.area(ClientAddress(argument.address))
    if area is None:
        raise OSError(errno.EFAULT, f"{argument.address:#x} is in no mapping")
    buffer = attachment.buffer
    if area.identity == buffer.identity:
        offset = argument.address - area.start + area.offset
    elif area.reserved and argument.attr & NOVA:
        offset = _offset_in_reservation(argument, area, buffer.size)
    else:
        raise OSError(errno.EINVAL, f"{argument.address:#x} is not in a mapping of the object")
    if offset + argument.length > buffer.size:
        raise OSError(errno.EINVAL, "the range ends after the object")
    return argument._replace(backing=Backing(attachment.address, buffer.size, offset))


def select(argument: Argument, attachment: Attachment) -> Argument:
    """A handle argument with its object.  OSError EINVAL if it leaves the object (H13)."""
    if argument.address + argument.length > attachment.buffer.size:
        raise OSError(errno.EINVAL, "offset and length do not fit the object")
    backing = Backing(attachment.address, attachment.buffer.size)
    return argument._replace(backing=backing)


def _offset_in_reservation(argument: Argument, area: Area, size: int) -> int:
    """How far an address that is only reserved points into its object of `size` bytes.

    The kernel joins reservations that are neighbours.  An area longer than the object is such a
    one: in it, only an argument that is the whole object has a known place.  OSError EINVAL.
    """
    size = align(size, PAGE)
    if area.end - area.start <= size:
        return argument.address - area.start
    if argument.address % PAGE == 0 and align(argument.length, PAGE) == size:
        return 0
    raise OSError(errno.EINVAL, f"{argument.address:#x} may belong to several objects")
