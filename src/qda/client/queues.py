"""Queues of packets, as a program has them (spec/dspqueue.md).

The first queue of a session opens the DSP's module, and gives it a block of counters
(`qda.client.queue_module`).  A side tells the other that something has changed, and only if that
waits.  Everything else is memory that both sides share.
"""

from __future__ import annotations

import logging
import operator
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn, Self, SupportsIndex, TypeVar

from qda import limits
from qda.client.buffer import Buffer, Mapping
from qda.client.calls import Calls
from qda.client.device import DeviceFile
from qda.client.manager import ModuleManager
from qda.client.memory import SessionMemory
from qda.client.queue_module import QueueModule
from qda.client.references import References
from qda.core import Queue
from qda.core.packets import Packet, PacketBuffer, PacketQueue
from qda.errors import (
    CONNECTION_RESET,
    INTERRUPTED,
    QdaError,
    QueueTimeout,
    Refusal,
    UsageError,
    UsageTypeError,
    bare,
    on_dsp,
    plain,
)
from qda.fastrpc.queue import (
    CREATE_QUEUE,
    DESTROY_QUEUE,
    IS_IMPORTED,
    QueueRequest,
    lay_out_queue,
    places_of,
)
from qda.interrupts import Section, made_whole

__all__ = ["HostQueue", "SessionQueues"]

T = TypeVar("T")

OnPacket = Callable[["HostQueue", Packet], object]
OnError = Callable[["HostQueue", Exception], object]


class SessionQueues:
    """The queues of a session.  Thread-safe."""

    def __init__(
        self, file: DeviceFile, calls: Calls, manager: ModuleManager, memory: SessionMemory
    ) -> None:
        self._file, self._calls, self._manager, self._memory = file, calls, manager, memory
        self._lock = threading.Lock()
        self._module: QueueModule | None = None
        self._serial = 0

    def create(
        self,
        requests: SupportsIndex = limits.QUEUE_REQUESTS,
        responses: SupportsIndex = limits.QUEUE_RESPONSES,
        on_packet: OnPacket | None = None,
        on_error: OnError | None = None,
    ) -> HostQueue:
        """Make a queue: the program writes requests and reads responses, code on the DSP opens it
        by its `id`.

        `requests` and `responses` are the bytes of the two rings, multiples of 8.  A packet should
        have no more than half of a ring: an empty one may have no place for a longer one.
        `on_packet(queue, packet)` is called for each response, in a thread of its own, and
        `on_error(queue, error)` if the queue ends because the DSP does.
        UsageError; DspError on a DSP without queues; DeviceError.
        """
        try:
            lengths = _length("requests", requests), _length("responses", responses)
            for what, function in (("on_packet", on_packet), ("on_error", on_error)):
                if function is not None and not callable(function):
                    raise UsageTypeError(f"{what} {function!r:.80}: a function")
            return made_whole(lambda: self._create(*lengths, on_packet, on_error))
        except QdaError as error:
            bare(error)
            raise

    def _create(
        self, requests: int, responses: int, on_packet: OnPacket | None, on_error: OnError | None
    ) -> HostQueue:
        with self._lock:
            if self._module is None or self._module.failure is not None:
                self._module = QueueModule(self._file, self._calls, self._manager, self._memory)
            module = self._module
            self._serial += 1
            serial = self._serial
        header, size = lay_out_queue(requests, responses, serial)
        buffer = self._memory.alloc(size)
        header.pack_into(memoryview(buffer))
        mapping = None
        slot = -1
        try:
            mapping = self._memory.map(buffer)
            slot = module.take_slot()
            queue = HostQueue(module, slot, serial, buffer, mapping)
        except BaseException:
            module.slots.discard(slot)
            if mapping is not None:
                with suppress(Refusal):
                    mapping.close()
            buffer.close()
            raise
        if on_packet is not None:
            queue.start(on_packet, on_error)
        return queue

    def close(self) -> None:
        """End all queues: the session ends.  Idempotent."""
        with self._lock:
            if self._module is not None:
                self._module.close()


