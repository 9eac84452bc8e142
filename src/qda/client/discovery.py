"""Which device nodes there are, and what they are.

Two kinds of driver have nodes that lead to DSPs: the accelerator's, and the older one that today's
kernels have.  A system may have both at once; the accelerator's nodes come first (R22).
"""

from __future__ import annotations

import errno
import glob
import os
import re
from dataclasses import dataclass

from qda.client.accel import AccelFile
from qda.client.node import KernelNode, Node, issue
from qda.errors import DeviceError
from qda.fastrpc.domains import DOMAINS
from qda.linux import address_of
from qda.uapi import DIALECTS, HANDLE, LEGACY, LEGACY_73, RFC, V1, Family, Interface, drm
from qda.uapi.accel import GEM_MMAP_OFFSET, NAME, GemMmapOffset, QueryTyped
from qda.uapi.legacy import SET_OPTION, SetOption

__all__ = ["DeviceInfo", "find_node", "identify", "kernel_devices"]

FOLDER = "/dev"
DRIVER = b"qda"

_LEGACY_NAME = re.compile(f"fastrpc-({'|'.join(DOMAINS)})(-secure)?")


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
    """The kernel's nodes in the order of preference, other accelerators' included."""
    accel = [_accel_device(path) for path in sorted(glob.glob(f"{FOLDER}/accel/accel*"))]
    return accel + _legacy_devices()


def _accel_device(path: str) -> DeviceInfo:
    try:
        node = KernelNode(path)
    except DeviceError as error:
        return DeviceInfo(path, "", "", error.symbol)
    try:
        return identify(node) or DeviceInfo(path, "", "", "another driver's")
    finally:
        node.close()


def _legacy_devices() -> list[DeviceInfo]:
    """The older driver's nodes: of each DSP that for privileged programs, then the plain one.

    They are not opened for this, since an open file takes one of the DSP's context banks.
    """
    found = []
    for domain in DOMAINS:
        for suffix in ("-secure", ""):
            path = f"{FOLDER}/fastrpc-{domain}{suffix}"
            if os.path.exists(path):
                usable = os.access(path, os.R_OK | os.W_OK)
                found.append(DeviceInfo(path, domain, LEGACY.name, "" if usable else "EACCES"))
    return found


def find_node(domain: str, dialect: str | None = None) -> str | None:
    """The path of the kernel's node of a DSP that speaks a dialect, None if there is none.

    With None for a dialect any node does, an accelerator's before another.  DeviceError if there
    may be one, but it must not be opened.
    """
    found = kernel_devices()
    if dialect is not None:
        spoken = DIALECTS.get(dialect)
        legacy = spoken is not None and spoken.family is Family.LEGACY
        found = [device for device in found if _is_legacy(device.path) == legacy]
    for device in found:
        if device.domain == domain and not device.problem:
            return device.path
    for device in found:
        if device.domain in (domain, "") and device.problem in ("EACCES", "EPERM"):
            raise DeviceError("open", device.path, getattr(errno, device.problem))
    return None


def _is_legacy(path: str) -> bool:
    return bool(_LEGACY_NAME.fullmatch(os.path.basename(path)))


def identify(node: Node) -> DeviceInfo | None:
    """What a node is, None if it is neither driver's: other accelerators have nodes, too.

    A node of the older driver does not tell which DSP it leads to; its name does, and an option
    that there is not says how old the driver is.  Any other is
    asked for its driver's name, which every DRM driver answers (spec/fastrpc.md 4.1), then by
    QUERY.
    """
    legacy = _LEGACY_NAME.fullmatch(os.path.basename(os.path.realpath(node.path)))
    if legacy:
        return DeviceInfo(node.name, legacy[1], _age_of(node).name)
    name = bytearray(32)
    version = drm.Version(name_len=len(name) - 1, name=address_of(name))
    try:
        issue(node, drm.VERSION, version)
        if bytes(name).partition(b"\0")[0] != DRIVER:
            return None
        dialect = _probe_dialect(node)
        domain = AccelFile(node, dialect, node.name).query()
    except OSError:
        return None
    return DeviceInfo(node.name, domain, dialect.name)


def _age_of(node: Node) -> Interface:
    """Which age of the older driver a node is of, found without a side effect: it knows the command
    for options since 7.3, and no option 0 (spec/versions.md 6)."""
    try:
        issue(node, SET_OPTION, SetOption())
    except OSError as error:
        return LEGACY if error.errno == errno.ENOTTY else LEGACY_73
    return LEGACY_73


def _probe_dialect(node: Node) -> Interface:
    """Which dialect a node speaks, found without a side effect.

    HANDLE answers a question behind what was asked, where RFC and V1, which only write, put the
    name (spec/versions.md 4).  Words {0xffffffff, 0, 0, 1} given to GEM_MMAP_OFFSET are an unknown
    handle in RFC and a pad that is not 0 in V1.
    """
    question = QueryTyped(query_type=NAME)
    issue(node, HANDLE.command("QUERY"), question)
    if question.query_type == NAME and any(question.dsp_name):
        return HANDLE
    probe = GemMmapOffset(handle=0xFFFFFFFF, offset=1 << 32)
    try:
        issue(node, GEM_MMAP_OFFSET, probe)
    except FileNotFoundError:
        return RFC
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return V1
