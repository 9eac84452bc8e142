"""A process on the DSP: a protection domain with its memory, its modules, and the sessions on it.

A user protection domain has one session, the root protection domain has one for each attached
client and one for the driver.  Behind each endpoint of a session stands a thread, which takes a
message, runs the call and answers on the same endpoint; nothing is handed from thread to thread.
"""

from __future__ import annotations

import errno
import logging
import operator
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

from qda.dsp.files import FileLoader
from qda.dsp.folders import FolderLoader
from qda.dsp.host import Environment, Host
from qda.dsp.memory import WINDOW, AddressFault, AddressSpace
from qda.dsp.modules import Modules, SkeletonLoader
from qda.dsp.reverse_calls import ReverseCalls
from qda.dsp.reverse_services import (
    DefaultListener,
    DefaultListener1,
    ListenerModule,
    Messages,
    Unsupported,
)
from qda.dsp.services import (
    CurrentProcess,
    CurrentProcessByName,
    LoaderModule,
    ProcessControl,
    RemoteControl,
    Utilities,
)
from qda.dsp.session import Pending, Session
from qda.dsp.skeleton import HandleArgument
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    NO_LISTENER,
    NO_SUCH_CLIENT,
    SKELETON_RAISED,
    StatusError,
    as_signed,
)
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.hostlog import Level
from qda.fastrpc.listener import LISTENER, LISTENER1
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import DmaHandle, WireArgument, decode, metadata_size
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1
from qda.fastrpc.scalars import Scalars
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone, serve_frame

__all__ = ["Process"]

_message = InvokeMessage.codec

_AFTER_EXIT = (Fixed.CURRENT_PROCESS1, Fixed.INIT)
"""Handles that still answer after a client's exit (spec 6.6, 10)."""


_LAST_WORDS = 0.1
"""Seconds that a host has, at most, to take the log of a client that leaves."""


