"""The scalars word: the shape of a call in 32 bits.

    31..29 attributes | 28..24 method | 23..16 in-buffers | 15..8 out-buffers
    | 7..4 in-handles | 3..0 out-handles

The argument array of a call has in-buffers, out-buffers, in-handles and out-handles in that
order; only an argument's index says which it is.  Method 31 means that the real method number is
word 0 of the first in-buffer.  Source: spec/fastrpc.md 1.1 and 1.5.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from qda import limits

__all__ = ["EXTENDED_METHOD", "Scalars"]

EXTENDED_METHOD = 31


class Scalars(NamedTuple):
    """The fields of a scalars word; `word` encodes them, `decode` is the inverse."""

    method: int = 0
    in_buffers: int = 0
    out_buffers: int = 0
    in_handles: int = 0
    out_handles: int = 0
    attributes: int = 0

    @property
    def words(self) -> str:
        """The method and what it takes, for a message."""
        buffers = f"{self.in_buffers} in-buffers and {self.out_buffers} out-buffers"
        handles = self.in_handles + self.out_handles
        return f"{self.method} with {buffers}{f', {handles} handles' * bool(handles)}"

    @property
    def word(self) -> int:
        """The 32-bit word.  ValueError names the field that does not fit."""
        for value, limit, name in (
            (self.method, EXTENDED_METHOD, "method"),
            (self.in_buffers, limits.BUFFERS, "number of in-buffers"),
            (self.out_buffers, limits.BUFFERS, "number of out-buffers"),
            (self.in_handles, limits.HANDLES, "number of in-handles"),
            (self.out_handles, limits.HANDLES, "number of out-handles"),
            (self.attributes, 7, "attributes"),
        ):
            if not 0 <= value <= limit:
                raise ValueError(f"{name} {value} does not fit a call: 0 to {limit}")
        return (
            self.attributes << 29
            | self.method << 24
            | self.in_buffers << 16
            | self.out_buffers << 8
            | self.in_handles << 4
            | self.out_handles
        )

    @staticmethod
    @lru_cache(maxsize=1024)
    def decode(word: int) -> Scalars:
        """The fields of a 32-bit word; every word is legal."""
        return Scalars(
            word >> 24 & 31,
            word >> 16 & 255,
            word >> 8 & 255,
            word >> 4 & 15,
            word & 15,
            word >> 29,
        )

    @property
    def buffers(self) -> int:
        """Number of in-buffers and out-buffers."""
        return self.in_buffers + self.out_buffers

    @property
    def length(self) -> int:
        """Number of all arguments, 0 to 540."""
        return self.in_buffers + self.out_buffers + self.in_handles + self.out_handles
