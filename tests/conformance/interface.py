"""The device under test: open nodes, and commands as functions.

Results are what the system call gives in the kernel: 0, a status of the DSP as a signed 32-bit
number, or a negative errno.  The helpers that are named for what they get done (`allocate`,
`export`, ...) assert that it was done; `call` and `invoke` return any result.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from qda.client import KernelNode, Node
from qda.errors import is_errno
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.scalars import Scalars
from qda.uapi import Command, Interface, InvokeElement, drm
from qda.virtual import machine
from tests.conformance.memory import Memory, address_of

__all__ = [
    "LEGACY",
    "NAMED",
    "NOBODY",
    "PAGE",
    "UNKNOWN_MODULE",
    "OpenNode",
    "Target",
    "allocate",
    "call",
    "close_handle",
    "command",
    "create_session",
    "export",
    "import_fd",
    "inline",
    "invoke",
    "issue",
    "map_object",
    "map_on_dsp",
    "name_of",
    "part_of",
]

PAGE = 4096
LEGACY, NAMED = 1, 2
"""The two kinds of MAP and MUNMAP requests: QDA_MAP_REQUEST_LEGACY and _ATTR."""

NOBODY = 1 << 30
"""Neither a GEM handle nor a descriptor of anybody."""

UNKNOWN_MODULE = 0x7FFFFFF0
"""A module handle that no DSP has given out."""


@dataclass(frozen=True)
class Target:
    """What is under test: `device` is "virtual" or a path, `hostile` as the option of that name."""

    device: str
    dialect: Interface
    hostile: bool

    @property
    def virtual(self) -> bool:
        return self.device == "virtual"

    def open(self, domain: str = "cdsp") -> OpenNode:
        """Open the node; `domain` chooses among the virtual ones."""
        if self.virtual:
            return OpenNode(self, machine().open(domain, self.dialect.name))
        return OpenNode(self, KernelNode(self.device))

    def require_virtual(self, why: str) -> None:
        """Skip the test on a kernel's device."""
        if not self.virtual:
            pytest.skip(f"needs the virtual device: {why}")

    def require_dialect(self, name: str, why: str) -> None:
        """Skip the test in another dialect."""
        if self.dialect.name != name:
            pytest.skip(f"not in dialect {self.dialect.name}: {why}")


class OpenNode:
    """An open node of the device under test.  `left` undoes what a test has left behind."""

    def __init__(self, target: Target, node: Node) -> None:
        self.target, self.node, self.dialect = target, node, target.dialect
        self.left = ExitStack()

    @property
    def later(self) -> bool:
        """Whether fd fields are DMA-BUF descriptors (dialect V1) instead of GEM handles."""
        return self.dialect.name == "v1"

    def close(self) -> None:
        """Close the node, then what was left behind."""
        try:
            self.node.close()
        finally:
            self.left.close()

    def __enter__(self) -> OpenNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def command(node: OpenNode, key: str) -> Command:
    """A command of the node's dialect or of the DRM core."""
    core = {candidate.key: candidate for candidate in drm.COMMANDS}
    return core.get(key) or node.dialect.command(key)


def issue(node: OpenNode, code: int, data: bytearray) -> int:
    """An ioctl on `data`, in place."""
    try:
        result = node.node.ioctl(code, data)
    except OSError as error:
        result = -(error.errno or 0)
        raised = True
    else:
        raised = False
    assert is_errno(result) == raised, f"{result}: an errno is an OSError, no other result is"
    assert -(1 << 31) <= result < 1 << 31
    return result


def call(node: OpenNode, key: str, **values: int | bytes) -> tuple[int, Any]:
    """A command with a record of these values; returns its result and the record afterwards."""
    asked = command(node, key)
    if asked.record is None:
        return issue(node, asked.code, bytearray()), None
    data = bytearray(asked.record(**values).pack())
    result = issue(node, asked.code, data)
    return result, asked.record.unpack(data)


# Buffers.


def allocate(node: OpenNode, size: int = PAGE) -> int:
    """The handle of a new buffer object."""
    result, record = call(node, "GEM_CREATE", size=size)
    assert result == 0
    return int(record.handle)


def close_handle(node: OpenNode, handle: int) -> None:
    """Give up a handle."""
    assert call(node, "GEM_CLOSE", handle=handle)[0] == 0


def map_object(node: OpenNode, handle: int, length: int = PAGE) -> mmap.mmap:
    """Map a buffer object through the node."""
    result, record = call(node, "GEM_MMAP_OFFSET", handle=handle)
    assert result == 0
    return node.node.mmap(length, record.offset, mmap.mmap)


def export(node: OpenNode, handle: int, flags: int = os.O_CLOEXEC | os.O_RDWR) -> int:
    """A DMA-BUF descriptor of a buffer object, closed after the node."""
    result, record = call(node, "PRIME_HANDLE_TO_FD", handle=handle, flags=flags)
    assert result == 0
    descriptor = int(record.fd)
    node.left.callback(os.close, descriptor)
    return descriptor


def import_fd(node: OpenNode, descriptor: int) -> int:
    """The handle of a DMA-BUF."""
    result, record = call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)
    assert result == 0
    return int(record.handle)


def name_of(node: OpenNode, handle: int) -> int:
    """What an fd field says for a buffer object: its handle, or in V1 a descriptor (spec 4.4)."""
    return export(node, handle) if node.later else handle


# Sessions, mappings, calls.


def create_session(node: OpenNode) -> None:
    """Make a protection domain, without a shell image."""
    result, _ = call(node, "CREATE", filefd=-1, attrs=int(ProcessAttribute.UNSIGNED))
    assert result == 0


def map_on_dsp(node: OpenNode, name: int, size: int = PAGE, **values: int) -> int:
    """Map a buffer object into the DSP process; returns its address there."""
    values.setdefault("request", NAMED)
    values.setdefault("flags", 2 if values["request"] == NAMED else 6)
    result, record = call(node, "MAP", fd=name, size=size, **values)
    assert result == 0
    return int(record.vaddrout)


class _Inline(InvokeElement):
    """An element that keeps the memory which it names."""

    memory: Memory


def inline(memory: Memory, **values: int) -> InvokeElement:
    """An argument that lies in ordinary memory, which lives as long as the element."""
    element = _Inline(**{"ptr": memory.address, "length": len(memory), "fd": -1, **values})
    element.memory = memory
    return element


def part_of(pages: mmap.mmap, name: int, start: int = 0, length: int = PAGE) -> InvokeElement:
    """An argument that lies in a mapped buffer object."""
    return InvokeElement(ptr=address_of(pages) + start, length=length, fd=name)


def invoke(
    node: OpenNode,
    handle: int,
    method: int,
    ins: Sequence[InvokeElement] = (),
    outs: Sequence[InvokeElement] = (),
    in_handles: Sequence[InvokeElement] = (),
    out_handles: Sequence[InvokeElement] = (),
) -> int:
    """A call with these argument elements; returns its result."""
    scalars = Scalars(method, len(ins), len(outs), len(in_handles), len(out_handles)).word
    elements = Memory(b"".join(e.pack() for e in (*ins, *outs, *in_handles, *out_handles)))
    return call(node, "INVOKE", handle=handle, scalars=scalars, arguments=elements.address)[0]
