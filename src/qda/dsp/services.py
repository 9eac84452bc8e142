"""The modules that every protection domain has at fixed handles (spec/fastrpc.md 1.3).

0, 8   module manager      remotectl, remotectl1
1      process control     sessions and mappings, for the driver only
2      utilities           capabilities
4      current process     exit and a few settings

Those by which a host listens are in `qda.dsp.reverse_services`.
"""

from __future__ import annotations

import os
import pickle
import struct
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from qda import limits
from qda.dsp.builtin import BuiltIn, Domain, handles, put, put_text, read
from qda.dsp.session import ClientFault, LifeEvent
from qda.dsp.sources import Sources, keep_lines
from qda.dsp.tracebacks import told
from qda.dsp.unread_log import Line
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    NO_SUCH_CLIENT,
    NO_SUCH_MODULE,
    SKELETON_RAISED,
    UNABLE_TO_LOAD,
    StatusError,
    as_signed,
    plain,
)
from qda.fastrpc import control
from qda.fastrpc.control import Method, ProcessMethod, Utility
from qda.fastrpc.loader import (
    HAND_OVER,
    INSTALL,
    READ_LOG,
    READ_OWN_LOG,
    READ_SETTLED_LOG,
    AnotherPython,
)
from qda.fastrpc.mapping import MapFlag
from qda.fastrpc.payload import PhysicalPage
from qda.fastrpc.remotectl import REMOTECTL, Manager, Server, text
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import AnySkeleton
from qda.memory import BusAddress

__all__ = [
    "CurrentProcess",
    "LoaderModule",
    "ProcessControl",
    "RemoteControl",
    "Utilities",
]


C = TypeVar("C", bound=control.ClientRequest)


class RemoteControl(BuiltIn, name="remotectl"):
    """The module manager: opens modules by URI and closes them, at one of its two handles.

    The call itself succeeds when the manager works; whether the module could be opened stands in
    the answer.  At handle 0 that error is a small plain number, because clients there use it as an
    index (clients.md 13.9); at handle 8 it is a full status.
    """

    def __init__(self, domain: Domain, manager: Manager) -> None:
        super().__init__(domain, first=manager.open.method)
        self._plain = manager is REMOTECTL
        self._server = Server(manager, self._open, self._close, self._refusal)

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one of the manager's methods, found by its complete scalars."""
        try:
            served = self._server.serve(scalars, arguments)
        except ValueError as error:
            raise StatusError(BAD_PARAMETER, str(error)) from error
        return 0 if served else super().invoke(scalars, arguments)

    @handles(REMOTECTL.grow_heap, REMOTECTL.set_param)
    def accept(self, *_: memoryview) -> None:
        """Do nothing: there is no heap to grow, and no parameter that matters here."""

    def _open(self, uri: str) -> int:
        return self._domain.modules.open(self._domain.session.client_id, uri)

    def _close(self, handle: int) -> None:
        self._domain.modules.close(self._domain.session.client_id, handle)

    def _refusal(self, error: BaseException, room: int) -> tuple[int, str]:
        if isinstance(error, StatusError):
            status, words = error.status, error.text
        elif isinstance(error, Exception):
            self._domain.log.error("a module failed to open or close\n%s", told(error))
            words = "".join(traceback.format_exception_only(error)).rstrip()
            status = SKELETON_RAISED
        else:
            raise error
        if self._domain.served.log is not None:
            self._domain.served.log.refuse()
        # The C library's 255 bytes are too few for the places that were searched (U9), and it
        # prints none of them; it does print the log.
        if room <= max(len(words.encode()), limits.C_ERROR_TEXT):
            self._domain.log.warning("%s", words)
        return plain(UNABLE_TO_LOAD) if self._plain else status, words


