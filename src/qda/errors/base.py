"""The root of the exceptions, and those that need no table."""

from __future__ import annotations

__all__ = ["CallTimeout", "QdaError", "UsageError", "UsageTypeError"]


class QdaError(Exception):
    """Root of every exception that this package raises on purpose."""


class UsageError(QdaError, ValueError):
    """You used it wrongly: a value that is not legal.  The message quotes what was given."""


class UsageTypeError(QdaError, TypeError):
    """You used it wrongly: an object of the wrong type.  The message quotes what was given."""


class CallTimeout(QdaError, TimeoutError):
    """The time given for a call is over.  The call itself may still be running on the DSP."""
