"""A driver from literals: nothing of it needs a machine, a process or a clock.

    with LiteralDriver({7: 0x10000, 9: 0x4000}, lambda message: [answer_to(message)]) as driver:
        driver.start_session()
        driver.ioctl(client, "INVOKE", address)

The driver is the real one.  Its program is whoever calls, its DSP a function from a message to the
answers.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, cast

from qda import limits
from qda.driver import Channel, Client, Device, Limits
from qda.driver.accel import AccelFront
from qda.driver.banks import Attachment
from qda.driver.file import OpenFile
from qda.driver.session import Session
from qda.driver.sharing import Uses
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import InvokeMessage, Response
from qda.memory import ClientAddress
from qda.rpmsg import PeerGone
from qda.uapi import RFC

__all__ = ["FakeChannel", "LiteralDriver", "StillWaiting", "answer_to"]

Dsp = Callable[[bytes], list[bytes]]


def answer_to(message: bytes, result: int = 0) -> bytes:
    """What a DSP answers that has nothing to say."""
    return Response(context=InvokeMessage.unpack(message).context, result=result).pack()


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
        self.file = self.device.open(lambda _: OpenFile(self.device, number, descriptors=False))
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


class FakeEndpoint:
    """An endpoint whose other end answers at once, or when it is told to."""

    def __init__(self, dsp: Dsp) -> None:
        self._dsp = dsp
        self._answers: deque[bytes] = deque()
        self._gone = False
        self.sent: list[bytes] = []

    def send_noted(self, message: bytes, note: list[int]) -> None:
        if self._gone:
            raise PeerGone("the process has died")
        self.sent.append(message)
        note.append(len(message))
        self._answers.extend(self._dsp(message))

    def answer(self, message: bytes) -> None:
        """Answer something that was sent."""
        self._answers.append(answer_to(message))

    @property
    def unread(self) -> int:
        """Number of answers that nobody has taken."""
        return len(self._answers)

    def receive_into(self, buffer: bytearray, timeout: float | None = None) -> int:
        if self._answers:
            answer = self._answers.popleft()
            buffer[: len(answer)] = answer
            return len(answer)
        if self._gone:
            raise PeerGone("the process has died")
        if timeout == 0:
            raise TimeoutError
        raise StillWaiting

    def shutdown(self) -> None:
        self._answers.clear()
        self._gone = True

    def close(self) -> None:
        self.shutdown()


class FakeLink:
    """A session's connection to a DSP that is a function; it keeps what is announced to it."""

    def __init__(self, dsp: Dsp, memory: dict[int, mmap.mmap]) -> None:
        self._dsp = dsp
        self._memory = memory
        self._gone = False
        self.endpoints = [FakeEndpoint(dsp)]

    def die(self) -> None:
        """Let the process at the other end die."""
        self._gone = True
        for endpoint in self.endpoints:
            endpoint.shutdown()

    def add_endpoint(self) -> FakeEndpoint:
        if self._gone:
            raise PeerGone("the process has died")
        self.endpoints.append(FakeEndpoint(self._dsp))
        return self.endpoints[-1]

    def announce(self, address: int, size: int, descriptor: int) -> None:
        self._memory[address] = mmap.mmap(descriptor, size)

    def withdraw(self, address: int) -> None:
        del self._memory[address]

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.close()


class FakeChannel:
    """A channel to a DSP that is a function from a message to its answers.

    It keeps what was sent, and what is announced.  `alive` says whether the DSP is.
    """

    alive = True

    def __init__(self, dsp: Dsp) -> None:
        self._dsp = dsp
        self._memory: dict[int, mmap.mmap] = {}
        self.links: list[FakeLink] = []
        self.sent: list[bytes] = []

    def connect(self, client_id: int, kind: int, endpoints: int) -> FakeLink:
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
