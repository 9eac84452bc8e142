"""What a recording holds: events, each declared once; the file's writer, its reader and its page
follow from here.

They stand in the order in which they happened.  What the program does (a call, a mapping, the reply
to a call of the DSP) and what the DSP does (an answer, a call of the host) are events of their own:
so their order says what had been seen when something was done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

__all__ = [
    "EVENTS",
    "PARTS",
    "SCHEMA",
    "Answered",
    "Argument",
    "Called",
    "Change",
    "Ended",
    "Event",
    "HostAnswered",
    "HostCalled",
    "Mapped",
    "Opened",
    "ProcessKind",
    "Unmapped",
]

SCHEMA = 1
"""Version of the events: a number higher where a field has another meaning, or is gone."""


ProcessKind: TypeAlias = Literal["user", "root", "sensors", "audio"]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call, as its caller gives it: a buffer, or after all buffers a handle."""

    length: Annotated[int, "Bytes of it"]
    object: Annotated[int, "The buffer object that it lies in, 0 if it travels inline"] = 0
    offset: Annotated[int, "Where in that object it begins; of a handle without one its number"] = 0
    size: Annotated[int, "Bytes of that object"] = 0
    data: Annotated[
        bytes, "What stood before in an in-buffer, or in an out-buffer of an object, else nothing"
    ] = b""


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of mapped memory that have changed since the session's last event that had any."""

    address: Annotated[int, "DSP address of the first of them"]
    data: Annotated[bytes, "What stands there now"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened in a session."""

    kind: ClassVar[str] = ""
    session: Annotated[int, "Number of the session, from 1"]


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """A session has begun."""

    kind = "open"
    domain: Annotated[str, "The DSP"]
    process: Annotated[ProcessKind, "Its process there: user, root, sensors or audio"]
    attributes: Annotated[int, "Attributes of a user process"]


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """A session has ended."""

    kind = "end"


@dataclass(frozen=True, slots=True)
class Mapped(Event):
    """A buffer object was mapped for the DSP, or not; its bytes count as 0 before."""

    kind = "map"
    object: Annotated[int, "Number of the buffer object, from 1"]
    size: Annotated[int, "Bytes of it"]
    offset: Annotated[int, "The first of them that is mapped"]
    flags: Annotated[int, "Kind of mapping"]
    legacy: Annotated[bool, "Whether it was asked for in the older way"]
    address: Annotated[int, "DSP address of the mapping"]
    result: Annotated[int, "0 or a status, signed"]


@dataclass(frozen=True, slots=True)
class Unmapped(Event):
    """A mapping was undone, or not."""

    kind = "unmap"
    address: Annotated[int, "DSP address of the mapping"]
    result: Annotated[int, "0 or a status, signed"]


@dataclass(frozen=True, slots=True)
class Called(Event):
    """The program calls a module on the DSP."""

    kind = "call"
    number: Annotated[int, "Number of the call, from 1; its answer has it, too"]
    thread: Annotated[int, "Id of the thread that calls"]
    handle: Annotated[int, "Handle of the module; 0 and 8 are the module manager's"]
    module: Annotated[str, "The URI by which the module was opened"]
    method: Annotated[int, "Number of the method"]
    scalars: Annotated[int, "Method and numbers of arguments"]
    arguments: Annotated[tuple[Argument, ...], "All arguments, in the order of the wire"]
    memory: Annotated[tuple[Change, ...], "Mapped memory that the program has changed"]


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The DSP answers a call; one that has no answer was left by its caller."""

    kind = "answer"
    number: Annotated[int, "Number of the call"]
    result: Annotated[int, "0 or a status, signed"]
    outs: Annotated[tuple[bytes, ...], "All out-buffers, wherever they lie"]
    memory: Annotated[tuple[Change, ...], "Mapped memory that the DSP has changed"]


@dataclass(frozen=True, slots=True)
class HostCalled(Event):
    """The DSP calls a module of the host."""

    kind = "host_call"
    number: Annotated[int, "Number of the reverse call, from 1; its answer has it, too"]
    within: Annotated[int, "The call that the session had last made and had no answer to, or 0"]
    handle: Annotated[int, "Handle of the host's module; 0 is its module manager"]
    module: Annotated[str, "The name by which the module was opened"]
    scalars: Annotated[int, "Method and numbers of arguments"]
    ins: Annotated[tuple[bytes, ...], "The in-buffers"]
    sizes: Annotated[tuple[int, ...], "Bytes of each out-buffer"]


@dataclass(frozen=True, slots=True)
class HostAnswered(Event):
    """The host answers a call of the DSP."""

    kind = "host_answer"
    number: Annotated[int, "Number of the reverse call"]
    result: Annotated[int, "0, or a number of the host's, signed"]
    outs: Annotated[tuple[bytes, ...], "The out-buffers; none if it has failed"]


EVENTS: tuple[type[Event], ...] = (
    Opened,
    Ended,
    Mapped,
    Unmapped,
    Called,
    Answered,
    HostCalled,
    HostAnswered,
)
"""All of them, in the order of their page."""

PARTS: tuple[type[Argument] | type[Change], ...] = (Argument, Change)
"""What some of their fields are made of."""
