"""The ring in which the core notes its own calls: a record each, which somebody decodes later.

Its memory begins with the number of records that were ever written, of 64 bits; then the records
follow, the newest in the place of the oldest.
"""

from __future__ import annotations

import os
from functools import cache, partial

from qda import limits
from qda.core import Traced, trace

__all__ = ["Ring"]

_COUNT = 8
_SIZE = Traced.byte_size


class Ring:
    """Room for the last `calls` calls of this process."""

    def __init__(self, calls: int = limits.TRACED_CALLS) -> None:
        self._calls = calls
        self._memory = bytearray(_COUNT + calls * _SIZE)

    def begin(self) -> None:
        """From now on calls are noted here, but those of forked children nowhere."""
        _leave_children()
        trace(self._memory)

    def end(self) -> None:
        """No more calls are noted anywhere.  Idempotent."""
        trace(None)

    @property
    def written(self) -> int:
        """How many calls have been noted."""
        return int.from_bytes(self._memory[:_COUNT], "little")

    @property
    def lost(self) -> int:
        """How many of them are not here any more."""
        return max(0, self.written - self._calls)

    def records(self) -> list[Traced]:
        """The calls that are here, the oldest first."""
        places = range(self.lost, self.written)
        return [
            Traced.unpack(self._memory, _COUNT + number % self._calls * _SIZE) for number in places
        ]


@cache
def _leave_children() -> None:
    os.register_at_fork(after_in_child=partial(trace, None))