class Process:
    """One protection domain; also what its skeletons see of it (`DspServices`)."""

    def __init__(
        self,
        kind: ProtectionDomain,
        domain: str,
        capabilities: dict[int, int],
        window: int = WINDOW,
        die: Callable[[], None] | None = None,
        handed_over: dict[str, type] | None = None,
    ) -> None:
        self.kind = kind
        self.handed_over = {} if handed_over is None else handed_over
        self._die = die or self._break_off
        self.space = AddressSpace(window)
        # Not one of the process's loggers: several protection domains may be in one process.
        self.log = logging.Logger(f"qda.dsp.{domain}")
        self.log.addHandler(_SessionLog(self))
        self.skeletons = SkeletonLoader(self)
        self.skeletons.install_own(
            LoaderModule, CurrentProcessByName, DefaultListener, DefaultListener1
        )
        self.host = Host(lambda: self.reverse_calls)
        self.environment = Environment(self.host)
        folders = FolderLoader(self, lambda: self.reverse_calls)
        files = FileLoader(self, lambda: self.reverse_calls)
        self.modules = Modules([self.skeletons, folders, files])
        self.modules.fix(REMOTECTL.handle, RemoteControl(self, REMOTECTL))
        self.modules.fix(REMOTECTL1.handle, RemoteControl(self, REMOTECTL1))
        self.modules.fix(Fixed.INIT, ProcessControl(self))
        self.modules.fix(Fixed.UTILITIES, Utilities(capabilities))
        self.modules.fix(Fixed.CURRENT_PROCESS1, CurrentProcess(self))
        self.modules.fix(LISTENER.handle, ListenerModule(self, LISTENER, complete=False))
        self.modules.fix(LISTENER1.handle, ListenerModule(self, LISTENER1, complete=True))
        self.modules.fix(Fixed.ADSPMSGD1, Messages())
        for counters in (Fixed.ADSP_PERF, Fixed.ADSP_PERF1):
            self.modules.fix(counters, Unsupported(counters.name.lower()))
        self._sessions: dict[int, Session] = {}
        self._default: Session | None = None
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

    @property
    def thread(self) -> int:
        """The host's thread whose call runs in this thread."""
        return getattr(self._local, "thread", 0)

    def take_log(self, room: int) -> bytes:
        """Lines that the client has not read yet, as many as fit; each with its newline."""
        session = self._session()
        lines: list[bytes] = []
        while session is not None and session.log:
            line = session.log[0].encode("utf-8", "replace")[:4096] + b"\n"
            if len(line) > room:
                break
            room -= len(line)
            lines.append(line)
            session.log.popleft()
            session.host_log.forget()
        return b"".join(lines)

    def write_log(self, record: logging.LogRecord, text: str) -> None:
        """Put a record into the log of the session in whose call it was made, and send it to the
        host."""
        session = self._session()
        if session is not None:
            session.log.extend(text.splitlines())
            level, place = Level.from_python(record.levelno), os.path.basename(record.pathname)
            words = text.partition(" ")[2]  # the host has the level in its record
            session.host_log.put(level, place, record.lineno, threading.get_native_id(), words)

    def _session(self) -> Session | None:
        """The session of this thread's call; in a thread of a skeleton's own, the only one."""
        session = self._sessions.get(self.client_id)
        if session is None and self.kind is ProtectionDomain.USER:
            session = next(iter(self._sessions.values()), None)
        return session

    # The host.

    @property
    def own_reverse_calls(self) -> ReverseCalls:
        """The reverse calls of this call's own session.  StatusError."""
        session = self._session()
        if session is None:
            raise StatusError(NO_LISTENER, "outside of a call there is no host to call")
        return session.reverse_calls

    @property
    def reverse_calls(self) -> ReverseCalls:
        """Where the reverse calls of this thread go: to its session or, if that has no listener,
        to the one that has registered for such (spec 7.8).  StatusError."""
        session, default = self._session(), self._default
        if default is not None and (session is None or not session.reverse_calls.is_announced):
            return default.reverse_calls
        return self.own_reverse_calls

    def announce_listener(self, complete: bool) -> None:
        """The client of this call is going to listen."""
        self.own_reverse_calls.announce(complete)
        session = self._session()
        if session is not None:
            session.host_log.send()

    def thread_left(self) -> None:
        """The client's thread that makes this call ends."""
        self.own_reverse_calls.thread_left(self.thread)

    def register_listener(self) -> None:
        """This call's session serves the reverse calls of those that have no listener."""
        self._default = self._session()

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
            session.host_log.flush(_LAST_WORDS)
            self._stop(session)

    def fault(self, status: int) -> None:
        """End as by a fault, once the call that asks for it has its answer, `status`.

        In the root protection domain, which others use as well, only the asking client leaves.
        """
        if self.kind is ProtectionDomain.USER:
            self._local.pending.answer(as_signed(status))
            self._die()
        self.leave(self.client_id)

    def _stop(self, session: Session) -> None:
        """The client makes no more calls: what waits for its threads ends (spec 6.6)."""
        session.left = True
        if self._default is session:
            self._default = None
        session.reverse_calls.end()

    def release(self, client_id: int) -> None:
        """Destroy what belongs to a client; nothing if it is unknown (spec 3.4)."""
        session = self._sessions.get(client_id)
        if session is None or self.client_id not in (0, client_id):
            return
        self._stop(session)
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
            try:
                frame = Frame.unpack(message)
                control, *endpoints = self._adopt_all(descriptors)
            except (ValueError, OSError) as error:  # nobody is there whom it could be told
                self.log.error("a session could not begin: %s", error)
                continue
            session = Session(frame.client_id, control)
            self._sessions[frame.client_id] = session
            _start(self._serve_control, session)
            for endpoint in endpoints:
                _start(self._serve_calls, session, endpoint)

    def _adopt_all(self, descriptors: list[int]) -> list[Endpoint]:
        """Endpoints of all descriptors, or of none.  OSError."""
        found: list[Endpoint] = []
        try:
            while descriptors:
                found.append(self._adopt(descriptors.pop()))
        except OSError:
            for endpoint in found:
                self._endpoints.discard(endpoint)
                endpoint.close()
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        return found[::-1]

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

        def handle(frame: Frame, descriptors: list[int]) -> None:
            self._frame(session, frame, descriptors)

        while True:
            try:
                serve_frame(control, handle)
            except PeerGone:
                break
        control.close()
        self._stop(session)
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

    def _break_off(self) -> None:
        """Where the process is threads, which cannot be ended: nobody gets an answer any more."""
        for endpoint in list(self._endpoints):
            endpoint.shutdown()

    def disown(self) -> None:
        """In a child that a skeleton has forked: close the endpoints."""
        for endpoint in self._endpoints:
            endpoint.close()

    def _frame(self, session: Session, frame: Frame, descriptors: list[int]) -> None:
        if frame.operation is Operation.ENDPOINT:
            _start(self._serve_calls, session, self._adopt(descriptors.pop()))
        elif frame.operation is Operation.ANNOUNCE:
            self.space.announce(session.client_id, frame.address, frame.size, descriptors.pop())
        elif frame.operation is Operation.WITHDRAW:
            self.space.withdraw(session.client_id, frame.address)
        else:
            raise OSError(errno.EINVAL, f"a session cannot {frame}")

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
        if len(message) != _message.size:
            raise StatusError(BAD_PARAMETER, f"a message of {len(message)} bytes")
        client_id, self._local.thread, _, handle, word, address, size = _message.unpack(message)
        if client_id != (0 if handle == Fixed.INIT else session.client_id):
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


_OUR_FRAMES = (__package__, "qda.idl.python", "qda.idl.wire")


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
        self._process.write_log(record, self.format(record))
