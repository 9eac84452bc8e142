"""A process on the DSP: a protection domain with its memory, its modules, and the sessions on it.

A user protection domain has one session, the root protection domain has one for each attached
client and one for the driver.  Behind each endpoint of a session stands a thread, which takes a
message, runs the call and answers on the same endpoint; nothing is handed from thread to thread.
"""

from __future__ import annotations

import collections
import errno
import logging
import operator
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qda.dsp.memory import WINDOW, AddressFault, AddressSpace
from qda.dsp.modules import Modules, SkeletonLoader
from qda.dsp.services import (
    CurrentProcess,
    LoaderModule,
    ProcessControl,
    RemoteControl,
    Utilities,
)
from qda.dsp.skeleton import HandleArgument
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    NO_SUCH_CLIENT,
    SKELETON_RAISED,
    StatusError,
    as_signed,
)
from qda.fastrpc.control import CONTROL_HANDLE
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import DmaHandle, WireArgument, decode, metadata_size
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1
from qda.fastrpc.scalars import Scalars
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone
from qda.rpmsg.frame import pack_reply

__all__ = ["Process"]

LOG_LINES = 1000
"""Lines that are kept for a client that does not read its log."""

_response = Response.codec
_message = InvokeMessage.codec

_CURRENT_PROCESS = 4
_UTILITIES = 2
_AFTER_EXIT = (_CURRENT_PROCESS, CONTROL_HANDLE)
"""Handles that still answer after a client's exit (spec 6.6, 10)."""


@dataclass(eq=False, slots=True)
class Pending:
    """A call that has not been answered yet.  It is answered once, by whoever comes first: its own
    thread, or the release of its session."""

    endpoint: Endpoint
    context: int
    unanswered: list[bool] = field(default_factory=lambda: [True])

    def answer(self, result: int) -> None:
        try:
            self.unanswered.pop()  # of several threads, one succeeds
        except IndexError:
            return
        self.endpoint.send(_response.pack(self.context, result))


@dataclass(eq=False)
class Session:
    """A client's session as the process sees it."""

    client_id: int
    control: Endpoint
    pending: set[Pending] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: bool = False
    gone: bool = False
    log: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=LOG_LINES))


