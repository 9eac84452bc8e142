"""Modules by which a host listens to the DSP, and gets its log (spec/fastrpc.md 1.3, 6.8, 7).

3, 7   listener            adsp_listener, adsp_listener1
5      messages            adspmsgd_adsp1
6, 9   performance         adsp_perf, adsp_perf1: refused

By name: adsp_default_listener and adsp_default_listener1, by which a daemon offers its session for
the calls of those that have no listener.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qda.dsp.skeleton import Skeleton, method
from qda.errors import BAD_PARAMETER, UNSUPPORTED, StatusError
from qda.fastrpc.listener import Entrance, MoreRequest, NextAnswer, NextRequest
from qda.fastrpc.scalars import Scalars
from qda.layout import Record

if TYPE_CHECKING:
    from qda.dsp.process import Process

__all__ = ["DefaultListener", "DefaultListener1", "ListenerModule", "Messages", "Unsupported"]

R = TypeVar("R", bound=Record)


class ListenerModule:
    """The listener at one of its two handles; methods are found by their complete scalars."""

    def __init__(self, process: Process, entrance: Entrance, complete: bool) -> None:
        self._process, self._entrance, self._complete = process, entrance, complete

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run a method.  StatusError."""
        if scalars in (self._entrance.init, self._entrance.init2):
            self._process.announce_listener(self._complete)
        elif scalars == self._entrance.next:
            self._next(*arguments)
        elif scalars == self._entrance.more:
            self._more(*arguments)
        else:
            raise StatusError(UNSUPPORTED, f"the listener has no {scalars}")
        return 0

    def _next(
        self, request: memoryview, reply: memoryview, answer: memoryview, room: memoryview
    ) -> None:
        asked = _read(NextRequest, request)
        if len(answer) < NextAnswer.byte_size:  # before a call is taken, which would be lost
            raise StatusError(BAD_PARAMETER, f"{len(answer)} bytes for {NextAnswer.spelling}")
        if not self._process.own_reverse_calls.is_announced:  # clients may leave init out (7.2)
            self._process.announce_listener(self._complete)
        found = self._process.own_reverse_calls.next(self._process.thread, asked, reply, room)
        _put(answer, found)

    def _more(self, request: memoryview, answer: memoryview, room: memoryview) -> None:
        found = self._process.own_reverse_calls.more(_read(MoreRequest, request), room)
        _put(answer, found)


def _read(record: type[R], buffer: memoryview) -> R:
    if len(buffer) < record.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(buffer)} bytes are no {record.spelling}")
    return record.unpack(buffer)


def _put(buffer: memoryview, record: Record) -> None:
    if len(buffer) < record.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(buffer)} bytes for {record.spelling}")
    record.pack_into(buffer)


class Messages(Skeleton):
    """Handle 5.  Messages go to `adspmsgd_apps.log`; the older way, a ring of texts in a buffer of
    the host, is refused, which clients expect (6.8)."""

    @method(2)
    def init2(self) -> None:
        """Accepted: a host that listens gets the messages anyway."""

    @method(3)
    def deinit(self) -> None:
        """Accepted."""


class Unsupported:
    """A handle whose module this DSP has not: every method is answered with UNSUPPORTED."""

    def __init__(self, name: str) -> None:
        self._name = name

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Refuse.  StatusError."""
        raise StatusError(UNSUPPORTED, f"{self._name} is not supported")


class DefaultListener(Skeleton, name="adsp_default_listener"):
    """Opened by its plain name."""

    @method(0)
    def register(self) -> None:
        """From here on the caller's session serves the calls of those that have no listener."""
        process: Any = self.dsp
        process.register_listener()


class DefaultListener1(Skeleton, name="adsp_default_listener1"):
    """Opened by its URI."""

    @method(2)
    def register(self) -> None:
        """As `DefaultListener.register`."""
        process: Any = self.dsp
        process.register_listener()
