"""A process on the DSP: a protection domain with its memory, its modules, and the sessions on it.

A process that a client has created has one session.  The root protection domain has one for each
attached client and one for the driver, and a static process one for each client that has named it.
"""

from __future__ import annotations

import logging
import operator
import threading

from qda import limits
from qda.core import Arguments
from qda.dsp.black_box import KeptLog
from qda.dsp.builtin import BuiltInLoader
from qda.dsp.call import arguments_of
from qda.dsp.files import FileLoader
from qda.dsp.folders import FolderLoader
from qda.dsp.host import Environment, Host
from qda.dsp.memory import AddressSpace
from qda.dsp.modules import Modules, SkeletonLoader
from qda.dsp.queues import QueueLoader, Queues
from qda.dsp.reverse_calls import ReverseCalls
from qda.dsp.reverse_services import DefaultListener, ListenerModule, Messages, Performance
from qda.dsp.services import (
    CurrentProcess,
    LoaderModule,
    ProcessControl,
    RemoteControl,
    Utilities,
)
from qda.dsp.session import ClientFault, LifeEvent, Served, Session, SessionLog
from qda.dsp.tracebacks import told
from qda.errors import (
    BAD_STATE,
    NO_LISTENER,
    NO_SUCH_CLIENT,
    SKELETON_RAISED,
    StatusError,
    as_signed,
)
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.listener import LISTENER, LISTENER1
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import Module
from qda.rpmsg import Endpoint

__all__ = ["Process"]


class Running(threading.local):
    """What runs in a thread: nothing in those of a skeleton's own."""

    def __init__(self) -> None:
        self.served = Served()


