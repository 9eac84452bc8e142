"""What a request names beside its record: memory of the program, and descriptors.

Commands are found by their codes, in all dialects: what they have in common is where addresses and
descriptors stand.  Only the meaning of the fields that name buffers differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.uapi import LEGACY, LEGACY_73, RFC, V1, BuffersBy, Command, Interface, dma_heap, drm

__all__ = [
    "Span",
    "arguments_of",
    "descriptors_in",
    "fields_with_descriptors",
    "find",
    "made",
    "spans",
]


class Span(NamedTuple):
    """`length` bytes of the program at `address`, and whether the kernel writes there."""

    address: int
    length: int
    written: bool = False


_HEAP = dma_heap.ALLOC.code & 0xFFFF
"""The heap's command without the size of its record, which is the caller's."""
_ALL = {
    command.code: command
    for interface in (LEGACY, LEGACY_73, RFC, V1)
    for command in (*interface.commands, *interface.by_key.values())
}
_MEMORY: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "VERSION": (
        ("name", "name_len", True),
        ("date", "date_len", True),
        ("desc", "desc_len", True),
    ),
    "GET_UNIQUE": (("unique", "unique_len", True),),
    "SET_CLIENT_NAME": (("name", "name_len", False),),
    "CREATE": (("file", "filelen", False),),
    "INIT_CREATE_STATIC": (("name", "namelen", False),),
}
"""The fields of a command that hold an address and a length."""
_MADE = {"ALLOC_DMA_BUFF", "PRIME_HANDLE_TO_FD", "ALLOC"}
"""The commands that make a descriptor, in the field `fd`."""


def find(code: int, interface: Interface | None) -> Command[Record] | None:
    """The command with a code, in the dialect of a node if that is known."""
    if interface is not None and (found := interface.find(code)) is not None:
        return found
    return dma_heap.ALLOC if code & 0xFFFF == _HEAP else _ALL.get(code)


def spans(command: Command[Record], record: Record) -> Iterator[Span]:
    """The memory that a record names, beside the arguments of a call."""
    for address, length, written in _MEMORY.get(command.key, ()):
        yield Span(getattr(record, address), getattr(record, length), written)


def arguments_of(record: Record) -> tuple[int, Scalars]:
    """Where the arguments of a call stand, and how many there are of each kind."""
    values = dict(zip((field.name for field in record.fields), record.values(), strict=True))
    return int(values["arguments"]), Scalars.decode(int(values["scalars"]))


def fields_with_descriptors(command: Command[Record], interface: Interface | None) -> list[str]:
    """The fields of a record that hold a descriptor of the program."""
    if command is drm.PRIME_FD_TO_HANDLE:
        return ["fd"]
    by_descriptor = interface is not None and interface.buffers_by is BuffersBy.DMA_BUF
    if not by_descriptor or command.record is None or command.key in _MADE:
        return []
    return descriptors_in(command.record)


def descriptors_in(form: type[Record]) -> list[str]:
    """The fields of a record that hold the descriptor of a buffer."""
    return [field.name for field in form.fields if "DMA-BUF" in field.unit]


def made(command: Command[Record]) -> bool:
    """Whether a command makes a descriptor."""
    return command.key in _MADE
