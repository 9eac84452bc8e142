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
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from qda.dsp.skeleton import Skeleton, method
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    NO_SUCH_CLIENT,
    NO_SUCH_MODULE,
    SKELETON_RAISED,
    UNABLE_TO_LOAD,
    UNSUPPORTED,
    StatusError,
    as_signed,
    plain,
)
from qda.fastrpc import control
from qda.fastrpc.control import Method
from qda.fastrpc.loader import HAND_OVER, INSTALL, READ_LOG
from qda.fastrpc.mapping import MapFlag
from qda.fastrpc.payload import PhysicalPage
from qda.fastrpc.remotectl import (
    REMOTECTL,
    TEXT_CAPACITY,
    CloseAnswer,
    CloseRequest,
    Manager,
    OpenAnswer,
    OpenRequest,
    text,
)
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import AnySkeleton
from qda.layout import Record
from qda.memory import BusAddress

if TYPE_CHECKING:
    from qda.dsp.process import Process

__all__ = [
    "CurrentProcess",
    "CurrentProcessByName",
    "LoaderModule",
    "ProcessControl",
    "RemoteControl",
    "Utilities",
]


R = TypeVar("R", bound=Record)
C = TypeVar("C", bound=control.ClientRequest)


def _read(record: type[R], buffer: memoryview) -> R:
    """A record from the start of a buffer.  StatusError if it is too short."""
    if len(buffer) < record.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(buffer)} bytes are no {record.spelling}")
    return record.unpack(buffer)


def _put(buffer: memoryview, data: bytes) -> None:
    """Write data to the start of an out-buffer, as much as fits."""
    size = min(len(buffer), len(data))
    buffer[:size] = data[:size]


def _put_text(buffer: memoryview, words: str) -> None:
    """Write a text with its NUL, cut to the room there is."""
    if len(buffer):
        _put(buffer, words.encode("utf-8", "replace")[: len(buffer) - 1] + b"\0")


class RemoteControl:
    """The module manager: opens modules by URI and closes them, at one of its two handles.

    The call itself succeeds when the manager works; whether the module could be opened stands in
    the answer.  At handle 0 that error is a small plain number, because clients there use it as an
    index (clients.md 13.9); at handle 8 it is a full status.
    """

    def __init__(self, process: Process, manager: Manager) -> None:
        self._process = process
        self._manager = manager

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one of the manager's methods, found by its complete scalars."""
        if scalars == self._manager.open:
            self._open(*arguments)
        elif scalars == self._manager.close:
            self._close(*arguments)
        elif scalars not in (self._manager.grow_heap, self._manager.set_param):
            raise StatusError(UNSUPPORTED, f"remotectl has no {scalars}")
        return 0

    def _open(
        self, request: memoryview, name: memoryview, answer: memoryview, message: memoryview
    ) -> None:
        size = _read(OpenRequest, request).name_length
        if not 0 < size <= len(name) or name[size - 1] != 0:
            raise StatusError(BAD_PARAMETER, "the name has no end mark")
        handle = 0

        def run() -> None:
            nonlocal handle
            handle = self._process.modules.open(self._process.client_id, text(name[:size]))

        error = self._attempt(run, message)
        _put(answer, OpenAnswer(handle=handle, error=error).pack())

    def _close(self, request: memoryview, answer: memoryview, message: memoryview) -> None:
        handle = _read(CloseRequest, request).handle
        error = self._attempt(
            lambda: self._process.modules.close(self._process.client_id, handle), message
        )
        _put(answer, CloseAnswer(error=error).pack())

    def _attempt(self, action: Callable[[], None], message: memoryview) -> int:
        try:
            action()
        except StatusError as error:
            status, words = error.status, error.text
        except Exception as error:
            self._process.log.error("a module failed to open or close", exc_info=True)
            status, words = SKELETON_RAISED, "".join(traceback.format_exception_only(error))
        else:
            return 0
        _put_text(message, words)
        # The C library's 255 bytes are too few for the places that were searched (U9), and it
        # prints none of them; it does print the log.
        if len(message) <= max(len(words.encode()), TEXT_CAPACITY):
            self._process.log.warning("%s", words)
        if self._manager is REMOTECTL:
            status = plain(UNABLE_TO_LOAD)
        return as_signed(status)


