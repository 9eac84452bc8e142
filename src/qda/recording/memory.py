"""Memory of buffer objects, as the driver reads it for a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

from qda.driver.banks import Attachment
from qda.memory import PAGE
from qda.recording.events import Change

__all__ = ["MappedMemory", "changes", "contents"]


def contents(attachment: Attachment, offset: int, length: int) -> bytes:
    """Bytes of an object, zeros where it is there no more."""
    found = bytearray()
    while len(found) < length and attachment.users:
        data = os.pread(attachment.buffer.descriptor, length - len(found), offset + len(found))
        if not data:
            break
        found += data
    return bytes(found.ljust(length, b"\0"))


@dataclass(slots=True)
class MappedMemory:
    """An object from `offset` on, at an address of the DSP, and what was last seen in it."""

    attachment: Attachment
    offset: int
    address: int
    seen: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.seen = bytes(self.attachment.buffer.size - self.offset)

    def changes(self) -> Iterator[Change]:
        """What has changed since this was last asked, whole pages that follow on each other as
        one."""
        before, self.seen = self.seen, contents(self.attachment, self.offset, len(self.seen))
        yield from changes(self.address, before, self.seen)


def changes(address: int, before: bytes, after: bytes) -> Iterator[Change]:
    """The pages in which memory at an address differs, those that follow on each other as one."""
    if before == after:
        return
    start = -1
    for place in range(0, len(after) + PAGE, PAGE):
        differs = before[place : place + PAGE] != after[place : place + PAGE]
        if differs and start < 0:
            start = place
        elif not differs and start >= 0:
            yield Change(address + start, after[start:place])
            start = -1
