"""Which memory a protection domain can reach: mappings, and the states of a buffer object in them.

For each protection domain a buffer object is in a state of the table below.  Nobody writes the
state down: it follows from who uses the object's attachment (`qda.driver.sharing`), which are its
handle and its mappings, and from whether the domain has been told of it.  `Mappings.reach` reads
it off.
docs/mappings.md tells programs about it.
"""

from __future__ import annotations

import enum
import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qda.driver.banks import Attachment
from qda.driver.sharing import Uses
from qda.states import Transitions

__all__ = ["MAPPING", "Change", "Mapping", "Mappings", "Reach"]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A mapping on the DSP that MAP has made; it keeps its buffer in place (H23).

    `request` is the kind of MAP request, `fd` and `size` what the caller gave, `told` what the DSP
    was told of `fd`, `address` what it has returned.  `uses` holds the buffer, nothing for memory
    that the DSP has asked for.
    """

    request: int
    fd: int
    told: int
    address: int
    size: int
    uses: Uses


class Reach(enum.Enum):
    """What a skeleton can reach of a buffer object."""

    ABSENT = "nothing of it"
    IMPLICIT = "the argument of a call, as a memory view, while that call runs"
    EXPLICIT = (
        "arguments, and through `self.dsp.memory(address, length)` everything between the "
        "mapping's address and the buffer's end, at any time"
    )
    KEPT = "the same as explicit, but the program has closed its handle: no call can pass it"
    GONE = "nothing: the memory is given back, unless another session or program has it"


class Change(enum.Enum):
    """What a program does with a buffer object."""

    CALL = "a call passes it (INVOKE)"
    MAP = "MAP"
    UNMAP = "MUNMAP, and it has another mapping"
    UNMAP_LAST = "MUNMAP of its last mapping"
    CLOSE = "its handle is closed (GEM_CLOSE)"
    RECALL = "its addresses are needed, and no call and no mapping uses it"
    END = "the file is closed, or the domain dies"


_ABSENT, _IMPLICIT, _EXPLICIT, _KEPT, _GONE = Reach

MAPPING: Final = Transitions(
    "a buffer object and a protection domain",
    _ABSENT,
    (
        _ABSENT,
        Change.CALL,
        _IMPLICIT,
        "the domain is told of the memory and has acknowledged it before the message leaves",
    ),
    (
        _ABSENT,
        Change.MAP,
        _EXPLICIT,
        "the same, then the domain places it in its window and answers with the address",
    ),
    (_ABSENT, Change.CLOSE, _GONE, "the domain has never heard of it"),
    (_ABSENT, Change.END, _GONE, "everything of the session is given back"),
    (_IMPLICIT, Change.CALL, _IMPLICIT, "nothing has to be told any more"),
    (_IMPLICIT, Change.MAP, _EXPLICIT, "a mapping is made"),
    (_IMPLICIT, Change.CLOSE, _GONE, "when the last call that uses it has ended"),
    (
        _IMPLICIT,
        Change.RECALL,
        _ABSENT,
        "the address becomes inaccessible; the next call tells the domain again",
    ),
    (_IMPLICIT, Change.END, _GONE, "everything of the session is given back"),
    (_EXPLICIT, Change.CALL, _EXPLICIT, "nothing has to be told any more"),
    (_EXPLICIT, Change.MAP, _EXPLICIT, "a second mapping, at another address"),
    (_EXPLICIT, Change.UNMAP, _EXPLICIT, "the address becomes inaccessible before the answer"),
    (_EXPLICIT, Change.UNMAP_LAST, _IMPLICIT, "the address becomes inaccessible before the answer"),
    (_EXPLICIT, Change.CLOSE, _KEPT, "the mappings keep the memory"),
    (_EXPLICIT, Change.END, _GONE, "everything of the session is given back"),
    (_KEPT, Change.UNMAP, _KEPT, "the address becomes inaccessible before the answer"),
    (_KEPT, Change.UNMAP_LAST, _GONE, "nothing keeps the memory any more"),
    (_KEPT, Change.END, _GONE, "everything of the session is given back"),
)


class Mappings:
    """The mappings of an open file.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mappings: list[Mapping] = []

    def add(self, mapping: Mapping) -> None:
        """Remember a mapping that the DSP has made."""
        with self._lock:
            self._mappings.append(mapping)

    def take(self, matches: Callable[[Mapping], bool]) -> Mapping:
        """Take out the mapping that an unmap request describes.  OSError EINVAL if there is
        none."""
        with self._lock:
            for mapping in self._mappings:
                if matches(mapping):
                    self._mappings.remove(mapping)
                    return mapping
        raise OSError(errno.EINVAL, "no such mapping")

    def drop(self, mapping: Mapping) -> bool:
        """Take out a mapping that the DSP has undone; whether it was there."""
        with self._lock:
            found = mapping in self._mappings
            if found:
                self._mappings.remove(mapping)
            return found

    def reach(self, attachment: Attachment, has_handle: bool) -> Reach:
        """What the protection domain can reach of a buffer that is attached."""
        with self._lock:
            if any(mapping.uses in attachment.users for mapping in self._mappings):
                return _EXPLICIT if has_handle else _KEPT
        if not has_handle:
            return _GONE
        return _IMPLICIT if attachment.knowers else _ABSENT

    def release(self) -> None:
        """Forget all of them, and what they hold."""
        with self._lock:
            mappings, self._mappings = self._mappings, []
        for mapping in mappings:
            mapping.uses.release()
