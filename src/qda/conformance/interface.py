"""The device under test: open nodes, and commands as functions.

Results are what the system call gives in the kernel: 0, a status of the DSP as a signed 32-bit
number, or a negative errno.  The helpers that are named for what they get done (`allocate`,
`export`, ...) assert that it was done; `call` and `invoke` return any result.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from qda.client import KernelNode, Node
from qda.conformance.memory import Memory, address_of
from qda.errors import is_errno
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.mapping import MapKind
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.memory import PAGE
from qda.uapi import BuffersBy, Command, Family, Interface
from qda.uapi.accel import NAME, InvokeElement, QueryTyped
from qda.virtual import machine

__all__ = [
    "BANKS_DOMAIN",
    "ELSEWHERE",
    "FIRST_DOMAIN",
    "LEGACY",
    "NAMED",
    "NOBODY",
    "PAGE",
    "UNKNOWN_MODULE",
    "Elsewhere",
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
    "map_request",
    "name_of",
    "part_of",
    "unmap_request",
]

LEGACY, NAMED = (int(kind) for kind in MapKind)
"""The two kinds of MAP and MUNMAP requests: QDA_MAP_REQUEST_LEGACY and _ATTR."""

FIRST_DOMAIN = "cdsp"
"""The DSP of all other tests."""

BANKS_DOMAIN = "adsp"
"""A DSP whose context banks no other test needs."""

ELSEWHERE = "qda-elsewhere"
"""The name of the plugin that is a system elsewhere, if there is one."""

NOBODY = 1 << 30
"""Neither a GEM handle nor a descriptor of anybody."""

UNKNOWN_MODULE = 0x7FFFFFF0
"""A module handle that no DSP has given out."""


class Elsewhere(Protocol):
    """A system whose nodes are not files here: that of a guest."""

    def node_of(self, domain: str) -> str:
        """The path of a DSP's node.  Skips the test if it has not such a DSP."""
        ...

    def open(self, path: str, dialect: Interface | None) -> Node:
        """Open a node of it.  DeviceError."""
        ...


@dataclass(frozen=True)
class Target:
    """What is under test: `device` is "virtual" or a path, `hostile` as the option of that name.

    `system` is where the path leads to, if not here.
    """

    device: str
    dialect: Interface
    hostile: bool
    system: Elsewhere | None = None

    @property
    def virtual(self) -> bool:
        return self.device == "virtual"

    @property
    def name(self) -> str:
        """Its dialect, and in a guest whose driver it is."""
        return self.dialect.name if self.system is None else f"{self.dialect.name}-kernel"

    def open(self, domain: str = FIRST_DOMAIN) -> OpenNode:
        """Open the node; `domain` chooses among the virtual ones."""
        if self.virtual:
            return OpenNode(self, machine().open(domain, self.dialect.name))
        if self.system is not None:
            return OpenNode(self, self.system.open(self.system.node_of(domain), self.dialect))
        return OpenNode(self, KernelNode(self.device))

    @contextmanager
    def session(self) -> Iterator[OpenNode]:
        """Open the node and make a protection domain, both for as long as the block runs."""
        with self.open() as node:
            create_session(node)
            yield node

    def require_virtual(self, why: str) -> None:
        """Skip the test on a kernel's device."""
        if not self.virtual:
            pytest.skip(f"needs the virtual device: {why}")

    def require_here(self, why: str) -> None:
        """Skip the test where the device's nodes are not files of this process."""
        if self.system is not None:
            pytest.skip(f"needs a node of this system: {why}")

    def speaks(self, names: Collection[str]) -> bool:
        """Whether the dialect is one of these; "legacy" stands for the older driver in all ages,
        "accel" for the accelerator's in all dialects."""
        return bool({self.dialect.name, self.dialect.family.value}.intersection(names))

    def require_dialect(self, *names: str, why: str) -> None:
        """Skip the test in dialects other than these."""
        if not self.speaks(names):
            pytest.skip(f"not in dialect {self.dialect.name}: {why}")


