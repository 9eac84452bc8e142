"""The arguments of a call as a method gets them.

The core has found them (`qda.core.Server`): a page and an offset say where each of them lies, never
a pointer of the host.  They are views on the pages that the caller shares, or a status if they are
not all in announced memory.
"""

from __future__ import annotations

from typing import TypeAlias

from qda.core import Arguments
from qda.dsp.skeleton import HandleArgument
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, StatusError

__all__ = ["Argument", "arguments_of"]

Argument: TypeAlias = memoryview | HandleArgument
"""What a method gets for a buffer, or for a handle."""

_WORDS = {
    BAD_PARAMETER: "the message does not describe its arguments",
    BAD_ADDRESS: "an argument is not in memory that is mapped for the session",
}


def arguments_of(found: Arguments) -> list[Argument]:
    """The arguments of a call, in wire order.  StatusError."""
    if isinstance(found, int):
        raise StatusError(found, _WORDS[found])
    return [item if isinstance(item, memoryview) else HandleArgument(*item) for item in found]
