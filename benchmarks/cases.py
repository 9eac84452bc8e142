"""What is measured of a call: the cases, each a row of the result.

A row's name is its group, and what differs within the group: "inline/32".  `--rows` chooses groups.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

__all__ = ["ARGUMENTS", "CASES", "ELEMENTS", "GROUPS", "Case", "Form", "case", "words_of"]

ELEMENTS = 1000
"""Numbers in the array of a typed call."""

KIB, MIB = 1 << 10, 1 << 20


class Form(Enum):
    """What a call brings and what its method does; `Case.size` says how much."""

    EMPTY = auto()
    INLINE = auto()
    """Bytes, copied there and back."""
    ENDS = auto()
    """A shared buffer there and one back; the method touches the first and the last byte of both.
    A peer, which cannot share, brings the bytes there and back."""
    EVERY = auto()
    """The same buffers; the method reads every byte and writes every byte."""
    TYPED = auto()
    """A method of an interface without arguments."""
    ARRAY = auto()
    """A method of an interface that is given so many 32-bit numbers and returns how many."""
    ARGUMENTS_C = auto()
    """So many arguments of 8 bytes, to a method in C that does not look at them."""
    ARGUMENTS_PYTHON = auto()


class Case(NamedTuple):
    """One row: `work` is microseconds that the caller works before each call."""

    row: str
    form: Form
    size: int = 0
    work: int = 0


def _bytes(size: int) -> str:
    for unit, words in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {words}"
    return f"{size} B"


SIZES_INLINE = (32, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB)
SIZES_OF_BUFFERS = (4 * KIB, 64 * KIB, MIB, 16 * MIB, 64 * MIB)
ARGUMENTS = (1, 8, 32, 64, 128, 192, 255)

CASES = (
    Case("empty", Form.EMPTY),
    *(Case(f"inline/{_bytes(size)}", Form.INLINE, size) for size in SIZES_INLINE),
    *(Case(f"ends/{_bytes(size)}", Form.ENDS, size) for size in SIZES_OF_BUFFERS),
    *(Case(f"every/{_bytes(size)}", Form.EVERY, size) for size in SIZES_OF_BUFFERS),
    Case("typed/empty", Form.TYPED),
    Case("typed/array", Form.ARRAY, ELEMENTS),
    *(Case(f"arguments/C/{count}", Form.ARGUMENTS_C, count) for count in ARGUMENTS),
    *(Case(f"arguments/Python/{count}", Form.ARGUMENTS_PYTHON, count) for count in ARGUMENTS),
    *(Case(f"work/{work} us", Form.EMPTY, work=work) for work in (20, 200, 1000)),
)

GROUPS = {
    "empty": "an empty call",
    "inline": "bytes copied there and back",
    "ends": "a buffer there and one back; the first and last byte are touched",
    "every": "a buffer there and one back; every byte is read and written",
    "typed": "a method of an interface, empty and with an array of 1,000 numbers",
    "arguments": "so many arguments of 8 bytes",
    "work": "an empty call, after so much work of the caller",
    "threads": "threads that call on one session",
    "sessions": "sessions, each in a process of its own",
    "quota": "processes that together may have half a CPU",
    "looking": "a waiter that looks before it sleeps, and one that does not",
    "idle": "a session that nobody uses",
    "memory": "memory of sessions",
    "opening": "time until a session is open",
    "fresh": "a new interpreter, from exec to the first answer",
    "loaded": "a call beside many buffers and mappings",
}
"""Groups of rows, in the order in which they are measured and shown, and what they are."""


def case(row: str) -> Case:
    """The case of that row.  KeyError."""
    return {one.row: one for one in CASES}[row]


def words_of(row: str) -> str:
    """A row's name for people: the group's name, and what differs."""
    group, _, rest = row.partition("/")
    return f"{group}, {rest.replace('/', ', ').replace(' us', ' µs')}" if rest else group
