"""Modules that are open on the DSP, as a program holds them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, Self, TypeVar

from qda.client.calls import Calls
from qda.client.plan import Bytes, HandleLike
from qda.client.unheld import leave
from qda.errors import BAD_HANDLE, DspError, QdaError, Refusal, UsageTypeError, bare
from qda.interrupts import Section
from qda.pending import Pending, start

__all__ = ["RemoteModule"]

__tracebackhide__ = True
"""In the tracebacks of pytest: what is wrong stands in the error, and who asked for it above."""

T = TypeVar("T")


class RemoteModule:
    """A module that is open on the DSP, at `handle`.  `close`, or the end of a `with` block, closes
    it; the end of the session does too.  One that is dropped is closed, with a ResourceWarning."""

    def __init__(self, calls: Calls, handle: int, uri: str, close: Callable[[], None]) -> None:
        self.handle, self.uri = handle, uri
        self._calls, self._invoke = calls, calls.for_modules
        self._close: Callable[[], None] | None = close

    def invoke(
        self,
        method: int,
        ins: Sequence[Bytes] = (),
        outs: Sequence[Bytes | int] = (),
        in_handles: Sequence[HandleLike] = (),
        out_handles: Sequence[HandleLike] = (),
        *,
        timeout: float | None = None,
        label: str | None = None,
    ) -> list[Bytes]:
        """Call a method; as `Session.invoke`."""
        try:
            return self._invoke(
                self.handle, method, ins, outs, in_handles, out_handles, timeout, label
            )
        except DspError as error:
            if self._close is None and error.status == BAD_HANDLE:
                words = "the module is closed: load it again"
                error = DspError(error.operation, error.domain, error.status, words)
                error.cause = "the block of its `with` has been left, or its `close` was called"
                error.next_step = "load it again, or call it before it is closed"
                bare(error)
                raise error
            bare(error)
            raise
        except QdaError as error:
            bare(error)
            raise

    def start(self, call: Callable[[], T]) -> Pending[T]:
        """Run a call in a thread of its own; see `qda.start`."""
        return start(call)

    def close(self) -> None:
        """Close the module on the DSP; idempotent.  DspError if its close method fails.

        Nothing is left to close of a session that is closed, or of a process that has died: what
        lost it has said so.
        """
        with Section():
            close, self._close = self._close, None
            if close is None or not self._calls.is_open:
                return
            try:
                close()
            except Refusal as error:
                if not error.is_aftermath:
                    raise

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending() and self._close is not None and self._calls.is_open:
            with Section(later=True):
                leave(self, self._close)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(
            f"{self!r} belongs to the session of one process: open a session in the other one, and"
            " load the module there"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteModule {self.uri} at {self.handle:#x}>"
