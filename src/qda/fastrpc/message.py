"""What crosses the RPMsg channel: a 40-byte message per call, a 16-byte response, a context id.

Source: spec/fastrpc.md 2.6 to 2.8; hazards.md H15, H17.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from qda import limits
from qda.fastrpc.domains import ProtectionDomain
from qda.layout import Record, s32, u32, u64

__all__ = [
    "CONTEXT_NUMBERS",
    "RESPONSE_MINIMUM",
    "CallForm",
    "ContextId",
    "InvokeMessage",
    "Response",
]


class InvokeMessage(Record, spelling="fastrpc_msg"):
    """Announces one call to the DSP; the arguments lie in the message buffer that it names."""

    client_id: int = s32("Session of the call; 0 for handle 1, whose session is in its request")
    tid: int = s32("Thread id of the caller")
    context: int = u64("Context id, echoed by the response", unit="bits")
    handle: int = u32("Module to call")
    scalars: int = u32("Shape of the call", unit="bits")
    address: int = u64("Device address of the message buffer", unit="address")
    size: int = u64("Size of the message buffer, whole pages", unit="bytes")


class Response(Record, spelling="fastrpc_invoke_rsp"):
    """Ends one call."""

    context: int = u64("Context id of the message that is answered, unchanged", unit="bits")
    result: int = s32("Result of the call: 0, a DSP status, or whatever the method returned")


RESPONSE_MINIMUM = 12
"""Bytes that a response needs at least: both fields, without tail padding (H15)."""

CONTEXT_NUMBERS = range(1, limits.CALLS + 1)
"""Numbers that come back whole in the 8-bit field of a response's context (R8, H15)."""


class CallForm(enum.IntFlag):
    """How the calls of a session are written, where drivers differ: bits of a tag, which has the
    kind of protection domain below them."""

    HANDLES = 0x100
    """Elements name objects by handles alone: none is below 0."""
    NUMBERED = 0x200
    """Context words have a sequence number, and messages a poll word (spec/versions.md 6)."""


class ContextId(NamedTuple):
    """The context id of a message: bits 11..4 number the pending call, bits 3..0 say which kind
    of protection domain the message is for (spec/fastrpc.md 2.8).

    With a `sequence` number it is that of drivers since 7.3: that number in bits 63..16, the call's
    in bits 15..8, the kind below (spec/versions.md 6).
    """

    number: int
    domain: ProtectionDomain = ProtectionDomain.ROOT
    sequence: int | None = None

    @property
    def word(self) -> int:
        """The id as it crosses the wire.  ValueError for an index that could not come back."""
        if self.number not in CONTEXT_NUMBERS:
            raise ValueError(f"context index {self.number} does not fit the field that comes back")
        if self.sequence is None:
            return self.number << 4 | self.domain
        return (self.sequence << 16 | self.number << 8 | self.domain) & (1 << 64) - 1

    @classmethod
    def decode(cls, word: int) -> ContextId | None:
        """The fields of an id that came from the wire, None if we cannot have sent it."""
        number, domain = word >> 4, word & 15
        if number not in CONTEXT_NUMBERS or domain not in set(ProtectionDomain):
            return None
        return cls(number, ProtectionDomain(domain))
