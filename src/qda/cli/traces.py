"""The trace of programs under `qda run` and `qda serve`: what is seen, and how it is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, TextIO

from qda.driver.watching import watch
from qda.errors import UsageError
from qda.shim.trace import Tracer
from qda.tracing.events import Begun, Death
from qda.tracing.lines import JsonPrinter
from qda.tracing.stream import Sink, Stream
from qda.tracing.text import TextPrinter

if TYPE_CHECKING:
    from qda.cli.served import Served
    from qda.fastrpc.obituary import Obituary
    from qda.virtual import Machine

__all__ = ["tracing"]

_PLAIN = "calls"
"""The trace that shows only what programs ask for."""


@contextmanager
def tracing(options: Served, machine: Machine) -> Iterator[Tracer]:
    """Show what programs do with the devices of a machine, as its options wish; yields who has to
    see their requests.  UsageError for a file that cannot be written."""
    with ExitStack() as stack:
        sinks = list(_sinks(options, stack))
        stream = Stream(sinks)
        stack.callback(stream.close)
        stream.tell(Begun(monotonic_ns(), 0, 0, time_ns(), version("qda-accel")))
        if options.trace != _PLAIN:
            from qda.tracing.calls import CallDecoder, CallWatcher  # and with them the language
            from qda.tracing.names import Names

            watch(CallWatcher(stream, CallDecoder(Names(), wire=True)))
            stack.callback(watch, None)
        for device in machine.devices.values():
            device.report = partial(_death, stream, device.name, device.report)
        yield Tracer(stream, str(options.dialect))


def _sinks(options: Served, stack: ExitStack) -> Iterator[Sink]:
    out = sys.stderr
    if options.trace_file is not None:
        out = stack.enter_context(_written(options.trace_file, "--trace-file"))
    yield JsonPrinter(out) if options.trace == "json" else TextPrinter(out, options.trace != _PLAIN)


def _written(path: Path, option: str) -> TextIO:
    try:
        return path.open("w")
    except OSError as error:
        raise UsageError(f"{option} {path}: {error.strerror}") from error


def _death(
    stream: Stream,
    device: str,
    then: Callable[[int, Obituary], None] | None,
    process: int,
    words: Obituary,
) -> None:
    """Put a death into the trace, and tell it as without one."""
    stream.tell(Death(monotonic_ns(), process, 0, device, tuple(words.report)))
    if then is not None:
        then(process, words)
