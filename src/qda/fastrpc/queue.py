"""Queues of packets between a host and a DSP: their memory and their rings (spec/dspqueue.md).

A queue is a buffer that both sides map.  It has a header, and two rings, of requests and of
responses; one side writes a ring, the other reads it.  Each says in a state of its own, which has
a cache line, where it is and how many of its threads wait.

    header | ring of requests | reader | writer | ring of responses | reader | writer

A packet is a word, references to buffers, and a message, padded to 8 bytes.  It is never split: one
that does not fit before the end of the ring lies at its start, with its word there and also where
it would have been.  Nothing that the other side writes is trusted: its position and its packets
are copied, then checked, and each side keeps its own position itself.

What is here does not wait and wakes nobody; `qda.core` does, for both sides.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from qda import limits
from qda.errors import BAD_ITEM, BAD_PARAMETER, UNSUPPORTED, WOULD_BLOCK, StatusError, plain
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u32, u64

__all__ = [
    "CANCEL_WAIT",
    "COUNTERS",
    "CREATE_QUEUE",
    "CURRENT",
    "DESTROY_QUEUE",
    "INIT_STATE",
    "IS_IMPORTED",
    "MODULE",
    "PROBE",
    "SIGNAL",
    "SIGNAL_MESSAGE",
    "WAIT_SIGNAL",
    "BufferFlag",
    "BufferReference",
    "Figure",
    "HeaderFlag",
    "PacketFlag",
    "PacketHead",
    "Places",
    "QueueHeader",
    "QueueRequest",
    "Ring",
    "RingState",
    "Sides",
    "change_of",
    "lay_out_queue",
    "places_of",
]

MODULE: Final = "dspqueue_rpc"
"""The module that makes queues and carries signals."""

INIT_STATE: Final = Scalars(2, 1)
"""In 0: the fd of the block of counters."""
CREATE_QUEUE: Final = Scalars(3, 1, 1)
"""In 0: a `QueueRequest`; out 0: the id of the queue, u64."""
DESTROY_QUEUE: Final = Scalars(4, 1)
"""In 0: its id."""
IS_IMPORTED: Final = Scalars(5, 1, 1)
"""In 0: its id; out 0: whether code on the DSP has it, s32."""
WAIT_SIGNAL: Final = Scalars(6, 0, 1)
"""Parked until something has changed.  Out 0: -1 if it was cancelled, s32."""
CANCEL_WAIT: Final = Scalars(7)
"""End that."""
SIGNAL: Final = Scalars(8)
"""Something has changed: look again."""

PROBE: Final = 0xFFFFFFFF
"""A version that no DSP knows: by its refusal a host learns that versions are looked at."""
CURRENT: Final = 2
"""The version in which flags count."""

COUNTERS: Final = 4 * 4 * limits.QUEUES
"""Bytes of the block that all queues of a client share: u32 by slot of requests, their room,
responses, their room."""

SIGNAL_MESSAGE: Final = struct.Struct("<II")
"""What a driver with signals carries: the signal, and the client whose it is.  A signal of a queue
is 4 times its slot, and which of the four counters has changed."""

_LINE = 256
_UNIT = 8


class HeaderFlag(enum.IntFlag):
    """How the sides of a queue wake each other."""

    WAIT_COUNTS = 1
    """Only who waits is told."""
    DRIVER_SIGNALS = 2
    """The driver carries signals, and not calls."""


class PacketFlag(enum.IntFlag):
    """What a packet is."""

    MESSAGE = 0x01
    BUFFERS = 0x02
    WAKEUP = 0x04
    """Nothing but the word that another packet comes soon: in so many microseconds, u32."""
    DRIVER_READY = 0x08
    USER_READY = 0x10
    """Every packet has it."""


class BufferFlag(enum.IntFlag):
    """What becomes of a buffer that a packet refers to."""

    REF = 0x04
    """Count one more reference to it."""
    DEREF = 0x08
    """Count one less."""
    FLUSH_SENDER = 0x10
    INVALIDATE_SENDER = 0x20
    FLUSH_RECIPIENT = 0x40
    INVALIDATE_RECIPIENT = 0x80


def change_of(flags: int) -> int:
    """How many references more a packet's buffer with these flags means."""
    return bool(flags & BufferFlag.REF) - bool(flags & BufferFlag.DEREF)


class Figure(enum.IntEnum):
    """What a queue tells of itself; "read" and "write" are as its own side sees it."""

    READ_PACKETS = 1
    READ_BYTES = 2
    WRITE_PACKETS = 3
    WRITE_BYTES = 4
    WAKEUP_TIME = 5
    """Microseconds awake after early wake-ups, since it was last asked for."""
    WAKEUP_MISSES = 6
    """How often no packet came in that time, since it was last asked for."""
    SIGNALLING = 7
    """0: every packet is told of; 100: only who waits is told."""


