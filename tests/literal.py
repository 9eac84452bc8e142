"""A driver from literals: nothing of it needs a machine, a process or a clock.

    with LiteralDriver({7: 0x10000, 9: 0x4000}, lambda message: [answer_to(message)]) as driver:
        driver.start_session()
        driver.ioctl(client, "INVOKE", address)

The driver is the real one.  Its program is whoever calls, its DSP a function from a message to the
answers.
"""

from __future__ import annotations

import errno
import mmap
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from qda import limits
from qda.core import Woken
from qda.core.twin import Pool
from qda.driver import Channel, Client, Device, Limits
from qda.driver.accel import AccelFront
from qda.driver.banks import Attachment
from qda.driver.file import OpenFile
from qda.driver.memory import MessageMemory, Piece
from qda.driver.session import Session
from qda.driver.sharing import Uses
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import RESPONSE_MINIMUM, InvokeMessage, Response
from qda.linux import Area
from qda.memory import ClientAddress
from qda.rpmsg import PeerGone, PoolMemory
from qda.uapi import RFC

__all__ = ["FakeChannel", "LiteralClient", "LiteralDriver", "StillWaiting", "answer_to"]

Dsp = Callable[[bytes], list[bytes]]


def answer_to(message: bytes, result: int = 0) -> bytes:
    """What a DSP answers that has nothing to say."""
    return Response(context=InvokeMessage.unpack(message).context, result=result).pack()


