"""Codes as people give them, by number or by symbol, and what they say."""

from __future__ import annotations

from qda.errors import DSP_OFFSET, ERRNOS, STATUSES, WITHOUT_OFFSET, Explanation, UsageError
from qda.errors import explain as explain_word

__all__ = ["explain"]

_STATUS_OF = {
    entry.symbol: entry.number + (0 if entry.symbol in WITHOUT_OFFSET else DSP_OFFSET)
    for entry in STATUSES
}
_ERRNO_OF = {entry.symbol: entry.number for entry in ERRNOS}
_ERRNOS = frozenset(_ERRNO_OF.values())


def explain(code: str) -> list[Explanation]:
    """What a code says: one explanation, or two if a plain number is both a status and an errno.

    `code` is decimal or hexadecimal, signed or unsigned, or a symbol such as EINVAL,
    AEE_EUNABLETOLOAD or EUNABLETOLOAD.  UsageError for anything else.
    """
    try:
        number = int(code, 0)
    except ValueError:
        return [_explain_symbol(code)]
    found = [explain_word(number)]
    if number in _ERRNOS:
        # Error messages write errnos without their sign: "errno 22 (0x16)".
        found.append(explain_word(-number))
    return found


def _explain_symbol(code: str) -> Explanation:
    symbol = code.upper()
    if symbol in _ERRNO_OF:
        return explain_word(-_ERRNO_OF[symbol])
    for spelling in (symbol, f"AEE_{symbol}"):
        if spelling in _STATUS_OF:
            return explain_word(_STATUS_OF[spelling])
    raise UsageError(f"{code!r} is neither a number nor the symbol of a status or an errno")
