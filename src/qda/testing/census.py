"""What a test may leave behind in a virtual system, and how that is said."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from qda.virtual import Machine

__all__ = ["PAGES", "census", "leaks"]

PAGES = "mapping of a buffer's pages"
"""What is the process's, whichever system it is for."""

_WORDS = {
    "files": "session",
    "objects": "buffer object",
    "banks": "context bank",
    "mmap_offsets": "mmap offset",
    "calls": "call under way",
}


def census(machine: Machine) -> Counter[str]:
    """How many there are of everything, by words for one of each."""
    found: Counter[str] = Counter()
    for domain, device in machine.census().items():
        for name, word in _WORDS.items():
            found[f"{domain}: {word}"] += getattr(device, name)
    maps = Path("/proc/self/maps").read_text("ascii", "replace").splitlines()
    found[PAGES] = sum("/memfd:qda" in line for line in maps)
    for pid in machine.pids:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found["process of a DSP"] += len(children)
    return found


def leaks(before: Counter[str], after: Counter[str]) -> list[str]:
    """What there is more of than there was, in words."""
    return [f"{count} x {word}" for word, count in (after - before).items()]
