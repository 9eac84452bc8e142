"""A trace of this process: what it does with its virtual DSPs.

    with qda.trace("out.pftrace") as trace:
        ...
    print(trace.summary())

Calls that the core makes are noted in its ring, everything else is kept as it was seen; all of it
is decoded when the trace ends.
"""

from __future__ import annotations

import collections
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import monotonic_ns, time_ns
from types import TracebackType
from typing import Self

from qda import limits
from qda.client.manager import modules_opened
from qda.core import Traced
from qda.core.ring import Ring
from qda.driver.watching import Crossing, watch, watching
from qda.errors import BAD_ADDRESS, QdaError, UsageError, as_unsigned, bare, cannot_write, path_of
from qda.fastrpc.domains import DOMAINS
from qda.fastrpc.obituary import Obituary
from qda.idl.python.runtime import known_interfaces
from qda.idl.wire.calls import InterfaceCodec
from qda.tracing.calls import CallDecoder
from qda.tracing.events import Begun, Call, Death, Event, Fault, Log
from qda.tracing.ioctls import Asked, ended, in_node
from qda.tracing.lines import JsonPrinter
from qda.tracing.names import Names
from qda.tracing.stream import Made, decoded
from qda.tracing.summary import Summary, summarize
from qda.tracing.text import TextPrinter
from qda.tracing.timeline import check_library, write_timeline

__all__ = ["Trace", "trace"]

_DSP_LOG = "qda.dsp"
_TIMELINE, _JSON = (".pftrace", ".perfetto-trace"), (".json", ".jsonl")


def trace(target: str | os.PathLike[str] | None = None) -> Trace:
    """Trace this process while a block runs: `with qda.trace("out.pftrace") as trace`.

    What `target` gets depends on its name: a timeline for Perfetto (.pftrace), an object of JSON a
    line (.json, .jsonl), lines like strace's (any other).  Without one there are only `events` and
    `summary()`.  UsageError for a second trace at the same time, for a timeline without the library
    that writes it, and for a file that cannot be written.
    """
    try:
        return Trace(None if target is None else path_of("target", target))
    except QdaError as error:
        bare(error)
        raise


class Trace:
    """A trace of this process, from the beginning of its block to the end; see `trace`.

    `events` are there afterwards, in the order of their times; `lost` says how many were too many.
    In a forked child nothing is traced, and its copy of the block ends without a word.
    """

    def __init__(self, target: Path | None) -> None:
        self._target = target
        if target is not None and target.suffix in _TIMELINE:
            check_library()
        self._lock = threading.Lock()
        self._handler = _LogHandler(self)
        self.events: list[Event] = []
        self.lost = 0

    def _begin(self) -> None:
        self._ring = Ring()
        self._seen: collections.deque[Made] = collections.deque(maxlen=limits.TRACED_EVENTS)
        self._count = 0
        self._names = Names(InterfaceCodec(one.interface) for one in known_interfaces())
        self._decoder = CallDecoder(self._names, wire=True)
        self.tell(Begun(monotonic_ns(), os.getpid(), 0, time_ns(), version("qda-accel")))

    def __enter__(self) -> Self:
        try:
            if watching() is None:
                self._begin()
            watch(self)  # or it is refused, and its file is as it was
            with ExitStack() as undo:
                undo.callback(watch, None)
                if self._target is not None:
                    _make(self._target)
                undo.pop_all()
        except QdaError as error:
            bare(error)
            raise
        logging.getLogger(_DSP_LOG).addHandler(self._handler)
        self._ring.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if watching() is not self:
            return  # it is over, or this is a forked child: the trace is its parent's
        self._ring.end()
        watch(None)
        logging.getLogger(_DSP_LOG).removeHandler(self._handler)
        self._names.add(InterfaceCodec(one.interface) for one in known_interfaces())
        for module in modules_opened():
            self._names.add_opened(*module)
        # A thread that is still telling does so to nobody: what is there now is all.
        seen = list(self._seen)
        events = [event for made in seen for event in decoded(made)]
        for record in self._ring.records():
            events += self._of_ring(record)
        self.events = sorted(events, key=lambda event: event.time)
        self.lost = self._ring.lost + max(0, self._count - len(seen))
        if self._target is not None:
            self._write(self._target, error)

    def _write(self, target: Path, error: BaseException | None) -> None:
        """Write the file.  UsageError if it cannot be written, or a note of `error`, with which the
        block has ended."""
        try:
            _write(self.events, target)
        except OSError as failed:
            words = f"{cannot_write(target, failed)}: the trace is not whole"
            if error is None:
                raise UsageError(words) from failed
            error.add_note(words)

    def summary(self) -> Summary:
        """What the calls have cost, in a table, with what could be done about it."""
        return summarize(self.events)

    def tell(self, event: Event) -> None:
        """Something has happened."""
        self._keep(lambda: (event,))

    def _keep(self, made: Made) -> None:
        with self._lock:
            self._count += 1
            self._seen.append(made)

    # A `Watcher`.

    def sent(self, crossing: Crossing) -> None:
        """See `Watcher.sent`."""
        self._keep(partial(self._decoder.sent, crossing))

    def answered(self, crossing: Crossing) -> None:
        """See `Watcher.answered`."""
        self._keep(partial(self._decoder.answered, crossing))

    def died(self, device: str, process: int, words: Obituary) -> None:
        """See `Watcher.died`."""
        self.tell(Death(monotonic_ns(), process, 0, device, tuple(words.report)))

    def asked(
        self, path: str, code: int, before: bytes, after: bytes, result: int, time: int
    ) -> None:
        """See `Watcher.asked`."""
        who = os.getpid(), threading.get_native_id()
        asked = Asked(self._count, time, *who, path, -1, in_node(path), code, 0, before, b"")
        self._keep(partial(ended, asked, monotonic_ns(), after, result))

    # The ring.

    def _of_ring(self, record: Traced) -> Iterator[Event]:
        device = DOMAINS[record.domain]
        who = record.begun, os.getpid(), record.thread
        where = device, record.client_id, record.handle
        yield Call(
            *who,
            *where,
            record.scalars,
            record.number,
            self._names.module(*where),
            self._names.name_of_method(self._names.module(*where), record.number),
            "",
            record.sent,
            record.answered,
            record.ended,
            record.method_begun,
            record.method_ended,
            record.dsp_process,
            record.dsp_thread,
            record.copied,
            record.shared,
            record.longest,
            record.result,
        )
        if as_unsigned(record.result) == BAD_ADDRESS:
            yield Fault(record.answered, os.getpid(), record.thread, *where, record.number)


class _LogHandler(logging.Handler):
    """Takes the DSP's lines, which come to the program's loggers."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if watching() is not self._trace:
            return  # in a forked child
        who = monotonic_ns(), os.getpid(), threading.get_native_id()
        device = record.name.removeprefix(f"{_DSP_LOG}.")
        place = os.path.basename(record.pathname), record.lineno
        self._trace.tell(Log(*who, device, record.levelname, *place, record.getMessage()))


def _make(target: Path) -> None:
    """Make the file, so that it is told now if it cannot be written.  UsageError."""
    try:
        target.write_bytes(b"")
    except OSError as error:
        raise cannot_write(target, error) from error


def _write(events: Sequence[Event], target: Path) -> None:
    if target.suffix in _TIMELINE:
        with target.open("wb") as file:
            write_timeline(events, file)
        return
    with target.open("w") as out:
        printer = JsonPrinter(out) if target.suffix in _JSON else TextPrinter(out, wire=True)
        for event in events:
            printer(event)
