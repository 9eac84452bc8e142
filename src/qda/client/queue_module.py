"""The DSP's module `dspqueue_rpc` as a session has it open: what its queues have in common.

A thread is parked in its call `wait_signal`, which returns when the DSP has something for a queue
in which somebody waits.  In the other direction a call `signal` is made.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from qda import limits
from qda.client.calls import Calls
from qda.client.device import DeviceFile
from qda.client.manager import ModuleManager
from qda.client.memory import SessionMemory
from qda.client.references import Counts
from qda.core import QueueHub
from qda.errors import CONNECTION_RESET, UsageError
from qda.fastrpc.queue import COUNTERS, INIT_STATE, MODULE, SIGNAL, WAIT_SIGNAL
from qda.fastrpc.uri import skeleton_uri

__all__ = ["QueueModule"]


class Ends(Protocol):
    """A queue, as far as its end goes."""

    def fail(self) -> None:
        """The DSP has ended."""
        ...

    def abandon(self) -> None:
        """End it on this side."""
        ...


class QueueModule:
    """The module, open.  Thread-safe."""

    def __init__(
        self, file: DeviceFile, calls: Calls, manager: ModuleManager, memory: SessionMemory
    ) -> None:
        self.file, self._calls = file, calls
        self.hub = QueueHub()
        self.slots: set[int] = set()
        self.queues: set[Ends] = set()
        self.failure: int | None = None
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], None]] = set()
        self.counts = Counts()
        uri = skeleton_uri(MODULE, domain=file.domain)
        self._handle = manager.open(uri)
        self._memory = memory
        self._buffer = memory.alloc(COUNTERS)
        try:
            self._mapping = memory.map(self._buffer)
            name = memory.fd_of(self._buffer)
            self.call("share counters", INIT_STATE.method, struct.pack("<i", name))
        except BaseException:
            self._buffer.close()
            raise
        self.hub.share(self._buffer.address, self._buffer)
        threading.Thread(target=self._listen, daemon=True, name="queues").start()

    @property
    def memory(self) -> SessionMemory:
        """Where its session has memory from."""
        return self._memory

    def call(self, what: str, method: int, request: bytes = b"", room: int = 0) -> bytes:
        """Call a method of the module; returns its answer.  DspError, DeviceError."""
        outs = [bytearray(room)] if room else []
        ins = [request] if request else []
        self._calls.call(what, self._handle, method, ins, outs)
        return bytes(outs[0]) if room else b""

    def tell(self) -> None:
        """Have the DSP look at its queues.  DspError, DeviceError."""
        self._calls.invoke(self._handle, SIGNAL.method, label="signal queues")

    def take_slot(self) -> int:
        """A number that no queue has.  UsageError if there is none left."""
        with self._lock:
            free = set(range(limits.QUEUES)) - self.slots
            if not free:
                raise UsageError(f"a session has {limits.QUEUES} queues at most: close some")
            slot = min(free)
            self.slots.add(slot)
            return slot

    @contextmanager
    def told(self, listener: Callable[[], None]) -> Iterator[None]:
        """While something is called whenever there may be more in a queue."""
        with self._lock:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def call_listeners(self) -> None:
        """It is time for those to look."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def _listen(self) -> None:
        answer = bytearray(4)
        status = 0
        while not status:
            try:
                status = self._calls.status_of(self._handle, WAIT_SIGNAL.method, (), (answer,))
            except OSError:
                status = CONNECTION_RESET
            if not status and int.from_bytes(answer, "little", signed=True) == -1:
                return
            self.hub.look()
            self.call_listeners()
        self.fail(status)

    def fail(self, status: int) -> None:
        """The DSP does not answer any more: what waits in queues ends."""
        self.failure = status
        for queue in list(self.queues):
            queue.fail()
        self.call_listeners()

    def close(self) -> None:
        """End all queues on this side; the DSP does when the session ends, which comes next."""
        for queue in list(self.queues):
            queue.abandon()
        self.call_listeners()
        self._buffer.close()
