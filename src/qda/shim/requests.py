"""Requests of clients, carried out on the nodes of a machine, and who sees them."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Protocol

from qda import limits
from qda.driver import Client, Front
from qda.driver.accel import AccelFront
from qda.driver.front import FileFront
from qda.driver.spare import Spare
from qda.fastrpc.obituary import ASK, AskObituary
from qda.linux import open_again
from qda.memory import ClientAddress
from qda.profiles.nodes import NodeKind, NodePath
from qda.shim.caller import Caller
from qda.shim.lending import Lending
from qda.shim.mirror import Mirror, name_below_dev
from qda.shim.mixed import MixedFront
from qda.shim.nodes import OpenNode, OpenNodes
from qda.shim.protocol import Kind, Operation, Request, Wish
from qda.uapi import ACCEL_DIALECTS, DIALECTS, RFC
from qda.virtual import Machine
from qda.virtual.nodes import NodeRefused

__all__ = ["Observer", "Requests"]

_log = logging.getLogger("qda.shim")

_INVOKES = {interface.command("INVOKE").code for interface in DIALECTS.values()}
"""Codes of calls, which need nothing that a file which was closed before may still have."""

_OUR_LIMITS = {
    errno.EMFILE: " in the device server, which has some for each session and buffer: raise that"
    " limit (ulimit -n)",
    errno.ENOMEM: "",
}
"""Limits of this process, of which a program cannot know, and what is said beside their names."""

_REPORT = Wish.REPORT.value
_LANES = (Wish.LEASE | Wish.LANE).value
_EXCLUSIVE = os.O_CREAT | os.O_EXCL


class Observer(Protocol):
    """Sees the requests of all clients.

    What a request asks is in its fields; a result is that of the system call, a negative errno if
    it failed.  `encloses` says that a structure which came with its request is read and written
    there, without asking the kernel for it, until `ioctl` returns.
    """

    encloses: bool

    def opened(self, request: Request, client: Client, result: int) -> None:
        """A node was opened, or not."""
        ...

    def ioctl(
        self, request: Request, client: Client, node: OpenNode, carry_out: Callable[[], int]
    ) -> int:
        """Have an ioctl carried out, and return its result."""
        ...

    def mapped(self, request: Request, client: Client, node: OpenNode, result: int) -> None:
        """Memory of a node was mapped, or not."""
        ...

    def released(self, path: NodePath, opener: int) -> None:
        """The last descriptor of a node, opened by the process `opener`, is gone."""
        ...


class Requests:
    """Carries out requests on the nodes of a machine, whoever asks.  Thread-safe.

    `dialect` is that of the accelerator's nodes, or of the older driver's; with `mixed` the former
    serve clients that mix dialects.  `observer` sees them.
    """

    def __init__(
        self,
        machine: Machine,
        mirror: Mirror,
        nodes: OpenNodes,
        lending: Lending,
        dialect: str,
        mixed: bool,
    ) -> None:
        self._machine, self._folders, self._nodes = machine, mirror.folders, nodes
        self._lending = lending
        self._dialect, self._mixed = dialect, mixed
        self.observer: Observer | None = None
        self._by_name = {name_below_dev(node): node for node in machine.nodes}

    def released(self, path: NodePath, opener: int) -> None:
        """A node has been closed."""
        if self.observer is not None:
            self.observer.released(path, opener)

    def carry_out(self, request: Request, caller: Caller) -> bool:
        """Carry out a request and answer it; False for one that is nonsense."""
        if request.tid != caller.called and not caller.enter_thread(request.tid):
            _log.warning("process %d has no thread %d", caller.pid, request.tid)
            return False
        if request.wishes & _REPORT:
            caller.report_writes()
        if request.code not in _INVOKES:
            self._nodes.settle(caller.pid)
        if request.operation == Operation.OPEN:
            self._open(request, caller)
            return True
        if request.operation == Operation.RETURN:
            self._take_back(request, caller)
            return True
        if request.operation not in (Operation.IOCTL, Operation.MMAP):
            return False
        try:
            node = self._nodes.enter(request.token)
        except OSError as error:
            caller.connection.answer(-(error.errno or errno.ENODEV))
            return True
        try:
            if refusal := caller.refusal(node, request.descriptor):
                caller.connection.answer(refusal)
            elif request.operation == Operation.IOCTL:
                if request.wishes & _LANES:
                    self._lending.offer(caller, node, request.code, request.wishes)
                caller.answer(self._ioctl(request, caller, node))
            else:
                self._map(request, caller, node)
        finally:
            self._nodes.leave(node)
        return True

    def _take_back(self, request: Request, caller: Caller) -> None:
        """A call that went without the server is over, or lost."""
        self._lending.returned(caller.pid, request.token)
        result = 0
        if request.flags:
            try:
                node = self._nodes.enter(request.token)
                front = node.front
                result = front.lost() if isinstance(front, FileFront) else -errno.EIO
                self._nodes.leave(node)
            except OSError as error:
                result = -(error.errno or errno.ENODEV)
        caller.connection.send(Kind.ANSWER, result=result)

    def _open(self, request: Request, caller: Caller) -> None:
        name = request.name.partition(b"\0")[0].decode("utf-8", "replace")
        path = self._by_name.get(name)
        result = _open_refusal(path, request.flags, name in self._folders)
        descriptor = -1
        if path is not None and not result:
            try:
                front = self._front(path, caller, request.flags)
                descriptor = self._nodes.add(path, front, caller.pid, request.flags)
            except InterruptedError:
                result = -errno.ERESTART  # the library has a meaning for EINTR
            except OSError as error:
                result = -(error.errno or errno.ENODEV)
                if error.errno in _OUR_LIMITS:
                    words = f"{error.strerror}{_OUR_LIMITS[error.errno]}"
                    _log.warning("%s: %s", path.path, words)
                elif isinstance(error, NodeRefused):
                    _log.warning("%s, as its profile has it", error.strerror)
        if self.observer is not None:
            self.observer.opened(request, caller, result)
        caller.connection.send(Kind.ANSWER, result=result, descriptor=descriptor)
        if descriptor >= 0:
            os.close(descriptor)

    def _front(self, path: NodePath, caller: Caller, flags: int) -> Front:
        # The dialect that was chosen may be one of the other driver's.
        accel = path.kind is NodeKind.ACCEL and self._dialect not in ACCEL_DIALECTS
        dialect = RFC.name if accel else self._dialect
        open_node = partial(self._machine.open_node, path.path, dialect)
        device = self._machine.devices.get(path.domain)
        front = open_node() if device is None else device.with_bank(caller, open_node)
        if isinstance(front, FileFront):
            front.file.process = caller.pid
            if isinstance(front, AccelFront) and flags & os.O_ACCMODE == os.O_RDWR:
                front.file.spare = Spare(front.file.device.objects)
        return MixedFront(front) if self._mixed and isinstance(front, AccelFront) else front

    def _ioctl(self, request: Request, caller: Caller, node: OpenNode) -> int:
        code, address = request.code, ClientAddress(request.argument)

        def carry_out() -> int:
            try:
                return node.front.ioctl(caller, code, address)
            except Exception:
                _log.exception("%s, ioctl %#x of process %d", node.path.path, code, caller.pid)
                return -errno.EIO

        if code == ASK:
            caller.enclose(address)
            return _tell(caller, node.front, address)
        observer = self.observer
        if observer is None:
            caller.enclose(address)
            return carry_out()
        if observer.encloses:
            caller.enclose(address)
        return observer.ioctl(request, caller, node, carry_out)

    def _map(self, request: Request, caller: Caller, node: OpenNode) -> None:
        def place(memory: int, length: int) -> None:
            # Opened as the node was, it lets the kernel say what may be mapped of it, and how; and
            # as a file of its own whether it still is (`qda.driver.spare`).
            again = open_again(memory, node.mode | os.O_CLOEXEC)
            try:
                caller.connection.send(Kind.ANSWER, descriptor=again)
            finally:
                os.close(again)

        result = 0
        try:
            node.front.mmap(request.code, request.argument, place)
        except OSError as error:
            result = -(error.errno or errno.EINVAL)
            caller.connection.send(Kind.ANSWER, result=result)
        if self.observer is not None:
            self.observer.mapped(request, caller, node, result)


def _tell(caller: Caller, front: Front, address: ClientAddress) -> int:
    """Tell a client how its protection domain has died: the length of that, or a negative errno.
    What has the words waits for them, so that the error of the client's call has them, too."""
    data = caller.read(address, AskObituary.byte_size)
    words = front.obituary if data is not None else None
    if data is None:
        return -errno.EFAULT
    asked, said = AskObituary.unpack(data), words.pack() if words is not None else b""
    said = said[: min(asked.size, limits.OBITUARY)]
    return len(said) if caller.write(asked.address, said) else -errno.EFAULT


def _open_refusal(path: NodePath | None, flags: int, is_folder: bool) -> int:
    """What open(2) says of a path before a driver is asked: 0 or a negative errno."""
    if path is None:
        return -errno.EISDIR if is_folder else -errno.ENOENT
    if flags & os.O_DIRECTORY:
        return -errno.ENOTDIR
    if flags & _EXCLUSIVE == _EXCLUSIVE:
        return -errno.EEXIST
    return 0
