"""Queues of packets on the DSP: the module `dspqueue_rpc`, and the queues of skeletons.

A host opens the module, names a block of counters, and has queues made in memory that it has mapped
(spec/dspqueue.md).  Of the module's calls those that carry signals are answered by the core, with
no Python; the others are rare, and here.  Code on the DSP opens a queue by its id: Python with
`self.dsp.queue`, C with dspqueue.h.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Protocol

from qda.core import Queue, QueueHub
from qda.dsp.memory import AddressSpace
from qda.dsp.native import Entry, Loaded
from qda.dsp.queue_end import DspQueue, OnPacket
from qda.dsp.session import Session
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    BUSY,
    CONNECTION_RESET,
    UNSUPPORTED,
    StatusError,
    as_signed,
    plain,
)
from qda.fastrpc.queue import (
    CANCEL_WAIT,
    COUNTERS,
    CREATE_QUEUE,
    DESTROY_QUEUE,
    INIT_STATE,
    IS_IMPORTED,
    MODULE,
    PROBE,
    SIGNAL,
    WAIT_SIGNAL,
    HeaderFlag,
    QueueHeader,
    QueueRequest,
    places_of,
)
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import Module
from qda.fastrpc.uri import ModuleUri
from qda.linux import address_of

__all__ = ["QueueLoader", "QueueModule", "Queues"]


class Domain(Protocol):
    """What queues ask of the protection domain."""

    @property
    def session(self) -> Session:
        """The session of the call that runs in this thread.  StatusError outside of one."""
        ...

    @property
    def log(self) -> logging.Logger:
        """Its logger."""
        ...

    @property
    def space(self) -> AddressSpace:
        """Its memory."""
        ...


class _Made:
    """A queue that a client has had made, and under which name its memory is mapped."""

    def __init__(self, queue: Queue, client_id: int, fd: int) -> None:
        self.queue, self.client_id, self.fd = queue, client_id, fd


class Queues:
    """All queues of a protection domain, by id.  Thread-safe.

    `client` says whose call runs in this thread, None in one of a skeleton's own.
    """

    def __init__(self, domain: Domain, client: Callable[[], int | None]) -> None:
        self._domain, self._client = domain, client
        self._made: dict[int, _Made] = {}

    def add(self, queue: Queue, client_id: int, fd: int) -> int:
        """Have a queue that was made; returns its id."""
        number = queue.id()
        self._made[number] = _Made(queue, client_id, fd)
        return number

    def end(self, number: int) -> None:
        """No more of a queue: what waits in it ends.  Nothing if there is none."""
        made = self._made.pop(number, None)
        if made is not None:
            made.queue.end(plain(CONNECTION_RESET))

    def unmapped(self, client_id: int, fd: int) -> None:
        """A name is about to mean no memory any more: queues in it end before."""
        for number, made in list(self._made.items()):
            if (made.client_id, made.fd) == (client_id, fd):
                self.end(number)

    def open(self, number: int, on_packet: OnPacket | None = None) -> DspQueue:
        """See `DspServices.queue`."""
        made = self._made.get(number)
        if made is None or self._client() not in (None, made.client_id):
            raise StatusError(BAD_PARAMETER, f"there is no queue {number:#x}")
        queue = made.queue.claim()
        if queue is None:
            raise StatusError(BUSY, f"queue {number:#x} is open already")
        domain = self._domain
        return DspQueue(queue, domain.space, made.client_id, domain.log, on_packet)


class QueueModule:
    """`dspqueue_rpc`, as a client has opened it."""

    def __init__(self, domain: Domain, queues: Queues) -> None:
        self._domain, self._queues = domain, queues
        self._client_id = domain.session.client_id
        self._hub = QueueHub(domain.space.bus, self._client_id)
        self._own: dict[int, Queue] = {}
        self._counters: memoryview | None = None
        self._methods: dict[Scalars, Callable[..., int | None]] = {
            INIT_STATE: self._init_state,
            CREATE_QUEUE: self._create,
            DESTROY_QUEUE: self._destroy,
            IS_IMPORTED: self._is_imported,
            WAIT_SIGNAL: self._wait,
            CANCEL_WAIT: self._hub.cancel,
            SIGNAL: self._hub.look,
        }
        domain.session.ends(self.close)

    def direct(self) -> Entry | None:
        """What lanes call, for signals; None where the core is not compiled."""
        address, own = self._hub.entry()
        if not address:
            return None
        return Entry(address, own, _Kept(self._hub), first=WAIT_SIGNAL.method)

    def invoke(self, scalars: Scalars, arguments: list[memoryview]) -> int:
        """Run one of the methods, found by its complete scalars."""
        method = self._methods.get(scalars)
        if method is None:
            raise StatusError(UNSUPPORTED, f"{MODULE} has no method {scalars.words}")
        return method(*arguments) or 0

    def close(self) -> None:
        """End what waits, and the queues that were made.  Idempotent."""
        self._hub.end()
        for number in list(self._own):
            self._end(number)

    def _end(self, number: int) -> None:
        self._own.pop(number, None)
        self._queues.end(number)

    def _init_state(self, request: memoryview) -> None:
        (fd,) = _unpacked("<i", request)
        block = self._memory_of(fd, COUNTERS)
        try:
            self._hub.share(address_of(block), block)
            self._counters = block[:COUNTERS]
        except ValueError as error:
            raise StatusError(BAD_STATE, str(error)) from error

    def _create(self, request: memoryview, answer: memoryview) -> int:
        if len(request) < QueueRequest.byte_size:
            raise StatusError(BAD_PARAMETER, f"{len(request)} bytes ask for no queue")
        asked = QueueRequest.unpack(request)
        memory = self._memory_of(asked.fd, QueueHeader.byte_size)
        if QueueHeader.unpack(memory).version == PROBE:
            return as_signed(UNSUPPORTED)  # as each host expects, and no log need say
        signals = self._domain.session.signals
        known = HeaderFlag.WAIT_COUNTS
        sides = places_of(memory, known if signals is None else known | HeaderFlag.DRIVER_SIGNALS)
        if sides.serial != asked.serial:
            words = f"the queue in fd {asked.fd} is number {sides.serial}, and not {asked.serial}"
            raise StatusError(BAD_PARAMETER, words)
        try:
            queue = Queue(
                self._hub,
                asked.slot,
                address_of(memory),
                sides.requests,
                sides.responses,
                sides.wait_counts,
                memory,
            )
        except ValueError as error:
            raise StatusError(BAD_PARAMETER, str(error)) from error
        number = self._queues.add(queue, self._client_id, asked.fd)
        self._own[number] = queue
        by_driver = QueueHeader.unpack(memory).flags & HeaderFlag.DRIVER_SIGNALS
        if by_driver and signals is not None and self._counters is not None:
            signals.serve(self._hub, self._counters)
        _pack("<Q", answer, number)
        return 0

    def _memory_of(self, fd: int, least: int) -> memoryview:
        memory = self._domain.space.view_of_fd(self._client_id, fd)
        if len(memory) < least or address_of(memory) % 8:
            raise StatusError(
                BAD_PARAMETER, f"{len(memory)} bytes under fd {fd} are not for queues"
            )
        return memory

    def _destroy(self, request: memoryview) -> None:
        self._end(self._number(request))

    def _is_imported(self, request: memoryview, answer: memoryview) -> None:
        _pack("<i", answer, self._own[self._number(request)].is_claimed())

    def _number(self, request: memoryview) -> int:
        (number,) = _unpacked("<Q", request)
        if number not in self._own:
            raise StatusError(BAD_PARAMETER, f"there is no queue {number:#x}")
        return number

    def _wait(self, answer: memoryview) -> None:
        heard = self._hub.listen()
        if heard is None:  # -1 is for who has asked for it, and has no queues left
            raise StatusError(CONNECTION_RESET, "the session ends")
        _pack("<i", answer, 0 if heard else -1)


class _Kept(Loaded):
    """Keeps a hub as long as a call of it runs in C."""

    def __init__(self, hub: QueueHub) -> None:
        self._hub = hub


def _unpacked(form: str, request: memoryview) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, request)
    except struct.error as error:
        raise StatusError(BAD_PARAMETER, str(error)) from error


def _pack(form: str, answer: memoryview, value: int) -> None:
    try:
        struct.pack_into(form, answer, 0, value)
    except struct.error as error:
        raise StatusError(BAD_PARAMETER, str(error)) from error


class QueueLoader:
    """Opens `dspqueue_rpc`: an object for each open."""

    def __init__(self, domain: Domain, queues: Queues) -> None:
        self._domain, self._queues = domain, queues

    def load(
        self, uri: ModuleUri, text: str, searched: list[str]
    ) -> tuple[Module, Callable[[], None]] | None:
        """The module, if it is asked for."""
        if uri.name != MODULE:
            return None
        module = QueueModule(self._domain, self._queues)
        return module, module.close
