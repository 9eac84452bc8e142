"""The system said no: exceptions that keep the number and say what it means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from errno import EIO
from typing import Any

from qda.errors.base import QdaError, UsageError
from qda.errors.words import LARGEST_ERRNO, SKELETON_RAISED, as_unsigned, explain

__all__ = ["DeviceError", "DspError", "Refusal"]


class Refusal(QdaError):
    """The system said no.

    Catch this for "the device or the DSP refused", `DeviceError` or `DspError` for one of them.

    Attributes:
        operation: what was asked for, for example "invoke method 2 of handle 0x301".
        domain: the DSP it was asked of, for example "cdsp"; empty where there is none yet.
        code: the word as `explain` takes it: -1 .. -4095 for an errno, else an unsigned status.
        symbol: the code's C name.
        meaning: what the code says.
        detail: what is known beyond the code, for example the places that were searched; in the
            message it stands instead of the meaning.
        cause: what usually leads to the code.
        next_step: what to do about it.
        log: lines of the DSP's log that belong to the operation, oldest first.
        is_aftermath: whether it says no more than that the process on the DSP had ended before, or
            is not this program's: nothing is left here that could be closed.
        backtrace: where the process on the DSP was when it died, in C and in Python; a note of the
            exception, which tracebacks show.
    """

    def __init__(
        self, operation: str, domain: str, code: int, detail: str = "", log: Iterable[str] = ()
    ) -> None:
        """Explain `code`, which is -2**31 .. 2**32 - 1, and keep the rest as it is."""
        explanation = explain(code)
        # Not super().__init__: with an errno class below, three arguments mean something else.
        Exception.__init__(self, operation, domain, explanation.code)
        self.operation = operation
        self.domain = domain
        self.code = explanation.code
        self.symbol = explanation.symbol
        self.meaning = explanation.meaning
        self.detail = detail
        self.cause = explanation.cause
        self.next_step = explanation.next_step
        self.log = tuple(log)
        self.is_aftermath = False
        self.backtrace: tuple[str, ...] = ()

    def tell_death(self, backtrace: Iterable[str]) -> None:
        """Say that the process has died, where it was."""
        self.backtrace = tuple(backtrace)
        self.next_step = "open a new session"
        if self.backtrace:
            self.add_note("\n".join(self.backtrace))
            self.next_step = "mend what the backtrace shows, then open a new session"

    def __str__(self) -> str:
        """Return the message; its first line is complete in itself."""
        on_domain = f" on {self.domain}" if self.domain else ""
        number = explain(self.code).number
        lines = [
            f"{self.operation}{on_domain}: {number} {self.symbol}: {self.detail or self.meaning}",
            f"  Likely cause: {self.cause}.",
            f"  Next: {self.next_step}.",
        ]
        if self.log:
            lines += ["  The DSP's log:", *(f"    {line}" for line in self.log)]
        return "\n".join(lines)


class DeviceError(Refusal, OSError):
    """The device interface said no, with an errno.  `errno` and `strerror` are set as usual."""

    def __init__(self, operation: str, domain: str, errno: int, detail: str = "") -> None:
        """Keep `errno`, 1 .. 4095; raise `UsageError` for any other number."""
        if not 1 <= errno <= LARGEST_ERRNO:
            raise UsageError(f"{errno} is not an errno: errnos are 1 to {LARGEST_ERRNO}")
        super().__init__(operation, domain, -errno, detail)
        self.errno = errno
        self.strerror = detail or self.meaning

    @classmethod
    def of(cls, operation: str, domain: str, error: OSError) -> DeviceError:
        """The same refusal, of an operation on a DSP; EIO for an error without a number."""
        return cls(operation, domain, error.errno or EIO)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the constructor's arguments, and what was added to the exception since."""
        return type(self), (self.operation, self.domain, -self.code, self.detail), vars(self)


class DspError(Refusal):
    """The DSP said no, with a status word.

    Attributes:
        status: the word, unsigned: 0 .. 2**32 - 1.
    """

    def __init__(
        self, operation: str, domain: str, status: int, detail: str = "", log: Iterable[str] = ()
    ) -> None:
        """Keep `status`, signed or unsigned, and the lines of `log`, shown below the message.

        Without `detail` it is what the log says of this status.
        """
        lines = tuple(log)
        self.status = as_unsigned(status)
        detail = detail or _logged(lines, self.status)
        super().__init__(operation, domain, status, detail, lines)
        if _is_refused_result(lines, self.status, detail):
            self.cause = "the method was not used, or has not answered, as its interface says"
            self.next_step = "mend what the first line names"


def _is_refused_result(lines: Sequence[str], status: int, detail: str) -> bool:
    """Whether a call was refused in words that say all: there is no traceback beside them."""
    ours = detail.startswith(("UsageError: ", "UsageTypeError: "))
    return ours and status == SKELETON_RAISED and f"ERROR {detail}" in lines


def _logged(lines: Sequence[str], status: int) -> str:
    """The last thing that a log says of a status: the text of a `StatusError`, or the exception
    that a traceback ends with."""
    found = ""
    for place, line in enumerate(lines):
        level, _, words = line.partition(" ")
        if words.startswith(f"{status:#x}: "):
            found = words.partition(": ")[2]
        elif level == "ERROR" and status == SKELETON_RAISED:
            # A syntax error is a traceback without frames of ours, and begins with its place.
            begins = words.startswith(("Traceback ", "  File ", _GROUP))
            found = _ending((words, *lines[place + 1 :])) if begins else words
    return found


_GROUP = "  + Exception Group Traceback "
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


def _ending(lines: Sequence[str]) -> str:
    """The exception that was raised, of a traceback: the last one, if one has led to another."""
    found, margin = "", ""
    for line in lines:
        if line in _CHAINED:
            found = ""
        elif line.startswith(("Traceback ", _GROUP)):
            margin = "  | " if line.startswith(_GROUP) else ""
        elif not found and line.startswith(margin) and line[len(margin) :][:1].strip():
            found = line.removeprefix(margin)
    return found