class ProcessControl(BuiltIn, name="process control"):
    """Handle 1: what the driver asks of a process.  The driver vouches for the session that a
    request names; it is checked all the same."""

    def _client(self, record: type[C], buffer: memoryview) -> C:
        """A request of the session that it came over.  StatusError for anybody else's."""
        request = read(record, buffer)
        client_id = request.client_id
        if client_id != self._domain.session.client_id:
            raise StatusError(NO_SUCH_CLIENT, f"client {client_id} is not on this session")
        return request

    @handles(Scalars(Method.ATTACH, 1))
    def attach(self, header: memoryview) -> None:
        """Attach the session to the root protection domain."""
        self._client(control.AttachRequest, header)
        self._domain.start(LifeEvent.ATTACH)

    @handles(Scalars(Method.RELEASE, 1))
    def release(self, header: memoryview) -> None:
        """End a session, over its own or the driver's."""
        self._domain.release(read(control.AttachRequest, header).client_id)

    @handles(*(Scalars(one, ins) for one in (Method.CREATE, Method.CREATE_ATTR) for ins in (4, 6)))
    def create(
        self,
        header: memoryview,
        name: memoryview,
        image: memoryview,
        pages: memoryview,
        *_attributes: memoryview,
    ) -> None:
        """Make the process for a session; what is in the image is the driver's concern."""
        request = self._client(control.CreateRequest, header)
        memory = read(PhysicalPage, pages)
        if request.file_length != len(image) or request.name_length != len(name):
            raise StatusError(BAD_PARAMETER, "lengths in the request are not those of its buffers")
        self._domain.space.resolve(memory.address, memory.size)
        self._domain.start(LifeEvent.CREATE)

    @handles(Scalars(Method.CREATE_STATIC, 3))
    def create_static(self, header: memoryview, name: memoryview, pages: memoryview) -> None:
        """A session with a process of the DSP's own image, which the processor has found or made by
        its name: ours are empty at first, as other processes are, and what a client leaves there
        others find (R21).  The heap that comes with a session is the process's from then on."""
        request = self._client(control.StaticRequest, header)
        heap = read(PhysicalPage, pages)
        if request.name_length != len(name) or not text(name):
            raise StatusError(BAD_PARAMETER, "the process has no name")
        if bytes(name).partition(b"\0")[0] != self._domain.name:
            raise StatusError(BAD_STATE, f"this process is {self._domain.name!r}")
        if request.pages:
            self._domain.space.keep(heap.address, heap.size)
        self._domain.start(LifeEvent.ATTACH)

    @handles(Scalars(Method.MMAP, 2, 1))
    def map(self, header: memoryview, pages: memoryview, answer: memoryview) -> None:
        """Map a page."""
        request = self._client(control.MapRequest, header)
        page = read(PhysicalPage, pages)
        if not page.size:
            raise StatusError(BAD_STATE, "the DSP has not asked for memory")
        address = self._domain.space.map(
            request.client_id, BusAddress(page.address), page.size, 0, request.address, -1
        )
        put(answer, control.MapResponse(address=address).pack())

    @handles(Scalars(Method.MEM_MAP, 3, 1))
    def mem_map(
        self, header: memoryview, pages: memoryview, _empty: memoryview, answer: memoryview
    ) -> None:
        """Map a page under a name, from an offset."""
        request = self._client(control.MemMapRequest, header)
        page = read(PhysicalPage, pages)
        if request.flags not in set(MapFlag):
            raise StatusError(BAD_PARAMETER, f"map flags {request.flags:#x} mean nothing")
        address = self._domain.space.map(
            request.client_id,
            BusAddress(page.address),
            page.size,
            request.offset & 0xFFFFFFFF,
            request.address,
            request.fd,
        )
        put(answer, control.MapResponse(address=address).pack())

    @handles(Scalars(Method.MUNMAP, 1))
    def unmap(self, header: memoryview) -> None:
        """Undo MMAP."""
        request = self._client(control.UnmapRequest, header)
        self._domain.space.unmap(request.client_id, request.address)

    @handles(Scalars(Method.MEM_UNMAP, 1))
    def mem_unmap(self, header: memoryview) -> None:
        """Undo MEM_MAP."""
        request = self._client(control.MemUnmapRequest, header)
        self._domain.queues.unmapped(request.client_id, request.fd)
        self._domain.space.unmap_fd(request.client_id, request.fd, request.address)


