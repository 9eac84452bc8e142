"""The events of a trace, each declared once: printers, JSON and the reference follow from here.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share; `process` and
`thread` are those that the event is of, 0 where nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, TypeAlias

from qda.layout import Field, Record, show

__all__ = [
    "EVENTS",
    "SCHEMA",
    "Begun",
    "Call",
    "Death",
    "Event",
    "Fault",
    "Ioctl",
    "IoctlBegun",
    "Log",
    "Mapped",
    "Message",
    "Opened",
    "Released",
    "Response",
    "ReverseCall",
    "as_json",
]

SCHEMA = 1
"""Version of the events: a number higher where a field has another meaning, or is gone."""

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened."""

    kind: ClassVar[str] = ""
    time: Annotated[int, "When it was, or began; nanoseconds of CLOCK_MONOTONIC"]
    process: Annotated[int, "Process that it is of"]
    thread: Annotated[int, "Thread that it is of"]


@dataclass(frozen=True, slots=True)
class Begun(Event):
    """The trace begins."""

    kind = "trace"
    wall: Annotated[int, "The same time in nanoseconds since 1970"]
    version: Annotated[str, "Version of QDA"]
    schema: Annotated[int, "Version of these events"] = SCHEMA


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """A node was opened, or not."""

    kind = "open"
    path: Annotated[str, "Path of the node"]
    flags: Annotated[int, "As of open(2)"]
    result: Annotated[int, "0 or a negative errno"]
    comm: Annotated[str, "What the kernel calls the thread"] = ""


@dataclass(frozen=True, slots=True)
class Released(Event):
    """The last descriptor of a node is closed; the process is the one that opened it."""

    kind = "release"
    path: Annotated[str, "Path of the node"]


@dataclass(frozen=True, slots=True)
class Mapped(Event):
    """Memory of a node was mapped, or not."""

    kind = "mmap"
    path: Annotated[str, "Path of the node"]
    descriptor: Annotated[int, "The program's descriptor of it"]
    length: Annotated[int, "Bytes to map"]
    offset: Annotated[int, "From where"]
    result: Annotated[int, "0 or a negative errno"]


@dataclass(frozen=True, slots=True)
class IoctlBegun(Event):
    """An ioctl has begun."""

    kind = "ioctl_begun"
    number: Annotated[int, "What its end has, too"]
    path: Annotated[str, "Path of the node"]
    descriptor: Annotated[int, "The program's descriptor of it, -1 inside the program"]
    command: Annotated[str, "Its command, as C programs write it"]
    argument: Annotated[int, "The third argument"]
    structure: Annotated[Record | None, "What stands there, by the declaration of the command"]
    elements: Annotated[tuple[Record, ...], "The arguments of INVOKE"]
    unread: Annotated[bool, "Whether nothing can be read there"]


@dataclass(frozen=True, slots=True)
class Ioctl(Event):
    """An ioctl has ended; its structure is as it was left."""

    kind = "ioctl"
    number: Annotated[int, "What its beginning has, too"]
    path: Annotated[str, "Path of the node"]
    descriptor: Annotated[int, "The program's descriptor of it, -1 inside the program"]
    command: Annotated[str, "Its command, as C programs write it"]
    argument: Annotated[int, "The third argument"]
    structure: Annotated[Record | None, "What stands there, by the declaration of the command"]
    elements: Annotated[tuple[Record, ...], "The arguments of INVOKE"]
    unread: Annotated[bool, "Whether nothing can be read there"]
    duration: Annotated[int, "Nanoseconds that it has taken"]
    result: Annotated[int, "0, a negative errno, or a status of the DSP as a signed number"]
    broken: Annotated[str, "The rule for which it is EINVAL, as far as it is plain"] = ""


@dataclass(frozen=True, slots=True)
class Message(Event):
    """A message to the DSP; `process` and `thread` are the caller's."""

    kind = "message"
    device: Annotated[str, "The DSP"]
    message: Annotated[Record, "The 40 bytes on the channel"]
    arguments: Annotated[tuple[str, ...], "What the caller gives, in words"]


