"""What the kernel says on its console, and whether something has gone wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Trouble", "troubles"]

_LOCKDEP = r"possible|inconsistent|suspicious|\w+-safe|bad unlock|held lock|lock held|Nested lock"
"""How its reports begin."""
_UNLOADED = "a module cannot be loaded"
_REASON = 2
"""Lines that the kernel says before its refusal of a module: why."""
_SIGNS = {
    r"Kernel panic": "the kernel has panicked",
    r"Internal error: Oops|Unable to handle kernel": "the kernel has oopsed",
    r"BUG: KASAN": "KASAN has found an error of memory",
    rf"WARNING: ({_LOCKDEP}) ": "lockdep has found an error",
    r"WARNING: CPU: |WARNING: .* at ": "the kernel warns",
    r"kernel BUG at|BUG: ": "the kernel has found a bug of its own",
    r"INFO: task .* blocked for more|stalls? on CPUs|soft lockup": "the kernel hangs",
    r"^qda: no node": "the kernel has not made a node",
    r"^qda: cannot load": _UNLOADED,
}
_STAMP = re.compile(r"^\[ *\d+\.\d+\] ?")
_LINES = 12


@dataclass(frozen=True)
class Trouble:
    """Something that has gone wrong: in words, and the console's lines from there on."""

    words: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.words}:", *(f"  {line}" for line in self.lines)])


def troubles(console: str) -> Iterator[Trouble]:
    """What has gone wrong, in its order; what follows within a few lines belongs to the first."""
    lines = [_STAMP.sub("", line).rstrip() for line in console.splitlines()]
    after = 0
    for index, line in enumerate(lines):
        words = next((words for sign, words in _SIGNS.items() if re.search(sign, line)), None)
        if words is not None and index >= after:
            after = index + _LINES
            first = max(0, index - _REASON) if words == _UNLOADED else index
            yield Trouble(words, tuple(lines[first:after]))
