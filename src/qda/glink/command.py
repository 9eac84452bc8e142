"""Commands: what the two ends of a GLINK edge say to each other, native protocol, version 1.

A command is a header of eight bytes and perhaps data, padded with zeros to a multiple of eight:

    0    u16 code, u16 first, u32 second
    8    data: its length follows from the code and `second`, or is `chunk` in front of it

`first` is nearly always a channel, by the number that its sender gave it; the two acknowledgements
of OPEN and CLOSE give back the number of who is answered.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from qda.layout import Record, u16, u32
from qda.memory import align

__all__ = [
    "CHUNK",
    "LARGEST_MESSAGE",
    "LARGEST_NAME",
    "VERSION",
    "Code",
    "Command",
    "GlinkFault",
    "Header",
    "IntentEntry",
    "TransferSizes",
]

VERSION = 1
CHUNK = 8192
"""At most so many bytes of a message travel with one command."""
LARGEST_MESSAGE = 1 << 20
"""Bytes of a message, at most: more is not a message of this world, and would be held in memory."""
LARGEST_NAME = 32
"""Bytes of a channel's name with its NUL."""
LARGEST_INTENTS = 256
"""Intents that one command tells of, at most."""
ALIGNMENT = 8


class GlinkFault(Exception):
    """The other end has broken the protocol: nothing that it says later can be understood."""


class Code(enum.IntEnum):
    """What a command says."""

    VERSION = 0
    VERSION_ACK = 1
    OPEN = 2
    CLOSE = 3
    OPEN_ACK = 4
    INTENT = 5
    RX_DONE = 6
    INTENT_REQUEST = 7
    INTENT_REQUEST_ACK = 8
    DATA = 9
    CLOSE_ACK = 11
    DATA_CONTINUED = 12
    READ_NOTIFICATION = 13
    RX_DONE_REUSE = 14
    SIGNALS = 15


class Header(Record):
    """How every command begins."""

    code: int = u16("What the command says")
    first: int = u16("Channel, by the number of its sender; for an acknowledgement of the receiver")
    second: int = u32("Number of an intent, length of a name, count, size or features")


class TransferSizes(Record):
    """In front of the bytes of DATA and DATA_CONTINUED."""

    chunk: int = u32("Bytes that travel with this command", unit="bytes")
    left: int = u32("Bytes of the message that are still to come", unit="bytes")


class IntentEntry(Record):
    """INTENT: room for one message."""

    size: int = u32("The longest message that fits", unit="bytes")
    number: int = u32("Number of the intent, which DATA names")


class Command(NamedTuple):
    """One command; `data` is without padding."""

    code: Code
    first: int = 0
    second: int = 0
    data: bytes = b""

    def pack(self) -> bytes:
        """The command as bytes, a multiple of eight."""
        whole = Header(code=self.code, first=self.first, second=self.second).pack() + self.data
        return whole + bytes(align(len(whole), ALIGNMENT) - len(whole))

    @classmethod
    def unpack(cls, whole: bytes) -> Command:
        """The inverse of `pack`, for bytes of which `length_at` says that they are one command."""
        header = Header.unpack(whole)
        length = _data_length(header, whole)
        return cls(Code(header.code), header.first, header.second, whole[8 : 8 + length])

    @staticmethod
    def length_at(start: bytes) -> int:
        """How long the command is that begins with these bytes, of which there are 16 unless no
        more have come; 0 if too few have.  GlinkFault for what is none."""
        if len(start) < Header.byte_size:
            return 0
        header = Header.unpack(start)
        if header.code not in _KNOWN:
            raise GlinkFault(f"command {header.code}: there is none of this code")
        if header.code in _TRANSFERS and len(start) < Header.byte_size + TransferSizes.byte_size:
            return 0
        return align(Header.byte_size + _data_length(header, start), ALIGNMENT)

    def __str__(self) -> str:
        words = f"{self.code.name} {self.first} {self.second:#x}"
        return f"{words} {len(self.data)} bytes" if self.data else words


_KNOWN = frozenset(Code)
_TRANSFERS = frozenset({Code.DATA, Code.DATA_CONTINUED})


def _data_length(header: Header, start: bytes) -> int:
    if header.code == Code.OPEN:
        return _at_most(header.second & 0xFFFF, LARGEST_NAME, "a name")
    if header.code == Code.INTENT:
        return IntentEntry.byte_size * _at_most(header.second, LARGEST_INTENTS, "intents")
    if header.code in _TRANSFERS:
        sizes = TransferSizes.unpack(start[Header.byte_size :])
        _at_most(sizes.chunk + sizes.left, LARGEST_MESSAGE, "a message")
        return TransferSizes.byte_size + sizes.chunk
    return 0


def _at_most(length: int, most: int, what: str) -> int:
    if length > most:
        raise GlinkFault(f"{what} of {length}: at most {most}")
    return length
