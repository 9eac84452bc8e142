"""The threads of a protection domain: one behind each endpoint of its sessions.

The thread of a control endpoint does what frames say, that of any other endpoint takes a message,
runs the call, and answers on the same endpoint; nothing is handed from thread to thread.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

from qda.dsp.process import Process
from qda.dsp.session import ClientFault, Pending, Session
from qda.errors import as_signed
from qda.fastrpc.domains import ProtectionDomain
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone, serve_frame

__all__ = ["Serving"]


class Serving:
    """Gives a protection domain its sessions, and their calls.

    `die` ends the process as by a fault.  By default nobody gets an answer any more: where the
    process is threads, these cannot be ended.
    """

    def __init__(self, process: Process, die: Callable[[], None] | None = None) -> None:
        self._process = process
        self._die = die or self._break_off
        self._endpoints: set[Endpoint] = set()

    def serve(self, supervisor: Endpoint) -> None:
        """Serve the sessions that arrive on the supervisor's endpoint until it ends."""
        while True:
            try:
                message, descriptors = supervisor.receive_with_descriptors()
            except PeerGone:
                return
            try:
                control, *endpoints = self._adopt_all(descriptors)
                session = self._process.open(Frame.unpack(message).client_id, control)
            except (ValueError, OSError) as error:  # nobody is there whom it could be told
                self._process.log.error("a session could not begin: %s", error)
                continue
            _start(self._serve_control, session)
            for endpoint in endpoints:
                _start(self._serve_calls, session, endpoint)

    def disown(self) -> None:
        """In a child that a skeleton has forked: close the endpoints."""
        for endpoint in self._endpoints:
            endpoint.close()

    def _break_off(self) -> None:
        for endpoint in list(self._endpoints):
            endpoint.shutdown()

    def _adopt_all(self, descriptors: list[int]) -> list[Endpoint]:
        """Endpoints of all descriptors, or of none.  OSError."""
        found: list[Endpoint] = []
        try:
            while descriptors:
                found.append(self._adopt(descriptors.pop()))
        except OSError:
            for endpoint in found:
                self._discard(endpoint)
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        return found[::-1]

    def _adopt(self, descriptor: int) -> Endpoint:
        endpoint = Endpoint.adopt(descriptor)
        self._endpoints.add(endpoint)
        return endpoint

    def _discard(self, endpoint: Endpoint) -> None:
        self._endpoints.discard(endpoint)
        endpoint.close()

    # A control endpoint.

    def _serve_control(self, session: Session) -> None:
        def handle(frame: Frame, descriptors: list[int]) -> None:
            self._handle(session, frame, descriptors)

        while True:
            try:
                serve_frame(session.control, handle)
            except PeerGone:
                break
        session.control.close()
        self._process.go(session)

    def _handle(self, session: Session, frame: Frame, descriptors: list[int]) -> None:
        if frame.operation is Operation.ENDPOINT:
            _start(self._serve_calls, session, self._adopt(descriptors.pop()))
        elif frame.operation is Operation.ANNOUNCE:
            space, descriptor = self._process.space, descriptors.pop()
            space.announce(session.client_id, frame.address, frame.size, descriptor)
        elif frame.operation is Operation.WITHDRAW:
            self._process.space.withdraw(session.client_id, frame.address)
        else:
            raise OSError(errno.EINVAL, f"a session cannot {frame}")

    # An endpoint for calls.

    def _serve_calls(self, session: Session, endpoint: Endpoint) -> None:
        self._process.running.session = session
        while True:
            try:
                self._serve_call(session, endpoint, endpoint.receive())
            except PeerGone:
                self._discard(endpoint)
                return

    def _serve_call(self, session: Session, endpoint: Endpoint, message: bytes) -> None:
        pending = Pending(endpoint, int.from_bytes(message[8:16], "little"))
        self._process.running.pending = pending
        session.begin(pending)
        try:
            result = self._process.run(session, message)
        except ClientFault as fault:
            self._process.log.info("%s", fault)
            result = as_signed(fault.status)
            if self._process.kind is ProtectionDomain.USER:
                pending.answer(result)
                self._die()
            self._process.leave()  # in the root protection domain others go on
        if session.finish(pending):
            self._process.forget(session)
        pending.answer(result)


def _start(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()
