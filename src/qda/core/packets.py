"""A queue of packets as programs and skeletons have it: what is the same on both sides."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, Self, TypeAlias

from qda.core import Queue
from qda.errors import (
    EXPIRED,
    INTERRUPTED,
    WOULD_BLOCK,
    QdaError,
    QueueTimeout,
    Refusal,
    StatusError,
    UsageError,
    UsageTypeError,
    bare,
    plain,
)
from qda.fastrpc.queue import BufferReference, Figure, PacketFlag

__all__ = ["Packet", "PacketBuffer", "PacketQueue", "Preview"]

Bytes: TypeAlias = "bytes | bytearray | memoryview"

_FLAGS = sum(PacketFlag)
_TOO_LATE = plain(WOULD_BLOCK), plain(EXPIRED)
_INTERRUPTED = plain(INTERRUPTED)


@dataclass(frozen=True, slots=True)
class PacketBuffer:
    """A buffer that a packet refers to, by the name under which it is mapped.

    `size` is in bytes, 0 for all of it; `flags` are of `BufferFlag`.  Of a packet that was read,
    `memory` are the bytes.  `owner` says for which session it was made, in a program.
    """

    fd: int
    offset: int = 0
    size: int = 0
    flags: int = 0
    memory: memoryview | None = None
    owner: str = field(default="", compare=False, repr=False)


class Packet(NamedTuple):
    """A packet that was read; `flags` are of `PacketFlag`."""

    message: bytes
    buffers: tuple[PacketBuffer, ...] = ()
    flags: int = 0


class Preview(NamedTuple):
    """What `peek` tells of the next packet: the bytes of its message, how many buffers it refers
    to, its flags."""

    message: int
    buffers: int
    flags: int


class PacketQueue:
    """One side of a queue.  Several threads may use it at once.

    A `timeout` is in seconds, 0 to wait not at all, None for ever.  What is not done by then raises
    QueueTimeout, and nothing has happened.
    """

    def __init__(self, queue: Queue, what: str) -> None:
        self._queue, self._what = queue, what
        self._closed = False
        self._process = os.getpid()
        self._thread: threading.Thread | None = None

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self._what} belongs to one process: open a queue in the other one")

    @property
    def id(self) -> int:
        """The number by which code on the DSP opens it."""
        return self._queue.id()

    @property
    def is_closed(self) -> bool:
        """Whether this side has closed it."""
        return self._closed

    @property
    def _is_foreign(self) -> bool:
        """Whether this is a child that was forked since: its memory is shared with the parent, but
        what says who waits is a copy, in which nobody is ever woken."""
        return os.getpid() != self._process

    def _refuse_foreign(self, doing: str) -> None:
        if self._is_foreign:
            raise UsageError(
                f"{doing} {self._what}: this queue belongs to process {self._process}: open a "
                "session with queues in this one"
            )

    def write(
        self,
        message: Bytes = b"",
        buffers: Iterable[PacketBuffer] = (),
        *,
        flags: int = 0,
        timeout: float | None = None,
    ) -> None:
        """Write a packet: a message, and references to buffers; in the order of writing it is read.

        UsageError for one that does not fit the ring; QueueTimeout; what a queue raises that has
        ended.
        """
        try:
            self._refuse_foreign("write to")
            listed = _references(buffers) if buffers else []
            references = self._refer(listed) if listed else b""
            try:
                if flags:
                    _check_flags(flags)
                if type(message) is not bytes:
                    message = _bytes(message)
                status, tell = self._queue.write(flags, references, message, _microseconds(timeout))
            except BaseException:  # nothing was written
                self._unrefer(listed)
                raise
            if tell:
                self._tell()
            if status:
                self._unrefer(listed)
                self._fail("write to", status, f"{len(message)} bytes and {len(listed)} buffers")
        except QdaError as error:
            bare(error)
            raise

    def read(self, timeout: float | None = None) -> Packet:
        """Read the next packet.  QueueTimeout; StatusError for what is no packet; what a queue
        raises that has ended."""
        try:
            self._refuse_foreign("read from")
            status, tell, flags, references, message = self._queue.read(_microseconds(timeout))
            if tell:
                self._tell()
            if status:
                self._fail("read from", status, "")
            buffers = self._resolve(references) if references else ()
        except QdaError as error:
            bare(error)
            raise
        return Packet(message, buffers, flags)

    def peek(self, timeout: float | None = None) -> Preview:
        """What the next packet is, which stays.  As `read`."""
        try:
            self._refuse_foreign("peek into")
            status, flags, buffers, message = self._queue.peek(_microseconds(timeout))
            if status:
                self._fail("peek into", status, "")
        except QdaError as error:
            bare(error)
            raise
        return Preview(message, buffers, flags)

    def write_early_wakeup(self, delay: int = 0) -> None:
        """Say that a packet comes in `delay` microseconds, 0 if that is not known: the reader looks
        out for it meanwhile.  Where there is no room it has packets to read, and is told nothing.
        """
        try:
            self._refuse_foreign("write to")
            if not isinstance(delay, int):
                raise UsageTypeError(f"delay {delay!r:.80}: a number of microseconds")
            if not 0 <= delay < 1 << 32:
                raise UsageError(f"delay {delay}: microseconds, from 0 to {(1 << 32) - 1}")
            message = delay.to_bytes(4, "little") if delay else b""
            status, tell = self._queue.write(PacketFlag.WAKEUP, b"", message, 0)
            if tell:
                self._tell()
            if status not in (0, *_TOO_LATE):
                self._fail("write to", status, "")
        except QdaError as error:
            bare(error)
            raise

    def figure(self, figure: Figure) -> int:
        """What the queue tells of itself; see `Figure`."""
        self._refuse_foreign("ask")
        status, value = self._queue.figure(figure)
        if status:
            self._fail("ask", status, "")
        return value

    def __iter__(self) -> Iterator[Packet]:
        """All packets, until the queue is closed."""
        while True:
            try:
                packet = self.read()
            except _Closed:
                return
            yield packet

    def _call_back(
        self,
        on_packet: Callable[[Self, Packet], object],
        log: logging.Logger,
        on_error: Callable[[Self, Exception], object] | None = None,
    ) -> None:
        """Have something called for each packet, in a thread of its own, until the queue ends; and
        something else if that is not by `close`."""

        def run() -> None:
            packets = iter(self)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return
                except (Refusal, StatusError) as error:
                    log.info("%s", error)
                    if on_error is not None:
                        on_error(self, error)
                    return
                try:
                    on_packet(self, packet)
                except BaseException:  # also SystemExit: who raises it does not end the others
                    log.exception("a callback of %s has failed", self._what)

        self._thread = threading.Thread(target=run, daemon=True, name=self._what)
        self._thread.start()

    def _join(self) -> None:
        """Wait for a callback that runs, unless this is in it."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # What the sides do differently.

    def _tell(self) -> None:
        """The other side waits for what was done: tell it."""

    def _refer(self, buffers: Sequence[PacketBuffer]) -> bytes:
        """Count the references of a packet that is to be written, and pack them."""
        return b"".join(
            BufferReference(
                fd=one.fd & 0xFFFFFFFF, size=one.size, offset=one.offset, flags=one.flags
            ).pack()
            for one in buffers
        )

    def _unrefer(self, buffers: Sequence[PacketBuffer]) -> None:
        """Undo what was counted: the packet was not written."""

    def _resolve(self, references: bytes) -> tuple[PacketBuffer, ...]:
        """Find the buffers that a packet refers to, and count its references."""
        raise NotImplementedError

    def _refuse(self, words: str, status: int) -> NoReturn:
        """Raise what a queue raises whose other side is gone, or wrong."""
        raise StatusError(status, words)

    def _fail(self, doing: str, status: int, what: str) -> NoReturn:
        words = f"{doing} {self._what}"
        if status in _TOO_LATE:
            missing = "no room" if doing == "write to" else "no packet"
            raise QueueTimeout(f"{words}: {missing} in the time given for it")
        if status == _INTERRUPTED and self._closed:
            raise _Closed(f"{words}: it is closed")
        if what and status == 0x0E:
            raise UsageError(f"{words}: {what} do not make a packet that fits its ring")
        self._refuse(words, status)


