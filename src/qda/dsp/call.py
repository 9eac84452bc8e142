"""One call as it comes to a protection domain: what is asked for, and with which arguments.

The core has found the arguments (`qda.core.Server`): a page and an offset say where each of them
lies, never a pointer of the host.  They are views on the pages that the caller shares, or a status
if they are not all in announced memory.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from qda.core import Arguments
from qda.dsp.skeleton import HandleArgument
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, NO_SUCH_CLIENT, StatusError

__all__ = ["Argument", "Call"]

Argument: TypeAlias = memoryview | HandleArgument
"""What a method gets for a buffer, or for a handle."""

_WORDS = {
    BAD_PARAMETER: "the message does not describe its arguments",
    BAD_ADDRESS: "an argument is not in memory that is mapped for the session",
    NO_SUCH_CLIENT: "the message is not of a client of this session",
}


class Call(NamedTuple):
    """A module's handle, the shape of the call as a word, the host's thread, and what the core
    has found of the arguments."""

    handle: int
    word: int
    thread: int
    found: Arguments

    def arguments(self) -> list[Argument]:
        """The arguments, in wire order.  StatusError."""
        if isinstance(self.found, int):
            raise StatusError(self.found, _WORDS.get(self.found, "the arguments cannot be found"))
        return [
            item if isinstance(item, memoryview) else HandleArgument(*item) for item in self.found
        ]
