"""Control methods: what the driver asks of the DSP by itself, on `Fixed.INIT`.

Each is an ordinary call whose in-buffers are the records below.  The functions return a
`ControlCall`; they do not send it.  Source: spec/fastrpc.md 3.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from qda import limits
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.payload import PhysicalPage
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u32, u64

__all__ = [
    "REFUSED_CAPABILITIES",
    "AttachRequest",
    "ClientRequest",
    "ControlCall",
    "CreateRequest",
    "MapRequest",
    "MapResponse",
    "MemMapRequest",
    "MemUnmapRequest",
    "Method",
    "ProcessAttribute",
    "ProcessMethod",
    "StaticRequest",
    "UnmapRequest",
    "Utility",
    "attach",
    "capabilities",
    "create",
    "create_static",
    "map_legacy",
    "mem_map",
    "mem_unmap",
    "release",
    "unmap_legacy",
]


class Method(enum.IntEnum):
    """Method ids on `Fixed.INIT`."""

    ATTACH = 0
    RELEASE = 1
    MMAP = 4
    MUNMAP = 5
    CREATE = 6
    CREATE_ATTR = 7
    CREATE_STATIC = 8
    MEM_MAP = 10
    MEM_UNMAP = 11


class Utility(enum.IntEnum):
    """Method ids on `Fixed.UTILITIES` (3.5)."""

    CAPABILITIES = 0


class ProcessMethod(enum.IntEnum):
    """Method ids on `Fixed.CURRENT_PROCESS1` (6.7), by which a client speaks of its process."""

    EXIT = 2
    THREAD_EXIT = 3
    ADDRESS_SPACE = 5
    QUALITY_OF_SERVICE = 6
    EXCEPTION = 7
    POLL_MODE = 9


class ProcessAttribute(enum.IntFlag):
    """Attributes of a new process (3.3)."""

    DEBUG = 0x1
    PTRACE = 0x2
    CRC = 0x4
    UNSIGNED = 0x8
    ADAPTIVE_QOS = 0x10
    SYSTEM = 0x20
    PRIVILEGED = 0x40


class ClientRequest(Record):
    """How every request begins."""

    client_id: int = s32("Session that the request is about")


class AttachRequest(ClientRequest):
    """In-buffer 0 of ATTACH and RELEASE."""


class CreateRequest(ClientRequest, spelling="fastrpc_create_process_inbuf"):
    """In-buffer 0 of CREATE and CREATE_ATTR."""

    name_length: int = u32("Length of the process name with its NUL", unit="bytes")
    file_length: int = u32("Length of the shell image, 0 without one", unit="bytes")
    pages: int = u32("Number of page entries in in-buffer 3: 1")
    attributes: int = u32("Process attributes", unit="bits")
    signature_length: int = u32("Length of the signature at the end of the image", unit="bytes")


class StaticRequest(ClientRequest):
    """In-buffer 0 of CREATE_STATIC."""

    name_length: int = u32("Length of the process name with its NUL", unit="bytes")
    pages: int = u32("Number of page entries in in-buffer 2: 1, or 0 if the heap is known")


class MapRequest(ClientRequest, spelling="fastrpc_map_req_msg"):
    """In-buffer 0 of MMAP."""

    flags: int = u32("Kind of mapping", unit="bits")
    address: int = u64("Address wanted, a hint", unit="address")
    pages_size: int = s32("Size of the page list, 16", unit="bytes")


class MapResponse(Record, spelling="fastrpc_map_rsp_msg"):
    """Out-buffer of MMAP and MEM_MAP."""

    address: int = u64("Address of the mapping on the DSP", unit="address")


class UnmapRequest(ClientRequest, spelling="fastrpc_munmap_req_msg"):
    """In-buffer 0 of MUNMAP."""

    address: int = u64("Address that MMAP returned", unit="address")
    size: int = u64("Size that was given to MMAP", unit="bytes")


class MemMapRequest(ClientRequest, spelling="fastrpc_mem_map_req_msg"):
    """In-buffer 0 of MEM_MAP."""

    fd: int = s32("Name of the object, by which MEM_UNMAP and the DSP's programs may ask for it")
    offset: int = s32("First byte of the object to map", unit="bytes")
    flags: int = u32("Kind of mapping", unit="bits")
    address: int = u64("Address wanted, a hint", unit="address")
    pages_size: int = s32("Size of the page list, 16", unit="bytes")
    data_length: int = s32("Length of in-buffer 2, 0", unit="bytes")


class MemUnmapRequest(ClientRequest, spelling="fastrpc_mem_unmap_req_msg"):
    """In-buffer 0 of MEM_UNMAP."""

    fd: int = s32("Name of the object")
    address: int = u64("Address that MEM_MAP returned, 0 to find the mapping by fd", unit="address")
    length: int = u64("Length of the mapping", unit="bytes")


@dataclass(frozen=True, slots=True)
class ControlCall:
    """A control call: the method, the bytes of its in-buffers, the lengths of its out-buffers.

    An in-buffer that is None is one that the caller of the driver provides: the shell image.
    `domain` is the kind of protection domain that the context id names; only CREATE says USER
    (hazards.md H30).  `handle` is the module that has the method.
    """

    method: Method | Utility
    inputs: Sequence[bytes | None]
    outputs: Sequence[int] = ()
    domain: ProtectionDomain = ProtectionDomain.ROOT
    handle: int = Fixed.INIT

    @property
    def scalars(self) -> Scalars:
        return Scalars(self.method, len(self.inputs), len(self.outputs))


def attach(client_id: int) -> ControlCall:
    """Attach a session to the root protection domain."""
    return ControlCall(Method.ATTACH, [AttachRequest(client_id=client_id).pack()])


def release(client_id: int) -> ControlCall:
    """End a session; the DSP destroys everything that belongs to it."""
    return ControlCall(Method.RELEASE, [AttachRequest(client_id=client_id).pack()])


def create(
    client_id: int,
    name: bytes,
    file_length: int,
    memory: PhysicalPage,
    attributes: int,
    signature_length: int,
) -> ControlCall:
    """Make a process for a session: CREATE_ATTR if it has attributes, else CREATE.

    `name` is cut to 15 bytes and gets a NUL.  The image is in-buffer 2, left to the caller.
    """
    text = name[: limits.PROCESS_NAME - 1] + b"\0"
    request = CreateRequest(
        client_id=client_id,
        name_length=len(text),
        file_length=file_length,
        pages=1,
        attributes=attributes,
        signature_length=signature_length,
    )
    method = Method.CREATE_ATTR if attributes else Method.CREATE
    inputs = [request.pack(), text, None, memory.pack()]
    return ControlCall(method, inputs, domain=ProtectionDomain.USER)


def create_static(client_id: int, name: bytes, heap: PhysicalPage | None) -> ControlCall:
    """Begin a session with a process of the DSP's own image; `heap` is the DSP's remote heap, None
    if it has been handed over before (3.1)."""
    request = StaticRequest(
        client_id=client_id, name_length=len(name), pages=0 if heap is None else 1
    )
    inputs = [request.pack(), name, (heap or PhysicalPage()).pack()]
    return ControlCall(Method.CREATE_STATIC, inputs, domain=ProtectionDomain.USER)


REFUSED_CAPABILITIES = 0
"""Where a DSP's table of capabilities has the status with which it refuses to tell them: attribute
0 is the host's (3.5)."""


