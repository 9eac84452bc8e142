"""Calls of a session: planned, issued on its device file, waited for, refusals put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from errno import EBADF, ENOMEM
from typing import Protocol

from qda import limits
from qda.client.device import DeviceFile
from qda.client.node import tell_room
from qda.client.plan import Bytes, HandleLike, Plan, make_plan
from qda.errors import (
    CallTimeout,
    DeviceError,
    QdaError,
    Refusal,
    UsageError,
    UsageTypeError,
    as_unsigned,
)
from qda.interrupts import is_handlers
from qda.pending import beside, checked_timeout

__all__ = ["Call", "Calls", "Carrier", "Invoke", "naming"]

__tracebackhide__ = True
"""In the tracebacks of pytest: what is wrong stands in the error, and who asked for it above."""

Call = Callable[[str, int, int, Sequence[Bytes], Sequence[Bytes]], None]
"""Makes a call, whatever is behind it: operation, handle, method, in-buffers, out-buffers.
DeviceError, DspError, both with the operation in their text."""


Carrier = Callable[["Invoke"], "Invoke"]
"""Decides in which memory the arguments of calls travel."""


class Invoke(Protocol):
    """Makes a call, as `Calls.invoke` does."""

    def __call__(
        self,
        handle: int,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes | int],
        in_handles: Sequence[HandleLike],
        out_handles: Sequence[HandleLike],
        timeout: float | None,
        label: str | None,
        /,
    ) -> list[Bytes]: ...


class Calls:
    """What makes the calls of a session.  Thread-safe.

    `log` takes what the last call of this thread that has failed has logged.  `begins`, if somebody
    sets it, is told of each call, in its thread, before it is issued.  `carrier`, if somebody sets
    it, makes of `invoke` what calls the modules that are loaded from then on.
    """

    def __init__(self, file: DeviceFile, log: Callable[[], Sequence[str]]) -> None:
        self._file, self._log = file, log
        self.begins: Callable[[], None] | None = None
        self.carrier: Carrier | None = None

    @property
    def is_open(self) -> bool:
        """Whether the session has not been closed."""
        return self._file.is_open

    @property
    def has_died(self) -> bool:
        """Whether a call has been told that the session's process on the DSP, or the DSP, is gone;
        from a kernel also by a method whose own status says so."""
        return self._file.has_died

    @property
    def for_modules(self) -> Invoke:
        """What modules make their calls with."""
        return self.invoke if self.carrier is None else self.carrier(self.invoke)

    def invoke(
        self,
        handle: int,
        method: int,
        ins: Sequence[Bytes] = (),
        outs: Sequence[Bytes | int] = (),
        in_handles: Sequence[HandleLike] = (),
        out_handles: Sequence[HandleLike] = (),
        timeout: float | None = None,
        label: str | None = None,
    ) -> list[Bytes]:
        """See `Session.invoke`."""
        try:
            results: list[Bytes] = []
            if outs:
                results = [bytearray(one) if isinstance(one, int) else one for one in outs]
        except (ValueError, OverflowError, TypeError, MemoryError) as error:
            raise _misused(handle, method, outs, error) from error
        status: int | None = None
        log: Sequence[str] = ()
        if not in_handles and not out_handles and timeout is None:
            if self._file.discarded:  # what lies there now is in no buffer
                self._file.collect()
            request = self._file.emitter.request(handle, method, ins, results)
            if request is not None:
                if self.begins is not None:
                    self.begins()
                try:
                    result = self._file.node.ioctl(self._file.invoke_code, request[0])
                except Refusal:
                    raise
                except OSError as error:
                    if is_handlers(error):
                        raise
                    if not isinstance(error, InterruptedError):
                        self._file.emitter.finish(request[1], False)
                    operation = label or _called(handle, method)
                    raise self._refusal(operation, error, [*ins, *results]) from error
                if self._file.arena is not None and not self._file.emitter.finish(request[1], True):
                    operation = label or _called(handle, method)
                    raise self._file.refusal(operation, OSError(EBADF, "its memory is gone"))
                if not result:
                    return results
                status = as_unsigned(result)
                log = self._log()
        try:
            operation = label or _called(handle, method)
        except (ValueError, OverflowError, TypeError) as error:
            raise _misused(handle, method, outs, error) from error
        if status is None:
            plan = make_plan(method, ins, results, in_handles, out_handles, self._file.find)
            try:
                status, log = self._issue(operation, handle, plan, timeout, self._log)
            except DeviceError as error:
                if error.errno != ENOMEM:
                    raise
                raise self._refusal(operation, error, [*ins, *results]) from error
        if status:
            raise self._file.refused(operation, status, log)
        return results

    def _refusal(self, operation: str, error: OSError, given: Sequence[Bytes]) -> DeviceError:
        """What a program is told of an error of the node; of one for want of memory, that what it
        has given is copied."""
        plan = make_plan(0, given[: limits.BUFFERS], (), (), (), self._file.find)
        copied = sum(one.length for one in plan.arguments if one.buffer is None)
        if error.errno != ENOMEM or copied < _MUCH:
            refusal = self._file.refusal(operation, error)
            if error.errno == ENOMEM:
                tell_room(self._file.node, refusal)
            return refusal
        words = (
            f"no memory for {copied} bytes of arguments, which are copied: use arrays of "
            "`session.empty`, which are shared"
        )
        refusal = DeviceError(operation, self._file.domain, ENOMEM, words)
        refusal.cause = "a call carries what lies in no buffer of the session in one message"
        return refusal

    def call(
        self,
        operation: str,
        handle: int,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes],
    ) -> None:
        """Make a call for the session itself; see `Call`."""
        self.invoke(handle, method, ins, outs, label=operation)

    def call_without_log(
        self,
        operation: str,
        handle: int,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes],
    ) -> None:
        """Make a call whose error does not show the log: by such calls the log is read."""
        plan = make_plan(method, ins, outs, (), (), self._file.find)
        status, _ = self._issue(operation, handle, plan, None, _nothing)
        if status:
            raise self._file.refused(operation, status)

    def status_of(
        self,
        handle: int,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes],
        in_handles: Sequence[HandleLike] = (),
        out_handles: Sequence[HandleLike] = (),
    ) -> int:
        """Call a method and return its status, unsigned: for the threads that listen, whose calls
        are not told to `begins`.  OSError."""
        plan = make_plan(method, ins, outs, in_handles, out_handles, self._file.find)
        return as_unsigned(self._file.invoke(handle, plan))

    def _issue(
        self,
        operation: str,
        handle: int,
        plan: Plan,
        timeout: float | None,
        log: Callable[[], Sequence[str]],
    ) -> tuple[int, Sequence[str]]:
        """Make the call; returns its status, unsigned, and of one that has failed what `log` takes,
        in the thread that has made it.  DeviceError, CallTimeout."""
        waits = True

        def issued() -> tuple[int, Sequence[str]]:
            status = as_unsigned(self._file.invoke(handle, plan))
            return status, log() if status and waits else ()

        if self.begins is not None:
            self.begins()
        try:
            if timeout is None:
                return issued()
            seconds = checked_timeout(operation, timeout)
            # A thread owns the call, and its memory, until it is answered.
            pending = beside(issued, operation)
            if pending.wait(seconds):
                return pending.result()
        except Refusal:
            raise
        except OSError as error:
            if is_handlers(error):
                raise
            raise self._file.refusal(operation, error) from error
        waits = False
        raise CallTimeout.of(f"{operation} on {self._file.domain}", timeout)


_MUCH = 1 << 20
"""Bytes that are copied from which on they, and not others, are why there is no memory."""


def _nothing() -> Sequence[str]:
    """The log of who reads the log."""
    return ()


def _called(handle: int, method: int) -> str:
    return f"invoke method {method} of handle {handle:#x}"


def _misused(handle: int, method: int, outs: Sequence[Bytes | int], error: Exception) -> QdaError:
    for name, number in (("handle", handle), ("method", method)):
        if not isinstance(number, int):
            return UsageTypeError(f"{name} {number!r:.80}: a number")
    words = (
        f"method {method!r} of handle {handle!r}, outputs {outs!r:.80}: {str(error) or 'too large'}"
    )
    return UsageError(words)


@contextmanager
def naming(operation: str, file: DeviceFile) -> Iterator[None]:
    """Say of what the device refuses within which operation it was.  DeviceError."""
    try:
        yield
    except (Refusal, CallTimeout):
        raise
    except OSError as error:
        if is_handlers(error):
            raise
        raise file.refusal(operation, error) from error