class Utilities(BuiltIn, name="utilities"):
    """Handle 2: capabilities.  Word k of the answer is attribute k + 1; attribute 0 is the host's
    (spec 3.5)."""

    def __init__(self, domain: Domain, capabilities: dict[int, int]) -> None:
        super().__init__(domain)
        self._capabilities = capabilities

    @handles(Scalars(Utility.CAPABILITIES, 1, 1))
    def capabilities(self, _length: memoryview, values: memoryview) -> None:
        """Fill the array with the values of attributes 1, 2, ...  StatusError if the DSP is one
        that
        tells none."""
        refusal = self._capabilities.get(control.REFUSED_CAPABILITIES, 0)
        if refusal:
            raise StatusError(refusal & 0xFFFFFFFF, "this DSP does not tell its capabilities")
        count = min(len(values) // 4, limits.CAPABILITIES)
        words = [self._capabilities.get(attribute, 0) for attribute in range(1, count + 1)]
        put(values, struct.pack(f"<{count}I", *words))


class CurrentProcess(BuiltIn, name="current process"):
    """Handle 4: the process on itself (spec 6.7).  For clients that open it by name, methods are
    numbered from 0."""

    @handles(Scalars(ProcessMethod.EXIT))
    def exit(self) -> None:
        """End the client's work: its later calls fail with BAD_STATE."""
        self._domain.leave()

    @handles(Scalars(ProcessMethod.THREAD_EXIT))
    def thread_exit(self) -> None:
        """A thread of the client has ended: it answers no reverse call any more."""
        self._domain.session.reverse_calls.thread_left(self._domain.served.thread)

    @handles(Scalars(ProcessMethod.ADDRESS_SPACE, 0, 1))
    def address_space(self, identifier: memoryview) -> None:
        """The number of the address space: the process id."""
        put(identifier, struct.pack("<I", os.getpid()))

    @handles(Scalars(ProcessMethod.QUALITY_OF_SERVICE, 1))
    def set_quality_of_service(self, latency: memoryview) -> None:
        """Accepted; there is no clock to raise."""

    @handles(Scalars(ProcessMethod.EXCEPTION))
    def exception(self) -> None:
        """End the client's work as a fault in its process would; the caller expects BAD_STATE."""
        raise ClientFault(BAD_STATE, "the client has asked for an exception")

    @handles(Scalars(ProcessMethod.POLL_MODE, 1))
    def set_poll_mode(self, request: memoryview) -> None:
        """Accepted; an answer is in its lane before anybody is woken, and found by who looks."""


class LoaderModule(BuiltIn, name="qda_loader"):
    """Installs skeleton classes that a client sends, and hands out the client's log."""

    def __init__(self, domain: Domain) -> None:
        super().__init__(domain)
        self._sources = Sources()

    @handles(Scalars(INSTALL, 2, 1))
    def install(self, pickled: memoryview, name: memoryview, message: memoryview) -> int:
        """Install a pickled class.  NO_SUCH_MODULE if it is pickled by reference to a module that
        cannot be imported here; the sender may then pickle it by value.  BAD_PARAMETER for one with
        code of another Python."""
        try:
            skeleton, texts = pickle.loads(pickled)
        except (ImportError, AttributeError) as error:
            put_text(message, str(error))
            return as_signed(NO_SUCH_MODULE)
        except AnotherPython as error:
            put_text(message, str(error))
            return as_signed(BAD_PARAMETER)
        keep_lines(texts)
        status = self._install(skeleton, name, message)
        changed = self._sources.changed()
        if changed and not status:
            have = "has" if len(changed) == 1 else "have"
            put_text(
                message,
                f"{', '.join(changed)} {have} changed since this session's DSP imported it, and "
                "the old code runs there: open a new session for the new code",
            )
        return status

    @handles(Scalars(HAND_OVER, 2, 1))
    def hand_over(self, key: memoryview, name: memoryview, message: memoryview) -> int:
        """Install a class of this process: the class itself, for debugging."""
        return self._install(self._domain.handed_over.get(text(key)), name, message)

    def _install(self, skeleton: Any, name: memoryview, message: memoryview) -> int:
        if not (isinstance(skeleton, type) and issubclass(skeleton, AnySkeleton)):
            put_text(message, f"{skeleton!r} is not a skeleton class")
            return as_signed(BAD_PARAMETER)
        self._domain.skeletons.install(skeleton, text(name) or skeleton.name)
        return 0

    @handles(Scalars(READ_LOG, 0, 2))
    def read_log(self, length: memoryview, lines: memoryview) -> None:
        """Take lines from the client's log, as many as fit."""
        self._read_log(length, lines, Line.is_anyones)

    @handles(Scalars(READ_OWN_LOG, 0, 2))
    def read_own_log(self, length: memoryview, lines: memoryview) -> None:
        """Take the lines of the client's call that has failed, as many as fit."""
        thread = self._domain.served.thread
        self._read_log(length, lines, lambda line: line.is_of_error(thread))

    @handles(Scalars(READ_SETTLED_LOG, 0, 2))
    def read_settled_log(self, length: memoryview, lines: memoryview) -> None:
        """Take the lines that are for no error, as many as fit."""
        self._read_log(length, lines, Line.is_settled)

    def _read_log(
        self, length: memoryview, lines: memoryview, wanted: Callable[[Line], bool]
    ) -> None:
        data = self._domain.session.take_log(len(lines), wanted)
        put(length, struct.pack("<I", len(data)))
        put(lines, data)