class ProcessControl:
    """Handle 1: what the driver asks of a process.  The driver vouches for the session that a
    request names; it is checked all the same."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run a control method."""
        buffers: Sequence[memoryview] = arguments
        if scalars.method in (Method.CREATE, Method.CREATE_ATTR) and len(buffers) in (4, 6):
            self._create(*buffers[:4])
        elif scalars == control.create_static(0, b"", None).scalars:
            self._create_static(*buffers)
        elif scalars == control.attach(0).scalars:
            self._client(control.AttachRequest, buffers[0])
            self._process.attach()
        elif scalars == control.release(0).scalars:
            request = _read(control.AttachRequest, buffers[0])
            self._process.release(request.client_id)
        elif scalars == Scalars(Method.MMAP, 2, 1):
            self._map(*buffers)
        elif scalars == Scalars(Method.MEM_MAP, 3, 1):
            self._mem_map(*buffers)
        elif scalars == Scalars(Method.MUNMAP, 1, 0):
            unmap = self._client(control.UnmapRequest, buffers[0])
            self._process.space.unmap(unmap.client_id, unmap.address)
        elif scalars == Scalars(Method.MEM_UNMAP, 1, 0):
            named = self._client(control.MemUnmapRequest, buffers[0])
            self._process.space.unmap_fd(named.client_id, named.fd, named.address)
        else:
            raise StatusError(UNSUPPORTED, f"process control has no {scalars}")
        return 0

    def _client(self, record: type[C], buffer: memoryview) -> C:
        """A request of the session that it came over.  StatusError for anybody else's."""
        request = _read(record, buffer)
        client_id = request.client_id
        if client_id != self._process.client_id:
            raise StatusError(NO_SUCH_CLIENT, f"client {client_id} is not on this session")
        return request

    def _create(
        self, header: memoryview, name: memoryview, image: memoryview, pages: memoryview
    ) -> None:
        request = self._client(control.CreateRequest, header)
        memory = _read(PhysicalPage, pages)
        if request.file_length != len(image) or request.name_length != len(name):
            raise StatusError(BAD_PARAMETER, "lengths in the request are not those of its buffers")
        self._process.space.resolve(memory.address, memory.size)
        self._process.create()

    def _create_static(self, header: memoryview, name: memoryview, pages: memoryview) -> None:
        """A process of the DSP's own image, whatever its name: ours are empty at first, as other
        processes are (R21)."""
        request = self._client(control.StaticRequest, header)
        heap = _read(PhysicalPage, pages)
        if request.name_length != len(name) or not text(name):
            raise StatusError(BAD_PARAMETER, "the process has no name")
        if request.pages:
            self._process.space.resolve(heap.address, heap.size)
        self._process.create()

    def _map(self, header: memoryview, pages: memoryview, answer: memoryview) -> None:
        request = self._client(control.MapRequest, header)
        page = _read(PhysicalPage, pages)
        if not page.size:
            raise StatusError(BAD_STATE, "the DSP has not asked for memory")
        address = self._process.space.map(
            request.client_id, BusAddress(page.address), page.size, 0, request.address, -1
        )
        _put(answer, control.MapResponse(address=address).pack())

    def _mem_map(
        self, header: memoryview, pages: memoryview, _empty: memoryview, answer: memoryview
    ) -> None:
        request = self._client(control.MemMapRequest, header)
        page = _read(PhysicalPage, pages)
        if request.flags not in set(MapFlag):
            raise StatusError(BAD_PARAMETER, f"map flags {request.flags:#x} mean nothing")
        address = self._process.space.map(
            request.client_id,
            BusAddress(page.address),
            page.size,
            request.offset & 0xFFFFFFFF,
            request.address,
            request.fd,
        )
        _put(answer, control.MapResponse(address=address).pack())


