"""The threads of a program that wait for calls of its DSP (spec/fastrpc.md 7.2).

One thread waits.  If a method that it runs calls the DSP, which may call the host again before it
answers, another thread waits meanwhile: calls nest as deep as there are threads.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from qda import limits
from qda.client.host.turns import Turn, TurnState
from qda.errors import (
    BAD_PARAMETER,
    DeviceError,
    as_unsigned,
    is_missing,
    plain,
)
from qda.fastrpc.listener import (
    LISTENER,
    LISTENER1,
    Entrance,
    MoreAnswer,
    MoreRequest,
    NextAnswer,
)
from qda.fastrpc.nested import pack_reply, unpack_request
from qda.fastrpc.scalars import Scalars
from qda.interrupts import deadline
from qda.memory import PAGE, align

__all__ = ["Invoke", "ListenerThreads", "Modules"]

Invoke = Callable[[int, int, Sequence[object], Sequence[object]], int]
"""Calls a method of a handle with in-buffers and out-buffers; returns the status, unsigned.
OSError."""


class Modules(Protocol):
    """What runs the calls of a DSP: `HostModules`."""

    def call(
        self, handle: int, scalars: Scalars, ins: Sequence[memoryview], outs: Sequence[bytearray]
    ) -> int:
        """Run a call; returns its result, signed.  Never raises."""
        ...


_log = logging.getLogger("qda.client.host")


class ListenerThreads:
    """The threads that serve a session.  Thread-safe.

    `start` announces the listener to the DSP, and begins; `stop` waits for the threads, which end
    when the DSP says so (after exit) or is gone.
    """

    def __init__(self, invoke: Invoke, modules: Modules, name: str) -> None:
        self._invoke, self._modules, self._name = invoke, modules, name
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._waiting = 0
        self._entrance = LISTENER1
        self._local = threading.local()
        self._stopped = False

    def start(self) -> int:
        """Announce that this session listens, and begin; returns the DSP's status, 0 if it is
        listened to now.  OSError."""
        status = 0
        for self._entrance in (LISTENER1, LISTENER):
            init = self._entrance.init2
            status = self._invoke(self._entrance.handle, init.method, (), ())
            if not is_missing(status):
                break
        if not status:
            self._add_thread()
        return status

    def _add_thread(self) -> bool:
        """Have one thread more listen, unless this is the end; False if there can be no more."""
        thread = threading.Thread(
            target=self._run, args=(self._entrance,), daemon=True, name=f"{self._name} host"
        )
        with self._lock:
            if self._stopped:
                return True
            if len(self._threads) >= limits.NESTED_CALLS:
                return False
            self._threads.add(thread)
            self._waiting += 1
        thread.start()
        return True

    def calling(self) -> None:
        """A thread is about to call the DSP: if it is one of these, another one takes over.

        DeviceError EDEADLK if there can be no other, who could answer what the DSP asks meanwhile.
        """
        if getattr(self._local, "serves", False):
            with self._lock:
                waiting = self._waiting
            if not waiting and not self._add_thread():
                words = f"calls between host and DSP are nested {limits.NESTED_CALLS} deep"
                raise DeviceError("call the DSP", self._name, errno.EDEADLK, words)

    def stop(self) -> None:
        """Wait for the threads as long as there is time, but not for the one that calls this."""
        with self._lock:
            self._stopped = True
            threads = list(self._threads)
        within = deadline(limits.GRACE)
        for thread in threads:
            if thread is not threading.current_thread() and not within.until(_ending(thread)):
                _log.error("%s: a method of the host does not end", self._name)

    def _run(self, entrance: Entrance) -> None:
        self._local.serves = True
        waits = True
        try:
            loop = _Loop(self._invoke, entrance)
            while (asked := loop.next()) is not None:
                with self._lock:
                    self._waiting -= 1
                waits = False
                loop.run(asked, self._modules)
                with self._lock:
                    self._waiting += 1
                waits = True
        except OSError as error:
            _log.debug("%s: the listener ends: %s", self._name, error)
        finally:
            with self._lock:
                self._waiting -= waits
                self._threads.discard(threading.current_thread())


def _ending(thread: threading.Thread) -> Callable[[float | None], bool]:
    """Waits so long for the end of a thread; whether it has come."""

    def ended(seconds: float | None) -> bool:
        thread.join(seconds)
        return not thread.is_alive()

    return ended


class _Loop:
    """One thread's calls of the DSP; what it says is its `Turn`."""

    def __init__(self, invoke: Invoke, entrance: Entrance) -> None:
        self._invoke, self._entrance = invoke, entrance
        self._room = bytearray(limits.REQUEST_ROOM)
        self._turn = Turn()

    def next(self) -> NextAnswer | None:
        """Bring the last result and wait for a call; None if the DSP wants no more of us.  OSError
        if it is gone."""
        turn = self._turn
        while turn.state is not TurnState.ENDED:
            answer = bytearray(NextAnswer.byte_size)
            status = self._invoke(
                self._entrance.handle,
                self._entrance.next.method,
                (turn.request(len(self._room)).pack(), turn.reply),
                (answer, self._room),
            )
            if not status:
                asked = NextAnswer.unpack(answer)
                turn.called(asked.context)
                return asked
            turn.refused(status)
        return None

    def run(self, asked: NextAnswer, modules: Modules) -> None:
        """Run a call."""
        scalars = Scalars.decode(asked.scalars)
        try:
            stream = self._stream(asked)
            ins, sizes = unpack_request(stream, scalars.in_buffers, scalars.out_buffers)
        except ValueError as error:
            _log.warning("a request of the DSP makes no sense: %s", error)
            self._turn.ran(plain(BAD_PARAMETER), b"")
            return
        outs = [bytearray(size) for size in sizes]
        result = modules.call(asked.handle, scalars, ins, outs)
        self._turn.ran(result, b"" if result else pack_reply(outs))
        del ins, stream
        if len(self._room) > limits.KEPT_ROOM:
            self._room = bytearray(limits.REQUEST_ROOM)

    def _stream(self, asked: NextAnswer) -> memoryview:
        """The whole request.  ValueError if the DSP does not give it; OSError."""
        length, had = asked.length, len(self._room)
        if not 0 <= length <= limits.STREAM:
            raise ValueError(f"a request of {length} bytes")
        if length > had:
            room = bytearray(align(length, PAGE))
            room[:had] = self._room
            self._room = room
            request = MoreRequest(context=asked.context, offset=had, capacity=len(room) - had)
            answer = bytearray(MoreAnswer.byte_size)
            status = self._invoke(
                self._entrance.handle,
                self._entrance.more.method,
                (request.pack(),),
                (answer, memoryview(room)[had:]),
            )
            if status or MoreAnswer.unpack(answer).length > len(room):
                raise ValueError(f"the rest of a request: status {as_unsigned(status):#x}")
        return memoryview(self._room)[:length]
