"""What there is: nodes, the DSPs behind them, their capabilities and limits."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import qda
from qda import limits
from qda.client import KernelNode, Node
from qda.client.legacy import LegacyFile
from qda.errors import DeviceError
from qda.fastrpc.control import capabilities
from qda.uapi import DIALECTS, LEGACY, LEGACY_73, Family
from qda.virtual import load_profile

__all__ = ["ATTRIBUTES", "Found", "ask_driver", "attribute_name", "has_poll_mode", "survey"]

ATTRIBUTES = {
    1: "unsigned processes",
    2: "HVX, 64-byte vectors",
    3: "HVX, 128-byte vectors",
    4: "VTCM page size",
    5: "VTCM pages",
    6: "architecture version",
    7: "HMX depth",
    8: "HMX spatial",
    9: "asynchronous calls",
    10: "status notifications",
    11: "multicast",
    128: "performance counters, version 2",
    129: "handles in reverse calls",
    130: "dspsignal",
    131: "process shared buffer",
}
"""Capabilities that a DSP tells, by attribute number (spec/fastrpc.md 3.5)."""

_ARCHITECTURE = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A node, and what the DSP behind it says.

    `capabilities` are the attributes that are not 0, by number.  `stream_ids` (one for each context
    bank) and `message_limit` in bytes are known of virtual devices only.  `poll_mode` says whether
    calls may wait awake there, in dialect legacy-7.3.  `problem` says what keeps us from using the
    node, or is empty.
    """

    node: str
    domain: str
    dialect: str
    problem: str = ""
    capabilities: dict[int, int] | None = None
    stream_ids: tuple[int, ...] | None = None
    message_limit: int | None = None
    poll_mode: bool = False

    @property
    def architecture(self) -> str:
        """The version of the Hexagon architecture, "v73"; empty if it is not known."""
        version = (self.capabilities or {}).get(_ARCHITECTURE, 0)
        return f"v{version & 0xFF:x}" if version else ""


def attribute_name(number: int) -> str:
    """What people call an attribute."""
    return ATTRIBUTES.get(number, f"attribute {number}")


def survey(profile: str) -> Iterator[Found]:
    """Find all nodes and ask each DSP.  UsageError for a profile that does not exist."""
    dsps = {dsp.name: dsp for dsp in load_profile(profile).dsps}
    for device in qda.devices(profile):
        capabilities, polls, problem = None, False, device.problem
        if not problem:
            try:
                capabilities = _ask(device, profile)
                if _is_older(device):
                    polls = has_poll_mode(KernelNode(device.path), device.domain)
            except qda.QdaError as error:
                problem = str(error).splitlines()[0]
        dsp = dsps[device.domain] if device.path == "virtual" else None
        yield Found(
            device.path,
            device.domain,
            device.dialect,
            problem,
            capabilities,
            dsp.stream_ids if dsp else None,
            dsp.message_limit if dsp else None,
            dsp.poll_mode if dsp else polls,
        )


def _ask(device: qda.DeviceInfo, profile: str) -> dict[int, int]:
    if _is_older(device):
        return ask_driver(KernelNode(device.path), device.domain)
    asked = capabilities()
    with qda.open(device.domain, device=device.path, profile=profile) as session:
        answer = session.invoke(asked.handle, asked.method, asked.inputs, asked.outputs)[0]
    values = struct.unpack(f"<{limits.CAPABILITIES}I", answer)
    return {number: value for number, value in enumerate(values, 1) if value}


def _is_older(device: qda.DeviceInfo) -> bool:
    spoken = DIALECTS.get(device.dialect)  # a virtual node names several
    return spoken is not None and spoken.family is Family.LEGACY


def ask_driver(node: Node, domain: str) -> dict[int, int]:
    """The capabilities that the older driver tells of its DSP, without a session; closes the
    node.  DeviceError, DspError."""
    file = LegacyFile(node, LEGACY, domain)
    try:
        values = {attribute: file.capability(attribute) for attribute in ATTRIBUTES}
    finally:
        file.close()
    return {attribute: value for attribute, value in values.items() if value}


def has_poll_mode(node: Node, domain: str) -> bool:
    """Whether the older driver, at that node, has poll mode; closes the node.  DeviceError."""
    file = LegacyFile(node, LEGACY_73, domain)
    try:
        file.poll(False)  # as it is in a new file
    except DeviceError as error:
        if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
            raise
        return False
    finally:
        file.close()
    return True