class LiteralClient(ABC):
    """A program that calls the driver: its memory is what a subclass says, it has no descriptors.

    `areas` are its mappings, `stored` the pieces that were copied to it.
    """

    port = None

    def __init__(self) -> None:
        self.areas: list[Area] = []
        self.stored: list[Piece] = []

    @abstractmethod
    def read(self, address: int, length: int) -> bytes | None:
        """Bytes of its memory, None if not all of them are there."""

    @abstractmethod
    def write(self, address: int, data: bytes) -> bool:
        """Store bytes in its memory.  False if not all of them can be."""

    def fetch(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        for address, length, position in pieces:
            data = self.read(address, length)
            if data is None:
                return False
            message.view[position : position + length] = data
        return True

    def store(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        for piece in pieces:
            data = bytes(message.view[piece.position : piece.position + piece.length])
            if not self.write(piece.address, data):
                return False
            self.stored.append(piece)
        return True

    def area(self, address: int) -> Area | None:
        return next((area for area in self.areas if area.start <= address < area.end), None)

    def descriptor(self, number: int) -> int:
        raise OSError(errno.EBADF, "it has no descriptors")

    def install(self, descriptor: int, flags: int) -> int:
        raise OSError(errno.EBADF, "it has no descriptors")


class LiteralDriver:
    """An open file of a device in dialect RFC, whose `handles` name buffers of these sizes.

    `dsp` gives the answers to a message, none for a DSP that is silent.  `number` is the file's
    client id.
    """

    def __init__(
        self,
        handles: Mapping[int, int],
        dsp: Dsp,
        number: int = 1,
        banks: int = 16,
        message: int = limits.MESSAGE,
    ) -> None:
        self.channel = FakeChannel(dsp)
        boot = Limits(tuple(range(1, 1 + banks)), message)
        self.device = Device("cdsp", boot, lambda: cast(Channel, self.channel))
        self.file = self.device.open(lambda _: OpenFile(self.device, number, RFC))
        self.front = AccelFront(self.file, RFC)
        for handle, size in handles.items():
            with Uses() as uses:
                self.file.put_handle(handle, self.device.objects.create(size, uses), 0)

    def attachment(self, handle: int) -> Attachment:
        """What a handle names."""
        with Uses() as uses:
            return self.file.hold(handle, uses)

    def start_session(self) -> Session:
        """Give the file a session with a process of its own, as CREATE does."""
        session = self.file.start_session(ProtectionDomain.USER)
        self.file.session = session
        return session

    def ioctl(self, client: Client, key: str, address: ClientAddress) -> int:
        """The result of a command on the structure at an address of the client."""
        return self.front.ioctl(client, RFC.command(key).code, address)

    def close(self) -> None:
        """Close the file and remove the device.  The DSP is not asked."""
        self.file.close()
        self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class StillWaiting(Exception):
    """The driver waits for an answer, and none will come."""


@dataclass
class FakeLane:
    """A lane: what was sent on it, and what has been answered."""

    sent: list[bytes] = field(default_factory=list)
    answers: deque[bytes] = field(default_factory=deque)
    answer: bytes = b""
    claimed: bool = False
    taken: bool = False


class FakePool(Pool):
    """Lanes whose other side answers at once, or when it is told to."""

    def __init__(self, dsp: Dsp) -> None:
        self._dsp = dsp
        self._gone = False
        self.lanes: list[FakeLane] = []

    def claim(self, lane: int) -> bool:
        free = not self.lanes[lane - 1].claimed
        self.lanes[lane - 1].claimed = True
        return free

    def give_back(self, lane: int) -> None:
        self.lanes[lane - 1].claimed = False

    def send(self, lane: int, message: bytes) -> None:
        found = self.lanes[lane - 1]
        found.sent.append(message)
        found.answers.clear()
        found.taken = False
        if not self._gone:
            found.answers.extend(self._dsp(message))

    def sent(self, lane: int) -> int:
        return len(self.lanes[lane - 1].sent)

    def wait(self, lane: int, also: int = -1, timeout: int = -1) -> int:
        found = self.lanes[lane - 1]
        awaited = InvokeMessage.unpack(found.sent[-1]).context
        while found.answers and not self._gone:
            answer = found.answers[0]
            found.answer = answer.ljust(Response.byte_size, b"\0")
            is_long = len(answer) >= RESPONSE_MINIMUM
            if is_long and int.from_bytes(answer[:8], "little") == awaited:
                return Woken.RUNG
            found.answers.popleft()  # a response to anything else is none (H15)
        if self._gone:
            return Woken.DEAD
        if not timeout:
            return Woken.LATE
        raise StillWaiting

    def answer(self, lane: int) -> bytes:
        self.lanes[lane - 1].taken = True
        return self.lanes[lane - 1].answer

    @property
    def unread(self) -> int:
        """Number of answers that nobody has taken."""
        return sum(bool(lane.answers) and not lane.taken for lane in self.lanes)

    def kill(self) -> None:
        self._gone = True

    def close(self, idle: Callable[[], object]) -> bool:
        return True


class FakeLink:
    """A session's connection to a DSP that is a function; it keeps what is announced to it."""

    def __init__(self, dsp: Dsp, memory: dict[int, mmap.mmap]) -> None:
        self._memory = memory
        self._gone = False
        self.pool = FakePool(dsp)
        self.patience = 0

    def when_gone(self, gone: Callable[[], None]) -> None:
        pass

    def when_overwritten(self, told: Callable[[int], None]) -> None:
        """Its words are nobody's."""

    @property
    def lanes(self) -> int:
        return len(self.pool.lanes)

    def add_lanes(self, count: int) -> None:
        if self._gone:
            raise PeerGone("the process has died")
        self.pool.lanes += [FakeLane() for _ in range(count)]

    def lane_of(self, message: bytes) -> FakeLane:
        """The lane on which a message was sent."""
        (found,) = (lane for lane in self.pool.lanes if message in lane.sent)
        return found

    def die(self) -> None:
        """Let the process at the other end die."""
        self._gone = True
        self.pool.kill()

    def announce(self, address: int, size: int, descriptor: int) -> None:
        self._memory[address] = mmap.mmap(descriptor, size)

    def withdraw(self, address: int) -> None:
        del self._memory[address]

    def hang_up(self) -> None:
        self.die()

    def close(self) -> None:
        self.die()


class FakeChannel:
    """A channel to a DSP that is a function from a message to its answers.

    It keeps what was sent, and what is announced.  `alive` says whether the DSP is.
    """

    alive = True
    name = "literal"

    def __init__(self, dsp: Dsp) -> None:
        self._dsp = dsp
        self._memory: dict[int, mmap.mmap] = {}
        self.links: list[FakeLink] = []
        self.sent: list[bytes] = []

    def connect(
        self, client_id: int, kind: int, tag: int, memory: PoolMemory, name: bytes = b""
    ) -> FakeLink:
        self.links.append(FakeLink(self._record, self._memory))
        return self.links[-1]

    def _record(self, message: bytes) -> list[bytes]:
        self.sent.append(message)
        return self._dsp(message)

    def memory(self, address: int, size: int) -> memoryview:
        """Announced memory by its device address.  LookupError."""
        for start, pages in self._memory.items():
            if start <= address and address + size <= start + len(pages):
                return memoryview(pages)[address - start : address - start + size]
        raise LookupError(f"no memory at {address:#x}")

    def disconnect(self, client_id: int) -> None:
        pass

    def close(self) -> None:
        self.alive = False
