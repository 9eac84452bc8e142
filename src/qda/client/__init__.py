"""What a program holds: a node, a session, buffers, mappings, remote modules.

Between this and the driver there is only a node: `ioctl`, `mmap`, `close`.
"""

from qda.client.buffer import Buffer, Mapping
from qda.client.device import DeviceFile
from qda.client.node import KernelNode, Node
from qda.client.session import RemoteModule, Session

__all__ = ["Buffer", "DeviceFile", "KernelNode", "Mapping", "Node", "RemoteModule", "Session"]
