"""The threads of a protection domain: one for the control endpoint of each session, and one behind
each of its lanes.

The first does what frames say; the others wait for a message, run the call, and answer on the same
lane.  Nothing is handed from thread to thread.
"""

from __future__ import annotations

import _thread
import errno
import mmap
import os
import stat
import threading
from collections.abc import Callable, Sequence

from qda.core import BLOCK, LANES, Arguments, Server, lane_address
from qda.dsp.black_box import stack_for_handler
from qda.dsp.driver_signals import DriverSignals
from qda.dsp.process import Process
from qda.dsp.runtime import lane_serves
from qda.dsp.session import ClientFault, Served, Session
from qda.dsp.unread_log import CallLog
from qda.dsp.window import Pages
from qda.errors import BAD_STATE, as_signed
from qda.fastrpc.message import CallForm
from qda.linux import address_of
from qda.memory import Piece
from qda.rpmsg import Bells, Endpoint, Frame, Operation, PeerGone, serve_frame, unpack_pieces

__all__ = ["LANE_THREAD", "Serving"]

LANE_THREAD = "qda lane"
"""The name of a thread that serves a lane, or a control endpoint, where debuggers see it."""


class Serving:
    """Gives a protection domain its sessions, and their calls.

    `die` ends the process as by a fault, with a reason.  By default no call is run any more, and
    nobody gets an answer: where the process is threads, these cannot be ended.
    """

    def __init__(self, process: Process, die: Callable[[str], None] | None = None) -> None:
        self._process = process
        self._die, self._is_process = die or self._break_off, die is not None
        # Debuggers find the threads of `threading`, which take twice as long to begin.
        self._begin = _start if die is None else _thread.start_new_thread
        self._dead = False
        self._controls: set[Endpoint] = set()
        self._bells: set[Bells] = set()

    def serve(self, supervisor: Endpoint) -> None:
        """Serve the sessions that arrive on the supervisor's endpoint until it ends, each in a
        thread of its own."""
        while True:
            try:
                message, descriptors = supervisor.receive_with_descriptors()
            except PeerGone:
                return
            try:
                self.start(Frame.unpack(message), descriptors)
            except ValueError as error:
                self._process.log.error("a session could not begin: %s", error)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def start(self, frame: Frame, descriptors: list[int]) -> None:
        """Serve a session in a thread of its own; descriptors that are kept are taken."""
        begun = self._open(frame, descriptors)
        if begun is not None:
            self._begin(self._serve_control, begun)

    def serve_alone(self, frame: Frame, descriptors: list[int]) -> None:
        """Serve a session in this thread until it ends; the descriptors are owned from here on."""
        begun = self._open(frame, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if begun is not None:
            self._serve_control(*begun)

    def _open(self, frame: Frame, descriptors: list[int]) -> tuple[Session, mmap.mmap] | None:
        """Begin a session.  If that cannot be there is none, and nobody whom it could be told."""
        try:
            if len(descriptors) not in frame.operation.descriptors:
                raise ValueError(f"{len(descriptors)} descriptors came with {frame}")
            words = mmap.mmap(descriptors[1], BLOCK)
            control = Endpoint.adopt(descriptors.pop(0))
        except (ValueError, OSError) as error:
            self._process.log.error("a session could not begin: %s", error)
            return None
        self._controls.add(control)
        session = self._process.open(frame.client_id, control)
        session.polled = CallForm.NUMBERED in CallForm(frame.form)
        return session, words

    def disown(self) -> None:
        """In a child that a skeleton has forked: close what leads to the driver."""
        for control in self._controls:
            control.close()
        for bells in self._bells:
            bells.close()

    def _break_off(self, reason: str) -> None:
        for control in list(self._controls):
            control.shutdown()

    # A control endpoint.

    def _serve_control(self, session: Session, words: mmap.mmap) -> None:
        def handle(frame: Frame, descriptors: list[int]) -> None:
            self._handle(session, words, frame, descriptors)

        while True:
            try:
                serve_frame(session.control, handle)
            except PeerGone:
                break
        self._controls.discard(session.control)
        session.control.close()
        self._process.go(session)

    def _handle(
        self, session: Session, words: mmap.mmap, frame: Frame, descriptors: list[int]
    ) -> None:
        if frame.operation is Operation.LANES:
            self._add_lanes(session, words, frame, descriptors)
        elif frame.operation is Operation.ANNOUNCE:
            self._announce(session, frame, descriptors)
        elif frame.operation is Operation.SIGNALS and session.signals is None:
            session.signals = DriverSignals(Endpoint.adopt(descriptors.pop(0)), session.client_id)
            session.ends(session.signals.close)
        elif frame.operation is Operation.WITHDRAW:
            self._process.space.withdraw(session.client_id, frame.address)
        else:
            raise OSError(errno.EINVAL, f"a session cannot {frame}")

    def _announce(self, session: Session, frame: Frame, descriptors: list[int]) -> None:
        pieces: Sequence[Piece] = [Piece(0, frame.size)]
        if len(descriptors) > 1:
            length = os.fstat(descriptors[1]).st_size
            pieces = unpack_pieces(os.pread(descriptors[1], length, 0), frame.size)
        pages = Pages(descriptors.pop(0), tuple(pieces))
        self._process.space.announce(session.client_id, frame.address, frame.size, pages)

    # Lanes.

    def _add_lanes(
        self, session: Session, words: mmap.mmap, frame: Frame, descriptors: list[int]
    ) -> None:
        if not 1 <= frame.address <= LANES + 1 - len(descriptors) // 2:
            raise OSError(errno.EINVAL, f"there are no lanes from {frame.address} on")
        if not all(stat.S_ISFIFO(os.fstat(descriptor).st_mode) for descriptor in descriptors):
            raise OSError(errno.EINVAL, "bells are pipes")
        number = frame.address
        while descriptors:
            bells = Bells(*descriptors[:2])
            del descriptors[:2]
            self._bells.add(bells)
            self._begin(self._serve_lane, (session, words, number, bells, frame.patience))
            number += 1

    def _serve_lane(
        self, session: Session, words: mmap.mmap, number: int, bells: Bells, patience: int
    ) -> None:
        process = self._process
        stack_for_handler()
        server = Server(
            process.space.bus,
            lane_address(address_of(words), number),
            bells.sleep,
            bells.wake,
            session.client_id,
            True,
            patience,
            session.polled,
        )
        log = CallLog(server.note)
        served = process.running.served = Served(session, server, log)
        session.add(server)

        def run(handle: int, word: int, thread: int, found: Arguments) -> int:
            if self._dead:  # the driver has not heard of it yet
                return as_signed(BAD_STATE)
            served.thread = thread
            try:
                return process.run(session, handle, word, found)
            except ClientFault as fault:
                return self._fault(session, server, fault)

        def over(thread: int, result: int) -> None:
            session.call_over(log, thread, result)

        def ended() -> None:
            if session.finish():
                process.forget(session)

        try:
            with lane_serves(server, process):
                server.serve(run, over, ended)
        finally:
            self._bells.discard(bells)
            if not bells.are_open and self._is_process:
                # Its other endpoints are as deaf: who called would wait for ever.
                process.log.error("a skeleton has closed descriptors of its process's own")
                self._die("a skeleton has closed its descriptors")
            bells.close()

    def _fault(self, session: Session, server: Server, fault: ClientFault) -> int:
        """A client has asked to end as by a fault; returns the result of its call."""
        self._process.log.info("%s", fault)
        result = as_signed(fault.status)
        if not self._process.name:
            self._dead = True  # before the answer: the client's next call finds nobody
            session.watch()
            server.answer(result)
            self._die("its client has asked")
        self._process.leave()  # in a process that is not its own others go on
        return result


def _start(target: Callable[..., None], arguments: tuple[object, ...]) -> None:
    threading.Thread(target=target, args=arguments, daemon=True, name=LANE_THREAD).start()
