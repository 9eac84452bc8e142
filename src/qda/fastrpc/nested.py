"""Streams of nested buffers: the arguments of a reverse call inside those of a forward call.

A request has its in-buffers, then only the lengths of its out-buffers; a reply has the
out-buffers.  Each buffer is a length u32, which follows at once on what was before, and its bytes,
which begin at a multiple of 8 from the start of the stream; an empty buffer is its length only.
Source: spec/fastrpc.md 7.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qda import limits
from qda.memory import align

__all__ = ["pack_reply", "pack_request", "unpack_reply", "unpack_request"]


_BOUNDARY = 8
_LENGTH = 4


def pack_request(ins: Iterable[bytes | memoryview], out_sizes: Iterable[int]) -> bytes:
    """The stream of a request.  ValueError if it or its reply is longer than limits.STREAM."""
    stream, sizes = _pack(ins), list(out_sizes)
    _check_reply(sizes)
    return stream + b"".join(_word(size) for size in sizes)


def pack_reply(outs: Iterable[bytes | bytearray | memoryview]) -> bytes:
    """The stream of a reply.  ValueError for one of more than limits.STREAM bytes."""
    return _pack(outs)


def unpack_request(
    stream: bytes | bytearray | memoryview, ins: int, outs: int
) -> tuple[list[memoryview], list[int]]:
    """The in-buffers of a request, as views of the stream, and the sizes of its out-buffers.

    What follows them is ignored.  ValueError if the stream ends before, or asks for a reply of
    more than limits.STREAM bytes.
    """
    reader = _Reader(stream)
    buffers = [reader.buffer() for _ in range(ins)]
    sizes = [reader.length() for _ in range(outs)]
    _check_reply(sizes)
    return buffers, sizes


def unpack_reply(stream: bytes | bytearray | memoryview, sizes: Sequence[int]) -> list[memoryview]:
    """The out-buffers of a reply, as views of the stream, which may be longer than they are.

    ValueError if the stream ends before, or has other lengths than `sizes`, which were asked for.
    """
    reader = _Reader(stream)
    found = []
    for size in sizes:
        buffer = reader.buffer()
        if len(buffer) != size:
            raise ValueError(f"an out-buffer of {len(buffer)} bytes where {size} were asked for")
        found.append(buffer)
    return found


class _Reader:
    """Reads a stream, and never past its end."""

    def __init__(self, stream: bytes | bytearray | memoryview) -> None:
        self._stream = memoryview(stream).cast("B").toreadonly()
        self._place = 0

    def _take(self, count: int) -> memoryview:
        start, self._place = self._place, self._place + count
        if self._place > len(self._stream):
            raise ValueError(
                f"{count} bytes from {start} are not in a stream of {len(self._stream)}"
            )
        return self._stream[start : self._place]

    def length(self) -> int:
        return int.from_bytes(self._take(_LENGTH), "little")

    def buffer(self) -> memoryview:
        size = self.length()
        if size:
            self._place = align(self._place, _BOUNDARY)
        return self._take(size)


def _pack(buffers: Iterable[bytes | bytearray | memoryview]) -> bytes:
    stream = bytearray()
    for buffer in buffers:
        if len(stream) + len(buffer) > limits.STREAM:
            raise ValueError(f"a stream of more than {limits.STREAM} bytes")
        stream += _word(len(buffer))
        if len(buffer):
            stream += bytes(align(len(stream), _BOUNDARY) - len(stream))
            stream += buffer
    return bytes(stream)


def _check_reply(sizes: Sequence[int]) -> None:
    if sum(sizes) > limits.STREAM:
        raise ValueError(f"out-buffers of {sum(sizes)} bytes: at most {limits.STREAM}")


def _word(size: int) -> bytes:
    return size.to_bytes(_LENGTH, "little")
