"""Sessions: what a program holds of a DSP."""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pickle import PicklingError
from typing import Any, Self, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qda.client.buffer import Buffer, Mapping
from qda.client.device import DeviceFile
from qda.client.host import HostService
from qda.client.module import RemoteModule
from qda.client.pickling import by_reference_then_by_value, handed_over
from qda.client.plan import Bytes, HandleLike, Plan, make_plan
from qda.errors import (
    DSP_OFFSET,
    NO_SUCH_MODULE,
    CallTimeout,
    DeviceError,
    DspError,
    Refusal,
    UsageError,
    UsageTypeError,
    as_unsigned,
)
from qda.fastrpc.loader import HAND_OVER, INSTALL, LOADER_URI, READ_LOG
from qda.fastrpc.mapping import MapFlag, MapKind
from qda.fastrpc.remotectl import (
    REMOTECTL,
    REMOTECTL1,
    Answer,
    Manager,
    ManagerCall,
    text,
)
from qda.fastrpc.skeleton import AnySkeleton
from qda.fastrpc.uri import ModuleUri, skeleton_uri
from qda.idl import Interface, Remote
from qda.idl import Skeleton as InterfaceSkeleton
from qda.idl.python.runtime import remote_of

__all__ = ["RemoteModule", "Session"]

R = TypeVar("R", bound=Remote)

_LOG_ROOM = 32 << 10

_TEXT_ROOM = 4096
"""Room for an error text: it names all the places that were searched (U9)."""


