"""What marshalling has to know of a type, and what a call is made of; `marshal` does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from qda.idl.wire.records import Buffers, Layout

__all__ = ["Dma", "Fields", "Incoming", "Node", "Outgoing"]

Fields = Iterator[Any]
"""The values of a record's fields that have not been read yet."""


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
    in_handles: list[Any] = field(default_factory=list)
    out_handles: list[Any] = field(default_factory=list)


@dataclass
class Incoming:
    """The secondary buffers and handles of a call that a skeleton reads, taken in order."""

    ins: Buffers
    outs: Buffers
    in_handles: Iterator[Any]
    out_handles: Iterator[Any]


class Node(Protocol):
    """What marshalling knows of a type: layouts I, C (`room_layout`) and R (`out_layout`) of
    spec/idl.md 6.4, and one method for each way through a call.

    A *request* is what a caller gives for a rout parameter: a capacity, a writable buffer, or a
    structure or list of these.  A *target* is what a skeleton fills: the writable view of the room
    that the caller offers.
    """

    in_layout: Layout
    room_layout: Layout
    out_layout: Layout
    is_plain: bool

    def send(self, value: Any, fields: list[Any], call: Outgoing) -> None:
        """Stub: append layout I, and add the in-buffers and in-handles of a value."""
        ...

    def room_of(self, value: Any) -> Any:
        """Stub: the request that is just large enough for a value (of an inrout parameter)."""
        ...

    def offer(self, request: Any, fields: list[Any], call: Outgoing) -> Any:
        """Stub: append layout C, and add the buffers for a result; returns what `collect` needs."""
        ...

    def collect(self, offered: Any, fields: Fields) -> Any:
        """Stub: the result, from layout R and the buffers that were offered."""
        ...

    def receive(self, fields: Fields, call: Incoming) -> Any:
        """Skeleton: the value, from layout I, in-buffers and in-handles."""
        ...

    def open_room(self, fields: Fields, call: Incoming) -> Any:
        """Skeleton: the target, from layout C and out-buffers."""
        ...

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[Any, Any]:
        """Skeleton: value and target of an inrout parameter; the target holds the value."""
        ...

    def write_out(self, value: Any, target: Any, fields: list[Any]) -> None:
        """Skeleton: put a result into its target, and append layout R; None changes nothing."""
        ...
