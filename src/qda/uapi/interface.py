"""What a device interface is made of: commands, constants, and the interface that collects them.

Everything here is data.  The driver looks commands up by their code, the client encodes them,
`qda.uapi.header` prints them as C and `qda.uapi.reference` as prose.

A dialect is written as what differs: `dataclasses.replace` of a command, with another name, record
or errors (`instead`), and of an interface, with other commands (`altered`) and features.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from qda.layout import Record, Scalar
from qda.uapi.ioctl import Access, ioctl_code, ioctl_number
from qda.uapi.semantics import Semantics

__all__ = [
    "BuffersBy",
    "Command",
    "Companion",
    "Constant",
    "Constants",
    "Family",
    "Guide",
    "Interface",
    "Refused",
    "altered",
    "instead",
]

R_co = TypeVar("R_co", bound=Record, covariant=True)

Refused = tuple[int, str]
"""An errno, and when a command is refused with it."""


def instead(
    refused: Sequence[Refused], changes: Mapping[Refused, Sequence[Refused]]
) -> tuple[Refused, ...]:
    """What a dialect refuses: `refused`, with other entries in the place of some.

    ValueError for a change of what is not there.
    """
    if missing := [old for old in changes if old not in refused]:
        raise ValueError(f"not refused: {missing}")
    return tuple(new for old in refused for new in changes.get(old, (old,)))


@dataclass(frozen=True, slots=True)
class Command(Generic[R_co]):
    """One ioctl.

    `key` is the name that all dialects share ("GEM_CREATE"), `spelling` the C macro, `number` the
    low byte of the code.  Its argument is a `record`, or in old interfaces a plain `scalar`.
    `text` says what it does, `refused` when not.  `step` is what the guide's order of calls says
    of it, `sections` are those of the guide that concern it; in both, {KEY} is the C name of a
    command and {element} that of the structure behind INVOKE.
    """

    key: str
    spelling: str
    number: int
    access: Access
    record: type[R_co] | None
    text: str
    refused: tuple[Refused, ...] = ()
    type: str = "d"
    scalar: Scalar | None = None
    step: str = ""
    sections: str = ""

    @property
    def errors(self) -> tuple[Refused, ...]:
        """All that it is refused for, by number, beside illegal values of a field."""
        return tuple(sorted(self.refused, key=lambda pair: pair[0]))

    @property
    def size(self) -> int:
        """Size of the argument in bytes, 0 without one."""
        if self.record:
            return self.record.byte_size
        return self.scalar.size if self.scalar else 0

    @property
    def argument(self) -> str:
        """The C type of the argument, "" without one."""
        if self.record:
            return f"struct {self.record.spelling}"
        return f"__{self.scalar.name}" if self.scalar else ""

    @property
    def code(self) -> int:
        """The complete 32-bit ioctl code: direction, size, type, number."""
        return ioctl_code(self.access, self.size, self.type, self.number)


def altered(
    commands: Sequence[Command[Record]],
    *changed: Command[Record],
    without: Sequence[Command[Record]] = (),
) -> tuple[Command[Record], ...]:
    """The commands of a dialect, in number order: `commands` where `changed` and new ones stand in
    their place, and those of `without` are missing."""
    table = {command.number: command for command in commands if command not in without}
    table |= {command.number: command for command in changed}
    return tuple(table[number] for number in sorted(table))


@dataclass(frozen=True, slots=True)
class Constant:
    """A named number of the interface."""

    spelling: str
    value: int
    text: str
    hexadecimal: bool = False


Constants = tuple[str, tuple[Constant, ...]]
"""A group of constants and its title."""


@dataclass(frozen=True)
class Companion:
    """Commands of another interface that a program needs beside those of its own.

    A system may have them in one of the header files `files`, with the include guard `guard`;
    `c_types` is how that header declares fields which are plain integers here.  `same_node` says
    that the nodes of the interface take these commands, too.
    """

    title: str
    guard: str
    files: tuple[str, ...]
    commands: tuple[Command[Record], ...]
    constants: tuple[Constant, ...] = ()
    c_types: Mapping[type[Record], Mapping[str, str]] = field(default_factory=dict)
    same_node: bool = False

    @property
    def records(self) -> tuple[type[Record], ...]:
        """The records of its commands."""
        return tuple(command.record for command in self.commands if command.record)


@dataclass(frozen=True, slots=True)
class Guide:
    """The rules of use of an interface, as far as they concern no command alone.

    They are Markdown of the simplest kind: headings, paragraphs, lists.  `steps` names the commands
    whose `step` tells the order of calls, between the steps `first` and `last`; `sections` names
    those whose own sections stand between `middle` and `end`.
    """

    beginning: str
    first: str
    steps: tuple[str, ...]
    last: str
    middle: str
    sections: tuple[str, ...]
    end: str

    def text(self, commands: Mapping[str, Command[Record]], element: str) -> str:
        """The whole text: with that of `commands`, by their keys, and the name `element`."""
        steps = [self.first, *(commands[key].step for key in self.steps), self.last]
        order = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
        sections = [commands[key].sections for key in self.sections]
        parts = [self.beginning, "## Order of calls", order, self.middle, *sections, self.end]
        names = {key: command.spelling for key, command in commands.items()}
        return "\n\n".join(parts).format_map({**names, "element": element})


class Family(enum.Enum):
    """Whose device nodes an interface belongs to; the dialects of a family share their nodes."""

    ACCEL = "accel"
    LEGACY = "legacy"


class BuffersBy(enum.Enum):
    """What a structure's `fd` field says of a buffer object."""

    GEM_HANDLE = "a GEM handle of the open file"
    DMA_BUF = "a DMA-BUF descriptor of the process"


