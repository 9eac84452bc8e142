"""What the kernel driver does: the device, its open files, buffer objects, context banks, calls.

The DSP is on the other side of `qda.rpmsg`: only bytes and descriptors pass.
"""

from qda.driver.accel import DRIVER_NAME, open_front
from qda.driver.device import Census, Device, Limits
from qda.driver.front import Front
from qda.driver.heap import HeapFront
from qda.driver.legacy import LegacyFront
from qda.driver.memory import Client, LocalClient
from qda.driver.node import LocalNode
from qda.rpmsg import Channel

__all__ = [
    "DRIVER_NAME",
    "Census",
    "Channel",
    "Client",
    "Device",
    "Front",
    "HeapFront",
    "LegacyFront",
    "Limits",
    "LocalClient",
    "LocalNode",
    "open_front",
]
