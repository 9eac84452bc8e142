"""A client's session as the process on the DSP sees it, and the calls that are under way on it."""

from __future__ import annotations

import collections
import threading
from dataclasses import dataclass, field

from qda.dsp.hostlog import HostLog
from qda.dsp.reverse_calls import ReverseCalls
from qda.fastrpc.message import Response
from qda.rpmsg import Endpoint

__all__ = ["Pending", "Session"]

LOG_LINES = 1000
"""Lines that are kept for a client that does not read its log."""

_response = Response.codec


@dataclass(eq=False, slots=True)
class Pending:
    """A call that has not been answered yet.  It is answered once, by whoever comes first: its own
    thread, or the release of its session."""

    endpoint: Endpoint
    context: int
    unanswered: list[bool] = field(default_factory=lambda: [True])

    def answer(self, result: int) -> None:
        try:
            self.unanswered.pop()  # of several threads, one succeeds
        except IndexError:
            return
        self.endpoint.send(_response.pack(self.context, result))


@dataclass(eq=False)
class Session:
    """A client's session as the process sees it."""

    client_id: int
    control: Endpoint
    pending: set[Pending] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: bool = False
    gone: bool = False
    log: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LOG_LINES))
    reverse_calls: ReverseCalls = field(default_factory=ReverseCalls)
    host_log: HostLog = field(init=False)

    def __post_init__(self) -> None:
        self.host_log = HostLog(self.reverse_calls)