class Places(NamedTuple):
    """Where a ring and the states of its sides lie, in bytes from the header."""

    ring: int
    length: int
    reader: int
    writer: int

    @property
    def room(self) -> int:
        """Bytes of the ring's memory: its length need be no multiple of 8, and a header that is
        written at its end, where no packet has room, is whole."""
        return _padded(self.length)


class QueueHeader(Record, spelling="dspqueue_header"):
    """The start of a queue's memory."""

    version: int = u32("1: flags do not count, 2: they do")
    error: int = s32("Not used")
    flags: int = u32("How the sides wake each other", unit="bits")
    request_ring: int = u32("Where the ring of requests is", unit="bytes")
    request_length: int = u32("Its length", unit="bytes")
    request_reader: int = u32("Where the DSP's state is", unit="bytes")
    request_writer: int = u32("Where the host's state is", unit="bytes")
    response_ring: int = u32("Where the ring of responses is", unit="bytes")
    response_length: int = u32("Its length", unit="bytes")
    response_reader: int = u32("Where the host's state is", unit="bytes")
    response_writer: int = u32("Where the DSP's state is", unit="bytes")
    serial: int = u32("Number of the queue in its process, from 1")


class RingState(Record, spelling="dspqueue_packet_queue_state"):
    """What a side of a ring says."""

    position: int = u32("Where it reads or writes next", unit="bytes")
    packets: int = u32("How many packets it has read or written, modulo 2**32")
    waits: int = u32("How many of its threads wait for the other side")


class QueueRequest(Record):
    """In-buffer 0 of `create_queue`."""

    slot: int = u32("Which of the counters are its own")
    fd: int = s32("The name of its memory")
    serial: int = u32("As in the header")


class BufferReference(Record, spelling="dspqueue_buffer"):
    """A buffer in a packet."""

    fd: int = u32("Name of a mapped buffer")
    size: int = u32("How much of it, 0 for all", unit="bytes")
    offset: int = u32("From where in it", unit="bytes")
    flags: int = u32("What becomes of it", unit="bits")
    address: int = u64("Where the sender has it; others do not look at it", unit="address")


class Sides(NamedTuple):
    """What the header of a queue says, once it was found to be possible."""

    requests: Places
    responses: Places
    wait_counts: bool
    serial: int


def lay_out_queue(requests: int, responses: int, serial: int) -> tuple[QueueHeader, int]:
    """The header of a queue with rings of those lengths, in bytes, and how long its memory is."""
    places: list[int] = []
    at = _LINE
    for length in (requests, responses):
        reader = at + -(-length // _LINE) * _LINE
        places += [at, length, reader, reader + _LINE]
        at = reader + 2 * _LINE
    names = [name.name for name in QueueHeader.fields[3:11]]
    header = QueueHeader(
        version=CURRENT,
        flags=HeaderFlag.WAIT_COUNTS,
        serial=serial,
        **dict(zip(names, places, strict=True)),
    )
    return header, at


def places_of(memory: memoryview | bytearray, known: HeaderFlag = HeaderFlag.WAIT_COUNTS) -> Sides:
    """Where all parts of a queue lie.  StatusError UNSUPPORTED for a version that is not known, or
    other flags than `known`, BAD_PARAMETER for parts that cannot be there."""
    if len(memory) < QueueHeader.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(memory)} bytes are no queue")
    header = QueueHeader.unpack(memory)
    if header.version not in (1, CURRENT):
        raise StatusError(UNSUPPORTED, f"queues of version {header.version} are not known")
    flags = header.flags if header.version == CURRENT else 0
    if flags & ~int(known):
        raise StatusError(UNSUPPORTED, f"a queue's flags {flags:#x} are not known")
    words = [int(value) for value in header.values()[3:11]]
    requests, responses = Places(*words[:4]), Places(*words[4:])
    for places in (requests, responses):
        _check(places, len(memory))
    return Sides(requests, responses, bool(flags & HeaderFlag.WAIT_COUNTS), header.serial)


def _check(places: Places, size: int) -> None:
    parts = (places.ring, places.room), *((at, RingState.byte_size) for at in places[2:])
    if not 2 * _UNIT <= places.length <= limits.QUEUE_RING:
        raise StatusError(BAD_PARAMETER, f"a queue has no rings of {places.length} bytes")
    if any(at % _UNIT or at < QueueHeader.byte_size or at + length > size for at, length in parts):
        raise StatusError(BAD_PARAMETER, f"a queue of {size} bytes has no place for {places}")


class PacketHead(NamedTuple):
    """What the word before a packet says: its flags, how many buffers it refers to, the bytes of
    its message, and its own bytes without padding."""

    flags: int
    buffers: int
    message: int
    length: int


_WOULD_BLOCK, _BAD_ITEM, _BAD_PARAMETER = plain(WOULD_BLOCK), plain(BAD_ITEM), plain(BAD_PARAMETER)
_KNOWN = 0x1F
_REFERENCE = BufferReference.byte_size


