"""The message buffer: metadata that describes every argument, then the inline bytes.

With n arguments (in-buffers, out-buffers, in-handles, out-handles):

    0         16 n  remote arguments   (pv u64, length u64), or (fd s32, offset u32, length u32, 0)
    16 n       8 n  buffer list        (pages u32: 1, or 0 for no data; page index u32)
    24 n      16 n  pages              (device address u64, size u64)
    40 n       128  fd list, 256 CRC list, both zero
    40 n + 384      inline buffers, each from a multiple of 128, in order of their addresses

The DSP finds byte 0 of a buffer at `pages[index].address + (pv & 0xfff)`; pv itself is an address
of the host and means nothing there.  Source: spec/fastrpc.md 2; every golden vector passes through
this module.

Packing takes four steps, so that errors come in the order in which the original meets them:
`lay_out` (sizes; the message can be allocated), resolving descriptors to a `Backing` (not here),
`Layout.copies_in` (inline bytes), `header`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from qda.fastrpc.overlap import Overlap, overlaps
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, octets, s32, u32, u64
from qda.memory import PAGE, align

__all__ = [
    "NOVA",
    "POLLED",
    "POLL_WORD",
    "Argument",
    "Backing",
    "Copy",
    "DmaHandle",
    "InvokeBuffer",
    "Layout",
    "PhysicalPage",
    "RemoteBuffer",
    "WireArgument",
    "decode",
    "header",
    "lay_out",
    "metadata_size",
]

ALIGNMENT = 128
FD_LIST = 16
CRC_LIST = 64
NOVA = 256
"""Attribute of an argument, FASTRPC_ATTR_NOVA: its object need not be mapped in the client."""


_WORD = (1 << 64) - 1


class RemoteBuffer(Record, spelling="fastrpc_remote_buf"):
    """A remote argument that is a buffer."""

    pv: int = u64("Host address; only its lowest 12 bits matter to the DSP", unit="address")
    length: int = u64("Length of the buffer", unit="bytes")


class DmaHandle(Record, spelling="fastrpc_remote_dmahandle"):
    """A remote argument that is a part of a buffer object."""

    fd: int = s32("Name of the object, which the DSP may remember")
    offset: int = u32("Start of the part", unit="bytes")
    length: int = u32("Length of the part", unit="bytes")


class InvokeBuffer(Record, spelling="fastrpc_invoke_buf"):
    """Which page entry belongs to an argument."""

    pages: int = u32("Number of page entries: 1, or 0 for an argument without data")
    index: int = u32("Index of the page entry")


class PhysicalPage(Record, spelling="fastrpc_phy_page"):
    """A range of device memory."""

    address: int = u64("Device address", unit="address")
    size: int = u64("Size, whole pages", unit="bytes")


class MetadataTail(Record):
    """What follows the page entries; written as zeros by the host."""

    fd_list: bytes = octets(8 * FD_LIST, "Descriptors that the DSP has let go of")
    crc_list: bytes = octets(4 * CRC_LIST, "Checksums, unused")


class Backing(NamedTuple):
    """Where a descriptor-backed argument lies: the object's device address and size in bytes,
    and how far into the object the argument's address points."""

    address: int
    size: int
    offset: int = 0


class Argument(NamedTuple):
    """One argument as the caller described it.

    Buffer: `address` in the caller and `length` in bytes; fd 0 or -1 means that its bytes travel
    inline.  Handle: `address` is an offset in the object.  `backing` is set once fd > 0 has been
    looked up.
    """

    address: int
    length: int
    fd: int = -1
    backing: Backing | None = None
    attr: int = 0

    @property
    def inline(self) -> bool:
        return self.fd in (0, -1)


