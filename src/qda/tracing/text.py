"""Events printed like strace.

    [41/41] ioctl(3</dev/accel/accel0>, DRM_IOCTL_QDA_QUERY, {dsp_name='cdsp'}) = 0 <0.000093>

A structure is shown as the call has left it.  A call that is overtaken by another line is shown
when it begins and when it ends, so a program that hangs can be seen hanging.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import TextIO

from qda.errors import as_unsigned, explain, is_errno
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.tracing.events import (
    Call,
    Death,
    Event,
    Fault,
    Ioctl,
    IoctlBegun,
    Log,
    Mapped,
    Message,
    Opened,
    Released,
    Response,
    ReverseCall,
)
from qda.uapi.accel import Invoke

__all__ = ["TextPrinter", "fields", "named", "named_shortly", "shape", "status"]

_OPEN_FLAGS = ("O_CLOEXEC", "O_NONBLOCK", "O_CREAT", "O_EXCL", "O_TRUNC", "O_DIRECTORY")
_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR")


class TextPrinter:
    """Writes events to `out`, one line each: those that programs have to do with, and with `wire`
    those of the transport and of the DSP."""

    def __init__(self, out: TextIO, wire: bool = False) -> None:
        self._out, self._wire = out, wire
        self._running: dict[int, str] = {}  # what was begun and not shown yet

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, IoctlBegun):
            self._running[event.number] = f"{_call(event)}, {_argument(event)}"
        elif isinstance(event, Ioctl):
            self._end(event)
        else:
            for line in self._lines(event):
                self._write(line)
        self._out.flush()

    def _lines(self, event: Event) -> Iterator[str]:
        if isinstance(event, Opened):
            flags, result = _open_flags(event.flags), _result(event.result)
            yield f'{_who(event)} open("{event.path}", {flags}) = {result}'
        elif isinstance(event, Mapped):
            part = f"{event.length} bytes from {event.offset:#x}"
            node = f"{event.descriptor}<{event.path}>"
            yield f"{_who(event)} mmap({node}, {part}) = {_result(event.result)}"
        elif isinstance(event, Released):
            yield f"[{event.process}] the last descriptor of <{event.path}> is closed"
        elif self._wire:
            yield from _of_the_wire(event)

    def _end(self, event: Ioctl) -> None:
        seconds = event.duration / 1e9
        ended = f" = {_result(event.result, event.broken)} <{seconds:.6f}>"
        shown = _argument(event)
        if self._running.pop(event.number, None) == "":  # its beginning stands above
            self._write(f"{_who(event)} <... {event.command} resumed> {shown}){ended}")
        else:
            self._write(f"{_call(event)}, {shown}){ended}")

    def _write(self, line: str) -> None:
        for number, begun in self._running.items():
            if begun:
                self._out.write(f"{begun} <unfinished ...>\n")
                self._running[number] = ""
        self._out.write(line + "\n")


def _of_the_wire(event: Event) -> Iterator[str]:
    """What crosses the transport, and what the DSP does by itself."""
    if isinstance(event, Message):
        yield f"{event.device} <- {fields(event.message)}"
        yield from (f"{event.device} <-   {line}" for line in event.arguments)
    elif isinstance(event, Response):
        result = status(event.result)
        yield f"{event.device} -> {{context={event.context:#x}, result={result}}}"
        yield from (f"{event.device} ->   {line}" for line in event.arguments)
    elif isinstance(event, Call):
        taken = (event.ended - event.time) / 1e9
        yield f"{event.device} call {named(event)} = {status(event.result)} <{taken:.6f}>"
    elif isinstance(event, ReverseCall):
        called = event.module or f"handle {event.handle:#x}"
        ended = f"{status(event.result)} <{event.duration / 1e9:.6f}>"
        yield f"{event.device} calls the host: {called}, {shape(event.scalars)} = {ended}"
    elif isinstance(event, Log):
        place = f"{event.file}:{event.line}: " if event.file else ""
        yield f"{event.device} log {event.level} {place}{event.text}"
    elif isinstance(event, Death):
        yield f"{event.device} of process {event.process}: " + "\n".join(event.report)
    elif isinstance(event, Fault):
        yield f"{event.device} fault: handle {event.handle:#x}, method {event.method}"


def named(event: Call) -> str:
    """A call in as many words as are known of it."""
    return event.text or named_shortly(event)


def named_shortly(event: Call) -> str:
    """Which method of which module a call is of."""
    module = event.module or f"handle {event.handle:#x}"
    return f"{module}.{event.name or f'method {event.method}'}"


def _call(event: IoctlBegun | Ioctl) -> str:
    node = f"{event.descriptor}<{event.path}>" if event.descriptor >= 0 else f"<{event.path}>"
    return f"{_who(event)} ioctl({node}, {event.command}"


def _argument(event: IoctlBegun | Ioctl) -> str:
    """The third argument of an ioctl, as its record says."""
    record = event.structure
    if record is None:
        return f"{event.argument:#x}" + " (cannot be read)" * event.unread
    instead: Mapping[str, str] = {}
    if isinstance(record, Invoke):
        scalars = Scalars.decode(record.scalars)
        shown = f"{record.arguments:#x}"
        listed = [fields(element) for element in event.elements]
        if listed:
            listed += ["..."] if len(listed) < scalars.length else []
            shown = f"[{', '.join(listed)}]"
        instead = {"scalars": shape(record.scalars), "arguments": shown}
    return "{" + ", ".join(_values(record, instead)) + "}"


def fields(record: Record) -> str:
    """A record as it is shown in traces: {handle=1, size=4096}."""
    return "{" + ", ".join(_values(record, {})) + "}"


def _values(record: Record, instead: Mapping[str, str]) -> Iterator[str]:
    plain = repr(record).removeprefix(f"{record.spelling}(").removesuffix(")")
    if not instead:
        yield plain
        return
    for field in record.fields:
        value = instead.get(field.name) or f"{getattr(record, field.name):#x}"
        yield f"{field.spelling}={value}"


def shape(word: int) -> str:
    """A scalars word, with what it says."""
    scalars = Scalars.decode(word)
    counts = (
        (scalars.in_buffers, "in"),
        (scalars.out_buffers, "out"),
        (scalars.in_handles, "in-handle"),
        (scalars.out_handles, "out-handle"),
    )
    parts = "".join(f", {count} {word}" for count, word in counts if count)
    return f"{scalars.word:#010x} (method {scalars.method}{parts})"


def _who(event: Event) -> str:
    return f"[{event.process}/{event.thread}]"


def _result(result: int, broken: str = "") -> str:
    """The result of a system call: an errno by name, with the rule that was broken if that is
    known, or a status of the DSP."""
    if is_errno(result):
        number = -result
        why = f": {broken}" if broken else ""
        return f"-1 {errno.errorcode.get(number, number)} ({os.strerror(number)}{why})"
    return status(result)


def status(result: int) -> str:
    """A status of the DSP in hex, with its name."""
    return f"{as_unsigned(result):#x} {explain(result).symbol}" if result else "0"


def _open_flags(flags: int) -> str:
    names = [_ACCESS[min(flags & os.O_ACCMODE, 2)]]
    names += [name for name in _OPEN_FLAGS if flags & getattr(os, name) == getattr(os, name)]
    return "|".join(names)