def capabilities() -> ControlCall:
    """Ask for attributes 1 to 255; the answer is an array of 32-bit words (3.5)."""
    request = struct.pack("<I", limits.CAPABILITIES)
    return ControlCall(
        Utility.CAPABILITIES, [request], [4 * limits.CAPABILITIES], handle=Fixed.UTILITIES
    )


def map_legacy(client_id: int, flags: int, hint: int, page: PhysicalPage) -> ControlCall:
    """Map a buffer, or ask for memory of the DSP's own with a page entry of zeros."""
    request = MapRequest(
        client_id=client_id, flags=flags, address=hint, pages_size=PhysicalPage.byte_size
    )
    return ControlCall(Method.MMAP, [request.pack(), page.pack()], [MapResponse.byte_size])


def mem_map(
    client_id: int, fd: int, offset: int, flags: int, hint: int, page: PhysicalPage
) -> ControlCall:
    """Map a buffer under a name, from an offset, a u32 of which the wire has the bits."""
    request = MemMapRequest(
        client_id=client_id,
        fd=fd,
        offset=offset - (offset >> 31 << 32),
        flags=flags,
        address=hint,
        pages_size=PhysicalPage.byte_size,
    )
    return ControlCall(Method.MEM_MAP, [request.pack(), page.pack(), b""], [MapResponse.byte_size])


def unmap_legacy(client_id: int, address: int, size: int) -> ControlCall:
    """Undo MMAP."""
    request = UnmapRequest(client_id=client_id, address=address, size=size)
    return ControlCall(Method.MUNMAP, [request.pack()])


def mem_unmap(client_id: int, fd: int, address: int, length: int) -> ControlCall:
    """Undo MEM_MAP."""
    request = MemUnmapRequest(client_id=client_id, fd=fd, address=address, length=length)
    return ControlCall(Method.MEM_UNMAP, [request.pack()])