class Process:
    """One protection domain.

    Skeletons see it as `DspServices`, the modules that come with it as `Domain`.  `capabilities`
    are those of the DSP, `window` is how many bytes of addresses it has; in `handed_over` clients
    of the same process leave classes.  OSError ENOMEM if there are no such addresses.
    """

    def __init__(
        self,
        kind: ProtectionDomain,
        domain: str,
        capabilities: dict[int, int],
        window: int = limits.WINDOW,
        handed_over: dict[str, type] | None = None,
    ) -> None:
        self.kind = kind
        self.name = b"" if kind is ProtectionDomain.USER else b"root"
        """Of a process that is there for all clients; empty if it belongs to one."""
        self.kept_log: KeptLog | None = None  # of the session that the process belongs to
        self.handed_over = {} if handed_over is None else handed_over
        self.space = AddressSpace(window)
        self.running = Running()
        # Not one of the process's loggers: several protection domains may be in one process.
        self.log = logging.Logger(f"qda.dsp.{domain}")
        self.log.addHandler(SessionLog(lambda: (self._any_session(), self.running.served.log)))
        self.host = Host(lambda: self.reverse_calls)
        self.environment = Environment(self.host)
        self.skeletons = SkeletonLoader(self)
        self.queues = Queues(self, lambda: self._client)
        self.queue = self.queues.open
        self.modules = Modules(
            self.space.bus,
            self.skeletons,
            [
                BuiltInLoader(self._by_name()),
                QueueLoader(self, self.queues),
                FolderLoader(self, lambda: self.reverse_calls),
                FileLoader(self, lambda: self.reverse_calls),
            ],
        )
        for handle, module in self._by_handle(capabilities).items():
            self.modules.fix(handle, module)
        self._sessions: dict[int, Session] = {}
        self._default: Session | None = None
        self._ending = False

    def _by_handle(self, capabilities: dict[int, int]) -> dict[Fixed, Module]:
        return {
            Fixed.REMOTECTL: RemoteControl(self, REMOTECTL),
            Fixed.INIT: ProcessControl(self),
            Fixed.UTILITIES: Utilities(self, capabilities),
            Fixed.ADSP_LISTENER: ListenerModule(self, LISTENER),
            Fixed.CURRENT_PROCESS1: CurrentProcess(self),
            Fixed.ADSPMSGD1: Messages(self),
            Fixed.ADSP_PERF: Performance(self),
            Fixed.ADSP_LISTENER1: ListenerModule(self, LISTENER1),
            Fixed.REMOTECTL1: RemoteControl(self, REMOTECTL1),
            Fixed.ADSP_PERF1: Performance(self),
        }

    def _by_name(self) -> dict[str, Module]:
        return {
            "adsp_current_process": CurrentProcess(self, first=-2),
            "adsp_default_listener": DefaultListener(self),
            "adsp_default_listener1": DefaultListener(self, first=2),
            "qda_loader": LoaderModule(self),
        }

    # The call that runs in this thread.

    @property
    def session(self) -> Session:
        """The session of this thread's call.  StatusError outside of one."""
        found = self.running.served.session
        if found is None:
            raise StatusError(NO_LISTENER, "outside of a call there is no client")
        return found

    @property
    def served(self) -> Served:
        """What this thread serves."""
        return self.running.served

    @property
    def client_id(self) -> int:
        """The session of the call that runs in this thread, 0 outside of one."""
        found = self.running.served.session
        return 0 if found is None else found.client_id

    def memory(self, address: int, length: int) -> memoryview:
        """The bytes at a DSP address that MAP has returned."""
        return self.space.view(self._client, address, length)

    def memory_of_fd(self, fd: int) -> memoryview:
        """The mapping that was made under a name."""
        return self.space.view_of_fd(self._client, fd)

    @property
    def _client(self) -> int | None:
        """Whose memory this thread sees: in a call its client's, in any other thread all there is,
        as the process has one address space."""
        found = self.running.served.session
        return None if found is None else found.client_id

    @property
    def reverse_calls(self) -> ReverseCalls:
        """Where the reverse calls of this thread go: to its session or, if that has no listener,
        to the one that has registered for such (spec 7.8).  StatusError."""
        session, default = self._any_session(), self._default
        if default is not None and (session is None or not session.reverse_calls.is_announced):
            return default.reverse_calls
        if session is None:
            raise StatusError(NO_LISTENER, "outside of a call there is no host to call")
        return session.reverse_calls

    def register_listener(self) -> None:
        """This call's session serves the reverse calls of those that have no listener."""
        self._default = self.session

    def _undefault(self, session: Session) -> None:
        if self._default is session:
            self._default = None

    def _any_session(self) -> Session | None:
        """The session of this thread's call; in a thread of a skeleton's own, the only one."""
        session = self.running.served.session
        if session is None and not self.name:
            session = next(iter(self._sessions.values()), None)
        return session

    # Life of sessions.

    def open(self, client_id: int, control: Endpoint) -> Session:
        """A session begins; its control endpoint is `control`."""
        kept = None if self.name else self.kept_log
        session = self._sessions[client_id] = Session(client_id, control, kept)
        return session

    def start(self, event: LifeEvent) -> None:
        """The session of this call is created, or attaches.  StatusError if it has been, or if
        this is no process for that."""
        if bool(self.name) is not (event is LifeEvent.ATTACH):
            process = "one's own" if event is LifeEvent.ATTACH else "for all"
            raise StatusError(BAD_STATE, f"a process that is {process} is not for {event.name}")
        self.session.step(event)

    def leave(self) -> None:
        """The client of this call has called exit: its later calls fail (spec 6.6)."""
        self.session.flush_log()
        self._undefault(self.session)
        self.session.stop(LifeEvent.EXIT)

    def release(self, client_id: int) -> None:
        """Destroy what belongs to a client; nothing if it is unknown (spec 3.4)."""
        session = self._sessions.get(client_id)
        if session is None or self.client_id not in (0, client_id):
            return
        self._undefault(session)
        session.stop(LifeEvent.RELEASE)
        session.answer_all(but=self.running.served.lane)
        if not self.name:  # the process is destroyed after this
            self._close_modules(client_id)

    def go(self, session: Session) -> None:
        """The control endpoint of a session has ended."""
        self._undefault(session)
        if session.go():
            self.forget(session)

    def forget(self, session: Session) -> None:
        """Give back what a session had here that has gone, and none of whose methods runs."""
        try:
            self._close_modules(session.client_id)
        finally:
            self.space.forget(session.client_id)
            if self._sessions.get(session.client_id) is session:
                del self._sessions[session.client_id]
            if self._ending and not self._sessions:
                self.space.close()

    def end(self) -> None:
        """End all sessions; the memory goes with the last of them."""
        self._ending = True
        for session in list(self._sessions.values()):
            session.control.shutdown()
        if not self._sessions:
            self.space.close()

    def _close_modules(self, client_id: int) -> None:
        for failure in self.modules.close_all(client_id):
            self.log.error("a module failed to close", exc_info=failure)

    # One call.

    def run(self, session: Session, handle: int, word: int, found: Arguments) -> int:
        """Run a call of a session; returns its result, signed.  `found` is what the core has found
        of its arguments.  ClientFault."""
        try:
            if found == NO_SUCH_CLIENT:
                raise StatusError(NO_SUCH_CLIENT, "the message is not of a client of this session")
            if not session.answers(handle):
                words = f"the session answers no calls: {session.state.value}"
                raise StatusError(BAD_STATE, words)
            is_plain = not word & _HANDLES  # then what was found are views, as methods get them
            arguments = found if is_plain and isinstance(found, list) else arguments_of(found)
            module = self.modules.find(handle, session.client_id)
            result = module.invoke(_decode(word), arguments)
            return as_signed(operator.index(result)) if result else 0
        except ClientFault:
            raise
        except StatusError as error:
            self.log.info("%s", error)
            return as_signed(error.status)
        except BaseException as error:  # a skeleton may raise anything, SystemExit too
            self.log.error("%s", told(error))
            return as_signed(SKELETON_RAISED)


_decode = Scalars.decode
_HANDLES = Scalars(in_handles=limits.HANDLES, out_handles=limits.HANDLES).word
