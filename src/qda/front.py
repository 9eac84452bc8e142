"""Where a program begins: `open` chooses a node, real or virtual, and makes a session on it."""

from __future__ import annotations

import ctypes
import errno
import glob
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qda.client import DeviceFile, KernelNode, Node, Session
from qda.errors import DeviceError, UsageError
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.domains import DOMAINS, domain_id
from qda.uapi import DIALECTS, FILE_LIMIT, GemMmapOffset, Interface, drm
from qda.virtual import load_profile, machine

__all__ = ["DeviceInfo", "devices", "open_session"]

_NODES = "/dev/accel/accel*"
_SHELL_FOLDERS = ("/usr/lib/rfsa/adsp", "/usr/lib/dsp", "/vendor/dsp")
"""Where images of the DSP's shell are installed (spec/fastrpc.md 6.3)."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A node, or what keeps us from using it.

    `path` is "virtual" for a device of a virtual system; `problem` is empty for a usable one.
    """

    path: str
    domain: str
    dialect: str
    problem: str = ""


def open_session(
    domain: str = "cdsp",
    *,
    device: str | None = None,
    dialect: str | None = None,
    profile: str = "generic",
    process: Literal["user", "root"] = "user",
    attributes: int = ProcessAttribute.UNSIGNED,
    shell: bytes | None = None,
) -> Session:
    """Open a session with a DSP.

    `device` is a path, or "virtual" for a device in this process; by default a real node of the
    DSP if there is one, else the virtual one, and the session says which.  A real node that may
    not be opened is an error, no reason to go virtual.

    `process` "user" makes a protection domain of our own, with `attributes` and the image `shell`
    (on a real DSP the installed one, if there is one; our own DSP needs none); "root" attaches to
    the root protection domain.  `dialect` is "rfc" or "v1", found out by default.  `profile` is
    the system that is virtual.

    UsageError for a DSP, profile or dialect that does not exist; DeviceError, DspError.
    """
    if domain not in DOMAINS:
        raise UsageError(f"{domain!r} is no DSP: there are {', '.join(DOMAINS)}")
    if process not in ("user", "root"):
        raise UsageError(f"process {process!r}: 'user' or 'root'")
    with ExitStack() as undo:
        file = _open_file(domain, device, dialect, profile)
        undo.callback(file.close)
        if process == "root":
            file.attach()
        else:
            if shell is None and isinstance(file.node, KernelNode):
                shell = _find_shell(domain, bool(attributes & ProcessAttribute.UNSIGNED))
            file.create(shell or b"", attributes)
        undo.pop_all()
        return Session(file)


def _open_file(domain: str, device: str | None, dialect: str | None, profile: str) -> DeviceFile:
    if dialect is not None and dialect not in DIALECTS:
        raise UsageError(f"dialect {dialect!r}: there are {', '.join(DIALECTS)}")
    path = _find_node(domain) if device is None else device
    if path is None or path == "virtual":
        chosen = DIALECTS[dialect or "rfc"]
        return DeviceFile(machine(profile).open(domain, chosen.name), chosen, domain)
    with ExitStack() as undo:
        node = _open_kernel_node(path)
        undo.callback(node.close)
        found = identify(node)
        if found is None:
            raise UsageError(f"{path} is not a QDA device")
        if found.domain != domain:
            raise UsageError(f"{path} leads to {found.domain}, not to {domain}")
        undo.pop_all()
        return DeviceFile(node, DIALECTS[dialect or found.dialect], domain)


def _open_kernel_node(path: str) -> KernelNode:
    try:
        return KernelNode(path)
    except OSError as error:
        raise DeviceError("open", path, error.errno or errno.ENODEV) from error


def _find_node(domain: str) -> str | None:
    """The path of the real node of a DSP.  DeviceError if one cannot be opened to look."""
    refused: DeviceError | None = None
    for path in sorted(glob.glob(_NODES)):
        try:
            node = _open_kernel_node(path)
        except DeviceError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                refused = refused or error
            continue
        try:
            found = identify(node)
        finally:
            node.close()
        if found is not None and found.domain == domain:
            return path
    if refused is not None:
        raise refused
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
        if name.value != b"qda":
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


def _find_shell(domain: str, unsigned: bool) -> bytes:
    """The installed image of a DSP's shell, nothing if there is none: not an error (6.3)."""
    name = f"fastrpc_shell_{'unsigned_' if unsigned else ''}{domain_id(domain)}"
    for folder in _SHELL_FOLDERS:
        for path in (Path(folder, domain, name), Path(folder, name)):
            if path.is_file() and path.stat().st_size <= FILE_LIMIT:
                return path.read_bytes()
    return b""


def devices(profile: str = "generic") -> list[DeviceInfo]:
    """All nodes: those of the machine, then those of the virtual system of that profile."""
    found: list[DeviceInfo] = []
    for path in sorted(glob.glob(_NODES)):
        try:
            node = _open_kernel_node(path)
        except DeviceError as error:
            found.append(DeviceInfo(path, "", "", error.symbol))
            continue
        try:
            known = identify(node)
        finally:
            node.close()
        found.append(known or DeviceInfo(path, "", "", "another driver's"))
    found += [DeviceInfo("virtual", dsp.name, "rfc, v1") for dsp in load_profile(profile).dsps]
    return found
