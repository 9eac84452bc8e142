"""Ctrl-C in a section that must not be broken off.

    with CtrlCWaits():
        ...     # whole, or not at all

Python runs a program's handlers of signals between any two instructions of its main thread.  One
that raises, as that of Ctrl-C does, would leave half of a command done: what the DSP has mapped
already, the driver would not know.  So in such a section Ctrl-C is only noted, and the program's
handler runs at its end.  Other threads run no handlers, and need nothing.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from weakref import ref

__all__ = ["CtrlCWaits"]

_Handler = Callable[[int, FrameType | None], object]

_c = sys.modules.get("_signal", signal)
"""The functions behind those of `signal`, which make enumerations and take ten times as long."""


class CtrlCWaits:
    """A section that is over before the program's handler of Ctrl-C runs."""

    __slots__ = ("__weakref__", "_note")

    def __init__(self) -> None:
        self._note: _Note | None = None

    def __enter__(self) -> None:
        if threading.get_ident() != threading.main_thread().ident:
            return
        handler = _c.getsignal(signal.SIGINT)
        if callable(handler) and not isinstance(handler, _Note):
            self._note = note = _Note(ref(self), handler)
            _c.signal(signal.SIGINT, note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._note is not None:
            self._note.end()


class _Note:
    """The handler during a section: it notes that Ctrl-C has come.

    Another signal's handler may raise in the section's last instruction and leave this one behind;
    the next Ctrl-C then finds that there is no section.
    """

    def __init__(self, section: ref[CtrlCWaits], handler: _Handler) -> None:
        self._section = section
        self._handler = handler
        self._came: tuple[int, FrameType | None] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._came = number, frame
        if self._section() is None:
            self.end()

    def end(self) -> None:
        """Put the program's handler back; it runs if Ctrl-C has come."""
        current = _c.getsignal(signal.SIGINT)
        if isinstance(current, _Note) and current is self:
            _c.signal(signal.SIGINT, self._handler)
        came, self._came = self._came, None
        if came is not None:
            self._handler(*came)
