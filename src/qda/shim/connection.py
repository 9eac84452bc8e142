"""A connection of a program with the device server: requests in, answers and descriptors out."""

from __future__ import annotations

import errno
import select
import socket

from qda.linux import send_at_once
from qda.shim.protocol import Answer, Kind, Operation, Request

__all__ = ["Connection"]

_DURING_A_CALL = Operation.INTERRUPT, Operation.INSTALLED


class Connection:
    """The server's end of the connection of one thread of process `pid`.

    `number` is that of the request which is answered.
    """

    def __init__(self, stream: socket.socket, pid: int) -> None:
        self.pid = pid
        self._socket = stream
        self.fileno = stream.fileno
        self.number = 0
        self._state = select.poll()
        self._state.register(stream, 0)  # only its end is of interest

    def request(self) -> Request | None:
        """The next request; None when the client is gone or talks nonsense."""
        while True:
            request = self._receive()
            if request is None:
                return None
            if request.operation not in _DURING_A_CALL:  # otherwise it came too late
                self.number = request.number
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
        return message

    def _receive(self) -> Request | None:
        try:
            message = self._socket.recv(Request.byte_size)
        except OSError:
            return None
        return Request.unpack(message) if len(message) == Request.byte_size else None

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
        message = Answer.codec.pack(kind, asked, wishes, flags, result, address, length)
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
        """Wake whoever waits on it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close it."""
        self._socket.close()
