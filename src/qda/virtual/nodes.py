"""What opening a node of a virtual system leads to."""

from __future__ import annotations

import os
from collections.abc import Mapping

from qda.driver import Device, Front, HeapFront, LegacyFront, open_front
from qda.errors import UsageError
from qda.profiles.nodes import NodeKind, NodePath
from qda.uapi import ACCEL_DIALECTS, DIALECTS, LEGACY

__all__ = ["SPOKEN", "NodeRefused", "open_node"]

SPOKEN = tuple(DIALECTS)
"""The dialects that the nodes of a virtual system speak, each in its way."""


class NodeRefused(OSError):
    """The system does not let a node be opened."""


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
    refused = device.limits.refused_nodes.get(node.mode, 0)
    if refused:
        raise NodeRefused(refused, f"{node.path} cannot be opened: {os.strerror(refused)}")
    if node.kind is NodeKind.FASTRPC:
        return LegacyFront.open(device, node.secure, DIALECTS[fastrpc])
    if dialect not in ACCEL_DIALECTS:
        *former, last = ACCEL_DIALECTS
        raise UsageError(f"{node.path} speaks {', '.join(former)} and {last}, not {dialect!r}")
    return open_front(device, ACCEL_DIALECTS[dialect])
