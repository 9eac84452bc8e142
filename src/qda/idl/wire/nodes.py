"""What marshalling has to know of a type, and what a call is made of; `marshal` does it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

from qda.idl.wire.records import Buffers, Fields, Layout, Row
from qda.idl.wire.values import Bytes, Given, Handle

__all__ = ["AnyNode", "Dma", "Incoming", "Node", "Outgoing"]

V = TypeVar("V")
"""A value as it arrives."""

O = TypeVar("O")  # noqa: E741
"""What a stub offers for a result."""

T = TypeVar("T")
"""What a skeleton fills: the writable view of the room that the caller offers."""


class Dma(NamedTuple):
    """A dmahandle: a part of a DMA buffer, by descriptor.  All in bytes."""

    fd: int
    offset: int = 0
    length: int = 0


@dataclass
class Outgoing:
    """The secondary buffers and handles of a call that a stub prepares."""

    ins: list[Bytes] = field(default_factory=list)
    outs: list[Bytes] = field(default_factory=list)
    in_handles: list[Handle] = field(default_factory=list)
    out_handles: list[Handle] = field(default_factory=list)


@dataclass
class Incoming:
    """The secondary buffers and handles of a call that a skeleton reads, taken in order."""

    ins: Buffers
    outs: Buffers
    in_handles: Iterator[Handle]
    out_handles: Iterator[Handle]


class Node(ABC, Generic[V, O, T]):
    """What marshalling knows of a type: layouts I, C (`room_layout`) and R (`out_layout`) of
    spec/idl.md 6.4, and one method for each way through a call.

    A *request* is what a caller gives for a rout parameter: a capacity, a writable buffer, or a
    structure or list of these.
    """

    in_layout = room_layout = out_layout = Layout()
    is_plain: ClassVar[bool] = True

    @abstractmethod
    def send(self, value: Given, fields: Row, call: Outgoing) -> None:
        """Stub: append layout I, and add the in-buffers and in-handles of a value."""

    @abstractmethod
    def offer(self, request: Given, fields: Row, call: Outgoing) -> O:
        """Stub: append layout C, and add the buffers for a result; returns what `collect` needs."""

    @abstractmethod
    def collect(self, offered: O, fields: Fields) -> V:
        """Stub: the result, from layout R and the buffers that were offered."""

    @abstractmethod
    def receive(self, fields: Fields, call: Incoming) -> V:
        """Skeleton: the value, from layout I, in-buffers and in-handles."""

    @abstractmethod
    def open_room(self, fields: Fields, call: Incoming) -> T:
        """Skeleton: the target, from layout C and out-buffers."""

    def receive_both(self, fields: Fields, call: Incoming) -> tuple[V, T]:
        """Skeleton: value and target of an inrout parameter; the target holds the value."""
        return self.receive(fields, call), self.open_room(fields, call)

    @abstractmethod
    def write_out(self, value: Given, target: T, fields: Row) -> None:
        """Skeleton: put a result into its target, and append layout R; None changes nothing."""


AnyNode: TypeAlias = Node[Any, Any, Any]
"""The node of a type that is known when a program runs."""
