"""Ioctls as events: bytes of a structure, decoded by the declaration of its command.

What a program has asked is kept as bytes, and decoded when somebody wants to see it: a call must
not wait for its trace.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import NamedTuple

from qda import limits
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, broken_rule
from qda.tracing.events import Event, Ioctl, IoctlBegun
from qda.uapi import (
    ACCEL_DIALECTS,
    LEGACY_73,
    LEGACY_SIGNALS,
    Command,
    Interface,
    dma_heap,
    ioctl_number,
    ioctl_size,
)
from qda.uapi.accel import Invoke, InvokeElement

__all__ = [
    "Asked",
    "Find",
    "begun",
    "elements_asked",
    "ended",
    "in_heap",
    "in_interface",
    "in_node",
]

_PLAIN = 3
"""So many reasons for an EINVAL are shown; of more it is not plain which one it was."""

_invoke = Invoke.codec
_ELEMENT = InvokeElement.byte_size

Find = Callable[[int], Command[Record] | None]
"""Finds the command of a code, as the kind of node and its dialect have it."""


class Asked(NamedTuple):
    """An ioctl as a program has asked for it.

    `structure` is what stands at `argument`, None if it cannot be read; `elements` are those of
    INVOKE.
    """

    number: int
    time: int
    process: int
    thread: int
    path: str
    descriptor: int
    find: Find
    code: int
    argument: int
    structure: bytes | None
    elements: bytes


def in_interface(interface: Interface) -> Find:
    """The commands of a node that speaks a dialect."""
    return interface.find


def in_heap(code: int) -> Command[Record] | None:
    """The commands of a heap, which takes structures of any size."""
    return next((c for c in dma_heap.HEAP.commands if c.number == ioctl_number(code)), None)


def in_node(path: str) -> Find:
    """The commands of a node of this process, whose dialect its code says."""
    if "/dma_heap/" in path:
        return in_heap
    spoken = (*ACCEL_DIALECTS.values(), LEGACY_73, LEGACY_SIGNALS)
    return lambda code: next((found for one in spoken if (found := one.find(code))), None)


def elements_asked(structure: bytes) -> tuple[int, int]:
    """Address and length in bytes of the elements of an INVOKE that are shown."""
    if len(structure) < _invoke.size:
        return 0, 0
    _, word, address = _invoke.unpack_from(structure)
    return address, min(Scalars.decode(word).length, limits.TRACED_ARGUMENTS) * _ELEMENT


def begun(asked: Asked) -> Iterator[Event]:
    """The event of an ioctl that begins."""
    command = asked.find(asked.code)
    record = _record(command, asked.code, asked.structure)
    yield IoctlBegun(
        asked.time,
        asked.process,
        asked.thread,
        asked.number,
        asked.path,
        asked.descriptor,
        command.spelling if command else f"{asked.code:#x}",
        asked.argument,
        record,
        _elements(record, asked.elements),
        _is_unread(command, asked.code, asked.structure),
    )


def ended(asked: Asked, time: int, structure: bytes | None, result: int) -> Iterator[Event]:
    """The event of an ioctl that has ended at a time, with its structure as it was left."""
    command = asked.find(asked.code)
    record = _record(command, asked.code, structure)
    elements = _elements(record, asked.elements)
    broken = ""
    if command is not None and result == -errno.EINVAL:
        broken = _broken(command, record, elements)
    yield Ioctl(
        asked.time,
        asked.process,
        asked.thread,
        asked.number,
        asked.path,
        asked.descriptor,
        command.spelling if command else f"{asked.code:#x}",
        asked.argument,
        record,
        elements,
        _is_unread(command, asked.code, structure),
        time - asked.time,
        result,
        broken,
    )


def _record(command: Command[Record] | None, code: int, raw: bytes | None) -> Record | None:
    """The structure of an ioctl; None if it has none, or that cannot be read."""
    if command is None or command.record is None or raw is None or not ioctl_size(code):
        return None
    return command.record.unpack(raw.ljust(command.record.byte_size, b"\0"))


def _is_unread(command: Command[Record] | None, code: int, raw: bytes | None) -> bool:
    if command is None or command.record is None:
        return False
    return raw is None or not ioctl_size(code)


def _elements(record: Record | None, raw: bytes) -> tuple[Record, ...]:
    if not isinstance(record, Invoke):
        return ()
    return tuple(InvokeElement.unpack(raw, start) for start in range(0, len(raw), _ELEMENT))


def _broken(command: Command[Record], record: Record | None, elements: tuple[Record, ...]) -> str:
    """The rule of the interface for which a command is EINVAL, as far as it is plain."""
    if record is not None and record.breach():
        return broken_rule(record)
    if isinstance(record, Invoke):
        for place, element in enumerate(elements[: Scalars.decode(record.scalars).buffers]):
            if broken_rule(element):
                return f"argument {place}: {broken_rule(element)}"
    said = [words for number, words in command.errors if number == errno.EINVAL]
    return " or ".join(said) if len(said) <= _PLAIN else ""
