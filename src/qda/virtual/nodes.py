"""The nodes of a virtual system: which there are, and what opening one of them leads to.

A path means the same as on a machine with a driver (spec/fastrpc.md 4, 5.1, 5.4):

    /dev/accel/accelN               the accelerator's node of the Nth DSP
    /dev/dma_heap/system            the DMA-BUF heap
    /dev/fastrpc-DOMAIN[-secure]    the older driver's nodes of a DSP
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from qda.driver import Device, Front, HeapFront, LegacyFront, open_front
from qda.errors import UsageError
from qda.uapi import ACCEL_DIALECTS, DIALECTS, LEGACY, dma_heap
from qda.virtual.profile import Profile

__all__ = ["SPOKEN", "NodeKind", "NodePath", "nodes_of", "open_node"]

SPOKEN = tuple(DIALECTS)
"""The dialects that the nodes of a virtual system speak, each in its way."""

_ACCEL_MAJOR = 261  # linux include/drm/drm_accel.h
_MISC_MAJOR = 10
_FIRST_DYNAMIC_MINOR = 256  # linux include/linux/miscdevice.h: the numbers without an owner
_HEAP_MAJOR = 252  # chosen at boot, and often this one


class NodeKind(enum.StrEnum):
    """What drives a node."""

    ACCEL = "accel"
    FASTRPC = "fastrpc"
    HEAP = "dma_heap"


@dataclass(frozen=True, slots=True)
class NodePath:
    """A node: its path, kind, DSP ("" for the heap) and device numbers.

    `secure` is True for the node of the older driver that privileged programs use.
    """

    path: str
    kind: NodeKind
    domain: str
    major: int
    minor: int
    secure: bool = False


def nodes_of(profile: Profile) -> tuple[NodePath, ...]:
    """All nodes of a system, in the order of their paths' kinds."""
    accel = [
        NodePath(f"/dev/accel/accel{index}", NodeKind.ACCEL, dsp.name, _ACCEL_MAJOR, index)
        for index, dsp in enumerate(profile.dsps)
    ]
    older = [(dsp.name, secure) for dsp in profile.dsps for secure in dsp.secure_nodes]
    fastrpc = [
        NodePath(
            f"/dev/fastrpc-{name}{'-secure' if secure else ''}",
            NodeKind.FASTRPC,
            name,
            _MISC_MAJOR,
            minor,
            secure,
        )
        for minor, (name, secure) in enumerate(older, _FIRST_DYNAMIC_MINOR)
    ]
    return (*accel, NodePath(dma_heap.PATH, NodeKind.HEAP, "", _HEAP_MAJOR, 0), *fastrpc)


def open_node(
    node: NodePath, devices: Mapping[str, Device], dialect: str = "rfc", fastrpc: str = LEGACY.name
) -> Front:
    """Open a node: the front behind it.  `dialect` is that of the accelerator's nodes, `fastrpc`
    that of the older driver's.

    OSError: ENODEV if the DSP does not come up, EBUSY if a node of the older driver has no free
    session.  UsageError for a dialect that these nodes do not speak.
    """
    if node.kind is NodeKind.HEAP:
        return HeapFront()
    device = devices[node.domain]
    if node.kind is NodeKind.FASTRPC:
        return LegacyFront.open(device, node.secure, DIALECTS[fastrpc])
    if dialect not in ACCEL_DIALECTS:
        raise UsageError(f"{node.path} speaks {' and '.join(ACCEL_DIALECTS)}, not {dialect!r}")
    return open_front(device, ACCEL_DIALECTS[dialect])
