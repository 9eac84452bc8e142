"""What a file must be to be loaded as a skeleton: a whole shared object of this machine.

The loader of the C library would say so too, but in fewer words; and of a file that is cut short it
dies.
"""

from __future__ import annotations

import struct

from qda.errors import UNABLE_TO_LOAD, StatusError

__all__ = ["check_library"]

_HEADER = struct.Struct("<4sBB10xHH")
"""Magic, class, byte order, type and machine: the same in both classes (ELF, chapter 4)."""

_SHARED = 3
_KINDS = {1: "an object file, which is not linked yet", 2: "a program", 4: "a core dump"}
_HEXAGON = 164
_MACHINES = {
    3: "x86",
    8: "MIPS",
    20: "PowerPC",
    21: "PowerPC",
    22: "s390",
    40: "32-bit ARM",
    62: "x86-64",
    _HEXAGON: "Hexagon",
    183: "64-bit ARM",
    243: "RISC-V",
}
_SECTIONS = {1: struct.Struct("<32xI10xHH"), 2: struct.Struct("<40xQ10xHH")}
"""By class: where the table of sections is, the length of one, and how many there are."""


def check_library(data: bytes, name: str) -> None:
    """StatusError UNABLE_TO_LOAD for bytes that are no shared object of this machine."""
    wrong = _what_is_wrong(data)
    if wrong:
        raise StatusError(UNABLE_TO_LOAD, f"{name} {wrong}")


def _what_is_wrong(data: bytes) -> str:
    if data.startswith(b"!<arch>\n"):
        return "is an archive (.a), no shared object (ELF)"
    if data[:4] != b"\x7fELF" or len(data) < 64:
        return "is no shared object (ELF), and not Python"
    with open("/proc/self/exe", "rb") as own:
        ours = own.read(64)
    _, size, order, kind, machine = _HEADER.unpack_from(data)
    _, our_size, our_order, _, our_machine = _HEADER.unpack_from(ours)
    if machine == _HEXAGON:
        return (
            f"has Hexagon machine code (ELF machine {_HEXAGON}), which this DSP does not run: "
            "build the skeleton with the host's compiler, as a shared object"
        )
    if (machine, size) != (our_machine, our_size):
        return (
            f"is for {_machine(machine, size)}, this DSP runs code for "
            f"{_machine(our_machine, our_size)}"
        )
    if order != our_order:
        return "has its bytes in another order, for another processor"
    if kind != _SHARED:
        return f"is {_KINDS.get(kind, f'of ELF type {kind}')}, no shared object"
    if len(data) < _least_length(data, size):
        return f"is cut short: {len(data)} bytes are there"
    return ""


def _machine(number: int, size: int) -> str:
    name = f" ({_MACHINES[number]})" if number in _MACHINES else ""
    return f"ELF machine {number}{name} with {32 * size} bits"


def _least_length(data: bytes, size: int) -> int:
    """Where the table of sections ends, which linkers put last."""
    begin, length, count = _SECTIONS[size].unpack_from(data)
    return int(begin + length * count)