class OpenNode:
    """An open node of the device under test.  `left` undoes what a test has left behind."""

    def __init__(self, target: Target, node: Node) -> None:
        self.target, self.node, self.dialect = target, node, target.dialect
        self.left = ExitStack()
        self.descriptors: set[int] = set()
        self.page: int | None = None

    @property
    def later(self) -> bool:
        """Whether fd fields are DMA-BUF descriptors (V1, legacy) instead of GEM handles."""
        return self.dialect.buffers_by is BuffersBy.DMA_BUF

    @property
    def legacy(self) -> bool:
        """Whether buffers have no handles at all, only descriptors."""
        return self.dialect.family is Family.LEGACY

    @property
    def imports_are_elsewhere(self) -> bool:
        """Whether an import is mapped through its exporter alone (R12)."""
        return not self.dialect.semantics.maps_imports

    @property
    def signed(self) -> bool:
        """Whether there are fd fields below 0; else they are handles, and 0 means no buffer."""
        return any(field.name == "fd" and field.scalar.signed for field in self.element.fields)

    @property
    def element(self) -> type[Record]:
        """The record of an argument."""
        return self.dialect.elements[0]

    def require_signed(self) -> None:
        """Skip the test where no fd field is below 0."""
        if not self.signed:
            pytest.skip(f"not in dialect {self.dialect.name}: handles are never below 0")

    @property
    def unknown(self) -> int:
        """The errno for an fd that is nothing (spec 4.5, 5.3)."""
        return {"rfc": errno.ENOENT, "handle": errno.ENOENT, "v1": errno.EBADF}.get(
            self.dialect.name, errno.EINVAL
        )

    def close(self) -> None:
        """Close the node, then what was left behind."""
        try:
            self.node.close()
        finally:
            for descriptor in self.descriptors:
                os.close(descriptor)
            self.descriptors.clear()
            self.left.close()

    def __enter__(self) -> OpenNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def command(node: OpenNode, key: str) -> Command[Record]:
    """A command of the node's dialect or of the DRM core.  Skips the test if there is none."""
    found = node.dialect.by_key.get(key)
    if found is not None:
        return found
    pytest.skip(f"not in dialect {node.dialect.name}: it has no {key}")


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
    """A command with a record of these values; returns its result and the record afterwards.

    Where handles are never below 0, an fd of -1, which means no buffer, is 0, and others below 0
    are large handles.  QUERY asks for the name, where it says for what.
    """
    asked = command(node, key)
    if asked.record is not None:
        values = _in_form(asked.record, values)
    if asked.record is None:
        return issue(node, asked.code, bytearray()), None
    data = bytearray(asked.record(**values).pack())
    result = issue(node, asked.code, data)
    return result, asked.record.unpack(data)


def _in_form(record: type[Record], values: dict[str, int | bytes]) -> dict[str, int | bytes]:
    unsigned = {field.name for field in record.fields if not field.scalar.signed}
    known = {field.name for field in record.fields}
    changed = {name: it for name, it in values.items() if name in known or name != "reserved"}
    for name in unsigned & {"fd", "filefd"} & values.keys():
        number = values[name]
        assert isinstance(number, int)
        changed[name] = 0 if number == -1 else number & 0xFFFFFFFF
    return {"query_type": NAME, **changed} if issubclass(record, QueryTyped) else changed


# Buffers.


def allocate(node: OpenNode, size: int = PAGE) -> int:
    """The handle of a new buffer object, its descriptor where there are no handles."""
    if node.legacy:
        result, record = call(node, "ALLOC_DMA_BUFF", size=size)
        assert result == 0
        node.descriptors.add(record.fd)
        return int(record.fd)
    result, record = call(node, "GEM_CREATE", size=size)
    assert result == 0
    return int(record.handle)


def close_handle(node: OpenNode, handle: int) -> None:
    """Give up a handle."""
    if node.legacy:
        node.descriptors.remove(handle)
        os.close(handle)
    else:
        assert call(node, "GEM_CLOSE", handle=handle)[0] == 0