class HostQueue(PacketQueue):
    """A queue of a program: `session.queue()`.

    It writes requests and reads responses; `id` is what code on the DSP opens it by.  `close`, or
    the end of a `with` block, ends it, once code on the DSP has closed it.  When the process on the
    DSP dies, what waits raises DspError.
    """

    def __init__(
        self,
        module: QueueModule,
        slot: int,
        serial: int,
        buffer: Buffer,
        mapping: Mapping,
    ) -> None:
        self._module, self._slot, self._buffer, self._mapping = module, slot, buffer, mapping
        sides = places_of(memoryview(buffer))
        ins, outs = sides.responses, sides.requests
        queue = Queue(module.hub, slot, buffer.address, ins, outs, sides.wait_counts, buffer)
        super().__init__(queue, f"queue {serial}")
        self._references = References(module.memory, module.counts.owner)
        try:
            request = QueueRequest(slot=slot, fd=module.memory.fd_of(buffer), serial=serial)
            answer = module.call("create a queue", CREATE_QUEUE.method, request.pack(), 8)
        except BaseException:
            queue.end(plain(INTERRUPTED))
            raise
        queue.begin()
        self._number = int.from_bytes(answer, "little")
        module.queues.add(self)

    def start(self, on_packet: OnPacket, on_error: OnError | None) -> None:
        """Have something called for each response; see `SessionQueues.create`."""
        log = logging.getLogger(f"qda.dsp.{self._module.file.domain}")
        self._call_back(on_packet, log, on_error)

    def close(self) -> None:
        """End it; idempotent.  UsageError while code on the DSP has it; DspError, DeviceError."""
        with Section():
            if self._closed or self._is_foreign:
                return
            if self._module.failure is None and self._is_open_on_dsp():
                raise UsageError(
                    f"{self._what} is open on the DSP: close it there first (`queue.close()`)"
                )
            self.abandon()
            self._join()
            try:
                if self._module.failure is None:
                    number = self._number.to_bytes(8, "little")
                    self._module.call("destroy a queue", DESTROY_QUEUE.method, number)
                    self._mapping.close()
            finally:
                self._module.slots.discard(self._slot)

    def _is_open_on_dsp(self) -> bool:
        number = self._number.to_bytes(8, "little")
        try:
            return any(self._module.call("ask for a queue", IS_IMPORTED.method, number, 4))
        except Refusal as error:
            if self._module.failure is None and not error.is_aftermath:
                raise
            return False

    def abandon(self) -> None:
        """End it on this side.  In a forked child nothing: it is the parent's."""
        if self._is_foreign:
            return
        self._closed = True
        self._queue.end(plain(INTERRUPTED))
        self._module.queues.discard(self)
        self._module.call_listeners()
        self._buffer.close()

    def fail(self) -> None:
        """The DSP has ended."""
        self._queue.end(plain(CONNECTION_RESET))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<HostQueue {self._number:#x}>"

    # What is different from the DSP's side.

    def _tell(self) -> None:
        self._module.tell()

    def _refer(self, buffers: Sequence[PacketBuffer]) -> bytes:
        for one in buffers:
            if one.owner not in ("", self._module.counts.owner):
                raise UsageError(
                    f"write to {self._what}: fd {one.fd} is a buffer of {one.owner}, another one: "
                    "import it (`session.import_fd`), and refer to that"
                )
        if not self._module.counts.count(buffers):
            raise UsageError(f"write to {self._what}: it takes away a reference that there is not")
        return super()._refer(buffers)

    def _unrefer(self, buffers: Sequence[PacketBuffer]) -> None:
        self._module.counts.count(buffers, -1)

    def _resolve(self, references: bytes) -> tuple[PacketBuffer, ...]:
        found = self._references.find(references)
        self._module.counts.count(found)  # what it takes away too often the DSP has refused
        return found

    def _refuse(self, words: str, status: int) -> NoReturn:
        failure = self._module.failure
        raise self._module.file.refused(words, on_dsp(status) if failure is None else failure)

    @property
    def id(self) -> int:
        """The number by which code on the DSP opens it."""
        return self._number

    def reference(
        self, memory: Buffer, flags: int = 0, offset: int = 0, size: int = 0
    ) -> PacketBuffer:
        """What a packet says of a buffer of the session, which must be mapped when it is read.

        `flags` are of `BufferFlag`; `offset` and `size` in bytes, size 0 for all that follows.
        UsageError for what the buffer has not, UsageTypeError.
        """
        return self._references.name(memory, flags, offset, size)

    async def read_async(self) -> Packet:
        """Read the next packet, without a thread; one that is cancelled has taken none."""
        return await self._when_told(False, lambda: self.read(timeout=0))

    async def write_async(
        self, message: bytes = b"", buffers: Sequence[PacketBuffer] = (), *, flags: int = 0
    ) -> None:
        """Write a packet, without a thread; one that is cancelled has written none."""
        await self._when_told(True, lambda: self.write(message, buffers, flags=flags, timeout=0))

    async def _when_told(self, writes: bool, attempt: Callable[[], T]) -> T:
        import asyncio  # whoever awaits has loaded it, others need not

        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(woken.set)

        with suppress(QueueTimeout):
            return attempt()
        with self._module.told(wake):
            self._queue.expect(writes, 1)
            try:
                while True:
                    woken.clear()
                    with suppress(QueueTimeout):
                        return attempt()
                    await woken.wait()
            finally:
                self._queue.expect(writes, -1)


def _length(what: str, length: SupportsIndex) -> int:
    try:
        count = operator.index(length)
    except TypeError:
        raise UsageTypeError(f"{what} {length!r:.80}: an integer") from None
    if count % 8 or not 16 <= count <= limits.QUEUE_RING:
        raise UsageError(f"{what} {count}: a multiple of 8, from 16 to {limits.QUEUE_RING} bytes")
    return count
