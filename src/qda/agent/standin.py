"""What stands here for a buffer of the guest: a memfd, whose descriptors are as the guest's are.

A program that closes, duplicates, maps, inherits or measures such a descriptor meets what it would
meet in the guest.  The contents are the same whenever a call is under way: see `qda.agent.mirror`.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from qda.agent.channel import Agent, Number
from qda.linux import address_of, identity_of, map_shared, open_again, sealed_memory
from qda.memory import PAGE, align

__all__ = ["StandIn"]


class StandIn:
    """A buffer.  `identity` is that of the file here, `view` its bytes, `known` those that the
    guest had when they were last compared, `file` a descriptor that is nobody's."""

    def __init__(self, size: int) -> None:
        # A DMA-BUF has no length that can be changed.
        file = sealed_memory("qda stand-in", size, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        try:
            self.size, self.identity = size, identity_of(file)
            self.file = file
            # Mapped without a descriptor of its own, which would look as one of the program's.
            self._home = mmap.mmap(-1, align(max(size, 1), PAGE))
            self.home = address_of(self._home)
            self.view = map_shared(self.home, len(self._home), file, 0)
            self.known = bytes(self.view)
        except BaseException:
            os.close(file)
            raise
        self.place: tuple[int, int] | None = None
        """A node in the guest and an offset at which it is mapped, if it has that."""
        self.there = 0
        """Where the guest has it mapped for its bytes to be brought there and back; 0 if it cannot
        be mapped."""
        self.holders = set[int]()
        """The nodes in the guest that have a handle of it."""

    def descriptor(self, agent: Agent, number: int) -> int:
        """A descriptor here that is as a descriptor of the guest is: access, and what exec does."""
        access = agent.call(Number.FCNTL, number, fcntl.F_GETFL) & os.O_ACCMODE
        closes = agent.call(Number.FCNTL, number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        opened = open_again(self.file, access)
        os.set_inheritable(opened, not closes)
        return opened

    def take(self, at: int, content: bytes) -> None:
        """Have the bytes that the guest has."""
        self.view[at : at + len(content)] = content
        self.known = self.known[:at] + content + self.known[at + len(content) :]

    def close(self) -> None:
        """Give it up; mappings that a program has stay."""
        os.close(self.file)
        self.view.release()
        self._home.close()
