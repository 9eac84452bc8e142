"""Result words: their two spellings, and what they say.

The result of a call is a 32-bit word.  The device interface hands it out signed; documentation and
logs write it unsigned.  Only -1 .. -4095 are errnos, every other word is the DSP's and passes
through unchanged (spec/fastrpc.md 8.3).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Final, SupportsIndex

from qda.errors.base import QdaError, UsageError, UsageTypeError, bare
from qda.errors.errnos import ERRNOS
from qda.errors.statuses import DSP_OFFSET, STATUSES, WITHOUT_OFFSET, Entry

__all__ = [
    "BAD_ADDRESS",
    "BAD_HANDLE",
    "BAD_ITEM",
    "BAD_MAP_COUNT",
    "BAD_PARAMETER",
    "BAD_STATE",
    "BUSY",
    "CONNECTION_RESET",
    "EXPIRED",
    "INTERRUPTED",
    "LARGEST_ERRNO",
    "MAP_FAILED",
    "NO_LISTENER",
    "NO_SUCH_CLIENT",
    "NO_SUCH_FILE",
    "NO_SUCH_MAP",
    "NO_SUCH_MODULE",
    "NO_SUCH_SYMBOL",
    "NO_VARIABLE",
    "OUT_OF_HANDLES",
    "OUT_OF_MEMORY",
    "PROCESS_DIED",
    "RPC_FAILED",
    "SKELETON_RAISED",
    "UNABLE_TO_LOAD",
    "UNKNOWN",
    "UNSUPPORTED",
    "VARIABLE_NOT_SET",
    "VERSION_MISMATCH",
    "WOULD_BLOCK",
    "Explanation",
    "as_signed",
    "as_unsigned",
    "explain",
    "explain_status",
    "is_errno",
    "is_missing",
    "on_dsp",
    "plain",
    "status_of",
]

LARGEST_ERRNO: Final = 4095

_BY_SYMBOL: Final = {
    symbol: entry for entry in STATUSES for symbol in (entry.symbol, entry.also) if symbol
}
_BY_ERRNO: Final = {entry.number: entry for entry in ERRNOS}


def _on_dsp(entry: Entry) -> int:
    """Return the unsigned word with which code on the DSP reports `entry`."""
    if entry.symbol in WITHOUT_OFFSET:
        return entry.number & 0xFFFFFFFF
    return DSP_OFFSET + entry.number


_BY_WORD: Final = {_on_dsp(entry): entry for entry in STATUSES}
_BY_PLAIN_NUMBER: Final = {
    entry.number: entry
    for entry in sorted(STATUSES, key=lambda entry: entry.symbol in WITHOUT_OFFSET)
}  # 104 is two codes: of the two, the one that the DSP spells the same stays.


_LARGEST: Final = max(_BY_WORD.keys() - {0xFFFFFFFF})


def status_of(symbol: str) -> int:
    """Return the unsigned word with which code on the DSP reports a code.  KeyError if there is no
    code of that symbol."""
    return _on_dsp(_BY_SYMBOL[symbol])


# What our DSP answers with (unsigned words).  The meanings are those of the table.
SKELETON_RAISED: Final = status_of("AEE_EFAILED")
OUT_OF_MEMORY: Final = status_of("AEE_ENOMEMORY")
UNABLE_TO_LOAD: Final = status_of("AEE_EUNABLETOLOAD")
BAD_STATE: Final = status_of("AEE_EBADSTATE")
BAD_PARAMETER: Final = status_of("AEE_EBADPARM")
BAD_ITEM: Final = status_of("AEE_EBADITEM")
BUSY: Final = status_of("AEE_EITEMBUSY")
EXPIRED: Final = status_of("AEE_EEXPIRED")
WOULD_BLOCK: Final = status_of("AEE_EWOULDBLOCK")
RPC_FAILED: Final = status_of("AEE_ERPC")
CONNECTION_RESET: Final = status_of("AEE_ECONNRESET")
NO_VARIABLE: Final = status_of("AEE_EGETENV")
VARIABLE_NOT_SET: Final = status_of("AEE_ESETENV")
VERSION_MISMATCH: Final = status_of("AEE_ESTUBSKELVERMISMATCH")
UNSUPPORTED: Final = status_of("AEE_EUNSUPPORTED")
UNKNOWN: Final = status_of("AEE_EUNKNOWN")
PROCESS_DIED: Final = status_of("AEE_ENOSUCH")
BAD_HANDLE: Final = status_of("AEE_EBADHANDLE")
OUT_OF_HANDLES: Final = status_of("AEE_EOUTOFHANDLES")
INTERRUPTED: Final = status_of("AEE_EINTERRUPTED")
NO_SUCH_MODULE: Final = status_of("AEE_ENOSUCHMOD")
NO_SUCH_SYMBOL: Final = status_of("AEE_ENOSUCHSYMBOL")
NO_SUCH_FILE: Final = status_of("AEE_ENOSUCHFILE")
NO_SUCH_MAP: Final = status_of("AEE_ENOSUCHMAP")
NO_LISTENER: Final = status_of("AEE_ENOSUCHTHREAD")
NO_SUCH_CLIENT: Final = status_of("AEE_ENOSUCHCLIENT")
MAP_FAILED: Final = status_of("AEE_EMMAP")
BAD_ADDRESS: Final = status_of("AEE_EBADVA")
BAD_MAP_COUNT: Final = status_of("AEE_EBADMAPREFCNT")


def as_signed(status: int) -> int:
    """Return a 32-bit word as the s32 that an ioctl returns.

    `status` is -2**31 .. 2**32 - 1; a word that is signed already stays as it is.  Raises
    `UsageError` for a number that no 32-bit word can hold.
    """
    return (as_unsigned(status) ^ 0x80000000) - 0x80000000


def as_unsigned(result: int) -> int:
    """Return a 32-bit word as the u32 in which documentation and logs write it.

    `result` is -2**31 .. 2**32 - 1; a word that is unsigned already stays as it is.  Raises
    `UsageError` for a number that no 32-bit word can hold.
    """
    if not -0x80000000 <= result <= 0xFFFFFFFF:
        raise UsageError(f"{result} is not a 32-bit word")
    return result & 0xFFFFFFFF


def plain(status: int) -> int:
    """Return a status without the DSP's offset, as the host's side spells it.

    `status` is an unsigned word; one that has no offset stays as it is.
    """
    return status - DSP_OFFSET if DSP_OFFSET < status <= _LARGEST else status


def on_dsp(number: int) -> int:
    """Return the word with which code on the DSP says what the host's side spells `number`: the
    other way round than `plain`."""
    entry = _BY_PLAIN_NUMBER.get(number)
    return number if entry is None else _on_dsp(entry)


_MISSING: Final = (UNSUPPORTED, BAD_HANDLE, NO_SUCH_MODULE, status_of("AEE_ERPC"))
"""The last two are what DSPs say that have no module at the handle (spec/fastrpc.md 7.2)."""


def is_missing(status: int) -> bool:
    """Tell whether a status says that there is no such handle or method.

    Code on the DSP gives it its offset; what the host's library or an old DSP says has none.
    """
    return as_unsigned(status) in (*_MISSING, *map(plain, _MISSING))


def is_errno(result: int) -> bool:
    """Tell whether a result, signed or unsigned, is an errno: -1 .. -4095 (spec/fastrpc.md 8.3)."""
    return -LARGEST_ERRNO <= as_signed(result) <= -1


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code says.

    `code` is the word in one spelling: -1 .. -4095 for an errno, otherwise 0 .. 2**32 - 1 for a
    status.  `symbol` is the C name, `meaning` and `cause` say what happened and what usually led
    to it, `next_step` what to do about it.  `also` is another C name of the code, mostly empty.
    """

    code: int
    symbol: str
    meaning: str
    cause: str
    next_step: str
    also: str = ""

    @property
    def number(self) -> str:
        """The code as an error message writes it: "0x8000040D" or "errno 22 (0x16)"."""
        if self.code < 0:
            return f"errno {-self.code} (0x{-self.code:02X})"
        return f"0x{self.code:02X}"