class Copy(NamedTuple):
    """Bytes of an argument to copy between the caller's `address` and the message."""

    argument: int
    address: int
    length: int
    position: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in a message buffer; all numbers in bytes.

    `positions[i]` is the place of inline buffer i, -1 for one that has none (descriptor-backed or
    empty).  `size` is exact; `allocation` is what is allocated and announced, whole pages.
    """

    scalars: Scalars
    metadata: int
    size: int
    overlaps: list[Overlap]
    positions: list[int]

    @property
    def allocation(self) -> int:
        return align(self.size, PAGE)

    def copies_in(self) -> list[Copy]:
        """The input bytes, in the order in which they are placed, each byte once (H29)."""
        copies, copied = [], 0
        for overlap in self.overlaps:
            index = overlap.argument
            position = self.positions[index]
            if index >= self.scalars.in_buffers or position < 0:
                continue
            start = max(overlap.start, copied)
            if overlap.end > start:
                skipped = start - overlap.start
                copies.append(Copy(index, start, overlap.end - start, position + skipped))
            copied = max(copied, overlap.end)
        return copies

    def copies_out(self, arguments: Sequence[Argument]) -> list[Copy]:
        """The output bytes in argument order, with the lengths that the caller asked for: what
        the DSP has written over the metadata does not matter (H14)."""
        first, end = self.scalars.in_buffers, self.scalars.buffers
        return [
            Copy(index, arguments[index].address, arguments[index].length, self.positions[index])
            for index in range(first, end)
            if self.positions[index] >= 0
        ]


POLLED = 0xDECAF
"""What the poll word says once the call has been answered."""

POLL_WORD = 4
"""Bytes of the word behind the metadata that says to a caller which looks for it that its answer
has come, where drivers have one (spec/versions.md 6)."""


def metadata_size(count: int) -> int:
    """Bytes of metadata for `count` arguments."""
    per_argument = RemoteBuffer.byte_size + InvokeBuffer.byte_size + PhysicalPage.byte_size
    return per_argument * count + MetadataTail.byte_size


_EMPTY = metadata_size(0)


def lay_out(scalars: Scalars, arguments: Sequence[Argument], polled: bool = False) -> Layout:
    """Place the arguments of a call.  Lengths and addresses are taken as they are.  With `polled`
    the metadata ends with a poll word."""
    more = POLL_WORD if polled else 0
    if not arguments:
        return Layout(scalars, _EMPTY + more, align(_EMPTY + more, ALIGNMENT), [], [])
    metadata = metadata_size(len(arguments)) + more
    buffers = arguments[: scalars.buffers]
    placed = overlaps([(argument.address, argument.length) for argument in buffers])
    positions = [-1] * len(buffers)
    size, cursor = align(metadata, ALIGNMENT), metadata
    for overlap in placed:
        argument = buffers[overlap.argument]
        if not argument.inline:
            continue
        if overlap.offset == 0:
            size = align(size, ALIGNMENT)
        size += overlap.own
        if argument.length == 0:
            continue
        if overlap.offset == 0:
            cursor = align(cursor, ALIGNMENT)
        positions[overlap.argument] = cursor - overlap.offset
        cursor += overlap.own
    return Layout(scalars, metadata, size, placed, positions)


@lru_cache(maxsize=64)
def _codec(count: int) -> Struct:
    return Struct(f"<{2 * count}Q{2 * count}I{2 * count}Q")


def _pages(address: int, length: int) -> int:
    """Bytes of all pages touched by [address, address + length)."""
    return align((address & PAGE - 1) + length, PAGE)


def header(
    layout: Layout, arguments: Sequence[Argument], host_address: int, device_address: int
) -> bytes:
    """The metadata of a message buffer that lies at `host_address` (which the DSP sees in pv; any
    number with the same low 12 bits will do, H19) and at `device_address`."""
    if not arguments:
        return bytes(MetadataTail.byte_size)
    remote: list[int] = []
    listed: list[int] = []
    pages: list[int] = []
    buffers = layout.scalars.buffers
    for index, (address, length, fd, backing, _) in enumerate(arguments):
        listed += (int(length != 0), index)
        if index >= buffers:
            if backing is None:
                remote += (address, length)
                pages += (0, 0)
            else:
                remote += (fd & 0xFFFFFFFF | (address & 0xFFFFFFFF) << 32, length & 0xFFFFFFFF)
                pages += (backing.address, backing.size)
        elif length == 0:
            remote += (0, 0)
            pages += (0, 0)
        elif backing is not None:
            remote += (address, length)
            pages += (backing.address + (backing.offset & -PAGE), _pages(address, length))
        else:
            position = layout.positions[index]
            remote += (host_address + position, length)
            pages += ((device_address + position) & -PAGE, _pages(host_address + position, length))
    return _codec(len(arguments)).pack(*remote, *listed, *pages) + bytes(MetadataTail.byte_size)


class WireArgument(NamedTuple):
    """One argument as the DSP reads it: nothing in it has been checked.

    `words` are the two 64-bit words of the remote argument; (address, size) is the page entry that
    the buffer list names, and None if the list names no page or one that does not exist.
    """

    words: tuple[int, int]
    pages: int
    page: tuple[int, int] | None

    @property
    def length(self) -> int:
        """Length of a buffer in bytes."""
        return self.words[1]

    @property
    def address(self) -> int:
        """Device address of a buffer's first byte.  Only with a page."""
        assert self.page is not None
        return self.page[0] + (self.words[0] & PAGE - 1)

    @property
    def handle(self) -> DmaHandle:
        """The argument read as a handle."""
        return DmaHandle.unpack(
            self.words[0].to_bytes(8, "little") + self.words[1].to_bytes(8, "little")
        )


def decode(count: int, metadata: bytes | bytearray | memoryview) -> list[WireArgument]:
    """The `count` arguments of a message buffer.  struct.error if the metadata is too short."""
    words = _codec(count).unpack_from(metadata)
    listed, pages = words[2 * count : 4 * count], words[4 * count :]
    found = []
    for index in range(count):
        number, page_index = listed[2 * index : 2 * index + 2]
        page = None
        if number and page_index < count:
            page = (pages[2 * page_index], pages[2 * page_index + 1])
        found.append(WireArgument(words[2 * index : 2 * index + 2], number, page))
    return found