@dataclass(frozen=True, slots=True)
class Response(Event):
    """The answer to a message."""

    kind = "response"
    device: Annotated[str, "The DSP"]
    context: Annotated[int, "Context id of the message"]
    result: Annotated[int, "0 or a status, signed"]
    arguments: Annotated[tuple[str, ...], "What the DSP gives, in words"]


@dataclass(frozen=True, slots=True)
class Call(Event):
    """A call of a module on the DSP, from the program's request to its result."""

    kind = "call"
    device: Annotated[str, "The DSP, or what is known of it"]
    client_id: Annotated[int, "Session of the call"]
    handle: Annotated[int, "Handle of the module"]
    scalars: Annotated[int, "Method and numbers of arguments"]
    method: Annotated[int, "Number of the method"]
    module: Annotated[str, "Name of the module, as far as it is known"]
    name: Annotated[str, "Name of the method, as far as it is known"]
    text: Annotated[str, "The call in words, where its interface and its bytes are known"]
    sent: Annotated[int, "When the message left"]
    answered: Annotated[int, "When the answer was there"]
    ended: Annotated[int, "When the program had it"]
    method_begun: Annotated[int, "When the method began, 0 if nobody has said"]
    method_ended: Annotated[int, "When it had ended"]
    dsp_process: Annotated[int, "Process of the protection domain"]
    dsp_thread: Annotated[int, "Thread that has run the method"]
    copied: Annotated[int, "Bytes of arguments that were copied"]
    shared: Annotated[int, "Bytes of arguments that lie in buffer objects"]
    longest: Annotated[int, "Bytes of the longest argument that was copied"]
    result: Annotated[int, "0 or a status, signed"]


@dataclass(frozen=True, slots=True)
class ReverseCall(Event):
    """A call of the DSP to a module of the host; `thread` is the one that has run it."""

    kind = "reverse_call"
    device: Annotated[str, "The DSP"]
    client_id: Annotated[int, "Session of the call"]
    handle: Annotated[int, "Handle of the host's module"]
    scalars: Annotated[int, "Method and numbers of arguments"]
    module: Annotated[str, "Name of the module, as far as it is known"]
    duration: Annotated[int, "Nanoseconds that it has taken"]
    result: Annotated[int, "0 or a status, signed"]


@dataclass(frozen=True, slots=True)
class Log(Event):
    """A line of the DSP's log."""

    kind = "log"
    device: Annotated[str, "The DSP"]
    level: Annotated[str, "How much it matters, in Python's words"]
    file: Annotated[str, "Source file"]
    line: Annotated[int, "Line of it"]
    text: Annotated[str, "The message"]


@dataclass(frozen=True, slots=True)
class Death(Event):
    """A protection domain has died; `process` is the program's whose it was."""

    kind = "death"
    device: Annotated[str, "The DSP"]
    report: Annotated[tuple[str, ...], "How, in lines: a sentence, and the backtrace"]


@dataclass(frozen=True, slots=True)
class Fault(Event):
    """The SMMU has not let a call through: an address of nobody's."""

    kind = "fault"
    device: Annotated[str, "The DSP"]
    client_id: Annotated[int, "Session of the call"]
    handle: Annotated[int, "Handle of the module"]
    method: Annotated[int, "Number of the method"]


EVENTS: tuple[type[Event], ...] = (
    Begun,
    Opened,
    Released,
    Mapped,
    IoctlBegun,
    Ioctl,
    Message,
    Response,
    Call,
    ReverseCall,
    Log,
    Death,
    Fault,
)


def as_json(event: Event) -> Mapping[str, Json]:
    """An event as an object of JSON: its kind, then its fields in the order of their declaration;
    a structure is an object, with numbers that are addresses or bits in hex."""
    made: dict[str, Json] = {"event": event.kind}
    for one in fields(event):
        made[one.name] = _plain(getattr(event, one.name))
    return made


def _plain(value: str | int | Record | tuple[Record | str, ...] | None) -> Json:
    if isinstance(value, Record):
        return {one.spelling: _number(one, getattr(value, one.name)) for one in value.fields}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _number(one: Field, value: int | bytes) -> Json:
    shown = show(one, value)
    if isinstance(value, bytes):
        return shown.strip("'\"")
    return shown if shown.startswith("0x") else value
