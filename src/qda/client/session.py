"""Sessions: what a program holds of a DSP.

This is the user's side only.  Memory is `memory`, calls are `calls`, modules are opened by
`manager`, skeletons installed by `loader`, and `host` runs what the DSP asks of the program.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex, TypeVar, overload

from qda import limits
from qda.client.buffer import Buffer, Mapping
from qda.client.calls import Calls, naming
from qda.client.device import DeviceFile
from qda.client.host import HostService
from qda.client.loader import Loader
from qda.client.log import DspLog
from qda.client.manager import ModuleManager
from qda.client.memory import SessionMemory, Shape
from qda.client.module import RemoteModule
from qda.client.names import (
    is_remote,
    is_typed,
    name_in,
    name_of,
    refuse_misnamed,
    uri_of_interface,
    uri_of_skeleton,
)
from qda.client.plan import Bytes, HandleLike
from qda.client.profile import Profiled
from qda.client.queues import SessionQueues
from qda.client.unheld import leave
from qda.errors import QdaError, Refusal, UsageTypeError, bare, quoted
from qda.fastrpc.mapping import MapFlag
from qda.fastrpc.skeleton import AnySkeleton, check_class
from qda.interrupts import Section, made_whole

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from qda.idl import Remote
    from qda.idl import Skeleton as InterfaceSkeleton

__all__ = ["Session"]

R = TypeVar("R", bound="Remote")


class Session(Profiled):
    """A session with a DSP: memory to share, modules to call.

    Made by `qda.open`.  Several threads may use one session at once.  `close`, or the end of a
    `with` block, ends it and everything that was made in it; what is left of buffers then is
    ordinary memory.  A session that is dropped is closed, with a ResourceWarning; its modules hold
    it, its buffers and mappings do not.

    `queue` makes a queue of packets between the program and code on the DSP
    (`qda.client.queues`); `calls`, `manager`, `loader`, `host` and `log` are what a session is made
    of, for tools that need less.
    """

    def __init__(self, file: DeviceFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._closed = False
        self._memory = SessionMemory(file)
        self._process = os.getpid()

        # Nothing of it holds the session, so that it goes when the program drops it.
        def own_log() -> Sequence[str]:
            return log.take_own()

        self.calls = Calls(file, own_log)
        self.manager = ModuleManager(self.calls.call, file.domain, own_log)
        super().__init__(file.node, self.manager.opened)
        self.loader = Loader(self.calls.call_without_log, file.domain, file.node.handed_over)
        self._queues = SessionQueues(file, self.calls, self.manager, self._memory)
        self.queue = self._queues.create
        host = HostService(self, self.calls.status_of, self._memory, file.domain)
        log = DspLog(file.node, file.domain, self.loader, lambda: host.serves)
        self.host, self.log = host, log

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
        """The dialect of the device interface, "rfc", "v1", "handle", "legacy" or "legacy-7.3"."""
        return self._file.dialect.name

    # Memory.

    def alloc(self, size: SupportsIndex) -> Buffer:
        """Allocate a buffer of `size` bytes, at least 1, that the DSP can share.

        UsageError for a size that makes no sense, DeviceError when there is no memory.
        """
        try:
            return self._memory.alloc(size)
        except QdaError as error:
            bare(error)
            raise

    def empty(self, shape: Shape, dtype: DTypeLike = float) -> NDArray[Any]:
        """Allocate an array on shared pages, zeros at first; it travels without a copy.

        The pages live as long as the array or a view of it.  UsageError, UsageTypeError for what
        `numpy.empty` does not take, or no memory could hold; DeviceError.
        """
        try:
            return self._memory.empty(shape, dtype)
        except QdaError as error:
            bare(error)
            raise

    def import_fd(self, fd: int) -> Buffer:
        """Share a DMA-BUF, or a memfd that can no longer shrink.  The descriptor stays yours.

        DeviceError for a descriptor of anything else.
        """
        try:
            return self._memory.import_fd(fd)
        except QdaError as error:
            bare(error)
            raise

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
        try:
            return self._memory.map(memory, offset, size, hint=hint, flags=flags, legacy=legacy)
        except QdaError as error:
            bare(error)
            raise

    def fd_of(self, buffer: Buffer) -> int:
        """The number by which the DSP finds a buffer that is mapped: `self.dsp.memory_of_fd`."""
        try:
            return self._memory.fd_of(buffer)
        except QdaError as error:
            bare(error)
            raise

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
    ) -> list[Bytes]:
        """Call a method of the module at `handle`; returns the outputs.

        `ins` are contiguous memory; `outs` are writable contiguous memory, or numbers of bytes to
        allocate.  What lies in a buffer of the session is shared, everything else is copied.
        Handles are buffers, arrays that lie in one, or plain numbers.

        After `timeout` seconds CallTimeout is raised and the call goes on without us, keeping its
        memory, until the DSP answers.  `label` is what errors call the call.  DspError has the
        method's own status, or the DSP's.  UsageError, UsageTypeError, DeviceError.
        """
        try:
            return self.calls.invoke(
                handle, method, ins, outs, in_handles, out_handles, timeout, label
            )
        except QdaError as error:
            bare(error)
            raise

    def read_log(self) -> list[str]:
        """Take what the DSP has logged for this session and nobody has taken; oldest line first.

        Lines of a call that has failed are in its error.  The lines also go to the logger
        `qda.dsp.DOMAIN`, where they are already if the session serves its DSP.  If its process has
        died, how it died stands at the end.  A DSP without such a log has no lines.
        """
        return self.log.take()

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
        try:
            return self._load(module)
        except QdaError as error:
            bare(error)
            raise

    def _load(self, module: str | type) -> RemoteModule | Remote:
        if isinstance(module, str):
            refuse_misnamed(module)
            return made_whole(lambda: self._open(module))
        if is_remote(module):
            uri = uri_of_interface(module.interface, self.domain)
            return made_whole(lambda: module(self._open(uri)))
        _warn(self._install(module), 4)
        uri, remote = uri_of_skeleton(module, self.domain), None
        if is_typed(module):
            from qda.idl.python.load import interface_of  # the language, for those who have it

            remote = interface_of(module)
        if remote is None:
            return made_whole(lambda: self._open(uri))
        return made_whole(lambda: remote(self._open(uri)))

    def _open(self, uri: str) -> RemoteModule:
        """Open a module, and serve the host's side if the DSP is going to look for its file.  A DSP
        that does not call hosts may have the module all the same."""
        name = name_in(uri)
        if name is not None and name not in self.loader.installed and not self.host.serves:
            with suppress(Refusal):
                self.serve_host()
        handle = self.manager.open(uri)
        return RemoteModule(self.calls, handle, uri, lambda: self.manager.close(handle, uri))

    def install(self, skeleton: type) -> None:
        """Make a skeleton class available on the DSP, in this session's process.

        UsageTypeError for a class that does not implement its interface, or that cannot be sent;
        DspError on a DSP that does not run Python.
        """
        try:
            _warn(self._install(skeleton), 3)
        except QdaError as error:
            bare(error)
            raise

    def _install(self, skeleton: object) -> str:
        if not isinstance(skeleton, type) or not issubclass(skeleton, AnySkeleton):
            raise UsageTypeError(_no_module(skeleton))
        check_class(skeleton)
        return self.loader.install(skeleton, name_of(skeleton))

    # The host's side.

    def serve_host(self) -> None:
        """Run the calls that code on the DSP makes to the host, from now on: its files, its
        environment, its log, and what `provide` gives it (`self.dsp.host` in a skeleton).

        A thread is parked on the DSP for this.  It happens by itself when a module is loaded that
        is not installed, because the DSP asks the host for its file, and by `provide`.  Idempotent.
        DspError if the DSP does not call hosts; DeviceError.
        """
        try:
            with Section(), naming("serve the host's side", self._file):
                self.calls.begins = self.host.calling
                self.host.start()
        except QdaError as error:
            bare(error)
            raise

    def provide(self, *skeletons: Any) -> None:
        """Make skeletons available to the code on the DSP, which opens them by their interface:
        `self.dsp.host.open(interface)`.

        A class gives each open an object of its own, an object serves all of them.  Their methods
        run in threads of this process, which may call the DSP (`self.session`).  As `serve_host`.
        """
        try:
            for skeleton in skeletons:
                self.host.provide(skeleton)
            self.serve_host()
        except QdaError as error:
            bare(error)
            raise

    # The end.

    def close(self) -> None:
        """End the session and everything in it.  Idempotent."""
        with Section(limits.PATIENCE, ends=True):
            with self._lock:
                if self._closed:
                    return
                self._closed = True
            try:
                self._queues.close()
                self.host.close()
            finally:
                self._file.close()

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if ending():
            return  # and nothing that is named in modules is sure to be there any more
        if not getattr(self, "_closed", True) and self._process == os.getpid():
            with Section(later=True):
                leave(self, self.close)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to one process: open a session in the other one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Session with {self.domain} through {self.node}, dialect {self.dialect}>"


def _warn(words: str, above: int) -> None:
    """Say something of a class to who has installed it, so many calls above."""
    if words:
        warnings.warn(words, stacklevel=above)


def _no_module(given: object) -> str:
    """What is said to who gives something else than a module."""
    said = f"{quoted(given)} is no skeleton class, interface or URI"
    if isinstance(given, AnySkeleton):
        return f"{said}, but a skeleton: give its class, {type(given).__name__}"
    return f"{said}: derive a class from the `Skeleton` of an interface, or from `qda.Skeleton`"
