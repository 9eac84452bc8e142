"""The host's side of a session: its modules, and the threads that run their calls."""

from __future__ import annotations

import errno
import logging
import threading
from weakref import ref

from qda.client.host.apps_mem import AppsMem
from qda.client.host.apps_std import AppsStd
from qda.client.host.listener import Invoke, ListenerThreads, Modules
from qda.client.host.log import AdspMessages
from qda.client.host.modules import HostModules, Opened
from qda.client.memory import SessionMemory
from qda.errors import DspError, UsageTypeError, quoted
from qda.fastrpc.control import ProcessMethod
from qda.fastrpc.handles import Fixed
from qda.fastrpc.hostfiles import FILES_MODULE
from qda.fastrpc.hostlog import LOG_MODULE
from qda.fastrpc.skeleton import AnySkeleton, check_class
from qda.interrupts import deadline
from qda.pending import beside

__all__ = ["HostService", "system_skeleton"]

_MEMORY_MODULE = "apps_mem"


class HostService:
    """What a session does for its DSP.  Thread-safe; one for each session.

    `session` is what a skeleton of the program sees as its session.

    `start` begins, `close` ends it; both are idempotent.
    """

    def __init__(self, session: object, invoke: Invoke, memory: SessionMemory, domain: str) -> None:
        self._session, self._invoke, self._domain = ref(session), invoke, domain
        self._lock = threading.Lock()
        self._threads: ListenerThreads | None = None
        self._modules = HostModules()
        self._answers: Modules = self._modules
        self._memory = AppsMem(memory)
        self._files = AppsStd(domain, self._memory.share, self._memory.unshare)
        log = logging.getLogger(f"qda.dsp.{domain}")
        self._modules.provide(LOG_MODULE, lambda _: Opened(AdspMessages(log), _nothing))
        self._modules.provide(FILES_MODULE, lambda _: _system(FILES_MODULE, self._files))
        self._modules.provide(_MEMORY_MODULE, lambda _: _system(_MEMORY_MODULE, self._memory))

    @property
    def serves(self) -> bool:
        """Whether calls of the DSP are served."""
        return self._threads is not None

    def provide(self, skeleton: type[AnySkeleton] | AnySkeleton) -> None:
        """Make a skeleton available to the DSP: a class, of which each open gets an object of its
        own, or an object for all of them.  UsageTypeError."""
        kind = skeleton if isinstance(skeleton, type) else type(skeleton)
        if not issubclass(kind, AnySkeleton):
            raise UsageTypeError(f"{quoted(skeleton)} is no skeleton class, and no skeleton")
        if isinstance(skeleton, type):  # an object may have methods of its own
            check_class(skeleton, on_dsp=False)

        def open_one(uri: str) -> Opened:
            if "?" in uri:
                kind.check_open(uri)
            made = skeleton() if isinstance(skeleton, type) else skeleton
            made.session = self._session()
            made.open(uri)
            return Opened(made, made.close)

        self._modules.provide(kind.name, open_one)

    def answered_by(self, modules: Modules) -> None:
        """Have all calls of the DSP answered by somebody else; before `start`."""
        self._answers = modules

    def start(self) -> None:
        """Listen to the DSP from now on.  DspError if it does not call hosts; OSError."""
        with self._lock:
            if self._threads is not None:
                return
            threads = ListenerThreads(self._invoke, self._answers, self._domain)
            status = threads.start()
            if status:
                raise DspError("serve the host's side", self._domain, status)
            self._threads = threads

    def calling(self) -> None:
        """A call to the DSP begins in this thread, perhaps inside one of the DSP's."""
        if self._threads is not None:
            self._threads.calling()

    def _leave(self) -> bool:
        """Tell the DSP that this is the end; whether it sends home who waits for its calls.  It
        does not if it could not be told: no call may be left, no lane, no descriptor."""
        try:
            self._invoke(Fixed.CURRENT_PROCESS1, ProcessMethod.EXIT, (), ())
        except OSError as error:
            return error.errno == errno.ENODEV  # those of a DSP that is gone come by themselves
        return True

    def close(self) -> None:
        """Tell the DSP that this is the end, wait for the threads, and close what is open."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            # The DSP may never answer: its end comes when the node is closed.
            leave = beside(self._leave)
            if deadline().until(leave.wait) and leave.result():
                threads.stop()
        try:
            self._modules.close()
        finally:
            self._files.close_all()
            self._memory.close_all()


def _system(name: str, methods: AppsStd | AppsMem) -> Opened:
    return Opened(system_skeleton(name, methods), _nothing)


def _nothing() -> None:
    """A module of ours needs no close."""


def system_skeleton(name: str, methods: AppsStd | AppsMem) -> AnySkeleton:
    """A skeleton of a system interface, whose methods are those of an object."""
    from qda.idl.python.system import system_interface  # when a DSP asks for one

    made: AnySkeleton = system_interface(name).Skeleton()
    for one in vars(type(methods)):
        if not one.startswith("_") and hasattr(type(made), one):
            setattr(made, one, getattr(methods, one))
    return made
