"""Codes as people give them, by number or by symbol, and what they say."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

from qda.errors import (
    ERRNOS,
    STATUSES,
    UNKNOWN,
    Explanation,
    UsageError,
    did_you_mean,
    explain_status,
    is_errno,
    status_of,
)
from qda.errors import explain as explain_word

__all__ = ["explain"]

_TABLED = frozenset(entry.number for entry in ERRNOS)
_ERRNO_OF = {
    **{name: number for name, number in vars(errno).items() if name.startswith("E")},
    **{entry.symbol: entry.number for entry in ERRNOS},
}
_SAID = re.compile(r"errno (\d+)( \(0x[0-9a-f]+\))?", re.IGNORECASE)
"""An errno as an error message writes it: "errno 22 (0x16)"."""

_NO_SYMBOL = explain_status(0xFFFF).symbol


def explain(code: str) -> list[Explanation]:
    """What a code says: one explanation, or two of what is both a status and an errno.

    `code` is decimal or hexadecimal, signed or unsigned, an errno as a message writes it, or a
    symbol such as EINVAL, AEE_EUNABLETOLOAD or EUNABLETOLOAD.  A hexadecimal number may lack its
    0x, as in many logs: with eight digits, or with a letter, if it then is a known code.
    UsageError for anything else.
    """
    code = " ".join(code.split())
    said = _SAID.fullmatch(code)
    if said and is_errno(-int(said[1])):
        return [explain_word(-int(said[1]))]
    found = list(_by_symbol(code.upper()))
    if found:
        return found
    number = _number(code)
    if number is None:
        named = (symbol for entry in STATUSES for symbol in (entry.symbol, entry.also) if symbol)
        meant = did_you_mean(code, [*_ERRNO_OF, *named])
        words = f"{code!r} is neither a number nor the symbol of a status or an errno"
        raise UsageError(f"{words}{': ' * bool(meant)}{meant}")
    return list(_by_number(number))


def _by_symbol(symbol: str) -> Iterator[Explanation]:
    if symbol in _ERRNO_OF:
        yield explain_word(-_ERRNO_OF[symbol])
    for spelling in (symbol, f"AEE_{symbol}"):
        try:
            yield explain_status(status_of(spelling))
        except KeyError:
            continue


def _by_number(number: int) -> Iterator[Explanation]:
    found = explain_word(number)
    yield found
    if number in _TABLED:  # messages write errnos without their sign: "errno 22 (0x16)"
        yield explain_word(-number)
    elif number & 0xFFFFFFFF == UNKNOWN:  # an errno to who issued the ioctl
        yield explain_status(UNKNOWN)


def _number(code: str) -> int | None:
    try:
        number = int(code, 0)
    except ValueError:
        number = None
    if re.fullmatch("[0-9a-fA-F]{1,8}", code):
        hexadecimal = int(code, 16)
        known = explain_word(hexadecimal).symbol != _NO_SYMBOL
        if len(code) == 8 and (known or number is None):
            return hexadecimal
        if known and not code.isdecimal():
            return hexadecimal
    return number
