"""Sections that are run whole: signals wait for their end, and they do not wait for ever.

    with Section():
        ...     # whole, or not at all

Python runs a program's handlers of signals between any two instructions of its main thread.  One
that raises, as that of Ctrl-C does, would leave half of a thing done: what the DSP has mapped
already, the driver would not know.  So in a section a signal is only noted, and the program's
handler runs at its end.  Other threads run no handlers, and need nothing.

What a section waits for may never come.  Hence all its waits together have one `Deadline`, and they
are the places at which it may be broken off after all: the handlers of signals that have come run
there, once whoever is waited for has had limits.GRACE to answer.  What is being ended goes on to
its end instead, and only waits no longer.
"""

from __future__ import annotations

import _thread as _low
import errno
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol, TypeVar
from weakref import ref

from qda import limits

__all__ = [
    "FOREVER",
    "Deadline",
    "Section",
    "aside",
    "at_wait",
    "deadline",
    "is_handlers",
    "made_whole",
]

_Handler = Callable[[int, FrameType | None], object]

_c = sys.modules.get("_signal", signal)
"""The functions behind those of `signal`, which make enumerations and take ten times as long."""

_HELD = (
    signal.SIGINT.value,
    signal.SIGTERM.value,
    signal.SIGALRM.value,
    signal.SIGHUP.value,
    signal.SIGUSR1.value,
    signal.SIGUSR2.value,
)
"""Signals whose handlers programs write so that they raise."""


