"""The nodes of a system: which there are.

A path means the same as on a machine with a driver (spec/fastrpc.md 4, 5.1, 5.4):

    /dev/accel/accelN               the accelerator's node of the Nth DSP
    /dev/dma_heap/system            the DMA-BUF heap
    /dev/fastrpc-DOMAIN[-secure]    the older driver's nodes of a DSP
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from qda.profiles.profile import Profile

__all__ = ["NodeKind", "NodePath", "nodes_of"]

_HEAP = "/dev/dma_heap/system"
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

    @property
    def mode(self) -> str:
        """Which of its DSP's nodes it is: "accel", or of the older driver "plain" or "secure"."""
        return self.kind.value if self.kind is not NodeKind.FASTRPC else _MODES[self.secure]


_MODES = {False: "plain", True: "secure"}


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
    return (*accel, NodePath(_HEAP, NodeKind.HEAP, "", _HEAP_MAJOR, 0), *fastrpc)
