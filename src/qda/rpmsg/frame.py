"""Frames: what the two ends of the transport tell each other about the transport itself.

    to the processor   OPEN client, form, kind, name, [endpoint, pool, mourner]
                                                                     a session begins
                       CLOSE client                                  destroy its process
    to a session       LANES first, patience, [sleep, wake, ...]     more lanes to serve
                       ANNOUNCE address, size, [memory, pieces]      may appear in messages
                       WITHDRAW address                              may no longer
                       SIGNALS [endpoint]                            a driver has signals

Each frame has a number, and is answered with that number and 0 or an errno when its effect is
complete.  So an answer that comes when nobody waits any more is not taken for another's.
Descriptors in brackets travel with the frame.  The name is that of a static process, and comes
behind the rest.  The pieces are a file that says where the announced bytes lie in the memory's
file, pairs of offset and size, and need not be there: then they lie at its beginning.  The mourner
is a pipe, and need not be there: the processor keeps it, and writes to it how the process has died,
if it does (`qda.fastrpc.obituary`); the process itself gets the other two.
"""

from __future__ import annotations

import enum
import errno
import struct
from collections.abc import Sequence
from typing import NamedTuple

from qda import limits
from qda.memory import PAGE, Piece

__all__ = ["Frame", "Operation", "pack_pieces", "pack_reply", "unpack_pieces", "unpack_reply"]


class Operation(enum.IntEnum):
    """What a frame is about."""

    OPEN = 1
    CLOSE = 2
    LANES = 3
    ANNOUNCE = 4
    WITHDRAW = 5
    SIGNALS = 6

    @property
    def descriptors(self) -> range:
        """How many descriptors travel with a frame of this operation."""
        return _DESCRIPTORS.get(self, range(1))


_DESCRIPTORS = {
    Operation.OPEN: range(2, 4),
    Operation.LANES: range(2, limits.DESCRIPTORS + 1, 2),
    Operation.ANNOUNCE: range(1, 3),
    Operation.SIGNALS: range(1, 2),
}

_FRAME = struct.Struct("<IIQQQ")
_REPLY = struct.Struct("<Qi")
_PIECE = struct.Struct("<QQ")
_LARGEST_ERRNO = 4095


class Frame(NamedTuple):
    """One frame; fields that an operation does not use are 0."""

    operation: Operation
    client_id: int = 0
    address: int = 0
    size: int = 0
    number: int = 0
    name: bytes = b""

    def pack(self) -> bytes:
        """The frame as 32 bytes, and its name."""
        return _FRAME.pack(*self[:-1]) + self.name

    @classmethod
    def unpack(cls, message: bytes) -> Frame:
        """The inverse of `pack`.  ValueError if it is not a frame."""
        try:
            operation, client_id, address, size, number = _FRAME.unpack_from(message)
            name = message[_FRAME.size :]
            frame = cls(Operation(operation), client_id, address, size, number, name)
        except struct.error as error:
            raise ValueError(f"not a transport frame: {message[:32]!r}") from error
        if frame.name and frame.operation is not Operation.OPEN:
            raise ValueError(f"only {Operation.OPEN!r} has a name: {message[:64]!r}")
        return frame

    @property
    def kind(self) -> int:
        """OPEN: the kind of protection domain that is asked for; with a name, a static process."""
        return self.size

    @property
    def form(self) -> int:
        """OPEN: how its calls are written, bits of `qda.fastrpc.message.CallForm`."""
        return self.address

    @property
    def patience(self) -> int:
        """LANES: for how many microseconds to look for a message before sleeping."""
        return self.size


def pack_reply(error: int, number: int = 0) -> bytes:
    """The answer to the frame of a number: 0 or an errno."""
    return _REPLY.pack(number, error)


def unpack_reply(message: bytes) -> tuple[int, int]:
    """The inverse of `pack_reply`: errno, number.  What is no errno counts as EPROTO, and what is
    no answer at all as one to number 0: the peer may be hostile."""
    if len(message) != _REPLY.size:
        return errno.EPROTO, 0
    number, error = _REPLY.unpack(message)
    return error if 0 <= error <= _LARGEST_ERRNO else errno.EPROTO, number


def pack_pieces(pieces: Sequence[Piece]) -> bytes:
    """What stands in the file of pieces."""
    return b"".join(_PIECE.pack(*piece) for piece in pieces)


def unpack_pieces(file: bytes, size: int) -> tuple[Piece, ...]:
    """The inverse of `pack_pieces`, for `size` bytes in all.  OSError EINVAL for anything else."""
    if len(file) % _PIECE.size:
        raise OSError(errno.EINVAL, f"pieces of {len(file)} bytes")
    pieces = tuple(Piece(*words) for words in _PIECE.iter_unpack(file))
    whole = all(piece.size and not (piece.offset | piece.size) % PAGE for piece in pieces)
    if not whole or sum(piece.size for piece in pieces) != size:
        raise OSError(errno.EINVAL, f"{len(pieces)} pieces, not {size} bytes of whole pages")
    return pieces
