"""What a device interface is made of: commands, constants, and the interface that collects them.

Everything here is data.  The driver looks commands up by number, the client encodes their codes,
`qda.uapi.header` prints them as C and `qda.uapi.reference` as prose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qda.layout import Record, Scalar
from qda.uapi.ioctl import Access, ioctl_code

__all__ = ["Command", "Companion", "Constant", "Interface"]


@dataclass(frozen=True, slots=True)
class Command:
    """One ioctl.

    `key` is the name that all dialects share ("GEM_CREATE"), `spelling` the C macro, `number` the
    low byte of the code, `errors` pairs of (errno, when it is returned).  Its argument is a
    `record`, or in old interfaces a plain `scalar`.
    """

    key: str
    spelling: str
    number: int
    access: Access
    record: type[Record] | None
    text: str
    errors: tuple[tuple[int, str], ...] = ()
    type: str = "d"
    scalar: Scalar | None = None

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


@dataclass(frozen=True, slots=True)
class Constant:
    """A named number of the interface."""

    spelling: str
    value: int
    text: str
    hexadecimal: bool = False


@dataclass(frozen=True)
class Companion:
    """Commands of another interface that a program needs beside those of its own.

    A system may have them in one of the header files `files`, with the include guard `guard`;
    `c_types` is how that header declares fields which are plain integers here.
    """

    title: str
    guard: str
    files: tuple[str, ...]
    commands: tuple[Command, ...]
    constants: tuple[Constant, ...] = ()
    c_types: Mapping[type[Record], Mapping[str, str]] = field(default_factory=dict)

    @property
    def records(self) -> tuple[type[Record], ...]:
        """The records of its commands."""
        return tuple(command.record for command in self.commands if command.record)


@dataclass(frozen=True)
class Interface:
    """A device interface: its commands in number order, the records that they reach through
    pointers, its constants in groups, and what a header needs around them: the rules of use, a C
    file as an example, and the companion of its commands."""

    name: str
    title: str
    commands: tuple[Command, ...]
    elements: tuple[type[Record], ...] = ()
    constants: tuple[tuple[str, tuple[Constant, ...]], ...] = ()
    prose: str = ""
    example: str = ""
    companion: Companion | None = None
    by_number: dict[int, Command] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = [command.number for command in self.commands]
        if numbers != sorted(set(numbers)):
            raise ValueError(f"{self.name}: commands are not in number order: {numbers}")
        object.__setattr__(self, "by_number", dict(zip(numbers, self.commands, strict=True)))

    def command(self, key: str) -> Command:
        """The command with that key.  KeyError if this dialect does not have it."""
        for command in self.commands:
            if command.key == key:
                return command
        raise KeyError(f"{self.name} has no command {key}")

    def has(self, key: str) -> bool:
        """Whether this dialect has the command."""
        return any(command.key == key for command in self.commands)

    @property
    def records(self) -> tuple[type[Record], ...]:
        """All records, each once, elements first."""
        found = [*self.elements, *(c.record for c in self.commands if c.record)]
        return tuple(dict.fromkeys(found))