class Session:
    """A session with a DSP: memory to share, modules to call.

    Made by `qda.open`.  Several threads may use one session at once.  `close`, or the end of a
    `with` block, ends it and everything that was made in it; what is left of buffers then is
    ordinary memory.
    """

    def __init__(self, file: DeviceFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._manager: Manager = REMOTECTL1
        self._loader: int | None = None
        self._log = logging.getLogger(f"qda.dsp.{file.domain}")
        self._installed: set[str] = set()
        self._host = HostService(self)
        self._closed = False

    @property
    def domain(self) -> str:
        """The name of the DSP, "cdsp"."""
        return self._file.domain

    @property
    def node(self) -> str:
        """The node that leads to it: a path, or "virtual cdsp"."""
        return self._file.node.name

    @property
    def dialect(self) -> str:
        """The dialect of the device interface, "rfc", "v1" or "legacy"."""
        return self._file.dialect.name

    # Memory.

    def alloc(self, size: int) -> Buffer:
        """Allocate a buffer of `size` bytes, at least 1, that the DSP can share.

        UsageError for a size that makes no sense, DeviceError when there is no memory.
        """
        if size <= 0:
            raise UsageError(f"size {size!r}: a number of bytes above 0")
        return self._file.allocate(size)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
        """Allocate an array on shared pages, zeros at first; it travels without a copy.

        The pages live as long as the array or a view of it.
        """
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise UsageTypeError(f"dtype {kind}: the DSP cannot see Python objects")
        count = int(np.prod(shape, dtype=np.int64))
        if count < 0:
            raise UsageError(f"shape {shape!r} has a negative length")
        if not count * kind.itemsize:
            return np.empty(shape, kind)
        buffer = self.alloc(count * kind.itemsize)
        return np.frombuffer(buffer, kind, count).reshape(shape)

    def import_fd(self, fd: int) -> Buffer:
        """Share a DMA-BUF, or a memfd that can no longer shrink.  The descriptor stays yours.

        DeviceError for a descriptor of anything else.
        """
        return self._file.import_fd(fd)

    def map(
        self,
        memory: Buffer | NDArray[Any],
        offset: int = 0,
        size: int | None = None,
        *,
        hint: int = 0,
        flags: int = MapFlag.FD,
        legacy: bool = False,
    ) -> Mapping:
        """Put a buffer, or the buffer that an array lies in, at an address of the DSP.

        `offset` and `size` are in bytes and stay within the buffer; the mapping runs to its end,
        and its address is that of byte `offset`.  With an array, offset counts from the array.
        `hint` is an address to use if it is free.  `legacy` asks in the older way, which knows no
        offset.  UsageError, DeviceError, DspError.
        """
        buffer, start = self._buffer_of(memory)
        start += offset
        if size is None:
            size = len(buffer) - start
        if legacy and start:
            raise UsageError(f"offset {start}: a legacy mapping begins at byte 0 of its buffer")
        if start < 0 or size < 0 or start + size > len(buffer):
            raise UsageError(
                f"{size} bytes from {start} are not in the {len(buffer)} of the buffer"
            )
        kind = MapKind.LEGACY if legacy else MapKind.ATTR
        address = self._file.map(buffer, kind, start, size, hint, flags)
        return Mapping(
            buffer,
            address,
            start,
            size,
            lambda: self._file.unmap(buffer, kind, address, size),
        )

    def fd_of(self, buffer: Buffer) -> int:
        """The number by which the DSP finds a buffer that is mapped: `self.dsp.memory_of_fd`."""
        return self._file.name_of(buffer)

    def _buffer_of(self, memory: Buffer | NDArray[Any]) -> tuple[Buffer, int]:
        if isinstance(memory, Buffer):
            return memory, 0
        if isinstance(memory, np.ndarray):
            address = memory.__array_interface__["data"][0]
            buffer = self._file.find(address, memory.nbytes)
            if buffer is not None:
                return buffer, address - buffer.address
        raise UsageTypeError(f"{memory!r:.80} does not lie in a buffer of the session")

    # Calls.

    def invoke(
        self,
        handle: int,
        method: int,
        ins: Sequence[Bytes] = (),
        outs: Sequence[Bytes | int] = (),
        in_handles: Sequence[HandleLike] = (),
        out_handles: Sequence[HandleLike] = (),
        *,
        timeout: float | None = None,
        label: str | None = None,
    ) -> list[Any]:
        """Call a method of the module at `handle`; returns the outputs.

        `ins` are contiguous memory; `outs` are writable contiguous memory, or numbers of bytes to
        allocate.  What lies in a buffer of the session is shared, everything else is copied.
        Handles are buffers, arrays that lie in one, or plain numbers.

        After `timeout` seconds CallTimeout is raised and the call goes on without us, keeping its
        memory, until the DSP answers.  `label` is what errors call the call.  DspError has the
        method's own status, or the DSP's.  UsageError, UsageTypeError, DeviceError.
        """
        results = [bytearray(out) if isinstance(out, int) else out for out in outs]
        plan = make_plan(method, ins, results, in_handles, out_handles, self._file.find)
        operation = label or f"invoke method {method} of handle {handle:#x}"
        self._issue(operation, handle, plan, timeout)
        return results

    def _issue(self, operation: str, handle: int, plan: Plan, timeout: float | None) -> None:
        if self._host.serves:
            self._host.calling()
        try:
            if timeout is None:
                result = self._file.invoke(handle, plan)
            else:
                result = self._issue_within(timeout, operation, handle, plan)
        except OSError as error:
            if isinstance(error, (Refusal, CallTimeout)):
                raise
            raise DeviceError(operation, self.domain, error.errno or 5) from error
        if result:
            self._refuse(operation, as_unsigned(result))

    def _issue_within(self, timeout: float, operation: str, handle: int, plan: Plan) -> int:
        """The call in a thread that owns it, and its memory, until it is answered."""
        results: list[int | BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(self._file.invoke(handle, plan))
            except BaseException as error:
                results.append(error)
            done.set()

        threading.Thread(target=run, daemon=True, name=operation).start()
        if not done.wait(timeout):
            raise CallTimeout(f"{operation} on {self.domain}: no answer within {timeout} s")
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]

    def _refuse(self, operation: str, status: int) -> None:
        log = self.read_log() if status & DSP_OFFSET == DSP_OFFSET else []
        raise DspError(operation, self.domain, status, log=tuple(log))

    def read_log(self) -> list[str]:
        """Take what the DSP has logged for this session since the last time; oldest line first.

        The lines also go to the logger `qda.dsp.DOMAIN`, where they are already if the session
        serves its DSP.  A DSP without such a log has no lines.
        """
        lines: list[str] = []
        try:
            loader = self._find_loader()
            while loader:
                length, room = bytearray(4), bytearray(_LOG_ROOM)
                if self._call(loader, READ_LOG, (), (length, room)):
                    break
                size = struct.unpack("<I", length)[0]
                lines += room[:size].decode("utf-8", "replace").splitlines()
                if not size:
                    break
        except OSError:
            return lines
        for line in lines if not self._host.serves else ():
            self._log.info("%s", line)
        return lines

    def _call(self, handle: int, method: int, ins: Sequence[Bytes], outs: Sequence[Bytes]) -> int:
        """A call whose status is returned: for what an error's own text needs.  OSError."""
        plan = make_plan(method, ins, outs, (), (), self._file.find)
        return as_unsigned(self._file.invoke(handle, plan))

    def status_of(
        self, handle: int, method: int, ins: Sequence[Bytes], outs: Sequence[Bytes]
    ) -> int:
        """Call a method as `invoke` does, and return its status, unsigned.  OSError."""
        return self._call(handle, method, ins, outs)

    def _find_loader(self) -> int:
        """The handle of the loader module, 0 on a DSP that has none; asked for once.  OSError."""
        if self._loader is None:
            found = 0
            for manager in dict.fromkeys((self._manager, REMOTECTL)):
                asked = manager.ask_open(LOADER_URI)
                outs = [bytearray(size) for size in asked.sizes]
                if not self._call(asked.handle, asked.scalars.method, asked.ins, outs):
                    answer = asked.answer(outs)
                    found = 0 if answer.error else answer.handle
                    break
            self._loader = found
        return self._loader

    # Modules.

    @overload
    def load(self, module: type[R]) -> R: ...

    @overload
    def load(self, module: type[InterfaceSkeleton[R]]) -> R: ...

    @overload
    def load(self, module: str | type[Any]) -> RemoteModule: ...

    def load(self, module: Any) -> Any:
        """Open a module on the DSP: what is given says which, and what it is called through.

        An interface (`qda.idl.load`) is opened by its URI and gives an object with its methods.  A
        skeleton class is installed first; one of an interface gives such an object too.  A URI or
        name gives a `RemoteModule`, whose methods have numbers.

        A class that the DSP cannot import is sent by value.  DspError, with the places that were
        searched; on a DSP that does not run Python a class cannot be installed.
        """
        if isinstance(module, str):
            self._serve_for(module)
            return self._open(module)
        if isinstance(module, type) and issubclass(module, Remote):
            uri = self._uri_of(module.interface)
            self._serve_for(uri)
            return module(self._open(uri))
        self.install(module)
        if issubclass(module, InterfaceSkeleton):
            opened = self._open(self._uri_of(module.interface))
            remote = remote_of(module)
            return remote(opened) if remote else opened
        return self._open(skeleton_uri(_name_of(module), domain=self.domain))

    def _uri_of(self, interface: Interface) -> str:
        """A plain interface is opened by its name, once for the process."""
        if interface.is_handle64:
            return f"{interface.uri}&_dom={self.domain}"
        return interface.c_name

    # The host's side.

    def serve_host(self) -> None:
        """Run the calls that code on the DSP makes to the host, from now on: its files, its
        environment, its log, and what `provide` gives it (`self.dsp.host` in a skeleton).

        A thread is parked on the DSP for this.  It happens by itself when a module is loaded that
        is not installed, because the DSP asks the host for its file, and by `provide`.  Idempotent.
        DspError if the DSP does not call hosts; DeviceError.
        """
        try:
            self._host.start()
        except Refusal:
            raise
        except OSError as error:
            operation = "serve the host's side"
            raise DeviceError(operation, self.domain, error.errno or 5) from error

    def provide(self, *skeletons: Any) -> None:
        """Make skeletons available to the code on the DSP, which opens them by their interface:
        `self.dsp.host.open(interface)`.

        A class gives each open an object of its own, an object serves all of them.  Their methods
        run in threads of this process, which may call the DSP (`self.session`).  As `serve_host`.
        """
        for skeleton in skeletons:
            self._host.provide(skeleton)
        self.serve_host()

    def _serve_for(self, uri: str) -> None:
        """Serve the host's side if the DSP is going to look for a file.  A DSP that does not call
        hosts may have the module all the same."""
        try:
            name = ModuleUri.parse(uri).name
        except ValueError:
            return  # the DSP says so
        if name not in self._installed and not self._host.serves:
            with suppress(Refusal):
                self.serve_host()

    def install(self, skeleton: Any) -> None:
        """Make a skeleton class available on the DSP, in this session's process.

        DspError on a DSP that does not run Python.
        """
        if not isinstance(skeleton, type) or not issubclass(skeleton, AnySkeleton):
            raise UsageTypeError(f"{skeleton!r:.80} is no URI, interface or skeleton class")
        self._install(skeleton, _name_of(skeleton))

    def _open(self, uri: str) -> RemoteModule:
        opened = self._manage(f"open {uri}", lambda manager: manager.ask_open(uri, _TEXT_ROOM))
        return RemoteModule(self, opened.handle, uri)

    def _manage(self, operation: str, ask: Callable[[Manager], ManagerCall]) -> Answer:
        """Call the module manager, at handle 8 or, if the DSP has none there, at handle 0."""
        manager = self._manager
        asked = ask(manager)
        outs = [bytearray(size) for size in asked.sizes]
        plan = make_plan(asked.scalars.method, asked.ins, outs, (), (), self._file.find)
        try:
            self._issue(operation, asked.handle, plan, None)
        except DspError:
            if manager is REMOTECTL:
                raise
            self._manager = REMOTECTL
            return self._manage(operation, ask)
        answer = asked.answer(outs)
        if answer.error:
            raise DspError(operation, self.domain, answer.error, answer.text)
        return answer

    def close_module(self, module: RemoteModule) -> None:
        """Close a module; see `RemoteModule.close`."""
        self._manage(
            f"close {module.uri}", lambda manager: manager.ask_close(module.handle, _TEXT_ROOM)
        )

    def _install(self, skeleton: type, name: str) -> None:
        operation = f"install skeleton {name}"
        try:
            loader = self._find_loader()
            if not loader:
                self._open(LOADER_URI)  # raises what the DSP says to that
            status, message = self._send(loader, skeleton, name.encode() + b"\0")
        except DspError as error:
            raise DspError(operation, self.domain, error.status, log=error.log) from error
        except (TypeError, PicklingError) as error:
            raise UsageTypeError(f"{name} cannot be sent to the DSP: {error}") from error
        except Refusal:
            raise
        except OSError as error:
            raise DeviceError(operation, self.domain, error.errno or 5) from error
        if status:
            log = [message] if message else self.read_log()
            raise DspError(operation, self.domain, status, log=tuple(log))
        self._installed.add(name)

    def _send(self, loader: int, skeleton: type, name: bytes) -> tuple[int, str]:
        """Get a class to the loader; returns the status, and what the loader says to it."""
        room = bytearray(1024)
        table = self._file.node.handed_over
        if table is not None:
            with handed_over(table, skeleton) as key:
                return self._call(loader, HAND_OVER, (key, name), (room,)), text(room)
        status = 0
        for pickled in by_reference_then_by_value(skeleton):
            status = self._call(loader, INSTALL, (pickled, name), (room,))
            if status != NO_SUCH_MODULE:
                break
        return status, text(room)

    # The end.

    def close(self) -> None:
        """End the session and everything in it.  Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self._host.close()
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session with {self.domain} through {self.node}, dialect {self.dialect}>"


def _name_of(skeleton: type[Any]) -> str:
    """The name by which a skeleton is opened: its interface's, or its own, not a base class's."""
    if issubclass(skeleton, InterfaceSkeleton):
        return skeleton.name
    return str(vars(skeleton).get("name", skeleton.__name__))
