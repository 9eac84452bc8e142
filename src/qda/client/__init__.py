"""What a program holds: a node, a session, buffers, mappings, remote modules.

Between this and the driver there is only a node: `ioctl`, `mmap`, `close`.
"""

from qda.client.buffer import Buffer, Mapping
from qda.client.calls import Invoke
from qda.client.device import DeviceFile
from qda.client.discovery import DeviceInfo, find_node, identify, kernel_devices
from qda.client.module import RemoteModule
from qda.client.node import KernelNode, Node
from qda.client.opening import (
    POLLING,
    check_device,
    check_dialect,
    check_domain,
    device_file,
    start_session,
)
from qda.client.plan import Bytes, HandleLike
from qda.client.session import Session
from qda.client.unheld import with_room
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.mapping import MapFlag
from qda.pending import Pending, start

__all__ = [
    "POLLING",
    "Buffer",
    "Bytes",
    "DeviceFile",
    "DeviceInfo",
    "HandleLike",
    "Invoke",
    "KernelNode",
    "MapFlag",
    "Mapping",
    "Node",
    "Pending",
    "ProcessAttribute",
    "RemoteModule",
    "Session",
    "check_device",
    "check_dialect",
    "check_domain",
    "device_file",
    "find_node",
    "identify",
    "kernel_devices",
    "start",
    "start_session",
    "with_room",
]