@dataclass
class Ring:
    """A ring as one of its sides has it; `native/core/queue.c` is the same.  StatusErrors have
    plain numbers.

    `counter` is where this side counts its packets in the block that all queues share.
    """

    memory: memoryview
    places: Places
    writes: bool
    counter: memoryview | None = None
    position: int = 0
    packets: int = 0
    _bytes: memoryview = field(init=False, repr=False)
    _mine: memoryview = field(init=False, repr=False)
    _other: memoryview = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ring, _, reader, writer = self.places
        self._bytes = self.memory[ring : ring + self.places.room]
        mine, other = (writer, reader) if self.writes else (reader, writer)
        self._mine, self._other = (
            self.memory[at : at + RingState.byte_size].cast("I") for at in (mine, other)
        )

    @property
    def used(self) -> int:
        """How many bytes of packets lie in it.  StatusError BAD_ITEM if the other side is nowhere
        in it."""
        other, length = self._other[0], self.places.length
        if other % _UNIT or other >= length:
            raise StatusError(_BAD_ITEM, f"position {other} in a ring of {length} bytes")
        start, end = (other, self.position) if self.writes else (self.position, other)
        return (end - start) % length

    @property
    def is_awaited(self) -> bool:
        """Whether the other side waits for what this side has published."""
        return self._other[2] != 0

    @property
    def told(self) -> int:
        """How many packets the other side says that it has written, or read."""
        return self._other[1]

    def wait(self, change: int) -> None:
        """So many more threads of this side wait, or less."""
        self._mine[2] = (self._mine[2] + change) & 0xFFFFFFFF

    def write(self, flags: int, sequence: int, buffers: bytes, message: bytes) -> None:
        """Put a packet into the ring, and publish it.

        `buffers` are packed `BufferReference`s, `sequence` is the packet's number.  StatusError
        WOULD_BLOCK if there is no room now, BAD_PARAMETER if there never is.
        """
        count = len(buffers) // _REFERENCE
        whole = _UNIT + len(buffers) + len(message)
        padded, length = _padded(whole), self.places.length
        if count > limits.QUEUE_BUFFERS or len(message) > limits.QUEUE_MESSAGE or flags & ~_KNOWN:
            raise StatusError(_BAD_PARAMETER, f"no packet has {count} buffers, flags {flags:#x}")
        if padded > length - _UNIT:
            raise StatusError(_BAD_PARAMETER, f"{whole} bytes in a ring of {length}")
        free, rest = length - self.used - _UNIT, length - self.position
        if free < padded or (rest < padded and free - rest < padded):
            raise StatusError(_WOULD_BLOCK, f"no room for {whole} bytes")

        flags &= ~int(PacketFlag.MESSAGE | PacketFlag.BUFFERS)
        flags |= PacketFlag.USER_READY | bool(message) | bool(buffers) << 1
        word = whole | flags << 32 | count << 48 | (sequence & 0xFF) << 56
        head = word.to_bytes(_UNIT, "little")
        self._bytes[self.position : self.position + _UNIT] = head
        if rest < padded:
            self.position = 0
        body = head + buffers + message
        self._bytes[self.position : self.position + whole] = body
        self._go_on(padded)

    def peek(self) -> PacketHead:
        """What the next packet is.  StatusError WOULD_BLOCK if there is none, BAD_ITEM if what
        lies there is no packet."""
        used = self.used
        if not used:
            raise StatusError(_WOULD_BLOCK, "no packet")
        word = int.from_bytes(self._bytes[self.position : self.position + _UNIT], "little")
        length, flags = word & 0xFFFFFFFF, word >> 32 & 0xFFFF
        buffers = word >> 48 & 0xFF if flags & PacketFlag.BUFFERS else 0
        rest = length - _UNIT - buffers * _REFERENCE
        skipped = self._end if self._end < _padded(length) else 0
        if (
            not flags & PacketFlag.USER_READY
            or buffers > limits.QUEUE_BUFFERS
            or not 0 <= rest <= limits.QUEUE_MESSAGE
            or used < skipped + _padded(length)
        ):
            raise StatusError(_BAD_ITEM, f"no packet begins with {word:#x}")
        return PacketHead(flags, buffers, rest if flags & PacketFlag.MESSAGE else 0, length)

    def take(self, head: PacketHead) -> tuple[bytes, bytes]:
        """The references and the message of the packet that `peek` has found; its room is given
        back."""
        if self._end < _padded(head.length):
            self.position = 0
        start = self.position + _UNIT
        middle = start + head.buffers * _REFERENCE
        found = bytes(self._bytes[start:middle]), bytes(self._bytes[middle : middle + head.message])
        self._go_on(_padded(head.length))
        return found

    @property
    def _end(self) -> int:
        """Bytes from here to the end of the ring."""
        return self.places.length - self.position

    def _go_on(self, count: int) -> None:
        self.position += count
        if self.position >= self.places.length:
            self.position = 0
        self.packets = (self.packets + 1) & 0xFFFFFFFF
        self._mine[0], self._mine[1] = self.position, self.packets
        if self.counter is not None:
            self.counter[0] = self.packets


def _padded(length: int) -> int:
    return -(-length // _UNIT) * _UNIT
