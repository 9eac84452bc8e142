"""The host, as code on the DSP sees it: its modules, its files, its environment.

    log = self.dsp.host.open(logbook)                # an interface that the program provides
    log.write("half of it is done")

    with self.dsp.host.open_file("weights.bin") as file:
        weights = file.read()

    level = self.dsp.environment.get("LEVEL", "3")

Each of these is a reverse call: it waits until a thread of the host has run it.  What a method of
the host returns, if not 0, is a `HostError`; what became of the call itself is a `StatusError`
(`qda.dsp.reverse_calls` lists them).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Self, TypeVar, cast

from qda.dsp.reverse_calls import ReverseCalls
from qda.errors import (
    BAD_PARAMETER,
    NO_VARIABLE,
    UNKNOWN,
    HostError,
    StatusError,
    UsageError,
    plain,
)
from qda.fastrpc.remotectl import REMOTECTL, Answer, ManagerCall
from qda.fastrpc.scalars import EXTENDED_METHOD, Scalars
from qda.pending import Pending, beside

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from qda.idl import Remote

__all__ = ["Environment", "Host", "HostFile", "HostModule", "ask", "open_module"]

T = TypeVar("T")


def ask(
    calls: ReverseCalls,
    operation: str,
    handle: int,
    scalars: Scalars,
    ins: Sequence[bytes | memoryview],
    sizes: Sequence[int] = (),
) -> Sequence[bytes]:
    """Call a method of the host; returns its out-buffers.

    HostError for a result that is not 0, StatusError if the call found nobody or was lost.
    """
    reply = calls.call(handle, scalars, ins, sizes)
    if reply.failure:
        raise StatusError(reply.status, f"{operation} on the host: {reply.failure}")
    if reply.status:
        raise HostError(operation, reply.status)
    return reply.outs


def ask_manager(calls: ReverseCalls, operation: str, asked: ManagerCall) -> Answer:
    """Call the host's module manager.  HostError, also for what its answer says; StatusError."""
    outs = ask(calls, operation, asked.handle, asked.scalars, asked.ins, asked.sizes)
    answer = asked.answer(outs)
    if answer.error:
        said = f"{operation} ({answer.text})" if answer.text else operation
        raise HostError(said, answer.error)
    return answer


def open_module(calls: ReverseCalls, name: str) -> HostModule:
    """Open a module of the host by name or URI.  HostError, StatusError."""
    opened = ask_manager(calls, f"open {name}", REMOTECTL.ask_open(name))
    return HostModule(calls, opened.handle, name)


