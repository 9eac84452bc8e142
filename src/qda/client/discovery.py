"""Which device nodes there are, and what they are.

Other drivers have nodes in the same directory, so a node is asked for its driver's name before
anything else (spec/fastrpc.md 4.1).
"""

from __future__ import annotations

import ctypes
import errno
import glob
from dataclasses import dataclass

from qda.client.device import DeviceFile
from qda.client.node import KernelNode, Node
from qda.errors import DeviceError
from qda.uapi import DIALECTS, GemMmapOffset, Interface, drm

__all__ = ["DeviceInfo", "find_node", "identify", "kernel_devices"]

NODES = "/dev/accel/accel*"
DRIVER = b"qda"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A node, or what keeps us from using it.

    `path` is "virtual" for a device of a virtual system; `problem` is empty for a usable one.
    """

    path: str
    domain: str
    dialect: str
    problem: str = ""


def kernel_devices() -> list[DeviceInfo]:
    """The kernel's nodes, other drivers' included."""
    found: list[DeviceInfo] = []
    for path in sorted(glob.glob(NODES)):
        try:
            node = KernelNode(path)
        except DeviceError as error:
            found.append(DeviceInfo(path, "", "", error.symbol))
            continue
        try:
            found.append(identify(node) or DeviceInfo(path, "", "", "another driver's"))
        finally:
            node.close()
    return found


def find_node(domain: str) -> str | None:
    """The path of the kernel's node of a DSP, None if there is none.

    DeviceError if there may be one, but it must not be opened.
    """
    found = kernel_devices()
    for device in found:
        if device.domain == domain:
            return device.path
    for device in found:
        if device.problem in ("EACCES", "EPERM"):
            raise DeviceError("open", device.path, getattr(errno, device.problem))
    return None


def identify(node: Node) -> DeviceInfo | None:
    """What a node is, None if it is another driver's: other accelerators live there too.

    Asks for the driver's name first, which every DRM driver answers, then QUERY.
    """
    name = ctypes.create_string_buffer(32)
    version = drm.Version(name_len=len(name) - 1, name=ctypes.addressof(name))
    code = next(command.code for command in drm.COMMANDS if command.key == "VERSION")
    try:
        node.ioctl(code, bytearray(version.pack()))
        if name.value != DRIVER:
            return None
        dialect = _probe_dialect(node)
        domain = DeviceFile(node, dialect, node.name).query()
    except OSError:
        return None
    return DeviceInfo(node.name, domain, dialect.name)


def _probe_dialect(node: Node) -> Interface:
    """Which dialect a node speaks, found without a side effect: words {0xffffffff, 0, 0, 1} given
    to GEM_MMAP_OFFSET are an unknown handle in RFC and a pad that is not 0 in V1."""
    command = DIALECTS["rfc"].command("GEM_MMAP_OFFSET")
    probe = GemMmapOffset(handle=0xFFFFFFFF, offset=1 << 32)
    try:
        node.ioctl(command.code, bytearray(probe.pack()))
    except FileNotFoundError:
        return DIALECTS["rfc"]
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return DIALECTS["v1"]
