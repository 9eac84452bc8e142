"""The root of the exceptions, and those that need no table."""

from __future__ import annotations

__all__ = ["CallTimeout", "QdaError", "StatusError", "UsageError", "UsageTypeError"]


class QdaError(Exception):
    """Root of every exception that this package raises on purpose."""


class UsageError(QdaError, ValueError):
    """You used it wrongly: a value that is not legal.  The message quotes what was given."""


class UsageTypeError(QdaError, TypeError):
    """You used it wrongly: an object of the wrong type.  The message quotes what was given."""


class CallTimeout(QdaError, TimeoutError):
    """The time given for a call is over.  The call itself may still be running on the DSP."""


class StatusError(Exception):
    """Ends a call with a status: raised on the DSP, by a skeleton or by what serves it.

    The caller sees `status` as a `DspError`; `text` goes to the DSP's log.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status:#x}: {text}")
        self.status = status
        self.text = text
