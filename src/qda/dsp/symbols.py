"""Names of places in machine code: of functions by the symbols of a file, of lines by addr2line.

Who asks is alive, and looks at files; the process whose code it is has ended.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from qda import limits

__all__ = ["Mapped", "entries_of", "mapped", "names_of"]

_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LOADED, _SYMBOLS, _DYNAMIC_SYMBOLS, _FUNCTION = 1, 2, 11, 2


class Mapped(NamedTuple):
    """A line of /proc/PID/maps."""

    start: int
    end: int
    access: str
    offset: int
    path: str


_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) \S+ \d+ *(.*)")


def mapped(lines: Iterable[str]) -> list[Mapped]:
    """What lines of a maps file say; what is no such line is left out."""
    found = []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match:
            start, end, access, offset, path = match.groups()
            found.append(Mapped(int(start, 16), int(end, 16), access, int(offset, 16), path))
    return found


class Symbols:
    """The functions of an ELF file of 64 bits.  ValueError, struct.error, OSError if it is none."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._data = file.read()
        if self._data[:6] != b"\x7fELF\2\1":
            raise ValueError(f"{path} is no ELF file of 64 bits")
        self._functions = sorted(self._read())
        self._starts = [start for start, _, _ in self._functions]

    def _records(self, at: int, record: struct.Struct) -> Iterator[tuple[int, ...]]:
        """The table whose offset stands in the header at `at`."""
        offset = struct.unpack_from("<Q", self._data, at)[0]
        size, count = struct.unpack_from("<HH", self._data, 54 if at == 32 else 58)
        for index in range(count):
            yield record.unpack_from(self._data, offset + index * size)

    def _read(self) -> Iterator[tuple[int, int, str]]:
        sections = list(self._records(40, _SECTION))
        for _, kind, _, _, offset, size, link, *_ in sections:
            if kind not in (_SYMBOLS, _DYNAMIC_SYMBOLS) or link >= len(sections):
                continue
            names = sections[link][4]
            table = self._data[offset : offset + size - size % _SYMBOL.size]
            for name, info, _, section, value, length in _SYMBOL.iter_unpack(table):
                if info & 15 == _FUNCTION and section:
                    end = self._data.index(b"\0", names + name)
                    yield value, length, self._data[names + name : end].decode("utf-8", "replace")

    def address(self, offset: int) -> int:
        """The address that the file gives to what lies at an offset of it."""
        for kind, _, start, address, _, size, _, _ in self._records(32, _PROGRAM):
            if kind == _LOADED and start <= offset < start + size:
                return offset - start + address
        return offset

    def name(self, address: int) -> str:
        """The function at an address, "" if there is none."""
        index = bisect_right(self._starts, address)
        if not index:
            return ""
        start, length, name = self._functions[index - 1]
        return name if address < start + max(length, 1) or not length else ""

    def ending(self, *ends: str) -> list[str]:
        """The names with one of these ends, sorted."""
        return sorted({name for _, _, name in self._functions if name.endswith(ends)})


@cache
def _symbols(path: str) -> Symbols | None:
    try:
        if os.path.getsize(path) > limits.SYMBOL_FILE:
            return None
        return Symbols(path)
    except (OSError, ValueError, struct.error):
        return None


def names_of(path: str, offsets: list[int], with_lines: bool) -> list[list[str]]:
    """What lies at offsets of a file: for each the names of functions, and `with_lines` files and
    lines where they are known, the innermost of those that were inlined first; none for what has
    no name."""
    symbols = _symbols(path)
    if symbols is None:
        return [[] for _ in offsets]
    addresses = [symbols.address(offset) for offset in offsets]
    lines = _lines(path, addresses) if with_lines else [[] for _ in addresses]
    own = [[name] if (name := symbols.name(address)) else [] for address in addresses]
    return [found or known for found, known in zip(lines, own, strict=True)]


def entries_of(path: str) -> list[str]:
    """The functions of a file that are called as entries of skeletons are, also hidden ones; none
    of what cannot be read."""
    symbols = _symbols(path)
    return [] if symbols is None else symbols.ending("_skel_invoke", "_skel_handle_invoke")


_MARK = re.compile(r"0x[0-9a-f]{16}")


def _lines(path: str, addresses: list[int]) -> list[list[str]]:
    """What addr2line says, if there is one: only of code with line numbers."""
    program = shutil.which("addr2line")
    nothing: list[list[str]] = [[] for _ in addresses]
    if program is None or not addresses:
        return nothing
    asked = [program, "-a", "-f", "-i", "-C", "-e", path, *map(hex, addresses)]
    try:
        ran = subprocess.run(asked, capture_output=True, text=True, timeout=limits.SYMBOL_TIME)
    except (OSError, subprocess.TimeoutExpired):
        return nothing
    found: list[list[str]] = []
    pairs: list[str] = []
    for line in ran.stdout.splitlines():
        if _MARK.fullmatch(line):
            found.append([])
            pairs = []
            continue
        pairs.append(line)
        if len(pairs) == 2 and found:
            function, place = pairs
            place = place.partition(" (discriminator")[0]
            file, _, number = place.rpartition(":")
            if function != "??" and number.isdecimal() and file != "??":
                found[-1].append(f"{function} at {os.path.basename(file)}:{number}")
            elif function != "??":
                found[-1].append(function)
            pairs = []
    return found if len(found) == len(addresses) else nothing
