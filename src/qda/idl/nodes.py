"""What marshalling has to know of a type, and what a call is made of: `qda.idl.marshal` does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from qda.idl.records import Buffers, Extent, RecordReader, RecordWriter

__all__ = ["Dma", "Incoming", "Node", "Outgoing"]


class Dma(NamedTuple):
    """A dmahandle: a part of a DMA buffer, by descriptor.  All in bytes."""

    fd: int
    offset: int = 0
    length: int = 0


@dataclass
class Outgoing:
    """The secondary buffers and handles of a call that a stub prepares."""

    ins: list[Any] = field(default_factory=list)
    outs: list[Any] = field(default_factory=list)
    in_handles: list[Dma] = field(default_factory=list)
    out_handles: list[Dma] = field(default_factory=list)


@dataclass
class Incoming:
    """The secondary buffers and handles of a call that a skeleton reads, taken in order."""

    ins: Buffers
    outs: Buffers
    in_handles: Iterator[Dma]
    out_handles: Iterator[Dma]


class Node(Protocol):
    """What marshalling knows of a type.

    A *request* is what a caller gives for a rout parameter: a capacity, a writable buffer, or a
    structure or list of these.  A *target* is what a skeleton fills: the writable view of the room
    that the caller offers.
    """

    in_record: Extent
    room_record: Extent
    out_record: Extent
    is_plain: bool

    def write_in(self, value: Any, record: RecordWriter) -> None:
        """Stub: append layout I."""
        ...

    def send(self, value: Any, call: Outgoing) -> None:
        """Stub: add the in-buffers and in-handles of a value."""
        ...

    def write_room(self, request: Any, record: RecordWriter) -> None:
        """Stub: append layout C."""
        ...

    def offer(self, request: Any, call: Outgoing) -> Any:
        """Stub: add the buffers for a result; returns what `collect` needs."""
        ...

    def collect(self, offered: Any, record: RecordReader) -> Any:
        """Stub: the result, from layout R and the buffers that were offered."""
        ...

    def read_in(self, record: RecordReader, call: Incoming) -> Any:
        """Skeleton: what layout I says; `receive` completes it."""
        ...

    def receive(self, head: Any, call: Incoming) -> Any:
        """Skeleton: the value, with its in-buffers and in-handles."""
        ...

    def read_room(self, record: RecordReader) -> Any:
        """Skeleton: what layout C says; `open_room` completes it."""
        ...

    def open_room(self, room: Any, call: Incoming) -> Any:
        """Skeleton: the target, with its out-buffers."""
        ...

    def write_out(self, value: Any, target: Any, record: RecordWriter) -> None:
        """Skeleton: put a result into its target, and append layout R."""
        ...