class HostModule:
    """A module that is open on the host: what a remote object of its interface calls through."""

    def __init__(self, calls: ReverseCalls, handle: int, name: str) -> None:
        self.handle, self.name = handle, name
        self._calls = calls
        self._closed = False

    def invoke(
        self,
        method: int,
        ins: Sequence[ReadableBuffer] = (),
        outs: Sequence[WriteableBuffer] = (),
        in_handles: Sequence[Any] = (),
        out_handles: Sequence[Any] = (),
        *,
        timeout: float | None = None,
        label: str = "",
    ) -> None:
        """Call a method, and fill `outs`.  Reverse calls take no handles (7.2): StatusError.

        HostError, StatusError; UsageError for a timeout, which a reverse call has not.
        """
        label = label or f"method {method} of {self.name}"
        if timeout is not None:
            raise UsageError(f"{label}: timeout {timeout}: a call of the host waits for its end")
        if in_handles or out_handles:
            raise StatusError(BAD_PARAMETER, f"{label}: a reverse call takes no handles")
        rooms = [memoryview(out).cast("B") for out in outs]
        scalars = Scalars(min(method, EXTENDED_METHOD), len(ins), len(outs))
        given = [memoryview(one).cast("B") for one in ins]
        sizes = [len(room) for room in rooms]
        results = ask(self._calls, label, self.handle, scalars, given, sizes)
        for room, result in zip(rooms, results, strict=True):
            room[:] = result

    def start(self, call: Callable[[], T]) -> Pending[T]:
        """Run a call in a thread of its own."""
        return beside(call)

    def close(self) -> None:
        """Close the module; idempotent.  HostError, StatusError."""
        if self._closed:
            return
        self._closed = True
        ask_manager(self._calls, f"close {self.name}", REMOTECTL.ask_close(self.handle))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.name} on the host, at {self.handle:#x}>"


class _HeldModule(HostModule):
    """One that somebody has to hold.  One that is dropped is closed when the next one is opened, at
    the latest with the session; ResourceWarning."""

    def __del__(self) -> None:
        if not self._closed:
            self._calls.later(HostModule(self._calls, self.handle, self.name).close)
            warn_unclosed(self)


def warn_unclosed(dropped: object) -> None:
    """Say that something of the host was not closed."""
    warnings.warn(f"unclosed {dropped!r}", ResourceWarning, stacklevel=3)


class Host:
    """The host of the session whose call runs in this thread."""

    def __init__(self, calls: Callable[[], ReverseCalls]) -> None:
        self._calls = calls

    @property
    def calls(self) -> ReverseCalls:
        """Where the calls of this thread go.  StatusError outside of any session."""
        return self._calls()

    def open(self, interface: str | type[Remote]) -> Any:
        """Open a module of the host.

        `interface` is one made by `qda.idl.load`, or "apps_std" or "apps_mem": the result has its
        methods.  Any other text is a name or URI, and gives a `HostModule`, whose methods have
        numbers.  It belongs to the session of this call; `close`, or the end of a `with` block,
        closes it.  HostError, StatusError.
        """
        from qda.idl.python.system import SYSTEM_INTERFACES, system_interface  # see `qda.dsp.boot`

        if isinstance(interface, str) and interface not in SYSTEM_INTERFACES:
            return self._open(interface)
        made = system_interface(interface) if isinstance(interface, str) else interface
        described = made.interface
        name = described.uri if described.is_handle64 else described.c_name
        return made(self._open(name))

    def _open(self, name: str) -> HostModule:
        calls = self._calls()
        calls.settle()
        return _HeldModule(calls, open_module(calls, name).handle, name)

    def open_file(self, name: str, mode: str = "r", *, search: bool = False) -> IO[Any]:
        """Open a file of the host, as `open` does: `mode` is "r", "w", "a", "rb", "r+b", ...

        With `search` the name is looked for along DSP_LIBRARY_PATH and ADSP_LIBRARY_PATH.
        HostError with the host's errno, 2 if there is no such file; StatusError.
        """
        binary = mode.replace("b", "").replace("t", "") + "b"
        if binary not in _MODES:
            raise UsageError(f"mode {mode!r}: r, w or a, perhaps with + and b")
        raw = HostFile(self.open("apps_std"), name, binary, search, self._calls().later)
        buffered: IO[bytes] = cast(IO[bytes], _MODES[binary](raw))
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8")


_MODES: dict[str, Callable[[Any], Any]] = {
    "rb": io.BufferedReader,
    "wb": io.BufferedWriter,
    "ab": io.BufferedWriter,
    "r+b": io.BufferedRandom,
    "w+b": io.BufferedRandom,
    "a+b": io.BufferedRandom,
}


class HostFile(io.RawIOBase):
    """A file of the host, unbuffered.  Offsets are below 2 GiB: `fseek` has 32 bits.

    It is to be closed.  One that is dropped is closed, and what was left to be written is written,
    when the next module or file of the host is opened, at the latest with the session;
    ResourceWarning.
    """

    _abandoned = False

    def __init__(
        self,
        files: Any,
        name: str,
        mode: str,
        search: bool,
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._files, self.mode, self._later = files, mode, later
        self.name = name
        try:
            if search:
                self._file: int = files.fopen_with_env("ADSP_LIBRARY_PATH", ";", name, mode)
            else:
                self._file = files.fopen(name, mode)
        except BaseException:
            super().close()
            files.close()
            raise

    def readinto(self, room: WriteableBuffer) -> int:
        """Read as much as there is, at most `len(room)` bytes."""
        view = memoryview(room).cast("B")
        return int(self._files.fread(self._file, view).bytesRead) if view else 0

    def write(self, data: ReadableBuffer) -> int:
        """Write bytes; returns how many were."""
        if self._abandoned:
            kept = bytes(data)
            self._later(partial(self._files.fwrite, self._file, kept))
            return len(kept)
        return int(self._files.fwrite(self._file, memoryview(data).cast("B")).bytesWritten)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; returns it in bytes from the start."""
        self._files.fseek(self._file, offset, whence)
        return self.tell()

    def tell(self) -> int:
        """The place, in bytes from the start."""
        return int(self._files.ftell(self._file))

    def readable(self) -> bool:
        """Whether the mode allows it."""
        return "r" in self.mode or "+" in self.mode

    def writable(self) -> bool:
        """Whether the mode allows it."""
        return self.mode != "rb"

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file, and our use of the host's module."""
        if not self.closed:
            super().close()
            files, file = self._files, self._file

            def give_back() -> None:
                try:
                    files.fclose(file)
                finally:
                    files.close()

            if self._abandoned or getattr(self, "_finalizing", False):  # Python's own mark
                self._later(give_back)
                warn_unclosed(self)
            else:
                give_back()

    def _dealloc_warn(self, source: object) -> None:
        """Python's buffers say by this that they are collected, not closed."""
        self._abandoned = True


class Environment:
    """The environment variables of the host's process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get(self, name: str, default: str | None = None) -> str | None:
        """A variable, or `default` if there is none."""
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, name: str) -> str:
        """A variable.  KeyError."""
        with self._host.open("apps_std") as files:
            room = 256
            while True:
                try:
                    value, needed = files.getenv(name, room)
                except HostError as error:
                    if error.status not in _NO_VARIABLE:
                        raise
                    raise KeyError(name) from None
                if needed <= room:
                    return str(value)
                room = needed

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __setitem__(self, name: str, value: str) -> None:
        with self._host.open("apps_std") as files:
            files.setenv(name, value, 1)

    def __delitem__(self, name: str) -> None:
        with self._host.open("apps_std") as files:
            files.unsetenv(name)


_NO_VARIABLE = plain(NO_VARIABLE), UNKNOWN
"""AEE_EGETENV, plain as the host's numbers are; and what the C library says instead: -1."""
