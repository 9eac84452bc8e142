"""Starting a session on a node."""

from __future__ import annotations

import os
from contextlib import ExitStack
from errno import EINVAL
from pathlib import Path

from qda.client.accel import AccelFile
from qda.client.begin import PROCESSES, begin_with
from qda.client.device import DeviceFile
from qda.client.discovery import identify
from qda.client.legacy import LegacyFile
from qda.client.node import KernelNode, Node
from qda.client.session import Session
from qda.errors import DeviceError, UsageError, UsageTypeError, did_you_mean, suggestion
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.domains import DOMAINS, domain_id
from qda.uapi import DIALECTS, LEGACY_73, Family, Interface
from qda.uapi.legacy import SET_OPTION

__all__ = [
    "POLLING",
    "check_device",
    "check_dialect",
    "check_domain",
    "device_file",
    "start_session",
]

POLLING = LEGACY_73.name
"""The dialect that has poll mode."""

SHELL_FOLDERS = ("/usr/lib/rfsa/adsp", "/usr/lib/dsp", "/vendor/dsp")
"""Where images of a DSP's shell are installed (spec/fastrpc.md 6.3)."""


def check_domain(domain: str) -> None:
    """UsageError for a name that no DSP has."""
    if domain not in list(DOMAINS):  # whatever it is
        path = "/" in str(domain)
        what = f"`device={domain!r}` names a node" if path else suggestion(domain, DOMAINS)
        raise UsageError(f"{domain!r} is no DSP: {what}")


def check_device(device: str | None) -> None:
    """UsageError, UsageTypeError for what is no path of a node, and not "virtual" either."""
    if device is None:
        return
    if not isinstance(device, str | os.PathLike):
        raise UsageTypeError(f"device {device!r:.80}: the path of a node, or 'virtual'")
    meant = did_you_mean(device, ["virtual"]) if device != "virtual" else ""
    if not device or (meant and not os.path.lexists(device)):
        raise UsageError(f"device {device!r}: {meant or 'the path of a node'}")


def check_dialect(dialect: str | None) -> None:
    """UsageError for a name that no dialect has."""
    if dialect is not None and dialect not in list(DIALECTS):  # whatever it is
        raise UsageError(f"{dialect!r} is no dialect: {suggestion(dialect, DIALECTS)}")


def start_session(
    node: Node,
    domain: str,
    dialect: str | None,
    process: str,
    attributes: int,
    shell: bytes | None,
    poll: bool = False,
) -> Session:
    """Start a session on an open node, which the session owns from here on, also on failure.

    Parameters as in `qda.open`; `dialect` None asks the node.  UsageError, DeviceError, DspError.
    """
    with ExitStack() as undo:
        undo.callback(node.close)
        if not isinstance(attributes, int):
            raise UsageTypeError(f"attributes {attributes!r:.80}: a number")
        if not 0 <= attributes < 1 << 32:
            raise UsageError(f"attributes {attributes}: a number from 0 to {(1 << 32) - 1}")
        if not isinstance(shell, bytes | bytearray | memoryview | None):
            raise UsageTypeError(f"shell {shell!r:.80}: the bytes of an image")
        if process not in PROCESSES:
            raise UsageError(f"process {process!r}: {suggestion(process, PROCESSES)}")
        check_dialect(dialect)
        found = identify(node)
        if found is None:
            raise UsageError(f"{node.name} is no node of a DSP")
        if found.domain != domain:
            raise UsageError(f"{node.name} leads to {found.domain}, not to {domain}")
        spoken = DIALECTS[dialect or found.dialect]
        if spoken.family is not DIALECTS[found.dialect].family:
            raise UsageError(f"{node.name} speaks {found.dialect}, not {spoken.name}")
        if shell is not None and 0 < spoken.image_limit < len(shell):
            words = f"dialect {spoken.name} takes images of up to {spoken.image_limit}"
            words = f"shell of {len(shell)} bytes: {words}"
            raise DeviceError(f"create a {process} protection domain", domain, EINVAL, words)
        file = device_file(node, spoken, domain)
        if poll:
            if not (isinstance(file, LegacyFile) and spoken.has(SET_OPTION.key)):
                raise UsageError(
                    f"poll: dialect {spoken.name} has no poll mode, {LEGACY_73.name} has"
                )
            file.poll(True)

        def create() -> None:
            image = shell
            if image is None and isinstance(node, KernelNode):
                unsigned = bool(attributes & ProcessAttribute.UNSIGNED)
                image = _find_shell(domain, unsigned, spoken.image_limit)
            file.create(image or b"", attributes)

        begin_with(file, process, create)
        undo.pop_all()
        return Session(file)


def device_file(node: Node, dialect: Interface, domain: str) -> DeviceFile:
    """The open node of a DSP as a file of its kind."""
    kind = LegacyFile if dialect.family is Family.LEGACY else AccelFile
    return kind(node, dialect, domain)


def _find_shell(domain: str, unsigned: bool, limit: int) -> bytes:
    """The installed image of a DSP's shell, nothing if there is none that the driver would take:
    not an error (6.3)."""
    name = f"fastrpc_shell_{'unsigned_' if unsigned else ''}{domain_id(domain)}"
    for folder in SHELL_FOLDERS:
        for path in (Path(folder, domain, name), Path(folder, name)):
            if path.is_file() and path.stat().st_size <= limit:
                return path.read_bytes()
    return b""