class Section:
    """A section that is over before the program's handlers of signals run.

    All waits in it together take at most `seconds`, if it says a number and no section that it is
    part of has; other waits have deadlines of their own.  `ends` says that it gives something back,
    which signals cut short but do not stop.  `later` says that its end is no place for a handler
    that raises, since it is in a finalizer: handlers run a moment later.
    """

    __slots__ = (
        "__weakref__",
        "_deadline",
        "_later",
        "_note",
        "_outer",
        "_seconds",
        "_timed",
        "ends",
    )

    def __init__(
        self, seconds: float | None = None, *, ends: bool = False, later: bool = False
    ) -> None:
        self._seconds, self._later, self.ends = seconds, later, ends or later
        self._note: _Note | None = None
        self._outer: Section | None = None
        self._timed: Section | None = None
        self._deadline: Deadline | None = None

    def __enter__(self) -> None:
        outer = self._outer = _current()
        if outer is not None:
            self.ends = self.ends or outer.ends
            self._timed = outer._timed or (None if outer._seconds is None else outer)
        elif threading.get_ident() == threading.main_thread().ident:
            self._hold()
        _thread.section = ref(self)

    def _hold(self) -> None:
        handlers: dict[int, _Handler] = {}
        for number in _HELD:
            handler = _c.getsignal(number)
            if callable(handler):
                handlers[number] = handler.of(number) if isinstance(handler, _Note) else handler
        self._note = note = _Note(ref(self), handlers)
        for number in handlers:
            _c.signal(number, note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _thread.section = None if self._outer is None else ref(self._outer)
        if self._note is not None:
            self._note.end(self._later)

    @property
    def note(self) -> _Note | None:
        """What notes the signals of this thread, None where none arrive."""
        return self._note if self._outer is None else self._outer.note

    @property
    def deadline(self) -> Deadline | None:
        """When it has to be over, None if it has not said so.  It begins with the first wait."""
        owner = self._timed or self
        if owner._deadline is None and owner._seconds is not None:
            owner._deadline = Deadline(owner._seconds)
        return owner._deadline


class _Thread(threading.local):
    section: ref[Section] | None = None
    """The innermost that this thread is in; one that was broken off at its very end is dead."""


_thread = _Thread()


def _current() -> Section | None:
    found = _thread.section
    return None if found is None else found()


class _Note:
    """The handler of signals during a section: it notes that they have come.

    A signal that is not held may have a handler that raises in the section's last instruction and
    leaves this one behind; the next one that comes then finds that there is no section.
    """

    def __init__(self, section: ref[Section], handlers: dict[int, _Handler]) -> None:
        self._section, self._handlers = section, handlers
        self._came: dict[int, FrameType | None] = {}
        self._since = 0.0
        self.is_aside = False

    def of(self, number: int) -> _Handler:
        """The program's handler of a signal."""
        return self._handlers[number]

    @property
    def has_come(self) -> bool:
        """Whether a signal has come whose handler has not run."""
        return bool(self._came)

    @property
    def grace(self) -> float:
        """For how many seconds more a wait goes on although one has come."""
        return max(0.0, self._since + limits.GRACE - time.monotonic())

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self._came:
            self._since = time.monotonic()
        self._came[number] = frame
        if self._section() is None:
            self.end()
        elif self.is_aside:
            self.handle()

    def handle(self) -> None:
        """Run the handlers of what has come."""
        if self._came:
            number, frame = self._came.popitem()
            try:
                self._handlers[number](number, frame)
            finally:
                self.handle()

    def end(self, later: bool = False) -> None:
        """Put the program's handlers back; those of what has come run."""
        for number, handler in self._handlers.items():
            if _c.getsignal(number) is self:
                _c.signal(number, handler)
        if later and self._came:
            _low.start_new_thread(_again, (list(self._came),))
        else:
            self.handle()


def _again(numbers: list[int]) -> None:
    """Let signals come again, when the main thread has had the time to leave a finalizer."""
    time.sleep(limits.BREATH)
    for number in numbers:
        _low.interrupt_main(signal.Signals(number))


# Waits.

_PIECE = 0.1
"""Seconds after which a wait looks whether a signal has come."""


class Deadline:
    """The end of a wait, or of several: `seconds` from now, None for never.

    One that is the `last` is not broken off by signals.
    """

    __slots__ = ("_end", "_last")

    def __init__(self, seconds: float | None, *, last: bool = False) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._last = last

    def until(self, come: Callable[[float | None], bool]) -> bool:
        """Wait in pieces: `come` waits as many seconds as it is told, None for ever, and says
        whether that has come which is waited for.  False when the time is over."""
        while (piece := self._piece()) is None or piece > 0:
            if come(piece):
                return True
        return come(0)

    def acquire(self, lock: threading.Lock) -> bool:
        """Wait for a lock; whether it was got."""
        return self.until(lambda left: lock.acquire(timeout=-1 if left is None else left))

    def _piece(self) -> float | None:
        left = None if self._end is None else max(0.0, self._end - time.monotonic())
        section = _current()
        note = section.note if section is not None and not self._last else None
        if section is None or note is None:
            return left
        if note.has_come and not note.grace:
            if section.ends:
                return 0.0
            self.hasten()
            note.handle()
        return _PIECE if left is None else min(left, _PIECE)

    def at_most(self, seconds: float) -> Deadline:
        """One that is not later, and at most so many seconds from now."""
        left = self.left
        seconds = seconds if left is None else min(left, seconds)
        return Deadline(seconds, last=self._last)

    def hasten(self) -> None:
        """Whatever is still waited for has limits.GRACE, unless it may take for ever."""
        if self._end is not None:
            self._end = min(self._end, time.monotonic() + limits.GRACE)

    @property
    def left(self) -> float | None:
        """How many seconds are left, None for endless ones."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def late(self, what: str) -> TimeoutError:
        """The error of a wait that has not had what it waited for."""
        return TimeoutError(errno.ETIMEDOUT, f"{what}: no answer in time")


FOREVER = Deadline(None)
"""None: a wait that only signals end."""


def deadline(at_least: float = 0.0) -> Deadline:
    """The deadline of the section that this thread is in; outside of one, limits.PATIENCE.

    With `at_least` there are so many seconds even if it is over: for the last that is to be done.
    """
    section = _current()
    found = None if section is None else section.deadline
    if found is None:
        return Deadline(limits.PATIENCE)
    if at_least and (found.left is not None and found.left < at_least):
        return Deadline(at_least, last=True)
    return found


def at_wait(patient: bool = False) -> int:
    """Run the handlers of signals that have come: here a section may be broken off.

    If `patient`, this is only done when whoever is waited for has had the time to answer; until
    then returns for how many milliseconds to wait more, otherwise -1.
    """
    section = _current()
    note = None if section is None or section.ends else section.note
    if note is None or not note.has_come:
        return -1
    if patient and note.grace:
        return int(note.grace * 1000) + 1
    note.handle()
    return -1


def is_handlers(error: OSError) -> bool:
    """Whether a program's handler of signals has raised it, as those of alarms do: the errors of
    the system have numbers."""
    return isinstance(error, TimeoutError) and error.errno is None


def aside(run: Callable[[], object]) -> None:
    """Run code of the program in a section: handlers of signals run at once, and may raise."""
    section = _current()
    note = None if section is None else section.note
    if note is None:
        run()
        return
    note.is_aside = True
    try:
        note.handle()
        run()
    finally:
        note.is_aside = False


class Closable(Protocol):
    """What can be given back."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


def made_whole(make: Callable[[], C]) -> C:
    """What `make` makes, in a section; closed if a handler of signals raises at its end."""
    made: C | None = None
    try:
        with Section():
            made = make()
    except BaseException:
        if made is not None:
            made.close()
        raise
    return made
