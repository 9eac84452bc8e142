"""What the kernel says on its console, and whether something has gone wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
_WHO = re.compile(r",? CPU[:#] ?\d+(: \S+)?| PID: \d+")
"""What differs each time that the same is said."""
_LINES = 12


@dataclass(frozen=True)
class Trouble:
    """Something that has gone wrong: in words, the console's lines from there on, and how often."""

    words: str
    lines: tuple[str, ...]
    times: int = 1

    def __str__(self) -> str:
        often = f", {self.times} times" if self.times > 1 else ""
        return "\n".join([f"{self.words}{often}:", *(f"  {line}" for line in self.lines)])


def troubles(console: str) -> Sequence[Trouble]:
    """What has gone wrong, in its order; what follows within a few lines belongs to the first, and
    what is said again is told once."""
    lines = [_STAMP.sub("", line).rstrip() for line in console.splitlines()]
    found: dict[str, Trouble] = {}
    after = 0
    for index, line in enumerate(lines):
        words = next((words for sign, words in _SIGNS.items() if re.search(sign, line)), None)
        if words is None or index < after:
            continue
        after = index + _LINES
        first = max(0, index - _REASON) if words == _UNLOADED else index
        what = _WHO.sub("", line)
        known = found.setdefault(what, Trouble(words, tuple(lines[first:after]), 0))
        found[what] = replace(known, times=known.times + 1)
    return list(found.values())
