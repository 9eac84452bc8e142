"""The trace of programs under `qda run` and `qda serve`: what is seen, and how it is shown."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, BinaryIO, TextIO

from qda.core.ring import Ring
from qda.driver.watching import watch
from qda.errors import UsageError, cannot_write
from qda.shim.trace import Tracer
from qda.tracing.events import Begun
from qda.tracing.lines import JsonPrinter
from qda.tracing.stream import Sink, Stream
from qda.tracing.text import TextPrinter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from qda.cli.served import Served

__all__ = ["tracing"]

_PLAIN = "calls"
"""The trace that shows only what programs ask for."""

_WIRE = "wire", "json"
"""Those that show what crosses the transport, too."""


@contextmanager
def tracing(options: Served) -> Iterator[Tracer]:
    """Show what programs do with devices of this process, as its options wish; yields who has to
    see their requests.  UsageError for a file that cannot be written."""
    with ExitStack() as stack:
        sinks = list(_sinks(options, stack))
        stream = Stream(sinks)
        stack.callback(stream.close)
        stream.tell(Begun(monotonic_ns(), 0, 0, time_ns(), version("qda-accel")))
        if options.trace != _PLAIN or options.timeline is not None:
            from qda.cli.recordings import interfaces_in
            from qda.idl.wire.calls import InterfaceCodec  # and with it the language
            from qda.tracing.calls import CallDecoder, CallWatcher
            from qda.tracing.names import Names

            ring = Ring(calls=1)  # the DSP tells its times; none of the calls is the core's own
            stack.callback(ring.end)
            ring.begin()
            names = Names(map(InterfaceCodec, interfaces_in(options.idl)))
            watch(CallWatcher(stream, CallDecoder(names, wire=options.trace in _WIRE)))
            stack.callback(watch, None)
        yield Tracer(stream, str(options.dialect))


def _sinks(options: Served, stack: ExitStack) -> Iterator[Sink]:
    if options.timeline is not None:
        from qda.tracing.timeline import Timeline, check_library

        check_library()
        timeline = Timeline(_written(options.timeline, "--timeline"))
        stack.callback(timeline.close)
        yield timeline
    if options.trace is None:
        return
    out: TextIO = sys.stderr
    if options.trace_file is not None:
        made = io.TextIOWrapper(_written(options.trace_file, "--trace-file"))
        out = stack.enter_context(made)
    if options.trace == "summary":
        from qda.tracing.summary import Summing

        summing = Summing(out)
        stack.callback(summing.close)
        yield summing
    elif options.trace == "json":
        yield JsonPrinter(out)
    else:
        yield TextPrinter(out, options.trace != _PLAIN)


class _Written(io.FileIO):
    """A file that an option names.  UsageError instead of OSError, with words for both."""

    def __init__(self, path: Path, option: str) -> None:
        self._path, self._option = path, option
        try:
            super().__init__(path, "w")
        except OSError as error:
            raise cannot_write(path, error, option) from error

    def write(self, data: ReadableBuffer, /) -> int:
        """See `io.FileIO`."""
        try:
            return super().write(data)
        except OSError as error:
            words = cannot_write(self._path, error, self._option)
            raise UsageError(f"{words}: the trace is not whole") from error


def _written(path: Path, option: str) -> BinaryIO:
    return io.BufferedWriter(_Written(path, option))
