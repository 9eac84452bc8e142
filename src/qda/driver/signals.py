"""Signals of an open file: numbers by which a program and its process on the DSP wake each other
(spec/dspqueue.md).

Both directions are messages of 8 bytes, the signal and whose it is, on an endpoint that the
session gets with the first signal.  One thread takes those of the DSP.
"""

from __future__ import annotations

import enum
import errno
import os
import select
import threading
from contextlib import suppress

from qda.core import Woken
from qda.driver.memory import Client
from qda.fastrpc.queue import SIGNAL_MESSAGE
from qda.interrupts import Deadline
from qda.rpmsg import Endpoint, PeerGone
from qda.uapi.legacy import FOR_EVER

__all__ = ["Signals"]


class _State(enum.Enum):
    PENDING = "the DSP has not sent it since the last wait"
    SIGNALLED = "it has"
    OVER = "it was cancelled or destroyed, or the DSP is gone: whoever waits is told"


class _Signal:
    """One signal; who waits for it sleeps on its bell, which is rung in each state but PENDING."""

    def __init__(self) -> None:
        self.state = _State.PENDING
        self.waiters = 0
        self.is_destroyed = False
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def enter(self, state: _State) -> None:
        if self.state is not _State.OVER:
            if state is _State.PENDING:
                os.eventfd_read(self._bell)
            elif self.state is _State.PENDING:
                os.eventfd_write(self._bell, 1)
            self.state = state

    def wait(self, also: int = -1, timeout: int = -1) -> int:
        """See `Awaited`."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if also >= 0:
            poll.register(also, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(None if timeout < 0 else timeout)]
        if self._bell in ready:
            return Woken.RUNG
        return Woken.ALSO if ready else Woken.LATE

    def close(self) -> None:
        os.close(self._bell)


class Signals:
    """The signals of an open file, on the endpoint of its session.  Thread-safe."""

    def __init__(self, endpoint: Endpoint, client_id: int) -> None:
        self._endpoint, self._client_id = endpoint, client_id
        self._lock = threading.Lock()
        self._signals: dict[int, _Signal] = {}
        self._gone = False
        threading.Thread(target=self._listen, daemon=True, name="qda signals").start()

    def create(self, number: int) -> None:
        """Begin with a signal.  OSError EBUSY."""
        with self._lock:
            if number in self._signals:
                raise OSError(errno.EBUSY, f"there is a signal {number} already")
            signal = self._signals[number] = _Signal()
            if self._gone:
                signal.enter(_State.OVER)

    def send(self, number: int) -> None:
        """Send a signal to the DSP.  OSError ENODEV."""
        try:
            self._endpoint.send(SIGNAL_MESSAGE.pack(number, self._client_id))
        except PeerGone as error:
            raise OSError(errno.ENODEV, "the DSP is gone") from error

    def wait(self, client: Client, number: int, timeout: int) -> None:
        """Wait for a signal, at most `timeout` microseconds.  OSError ENOENT, ETIMEDOUT, EINTR."""
        within = None if timeout == FOR_EVER else Deadline(timeout / 1e6)
        with self._lock:
            signal = self._found(number)
            signal.waiters += 1
        try:
            client.wait(signal, within)
            with self._lock:
                self._take(number, signal)
        except TimeoutError as error:
            raise OSError(errno.ETIMEDOUT, f"no signal {number} in {timeout} us") from error
        finally:
            with self._lock:
                signal.waiters -= 1
                self._close(signal)

    def _take(self, number: int, signal: _Signal) -> None:
        if signal.state is _State.OVER:
            words = "will not come: the DSP is gone" if self._gone else "was cancelled"
            raise OSError(errno.EINTR, f"signal {number} {words}")
        if signal.state is _State.SIGNALLED:
            signal.enter(_State.PENDING)

    def cancel(self, number: int) -> None:
        """End the waits for a signal, for good.  OSError ENOENT."""
        with self._lock:
            self._found(number).enter(_State.OVER)

    def destroy(self, number: int) -> None:
        """End a signal, and the waits for it.  OSError ENOENT."""
        with self._lock:
            self._end(number, self._found(number))

    def _found(self, number: int) -> _Signal:
        try:
            return self._signals[number]
        except KeyError:
            raise OSError(errno.ENOENT, f"there is no signal {number}") from None

    def _end(self, number: int, signal: _Signal) -> None:
        del self._signals[number]
        signal.enter(_State.OVER)
        signal.is_destroyed = True
        self._close(signal)

    def _close(self, signal: _Signal) -> None:
        if signal.is_destroyed and not signal.waiters:
            signal.close()

    def _listen(self) -> None:
        with suppress(PeerGone):
            while True:
                message = self._endpoint.receive()
                if len(message) != SIGNAL_MESSAGE.size:
                    continue
                number, client_id = SIGNAL_MESSAGE.unpack(message)
                with self._lock:
                    signal = self._signals.get(number)
                    if signal is not None and client_id == self._client_id:
                        signal.enter(_State.SIGNALLED)
        with self._lock:
            self._gone = True
            for signal in self._signals.values():
                signal.enter(_State.OVER)
        self._endpoint.close()

    def disown(self) -> None:
        """In a forked child: close this copy of the endpoint."""
        self._endpoint.close()

    def close(self) -> None:
        """End all of them, and whoever waits.  Idempotent."""
        with self._lock:
            for number, signal in list(self._signals.items()):
                self._end(number, signal)
        self._endpoint.shutdown()
