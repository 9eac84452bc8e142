"""A program in another process, as the driver sees it during a call.

`Caller` is a `qda.driver.Client` over a lane: memory is read and written by the kernel on behalf of
the server, descriptors cross the lane, and while a call waits the lane says of signals.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence

from qda import limits
from qda.driver.memory import LocalClient, MessageMemory, Piece
from qda.linux import Area, MapsFile, name_of_thread, open_again, send_at_once, take_descriptor
from qda.memory import ClientAddress
from qda.rpmsg import Endpoint
from qda.shim.files import OpenNode, cookie_of
from qda.shim.memory import LaneMemory
from qda.shim.protocol import Answer, Kind, Operation, Request

__all__ = ["Caller", "Lane"]

_answer, _request = Answer.codec, Request.codec


class Lane:
    """The server's end of the connection of one thread of process `pid`: requests in, answers
    out."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self._socket = connection
        self.fileno = connection.fileno
        self.number = 0
        self._state = select.poll()
        self._state.register(connection, 0)  # only its end is of interest

    def request(self) -> tuple[int, int, int, int, int, int, int, bytes, bytes] | None:
        """The next request (tid, operation, descriptor, wishes, flags, code, argument, token,
        name); None when the client is gone or talks nonsense."""
        while True:
            try:
                message = self._socket.recv(_request.size)
            except OSError:
                return None
            if len(message) != _request.size:
                return None
            operation, number, tid, descriptor, *rest = _request.unpack(message)
            if operation in (Operation.INTERRUPT, Operation.INSTALLED):
                continue  # it came too late
            self.number = number
            return tid, operation, descriptor, *rest

    def take_interrupt(self) -> bool:
        """Take a message that came during a call; whether it interrupts the call.

        ConnectionResetError if the client is gone.
        """
        operation, number, _ = self._during_call()
        return operation == Operation.INTERRUPT and number == self.number

    def _during_call(self) -> tuple[int, int, int]:
        try:
            message = self._socket.recv(_request.size)
        except OSError:
            message = b""
        if len(message) != _request.size:
            raise ConnectionResetError(errno.ECONNRESET, "the client is gone")
        operation, number, _, descriptor, *_ = _request.unpack(message)
        return operation, number, descriptor

    def install(self, descriptor: int, flags: int) -> int:
        """Give the client a descriptor for good; returns its number there.

        OSError EMFILE if it can have no more, ConnectionResetError if it is gone.
        """
        self.send(Kind.INSTALL, flags=flags, descriptor=descriptor)
        while True:
            operation, _, installed = self._during_call()
            if operation == Operation.INTERRUPT:
                continue
            if operation != Operation.INSTALLED or installed < 0:
                raise OSError(errno.EMFILE, "the client can have no more descriptors")
            return installed

    def send(
        self,
        kind: Kind,
        *,
        number: int | None = None,
        wishes: int = 0,
        flags: int = 0,
        result: int = 0,
        address: int = 0,
        length: int = 0,
        descriptor: int = -1,
    ) -> None:
        """Send an answer; nothing happens if the client is gone."""
        asked = self.number if number is None else number
        message = _answer.pack(kind, asked, wishes, flags, result, address, length)
        if descriptor < 0 and send_at_once(self.fileno(), message):
            return
        try:
            if descriptor < 0:
                self._socket.send(message)
            else:
                socket.send_fds(self._socket, [message], [descriptor])
        except OSError:
            return  # the next receive finds out

    @property
    def has_ended(self) -> bool:
        """Whether the client has closed its end."""
        return bool(self._state.poll(0))

    def end(self) -> None:
        """Wake whoever waits on the lane."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Caller:
    """The thread at the other end of a lane, of the process `pid`, whose `pidfd` stays the
    server's."""

    limit = LocalClient.limit

    def __init__(self, pid: int, pidfd: int, lane: Lane) -> None:
        self.pid, self.tid = pid, 0
        self._pidfd, self._lane = pidfd, lane
        self._memory = LaneMemory(pid)
        self._maps: MapsFile | None = None
        self._had: set[bytes] = set()  # tokens of nodes
        self._poll = select.poll()
        self._poll.register(lane.fileno(), select.POLLIN)
        self.read, self.fetch = self._memory.read, self._memory.fetch
        self.write: Callable[[int, bytes], bool] = self._memory.write
        self.store: Callable[[Sequence[Piece], MessageMemory], bool] = self._memory.store

    def enter_thread(self, tid: int) -> bool:
        """Be that thread of the process from now on; False if it has none of that number."""
        self.tid = tid
        return os.path.exists(f"/proc/{self.pid}/task/{tid}")

    def report_writes(self) -> None:
        """From now on, tell the client what was written to its memory."""
        self.write, self.store = self._write_and_report, self._store_and_report

    def _write_and_report(self, address: int, data: bytes) -> bool:
        written = self._memory.write(address, data)
        if written:
            self._lane.send(Kind.WROTE, address=address, length=len(data))
        return written

    def _store_and_report(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        stored = self._memory.store(pieces, message)
        if stored:
            for piece in pieces:
                self._lane.send(Kind.WROTE, address=piece.address, length=piece.length)
        return stored

    @property
    def comm(self) -> bytes:
        try:
            return name_of_thread(self.pid, self.tid)
        except OSError:
            return b""

    def area(self, address: ClientAddress) -> Area | None:
        """See `Client.area`.  A lane does not outlive an exec, so the file stays right."""
        if self._maps is None:
            try:
                self._maps = MapsFile(self.pid)
            except OSError:
                return None
        return self._maps.area(address)

    def descriptor(self, number: int) -> int:
        """See `Client.descriptor`."""
        return take_descriptor(self._pidfd, number)

    def refusal(self, node: OpenNode, number: int) -> int:
        """What is against a request on a node by descriptor `number`: 0, or -EBADF if the client
        has neither shown the node by a descriptor before nor does now, or another negative errno.

        Once is enough: who has had a descriptor could have kept a copy of it.
        """
        if node.token in self._had:
            return 0
        try:
            shown = self.descriptor(number)
        except OSError as error:
            return -(error.errno or errno.EBADF)
        try:
            if cookie_of(shown) != node.cookie:
                return -errno.EBADF
        except OSError:
            return -errno.EBADF
        finally:
            os.close(shown)
        if len(self._had) == limits.NODES_REMEMBERED:
            self._had.clear()
        self._had.add(node.token)
        return 0

    def install(self, descriptor: int, flags: int) -> int:
        """See `Client.install`."""
        again = open_again(descriptor, flags | os.O_CLOEXEC)
        try:
            return self._lane.install(again, flags)
        finally:
            os.close(again)

    def wait(self, endpoint: Endpoint, buffer: bytearray, timeout: float | None) -> int:
        """See `Client.wait`.  ConnectionResetError if the client is gone."""
        answering = endpoint.fileno()
        if answering < 0:
            return endpoint.receive_into(buffer, timeout)  # PeerGone
        self._poll.register(answering, select.POLLIN)
        try:
            while True:
                ready = self._poll.poll(None if timeout is None else timeout * 1000)
                if not ready:
                    raise TimeoutError(errno.ETIMEDOUT, f"no answer within {timeout} s")
                if any(number == answering for number, _ in ready):
                    return endpoint.receive_into(buffer, timeout)
                if self._lane.take_interrupt():
                    raise InterruptedError(errno.EINTR, "a signal handler has run")
        finally:
            self._poll.unregister(answering)

    def close(self) -> None:
        """Forget the process."""
        if self._maps is not None:
            self._maps.close()