def map_object(node: OpenNode, handle: int, length: int = PAGE) -> mmap.mmap:
    """Map a buffer object, through the node if it has handles."""
    if node.legacy:
        return mmap.mmap(handle, length)
    result, record = call(node, "GEM_MMAP_OFFSET", handle=handle)
    assert result == 0
    return node.node.mmap(length, record.offset, mmap.mmap)


def export(node: OpenNode, handle: int, flags: int = os.O_CLOEXEC | os.O_RDWR) -> int:
    """A DMA-BUF descriptor of a buffer object, closed after the node."""
    if node.legacy:
        descriptor = os.dup(handle)
    else:
        result, record = call(node, "PRIME_HANDLE_TO_FD", handle=handle, flags=flags)
        assert result == 0
        descriptor = int(record.fd)
    node.left.callback(os.close, descriptor)
    return descriptor


def import_fd(node: OpenNode, descriptor: int) -> int:
    """The handle of a DMA-BUF; without handles, the descriptor itself."""
    if node.legacy:
        return descriptor
    result, record = call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)
    assert result == 0
    return int(record.handle)


def name_of(node: OpenNode, handle: int) -> int:
    """What an fd field says for a buffer object: its handle, or in V1 a descriptor (spec 4.4)."""
    return export(node, handle) if node.later and not node.legacy else handle


# Sessions, mappings, calls.


def create_session(node: OpenNode) -> None:
    """Make a protection domain, without a shell image."""
    result, _ = call(node, "CREATE", filefd=-1, attrs=int(ProcessAttribute.UNSIGNED))
    assert result == 0


def map_request(node: OpenNode, **values: int) -> tuple[int, int]:
    """MAP with the values of such a record; its result and vaddrout.

    The older driver has MEM_MAP for NAMED requests, and nothing for others.
    """
    if node.legacy:
        _require_named(values)
        values["length"] = values.pop("size", 0)
    if node.dialect.name == "handle":
        values.setdefault("dsp_handle", max(values.get("fd", 0), -1))
    result, record = call(node, "MEM_MAP" if node.legacy else "MAP", **values)
    return result, int(record.vaddrout)


def unmap_request(node: OpenNode, **values: int) -> int:
    """MUNMAP with the values of such a record; its result.  The older driver has MEM_UNMAP for
    NAMED requests."""
    if node.legacy:
        _require_named(values)
        values["length"] = values.pop("size", 0)
    return call(node, "MEM_UNMAP" if node.legacy else "MUNMAP", **values)[0]


def _require_named(values: dict[str, int]) -> None:
    if values.pop("request") != NAMED:
        pytest.skip("not in dialect legacy: it has no such requests")


def map_on_dsp(node: OpenNode, name: int, size: int = PAGE, **values: int) -> int:
    """Map a buffer object into the DSP process; returns its address there."""
    values.setdefault("request", NAMED)
    values.setdefault("flags", 2 if values["request"] == NAMED else 6)
    result, address = map_request(node, fd=name, size=size, **values)
    assert result == 0
    return address


class _Inline(InvokeElement):
    """An element that keeps the memory which it names."""

    def __init__(self, memory: Memory, **values: int) -> None:
        super().__init__(**{"ptr": memory.address, "length": len(memory), "fd": -1, **values})
        self.memory = memory


def inline(memory: Memory, **values: int) -> InvokeElement:
    """An argument that lies in ordinary memory, which lives as long as the element."""
    return _Inline(memory, **values)


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
    """A call with these argument elements; returns its result.  For an fd of -1 see `call`."""
    if not node.signed:
        for element in (*ins, *outs, *in_handles, *out_handles):
            element.fd = 0 if element.fd == -1 else element.fd
    scalars = Scalars(method, len(ins), len(outs), len(in_handles), len(out_handles)).word
    elements = Memory(b"".join(e.pack() for e in (*ins, *outs, *in_handles, *out_handles)))
    return call(node, "INVOKE", handle=handle, scalars=scalars, arguments=elements.address)[0]
