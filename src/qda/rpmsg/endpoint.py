"""An endpoint: one end of a channel for whole messages, and descriptors that go with them."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Sequence

from qda import limits
from qda.interrupts import Deadline
from qda.linux import send_at_once

__all__ = ["DescriptorsLost", "Endpoint", "PeerGone"]


class PeerGone(ConnectionError):
    """The process at the other end has died or closed its end."""


class DescriptorsLost(OSError):
    """A message has come without its descriptors, for which this process has no room."""

    def __init__(self, message: bytes) -> None:
        super().__init__(errno.EMFILE, os.strerror(errno.EMFILE))
        self.message = message


class Endpoint:
    """One end of a SEQPACKET pair: messages keep their boundaries, end of file means that the
    other side died.  Closing is idempotent.  `close` does not wake a thread that is blocked in
    `receive`; `shutdown` does, on both sides."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._timed = False

    @classmethod
    def pair(cls) -> tuple[Endpoint, Endpoint]:
        """Two endpoints that are connected to each other."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), cls(theirs)

    @classmethod
    def adopt(cls, descriptor: int) -> Endpoint:
        """An endpoint of a descriptor that was inherited or received; it is owned from here on.

        OSError if it is no socket.
        """
        try:
            return cls(socket.socket(fileno=descriptor))
        except OSError:
            os.close(descriptor)
            raise

    def fileno(self) -> int:
        """The descriptor, -1 once closed."""
        return self._socket.fileno()

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message; `descriptors` are duplicated into the receiving process.

        PeerGone if there is none.  It waits for room as long as that takes, see `send_in`.
        """
        if not self._sent(message, descriptors):
            self.send_in(Deadline(None), message, descriptors)

    def send_in(self, deadline: Deadline, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message as `send`, to a peer that perhaps takes none.  TimeoutError."""

        def sent(seconds: float | None) -> bool:
            if self._sent(message, descriptors):
                return True
            select.select([], [self._socket], [], seconds)
            return self._sent(message, descriptors)

        if not deadline.until(sent):
            raise deadline.late("a message that cannot leave")

    def _sent(self, message: bytes, descriptors: Sequence[int]) -> bool:
        """Whether a message could be sent without a wait."""
        if not descriptors and send_at_once(self.fileno(), message):
            return True
        try:
            if descriptors:
                socket.send_fds(self._socket, [message], list(descriptors), socket.MSG_DONTWAIT)
            else:
                self._socket.send(message, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PeerGone(str(error)) from error
        return True

    def receive_into(self, buffer: bytearray, timeout: float | None = None) -> int:
        """Wait for a message and put it into `buffer`; returns its length.

        As `receive`, for who must not lose a message if a signal handler raises just after it has
        come: it is in the buffer then.
        """
        if timeout is not None or self._timed:
            self._socket.settimeout(timeout)
            self._timed = timeout is not None
        try:
            length = self._socket.recv_into(buffer)
        except InterruptedError:
            raise
        except (TimeoutError, BlockingIOError):
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {timeout} s") from None
        except OSError as error:
            raise PeerGone(str(error)) from error
        if not length:
            raise PeerGone("end of file")
        return length

    def receive(self, timeout: float | None = None) -> bytes:
        """Wait for a message, at most `timeout` seconds (None: for ever; 0: do not wait).

        PeerGone at end of file, TimeoutError when the time is over.
        """
        buffer = bytearray(limits.SHORT_MESSAGE)
        return bytes(buffer[: self.receive_into(buffer, timeout)])

    def receive_with_descriptors(self) -> tuple[bytes, list[int]]:
        """Wait for a message and the descriptors that came with it, which the caller owns.

        Of more than limits.DESCRIPTORS one too many is returned.  PeerGone at end of file,
        DescriptorsLost.
        """
        try:
            message, descriptors, flags, _ = socket.recv_fds(
                self._socket, limits.FRAME, limits.DESCRIPTORS + 1, socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            raise PeerGone(str(error)) from error
        if not message:
            raise PeerGone("end of file")
        if flags & socket.MSG_CTRUNC and len(descriptors) <= limits.DESCRIPTORS:
            for descriptor in descriptors:
                os.close(descriptor)
            raise DescriptorsLost(message)
        return message, list(descriptors)

    def receive_in(self, deadline: Deadline) -> bytes:
        """Wait for a message until a deadline.  PeerGone, TimeoutError."""
        buffer = bytearray(limits.SHORT_MESSAGE)
        length = 0

        def received(seconds: float | None) -> bool:
            nonlocal length
            try:
                length = self.receive_into(buffer, seconds)
            except TimeoutError:
                return False
            return True

        if not deadline.until(received):
            raise deadline.late("a message that does not come")
        return bytes(buffer[:length])

    def shutdown(self) -> None:
        """End the conversation: every receiver, here and there, gets PeerGone."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed, or the other side went first

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