@dataclass(frozen=True)
class Interface:
    """A device interface, or a dialect of one.

    It has commands in number order, the records that they reach through pointers (`elements`, that
    of INVOKE first), constants in groups, and what a header needs around them: the rules of use,
    a C file as an example, and the companion of its commands.

    Who speaks it asks for its features: whose nodes it is spoken on, how buffers are named, whether
    programs pack their small arguments into buffers by themselves, whether calls have sequence
    numbers on their way to the DSP, what its commands mean where dialects differ in that, the
    largest image of a process in bytes, and whether a command is found by its complete code instead
    of its number alone.  `older` are forms of commands that are found
    where the direction of a code is theirs.
    """

    name: str
    title: str
    commands: tuple[Command[Record], ...]
    elements: tuple[type[Record], ...] = ()
    constants: tuple[Constants, ...] = ()
    guide: Guide | None = None
    example: str = ""
    companion: Companion | None = None
    family: Family = Family.ACCEL
    buffers_by: BuffersBy = BuffersBy.GEM_HANDLE
    packs: bool = False
    numbers_calls: bool = False
    semantics: Semantics = field(default_factory=Semantics)
    image_limit: int = 0
    by_code: bool = False
    older: tuple[Command[Record], ...] = ()
    by_key: Mapping[str, Command[Record]] = field(init=False, repr=False, compare=False)
    _found: Mapping[int, Command[Record]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = [command.number for command in self.commands]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"{self.name}: commands are not in number order: {numbers}")
        beside = self.companion.commands if self.companion else ()
        here = beside if self.companion and self.companion.same_node else ()
        by_key = {command.key: command for command in (*beside, *self.commands)}
        found = {self._sought(command.code): command for command in (*here, *self.commands)}
        object.__setattr__(self, "by_key", by_key)
        object.__setattr__(self, "_found", found)

    def _sought(self, code: int) -> int:
        return code if self.by_code else ioctl_number(code)

    def find(self, code: int) -> Command[Record] | None:
        """The command that a node takes an ioctl code for, those of the companion included if they
        are for the same node."""
        for command in self.older:
            if (command.number, command.access) == (ioctl_number(code), code >> 30):
                return command
        return self._found.get(self._sought(code))

    def command(self, key: str) -> Command[Record]:
        """The command with that key.  KeyError if this dialect does not have it."""
        for command in self.commands:
            if command.key == key:
                return command
        raise KeyError(f"{self.name} has no command {key}")

    def has(self, key: str) -> bool:
        """Whether this dialect has the command."""
        return any(command.key == key for command in self.commands)

    @property
    def prose(self) -> str:
        """The rules of use, as Markdown."""
        return self.guide.text(self.by_key, self.elements[0].spelling) if self.guide else ""

    @property
    def records(self) -> tuple[type[Record], ...]:
        """All records, each once, elements first."""
        found = [*self.elements, *(c.record for c in self.commands if c.record)]
        return tuple(dict.fromkeys(found))