class _Closed(UsageError):
    """The queue was closed, before or meanwhile."""


def _references(buffers: Iterable[PacketBuffer]) -> list[PacketBuffer]:
    try:
        listed = list(buffers)
    except TypeError:
        raise UsageTypeError(f"buffers {buffers!r:.80}: references, in a list") from None
    for one in listed:
        if not isinstance(one, PacketBuffer):
            words = f"buffers {one!r:.80}: a reference, as `queue.reference(buffer)` makes one"
            raise UsageTypeError(words)
    return listed


def _check_flags(flags: int) -> None:
    if not isinstance(flags, int):
        raise UsageTypeError(f"flags {flags!r:.80}: of PacketFlag")
    if flags & ~_FLAGS:
        raise UsageError(f"flags {flags:#x}: of PacketFlag")


def _bytes(message: Bytes) -> bytes:
    try:
        return bytes(memoryview(message))
    except TypeError:
        raise UsageTypeError(f"message {message!r:.80}: bytes") from None


def _microseconds(timeout: float | None) -> int:
    if timeout is None:
        return -1
    if not hasattr(timeout, "__float__"):
        raise UsageTypeError(f"timeout {timeout!r:.80}: a number of seconds, or None")
    if timeout > threading.TIMEOUT_MAX:
        return -1  # longer than anything runs, and than the system counts
    return max(1, int(float(timeout) * 1e6)) if timeout > 0 else 0
