"""Modules by which a host listens to the DSP, and gets its log (spec/fastrpc.md 1.3, 6.8, 7).

3, 7   listener            adsp_listener, adsp_listener1
5      messages            adspmsgd_adsp1
6, 9   performance         adsp_perf, adsp_perf1: refused

By name: adsp_default_listener and adsp_default_listener1, by which a daemon offers its session for
the calls of those that have no listener.
"""

from __future__ import annotations

from qda.dsp.builtin import BuiltIn, Domain, handles, put_record, read
from qda.errors import BAD_PARAMETER, StatusError
from qda.fastrpc.listener import (
    LISTENER,
    LISTENER1,
    Entrance,
    MoreRequest,
    NextAnswer,
    NextRequest,
)
from qda.fastrpc.scalars import Scalars

__all__ = ["DefaultListener", "ListenerModule", "Messages", "Performance"]


class ListenerModule(BuiltIn, name="the listener"):
    """The listener at one of its two handles."""

    def __init__(self, domain: Domain, entrance: Entrance) -> None:
        super().__init__(domain, first=entrance.init.method - LISTENER.init.method)
        self._complete = entrance is LISTENER1

    @handles(LISTENER.init, LISTENER.init2)
    def announce(self) -> None:
        """The client is going to listen."""
        self._domain.session.announce(self._complete)

    @handles(LISTENER.next)
    def next(
        self, request: memoryview, reply: memoryview, answer: memoryview, room: memoryview
    ) -> None:
        """Take the reply to a reverse call and wait for another one."""
        asked = read(NextRequest, request)
        if len(answer) < NextAnswer.byte_size:  # before a call is taken, which would be lost
            raise StatusError(BAD_PARAMETER, f"{len(answer)} bytes for {NextAnswer.spelling}")
        calls = self._domain.session.reverse_calls
        if not calls.is_announced:  # clients may leave init out (7.2)
            self.announce()
        put_record(answer, calls.next(self._domain.served.thread, asked, reply, room))

    @handles(LISTENER.more)
    def more(self, request: memoryview, answer: memoryview, room: memoryview) -> None:
        """Give the rest of a request that was longer than the room for it."""
        calls = self._domain.session.reverse_calls
        put_record(answer, calls.more(read(MoreRequest, request), room))


class Messages(BuiltIn, name="adspmsgd_adsp1"):
    """Handle 5.  Messages go to `adspmsgd_apps.log`; the older way, a ring of texts in a buffer of
    the host, is refused, which clients expect (6.8)."""

    @handles(Scalars(2), Scalars(3))
    def accept(self) -> None:
        """`init2` and `deinit`: a host that listens gets the messages anyway."""


class Performance(BuiltIn, name="adsp_perf"):
    """Handles 6 and 9: this DSP has no counters, every method is refused."""


class DefaultListener(BuiltIn, name="adsp_default_listener"):
    """Opened by its plain name, or as `adsp_default_listener1` by its URI."""

    @handles(Scalars(0))
    def register(self) -> None:
        """From here on the caller's session serves the calls of those that have no listener."""
        self._domain.register_listener()
