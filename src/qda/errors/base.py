"""The root of the exceptions, and those that need no table."""

from __future__ import annotations

import errno
import operator
import os
import re
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

__all__ = [
    "CallTimeout",
    "HostError",
    "QdaError",
    "QueueTimeout",
    "StatusError",
    "UsageError",
    "UsageTypeError",
    "bare",
    "cannot_write",
    "did_you_mean",
    "neighbours",
    "path_of",
    "quoted",
    "suggestion",
]


E = TypeVar("E", bound=BaseException)


def path_of(what: str, given: str | os.PathLike[str]) -> Path:
    """The path of a file that a program names.  UsageTypeError for what is none, UsageError for one
    that no file can have."""
    try:
        path = Path(given)
    except TypeError as error:
        raise UsageTypeError(f"{what} {quoted(given)}: the path of a file") from error
    if not path.name or "\0" in str(path):
        raise UsageError(f"{what} {quoted(given)}: the path of a file")
    return path


def cannot_write(path: Path, error: OSError, what: str = "") -> UsageError:
    """What is said of a file that cannot be made; `what` asked for it."""
    words = f"{what} {path}: {error.strerror}".lstrip()
    missing = isinstance(error, FileNotFoundError) and not path.parent.exists()
    return UsageError(f"{words}: there is no folder {path.parent}" if missing else words)


def quoted(value: object) -> str:
    """What was given, in a message: as Python shows it, but on one line, and not all of it if it is
    long."""
    return re.sub(r"\n\s*", " ", repr(value))[:_LONGEST_WORD]


def neighbours(word: object, known: Iterable[str]) -> list[str]:
    """Those of the known words that may have been meant by one that is none of them, the nearest
    first; alone, if it is the same but for the case of letters."""
    plain = {name.lower(): name for name in islice(known, _COMPARED)}
    given = str(word)[:_LONGEST_WORD].lower()
    if given in plain:
        return [plain[given]]
    if not plain:
        return []
    from difflib import get_close_matches  # programs without errors need none of it

    # Of four letters one may be wrong, or two may have changed places.
    return [plain[one] for one in get_close_matches(given, plain, cutoff=_ALIKE[len(given) > 3])]


_ALIKE = 0.6, 0.75
"""How much short and other words have to be alike, as `difflib` counts it."""

_LONGEST_WORD = 80
"""Letters of a word that are compared: nobody misspells more."""

_COMPARED = 1000
"""Names that are compared with one: an interface file may declare any number."""


def did_you_mean(word: object, known: Iterable[str], quote: str = "'") -> str:
    """A question that ends the refusal of a word which is none of those that are known; empty if
    nothing is like it."""
    close = [f"{quote}{one}{quote}" for one in neighbours(word, known)]
    return f"did you mean {' or '.join(close)}?" if close else ""


def suggestion(word: object, known: Iterable[str]) -> str:
    """What ends the refusal of a word that is none of those that are known, which are few."""
    names = list(known)
    return did_you_mean(word, names) or f"there are {', '.join(names) or 'none'}"


class _Travels(Exception):
    """Pickled as it is: what the constructor takes may be more than it keeps in `args`."""

    def __reduce__(self) -> tuple[object, ...]:
        return _as_it_was, (type(self), self.args, vars(self))


def _as_it_was(kind: type[E], args: tuple[object, ...], attributes: dict[str, object]) -> E:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(attributes)
    return error


class QdaError(_Travels):
    """Root of every exception that this package raises on purpose."""

    handle_argument: int | None = None
    """Which handle of a call was refused, if it was one: from 0, those that go in come first."""


def bare(error: QdaError) -> None:
    """Take our frames off an error that is about to leave us: its words are all that we have to
    say, and below them who has called us looks for a line of the program.

        except QdaError as error:
            bare(error)
            raise

    Raised so, without a name, an error gets no frame of the function either.
    """
    error.__traceback__ = None
    error.__cause__ = None  # the same in other words


class UsageError(QdaError, ValueError):
    """You used it wrongly: a value that is not legal.  The message quotes what was given."""


class UsageTypeError(QdaError, TypeError):
    """You used it wrongly: an object of the wrong type.  The message quotes what was given."""


class CallTimeout(QdaError, TimeoutError):
    """The time given for a call is over.  The call itself may still be running on the DSP."""

    @classmethod
    def of(cls, call: str, timeout: float | None) -> CallTimeout:
        """The end of a wait of `timeout` seconds for a call."""
        return cls(f"{call}: no answer within {timeout} s; the call goes on until it is answered")


class QueueTimeout(QdaError, TimeoutError):
    """No packet was there to be read, or no room to write one, in the time given for it."""


class StatusError(_Travels):
    """Ends a call with a status: raised on the DSP, by a skeleton or by what serves it.

    The caller sees `status` as a `DspError`; `text` goes to the DSP's log.  It is a word, signed or
    not, but 0: that would be success.  UsageError, UsageTypeError.
    """

    def __init__(self, status: int, text: str) -> None:
        try:
            status = operator.index(status)
        except TypeError as error:
            raise UsageTypeError(f"status {status!r:.80} is no number") from error
        if not status or not -(1 << 31) <= status < 1 << 32:
            raise UsageError(f"status {status} is no failure: a word of 32 bits that is not 0")
        super().__init__(f"{status:#x}: {text}")
        self.status = status
        self.text = text


class HostError(QdaError):
    """A method of the host, called by code on the DSP, has failed; its result is `status`.

    Modules of the host return what they like; of those that every host has, `apps_std` returns
    errnos of the host, for example 2 where there is no such file (fastrpc.md 7.5, 8.2).
    """

    def __init__(self, operation: str, status: int) -> None:
        super().__init__(operation, status)
        self.operation = operation
        self.status = status

    def __str__(self) -> str:
        name = errno.errorcode.get(self.status)
        words = f" (as an errno: {name}, {os.strerror(self.status)})" if name else ""
        return f"{self.operation} on the host: {self.status:#x}{words}"
