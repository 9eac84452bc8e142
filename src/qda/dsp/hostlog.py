"""Sends the log of a session to the host, which prints it (spec/fastrpc.md 7.7).

Nobody waits for it: a method that logs must not wait for a host thread that waits for the method.
Messages queue up here, and go to `adspmsgd_apps` one call after the other, several in each.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Sequence

from qda import limits
from qda.dsp.reverse_calls import Reply, ReverseCalls
from qda.dsp.unread_log import Line
from qda.fastrpc.hostlog import LOG, LOG_MODULE, Level, log_records
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars

__all__ = ["HostLog"]


_OPEN = REMOTECTL.ask_open(LOG_MODULE)


class HostLog:
    """The messages of a session that the host has not got yet.  Thread-safe."""

    def __init__(self, calls: ReverseCalls) -> None:
        self._calls = calls
        self._records: collections.deque[tuple[Line, bytes]] = collections.deque(
            maxlen=limits.LOG_RECORDS
        )
        self._lock = threading.Condition()
        self._handle = 0
        self._busy = self._refused = False

    def put(self, line: Line, level: Level, file: str, number: int, words: str) -> None:
        """Queue a line, which is that of a source file; it can be sent now."""
        if not self._refused:
            records = log_records(level, file, number, threading.get_native_id(), words)
            with self._lock:
                self._records.extend((line, record) for record in records)

    def forget(self, lines: Sequence[Line]) -> None:
        """Drop lines that wait for a host which may never listen: its program has read them."""
        if lines and not self._calls.is_announced:
            read = set(lines)
            with self._lock:
                left = [one for one in list(self._records) if one[0] not in read]
                self._records.clear()
                self._records.extend(left)

    def flush(self, timeout: float) -> None:
        """Wait until the host has what there is, at most `timeout` seconds: it is about to go."""
        with self._lock:
            self._lock.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        waits = self._busy or (self._records and self._calls.is_announced)
        return self._refused or not waits

    def send(self) -> None:
        """Send what there is, if nothing is on its way, to a host that listens and takes it."""
        with self._lock:
            if self._busy or self._refused or not self._records:
                return
            if not self._calls.is_announced:
                return
            self._busy = True
        if self._handle:
            self._send_records()
        else:
            self._open()

    def _open(self) -> None:
        self._post(_OPEN.handle, _OPEN.scalars, _OPEN.ins, _OPEN.sizes)

    def _send_records(self) -> None:
        with self._lock:
            count = min(len(self._records), limits.LOG_RECORDS_AT_ONCE)
            data = b"".join(self._records.popleft()[1] for _ in range(count))
        self._post(self._handle, LOG, [len(data).to_bytes(4, "little"), data], [])

    def _post(
        self, handle: int, scalars: Scalars, ins: Sequence[bytes], sizes: Sequence[int]
    ) -> None:
        if not self._calls.post(handle, scalars, ins, sizes, self._sent):
            self._busy = False

    def _sent(self, reply: Reply) -> None:
        if not self._handle and not reply.status:
            opened = _OPEN.answer(reply.outs)
            # A host that knows one module only answers every open with handle 0 (7.4).
            self._handle = 0 if opened.error else opened.handle
        with self._lock:
            self._busy = False
            if reply.status or not self._handle:
                self._refused = True
                self._records.clear()
        self.send()
        with self._lock:
            self._lock.notify_all()