class Utilities(Skeleton):
    """Handle 2: capabilities.  Word k of the answer is attribute k + 1; attribute 0 is the host's
    (spec 3.5)."""

    def __init__(self, capabilities: dict[int, int]) -> None:
        self._capabilities = capabilities

    @method(0)
    def capabilities(self, length: memoryview, values: memoryview) -> None:
        """Fill the array with the values of attributes 1, 2, ..."""
        count = min(len(values) // 4, 255)
        words = [self._capabilities.get(attribute, 0) for attribute in range(1, count + 1)]
        _put(values, struct.pack(f"<{count}I", *words))


class CurrentProcess(Skeleton):
    """Handle 4: the process on itself (spec 6.7)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @method(2)
    def exit(self) -> None:
        """End the client's work: its later calls fail with BAD_STATE."""
        self._process.leave(self._process.client_id)

    @method(3)
    def thread_exit(self) -> None:
        """A thread of the client has ended: it answers no reverse call any more."""
        self._process.thread_left()

    @method(5)
    def address_space(self, identifier: memoryview) -> None:
        """The number of the address space: the process id."""
        _put(identifier, struct.pack("<I", os.getpid()))

    @method(6)
    def set_quality_of_service(self, latency: memoryview) -> None:
        """Accepted; there is no clock to raise."""

    @method(7)
    def exception(self) -> None:
        """End the client's work as a fault in its process would; the caller expects BAD_STATE."""
        self._process.fault(BAD_STATE)
        raise StatusError(BAD_STATE, "the client has asked for an exception")


class CurrentProcessByName(Skeleton, name="adsp_current_process"):
    """The same, for clients that open it by name; methods are numbered from 0 there."""

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run the method of handle 4 that is two higher."""
        if scalars.method > 7:
            raise StatusError(UNSUPPORTED, f"{self.name} has no method {scalars.method}")
        process: Any = self.dsp
        return CurrentProcess(process).invoke(
            scalars._replace(method=scalars.method + 2), arguments
        )


class LoaderModule(Skeleton, name="qda_loader"):
    """Installs skeleton classes that a client sends, and hands out the client's log."""

    @property
    def _process(self) -> Process:
        process: Any = self.dsp
        return process  # type: ignore[no-any-return]

    @method(INSTALL)
    def install(self, pickled: memoryview, name: memoryview, message: memoryview) -> int:
        """Install a pickled class.  NO_SUCH_MODULE if it is pickled by reference to a module that
        cannot be imported here; the sender may then pickle it by value."""
        try:
            skeleton = pickle.loads(pickled)
        except (ImportError, AttributeError) as error:
            _put_text(message, str(error))
            return as_signed(NO_SUCH_MODULE)
        return self._install(skeleton, name, message)

    @method(HAND_OVER)
    def hand_over(self, key: memoryview, name: memoryview, message: memoryview) -> int:
        """Install a class of this process: the class itself, for debugging."""
        return self._install(self._process.handed_over.get(text(key)), name, message)

    def _install(self, skeleton: Any, name: memoryview, message: memoryview) -> int:
        if not (isinstance(skeleton, type) and issubclass(skeleton, AnySkeleton)):
            _put_text(message, f"{skeleton!r} is not a skeleton class")
            return as_signed(BAD_PARAMETER)
        self._process.skeletons.install(skeleton, text(name) or skeleton.name)
        return 0

    @method(READ_LOG)
    def read_log(self, length: memoryview, lines: memoryview) -> None:
        """Take lines from the client's log, as many as fit."""
        data = self._process.take_log(len(lines))
        _put(length, struct.pack("<I", len(data)))
        _put(lines, data)