def explain(code: int) -> Explanation:
    """Explain a result of the device interface, or a status of the DSP or of the host's library.

    `code` is -2**31 .. 2**32 - 1, signed or unsigned.  -1 .. -4095 is an errno, a word from
    0x80000400 is a status of code on the DSP, a small positive number the same status of the host's
    library.  A code that is in no table is explained as a method's own return value.  Raises
    `UsageError` for a number that no 32-bit word can hold.
    """
    try:
        if not isinstance(code, SupportsIndex):
            words = f"code {code!r:.80}: a number; `qda explain` takes symbols, too"
            raise UsageTypeError(words)
        return _explain_errno(-as_signed(code)) if is_errno(code) else explain_status(code)
    except QdaError as error:
        bare(error)
        raise


def explain_status(code: int) -> Explanation:
    """Explain a word as a status, also where it looks like an errno, as AEE_EUNKNOWN does: -1."""
    word = as_unsigned(code)
    entry = _BY_WORD.get(word) or _BY_PLAIN_NUMBER.get(word)
    if entry is None:
        return Explanation(
            word,
            "(no symbol)",
            "not a known status",
            "the return value of a method reaches the caller unchanged, so this is probably the "
            "skeleton's own code",
            "look for the number in the skeleton's sources",
        )
    return Explanation(
        word,
        entry.symbol,
        entry.meaning,
        entry.cause or _where_from(word),
        entry.next_step or "read the DSP's log, and look for the symbol in the skeleton's sources",
        entry.also,
    )


def _where_from(word: int) -> str:
    """Say who reports the status `word`, for statuses without a cause (spec/fastrpc.md 8.2)."""
    if word >= DSP_OFFSET:
        return "code on the DSP, a service or the skeleton itself, returned this status"
    return "the host's library, or a skeleton that returned a plain number, reported this status"


def _explain_errno(number: int) -> Explanation:
    entry = _BY_ERRNO.get(number)
    if entry is not None:
        return Explanation(-number, entry.symbol, entry.meaning, entry.cause, entry.next_step)
    return Explanation(
        -number,
        errno.errorcode.get(number, "(no symbol)"),
        os.strerror(number),
        f"the operating system said so, or a method on the DSP returned {-number}, "
        "which looks the same",
        "read the DSP's log, and let methods return positive codes only",
    )
