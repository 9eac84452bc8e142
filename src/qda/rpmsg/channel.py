"""The host's side of a channel to a DSP: opens and closes sessions, tells a session of memory."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Sequence
from contextlib import ExitStack

from qda import limits
from qda.rpmsg.endpoint import Endpoint
from qda.rpmsg.frame import Frame, Operation, unpack_reply

__all__ = ["Channel", "Control", "Link"]


class Control:
    """An endpoint on which frames are sent and answered, one at a time."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._lock = threading.Lock()
        self._owed = 0  # answers still to come to requests whose wait was broken off

    def request(self, frame: Frame, descriptors: Sequence[int] = ()) -> None:
        """Send a frame and wait for its answer.  PeerGone, TimeoutError, or the peer's OSError."""
        with self._lock:
            self._endpoint.send(frame.pack(), descriptors)
            self._owed += 1
            error = 0
            while self._owed:
                reply = self._endpoint.receive(self._timeout)
                self._owed -= 1
                error = unpack_reply(reply)
        if error:
            raise OSError(error, f"{frame.operation.name}: {os.strerror(error)}")

    def fileno(self) -> int:
        return self._endpoint.fileno()

    def disown(self) -> None:
        """In a forked child: close this copy of the endpoint, which the parent goes on using."""
        self._endpoint.close()

    def close(self) -> None:
        """Wake both sides and close."""
        self._endpoint.shutdown()
        self._endpoint.close()


class Link:
    """A session's connection to its protection domain: a control endpoint and more endpoints, each
    of which has a thread of the protection domain behind it."""

    def __init__(self, control: Control, endpoints: list[Endpoint]) -> None:
        self.control = control
        self.endpoints = endpoints

    def add_endpoint(self) -> Endpoint:
        """One more endpoint, ready for a message.  PeerGone, OSError."""
        ours, theirs = Endpoint.pair()
        try:
            self.control.request(Frame(Operation.ENDPOINT), [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.endpoints.append(ours)
        return ours

    def announce(self, address: int, size: int, descriptor: int) -> None:
        """Let messages of this session name `size` bytes of shared memory at `address`."""
        self.control.request(Frame(Operation.ANNOUNCE, 0, address, size), [descriptor])

    def withdraw(self, address: int) -> None:
        """Take back what `announce` allowed."""
        self.control.request(Frame(Operation.WITHDRAW, 0, address))

    def disown(self) -> None:
        """In a forked child: close these copies of the endpoints."""
        for endpoint in self.endpoints:
            endpoint.close()
        self.control.disown()

    def close(self) -> None:
        """End the conversation; every thread that waits on an endpoint gets PeerGone."""
        for endpoint in self.endpoints:
            endpoint.shutdown()
            endpoint.close()
        self.control.close()


class Channel:
    """The channel to one DSP, as its driver holds it.  `timeout` bounds, in seconds, the wait for
    the answer to a frame."""

    def __init__(self, endpoint: Endpoint, timeout: float = limits.PATIENCE) -> None:
        self._timeout = timeout
        self._control = Control(endpoint, timeout)

    def connect(self, client_id: int, kind: int, endpoints: int) -> Link:
        """Open a session with that many endpoints in a protection domain of that kind.

        PeerGone if the DSP is gone, OSError if it refuses.
        """
        with ExitStack() as undo, ExitStack() as theirs:
            ours: list[Endpoint] = []
            remote: list[int] = []
            for _ in range(1 + endpoints):
                near, far = Endpoint.pair()
                undo.callback(near.close)
                theirs.callback(far.close)
                ours.append(near)
                remote.append(far.fileno())
            self._control.request(Frame(Operation.OPEN, client_id, 0, kind), remote)
            undo.pop_all()
            return Link(Control(ours[0], self._timeout), ours[1:])

    def disconnect(self, client_id: int) -> None:
        """Destroy what is left of a session on the DSP.  PeerGone if all of it is."""
        self._control.request(Frame(Operation.CLOSE, client_id))

    @property
    def alive(self) -> bool:
        """Whether the DSP is still there: its end of the channel is open."""
        descriptor = self._control.fileno()
        if descriptor < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, 0)
        return not poll.poll(0)

    def disown(self) -> None:
        """In a forked child: close this copy of the endpoint."""
        self._control.disown()

    def close(self) -> None:
        """Shut the DSP down."""
        self._control.close()