class Process:
    """One protection domain; also what its skeletons see of it (`DspServices`)."""

    def __init__(
        self,
        kind: ProtectionDomain,
        domain: str,
        capabilities: dict[int, int],
        window: int = WINDOW,
    ) -> None:
        self.kind = kind
        self.space = AddressSpace(window)
        # Not one of the process's loggers: several protection domains may be in one process.
        self.log = logging.Logger(f"qda.dsp.{domain}")
        self.log.addHandler(_SessionLog(self))
        self.skeletons = SkeletonLoader(self)
        self.skeletons.install(LoaderModule, LoaderModule.name)
        self.modules = Modules([self.skeletons])
        self.modules.fix(REMOTECTL.handle, RemoteControl(self, REMOTECTL))
        self.modules.fix(REMOTECTL1.handle, RemoteControl(self, REMOTECTL1))
        self.modules.fix(CONTROL_HANDLE, ProcessControl(self))
        self.modules.fix(_UTILITIES, Utilities(capabilities))
        self.modules.fix(_CURRENT_PROCESS, CurrentProcess(self))
        self._sessions: dict[int, Session] = {}
        self._local = threading.local()
        self._created = False
        self._ending = False
        self._endpoints: set[Endpoint] = set()

    # What skeletons and services ask for.

    @property
    def client_id(self) -> int:
        """The session of the call that runs in this thread, 0 outside of one."""
        return getattr(self._local, "client_id", 0)

    def memory(self, address: int, length: int) -> memoryview:
        """The bytes at a DSP address that MAP has returned."""
        return self.space.view(self.client_id, address, length)

    def memory_of_fd(self, fd: int) -> memoryview:
        """The mapping that was made under a name."""
        return self.space.view_of_fd(self.client_id, fd)

    def log_of(self, client_id: int) -> collections.deque[str]:
        """The lines that a client has not read yet."""
        session = self._sessions.get(client_id)
        return session.log if session else collections.deque()

    # Life of sessions.

    def create(self) -> None:
        """The process is made for its client.  StatusError if it has been made before."""
        if self.kind is not ProtectionDomain.USER or self._created:
            raise StatusError(BAD_STATE, "the process exists already")
        self._created = True

    def attach(self) -> None:
        """A client attaches to the root protection domain.  StatusError if this is not it."""
        if self.kind is not ProtectionDomain.ROOT:
            raise StatusError(BAD_STATE, "clients attach to the root protection domain")

    def leave(self, client_id: int) -> None:
        """A client has called exit: its later calls fail (spec 6.6).

        Calls that still run are not answered for their methods: these go on using the endpoint and
        the message, which an answer would free for the next call.
        """
        session = self._sessions.get(client_id)
        if session is not None:
            session.left = True

    def release(self, client_id: int) -> None:
        """Destroy what belongs to a client; nothing if it is unknown (spec 3.4)."""
        session = self._sessions.get(client_id)
        if session is None or self.client_id not in (0, client_id):
            return
        session.left = True
        self._end_pending(session)
        if self.kind is ProtectionDomain.USER:  # the process is destroyed after this
            self._close_modules(client_id)

    def _close_modules(self, client_id: int) -> None:
        for failure in self.modules.close_all(client_id):
            self.log.error("a module failed to close", exc_info=failure)

    def _end_pending(self, session: Session) -> None:
        own = getattr(self._local, "pending", None)
        for pending in list(session.pending):
            if pending is not own:
                pending.answer(as_signed(BAD_STATE))

    # Transport.

    def serve(self, supervisor: Endpoint) -> None:
        """Serve the sessions that arrive on the supervisor's endpoint until it ends."""
        while True:
            try:
                message, descriptors = supervisor.receive_with_descriptors()
            except PeerGone:
                return
            frame = Frame.unpack(message)
            endpoints = [self._adopt(descriptor) for descriptor in descriptors]
            session = Session(frame.client_id, endpoints[0])
            self._sessions[frame.client_id] = session
            _start(self._serve_control, session)
            for endpoint in endpoints[1:]:
                _start(self._serve_calls, session, endpoint)

    def _adopt(self, descriptor: int) -> Endpoint:
        endpoint = Endpoint.adopt(descriptor)
        self._endpoints.add(endpoint)
        return endpoint

    def end(self) -> None:
        """End all sessions; the memory goes with the last of them."""
        self._ending = True
        for session in list(self._sessions.values()):
            session.control.shutdown()
        if not self._sessions:
            self.space.close()

    def _serve_control(self, session: Session) -> None:
        control = session.control
        while True:
            try:
                message, descriptors = control.receive_with_descriptors()
                control.send(pack_reply(self._frame(session, Frame.unpack(message), descriptors)))
            except PeerGone:
                break
        control.close()
        with session.lock:
            session.gone = True
            if session.pending:
                return  # the last call that still runs does the rest
        self._forget(session)

    def _forget(self, session: Session) -> None:
        """Give back what a session that has gone had here, once none of its methods runs."""
        try:
            self._close_modules(session.client_id)
        finally:
            self.space.forget(session.client_id)
            if self._sessions.get(session.client_id) is session:
                del self._sessions[session.client_id]
            if self._ending and not self._sessions:
                self.space.close()

    def disown(self) -> None:
        """In a child that a skeleton has forked: close the endpoints."""
        for endpoint in self._endpoints:
            endpoint.close()

    def _frame(self, session: Session, frame: Frame, descriptors: list[int]) -> int:
        try:
            if frame.operation is Operation.ENDPOINT:
                _start(self._serve_calls, session, self._adopt(descriptors[0]))
            elif frame.operation is Operation.ANNOUNCE:
                self.space.announce(session.client_id, frame.address, frame.size, descriptors[0])
            elif frame.operation is Operation.WITHDRAW:
                self.space.withdraw(session.client_id, frame.address)
            else:
                return errno.EINVAL
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _serve_calls(self, session: Session, endpoint: Endpoint) -> None:
        self._local.client_id = session.client_id
        while True:
            try:
                message = endpoint.receive()
                pending = Pending(endpoint, int.from_bytes(message[8:16], "little"))
                self._local.pending = pending
                session.pending.add(pending)
                result = self._run(session, message)
                with session.lock:
                    session.pending.discard(pending)
                    last = session.gone and not session.pending
                if last:
                    self._forget(session)
                pending.answer(result)
            except PeerGone:
                self._endpoints.discard(endpoint)
                endpoint.close()
                return

    # One call.

    def _run(self, session: Session, message: bytes) -> int:
        try:
            return self._call(session, message)
        except StatusError as error:
            self.log.info("%s", error)
            return as_signed(error.status)
        except BaseException as error:  # a skeleton may raise anything, SystemExit too
            self.log.error(
                "%s", "".join(traceback.format_exception(_in_the_method(error))).rstrip()
            )
            return as_signed(SKELETON_RAISED)

    def _call(self, session: Session, message: bytes) -> int:
        client_id, _, _, handle, word, address, size = _message.unpack(message)
        if client_id != (0 if handle == CONTROL_HANDLE else session.client_id):
            raise StatusError(NO_SUCH_CLIENT, f"client {client_id} is not on this session")
        if session.left and handle not in _AFTER_EXIT:
            raise StatusError(BAD_STATE, "the client has called exit")
        scalars = Scalars.decode(word)
        arguments = self._arguments(scalars, address, size)
        module = self.modules.find(handle, session.client_id)
        result = operator.index(module.invoke(scalars, arguments))
        return as_signed(result & 0xFFFFFFFF)

    def _arguments(self, scalars: Scalars, address: int, size: int) -> list[Any]:
        count = scalars.length
        if not count:
            return []
        needed = metadata_size(count)
        if size < needed:
            raise StatusError(BAD_PARAMETER, f"a message of {size} bytes for {count} arguments")
        found: list[Any] = []
        for index, wire in enumerate(decode(count, self.space.resolve(address, needed))):
            if index >= scalars.buffers:
                found.append(self._handle(wire))
                continue
            view = self._buffer(wire)
            found.append(view.toreadonly() if index < scalars.in_buffers else view)
        return found

    def _buffer(self, wire: WireArgument) -> memoryview:
        if not wire.pages:
            return memoryview(bytearray())
        if wire.page is None:
            raise StatusError(BAD_PARAMETER, "an argument names a page entry that does not exist")
        return self.space.resolve(wire.address, wire.length)

    def _handle(self, wire: WireArgument) -> HandleArgument:
        named = wire.handle
        if wire.page is None or not wire.page[1]:
            return _handle_argument(wire, named, None)
        address, size = wire.page
        if named.offset + named.length > size:
            raise AddressFault(address + named.offset, named.length)
        view = self.space.resolve(address + named.offset, named.length)
        return _handle_argument(wire, named, view)


_OUR_FRAMES = (__package__, "qda.idl")


def _in_the_method(error: BaseException) -> BaseException:
    """The exception without the frames of this package that lead to the skeleton's method."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__package__") in _OUR_FRAMES:
        trace = trace.tb_next
    return error.with_traceback(trace or error.__traceback__)


def _handle_argument(
    wire: WireArgument, named: DmaHandle, view: memoryview | None
) -> HandleArgument:
    return HandleArgument(named.fd, named.offset, named.length, wire.words[0], view)


def _start(target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


class _SessionLog(logging.Handler):
    """Puts records into the log of the session in whose call they were made."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        lines = self._process.log_of(self._process.client_id)
        lines.extend(self.format(record).splitlines())
