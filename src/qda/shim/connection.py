"""A connection of a program with the device server: requests in, answers and descriptors out."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Sequence
from contextlib import suppress

from qda import limits
from qda.linux import send_at_once
from qda.shim.protocol import Answer, Kind, Operation, Request

__all__ = ["Connection"]

_ROOM = Request.byte_size + limits.ENCLOSED
_pack, _ANSWER = Answer.codec.pack, Kind.ANSWER.value
_DURING_A_CALL = Operation.INTERRUPT, Operation.INSTALLED


class Connection:
    """The server's end of the connection of one thread of process `pid`.

    `number` is that of the request which is answered, `enclosed` the structure that came with it.
    """

    def __init__(self, stream: socket.socket, pid: int) -> None:
        self.pid = pid
        self._socket = stream
        self.fileno = stream.fileno
        self.number, self.enclosed = 0, b""
        self._state = select.poll()
        self._state.register(stream, 0)  # only its end is of interest

    def request(self) -> Request | None:
        """The next request; None when the client is gone or talks nonsense."""
        while True:
            message = self._receive()
            if message is None:
                return None
            request = Request.unpack(message)
            if request.operation not in _DURING_A_CALL:  # otherwise it came too late
                self.number, self.enclosed = request.number, message[Request.byte_size :]
                return request

    def take_interrupt(self) -> bool:
        """Take a message that came during a call; whether it interrupts the call.

        ConnectionResetError if the client is gone.
        """
        message = self._during_call()
        return message.operation == Operation.INTERRUPT and message.number == self.number

    def install(self, descriptor: int, flags: int) -> int:
        """Give the client a descriptor for good; returns its number there.

        OSError EMFILE if it can have no more, ConnectionResetError if it is gone.
        """
        self.send(Kind.INSTALL, flags=flags, descriptor=descriptor)
        while True:
            message = self._during_call()
            if message.operation == Operation.INTERRUPT:
                continue
            if message.operation != Operation.INSTALLED or message.descriptor < 0:
                raise OSError(errno.EMFILE, "the client can have no more descriptors")
            return message.descriptor

    def _during_call(self) -> Request:
        message = self._receive()
        if message is None:
            raise ConnectionResetError(errno.ECONNRESET, "the client is gone")
        return Request.unpack(message)

    def _receive(self) -> bytes | None:
        try:
            message = self._socket.recv(_ROOM)
        except OSError:
            return None
        return message if len(message) >= Request.byte_size else None

    def answer(self, result: int, structure: bytes = b"") -> None:
        """Send the answer to an ioctl, with its structure if that has changed; nothing happens if
        the client is gone."""
        self._send(_pack(_ANSWER, self.number, 0, 0, result, 0, 0) + structure)

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
        """Send a message of any kind; nothing happens if the client is gone."""
        asked = self.number if number is None else number
        self._send(_pack(kind, asked, wishes, flags, result, address, length), descriptor)

    def _send(self, message: bytes, descriptor: int = -1) -> None:
        if descriptor < 0 and send_at_once(self.fileno(), message):
            return
        try:
            if descriptor < 0:
                self._socket.send(message)
            else:
                socket.send_fds(self._socket, [message], [descriptor])
        except OSError:
            return  # the next receive finds out

    def lend(self, kind: Kind, number: int, descriptors: Sequence[int]) -> None:
        """Send what the client calls with by itself; nothing happens if it is gone."""
        message = Answer.codec.pack(kind, self.number, 0, number, 0, 0, 0)
        with suppress(OSError):
            socket.send_fds(self._socket, [message], descriptors)

    @property
    def has_ended(self) -> bool:
        """Whether the client has closed its end."""
        return bool(self._state.poll(0))

    def end(self) -> None:
        """Wake whoever waits on it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close it."""
        self._socket.close()
