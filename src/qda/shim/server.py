"""The device server: the nodes of a virtual system, for programs in other processes.

Each thread of a client has a lane, and each lane a thread here, so calls do not wait for each
other.  One more thread watches for new lanes, for files that are closed and for clients that die.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from qda import limits
from qda.driver.accel import AccelFront
from qda.errors import UsageError
from qda.linux import peer_of
from qda.memory import ClientAddress
from qda.shim.caller import Caller, Lane
from qda.shim.files import OpenNode, OpenNodes
from qda.shim.mirror import Mirror, name_below_dev
from qda.shim.mixed import MixedFront
from qda.shim.place import OWN_FILE
from qda.shim.protocol import VERSION, Kind, Operation, Wish
from qda.shim.requests import Observer, open_refusal
from qda.uapi import ACCEL_DIALECTS, DIALECTS
from qda.virtual import Machine

__all__ = ["DeviceServer"]

_log = logging.getLogger("qda.shim")

_INVOKES = {interface.command("INVOKE").code for interface in DIALECTS.values()}
"""Codes of calls, which need nothing that a file which was closed before may still have."""

_REPORT = Wish.REPORT.value


class DeviceServer:
    """Serves the nodes of `machine` at the socket `path`, from its construction until `close`.

    `dialect` is that of the accelerator's nodes.  `strangers` says that clients need not descend
    from this process; they are then asked to let it read them (Yama).  `observer` sees every
    request.  `mixed` serves clients that mix dialects (`qda.shim.mixed`).
    `also` are folders, empty but for the server, that go when it has ended.

    The server owns nothing of the machine; close it before the machine.  UsageError for a dialect
    or path that cannot be, OSError.
    """

    def __init__(
        self,
        machine: Machine,
        path: Path,
        *,
        dialect: str = "rfc",
        strangers: bool = False,
        observer: Observer | None = None,
        mixed: bool = False,
        also: Iterable[Path] = (),
    ) -> None:
        if dialect not in ACCEL_DIALECTS:
            raise UsageError(f"dialect {dialect!r}: there are {', '.join(ACCEL_DIALECTS)}")
        if mixed and dialect != "rfc":
            raise UsageError("only in dialect rfc can GEM handles be mixed with descriptors")
        self._machine, self._dialect, self._observer = machine, dialect, observer
        self._mixed = mixed
        self._wishes = Wish.TRACER if strangers else Wish(0)
        self._by_name = {name_below_dev(node): node for node in machine.nodes}
        self._lock = threading.Lock()
        self._lanes: dict[Lane, threading.Thread] = {}
        self._processes: dict[int, tuple[int, int]] = {}  # pidfd by pid, and number of lanes
        self._closed = False
        with ExitStack() as undo:
            self._mirror = Mirror(path, machine.nodes, also)
            undo.callback(self._mirror.close)
            self.socket = self._mirror.socket
            self._nodes = OpenNodes(observer.released if observer else None)
            undo.callback(self._nodes.close)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._listener.close)
            os.fchmod(self._listener.fileno(), OWN_FILE)  # as which bind makes the path
            self._listener.bind(os.fsencode(self.socket))
            self._listener.listen(limits.BACKLOG)
            self._watched = select.epoll()
            undo.callback(self._watched.close)
            self._stop, stopped = socket.socketpair()
            undo.callback(self._stop.close)
            undo.callback(stopped.close)
            self._stopped = stopped
            for watched in (self._listener, self._nodes, stopped):
                self._watched.register(watched.fileno(), select.EPOLLIN)
            self._watcher = threading.Thread(target=self._watch, daemon=True, name="device server")
            self._watcher.start()
            undo.pop_all()

    # Watching.

    def _watch(self) -> None:
        while True:
            for descriptor, _ in self._watched.poll():
                if descriptor == self._stopped.fileno():
                    return
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor == self._nodes.fileno():
                    self._nodes.reap()
                else:
                    self._process_died(descriptor)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # the client has gone again, or we have no descriptors left
            _log.warning("a client could not connect: %s", error)
            time.sleep(limits.BREATH)
            return
        try:
            pid, uid, pidfd = peer_of(connection)
        except OSError as error:
            _log.warning("a client was refused: %s", error)
            connection.close()
            return
        if uid not in (0, os.geteuid()):
            _log.warning("process %d was refused: it is of user %d", pid, uid)
            os.close(pidfd)
            connection.close()
            return
        lane = Lane(connection, pid)
        with self._lock:
            known, lanes = self._processes.get(pid, (pidfd, 0))
            if lanes:
                os.close(pidfd)
            else:
                self._watched.register(pidfd, select.EPOLLIN | select.EPOLLONESHOT)
            self._processes[pid] = known, lanes + 1
            thread = threading.Thread(
                target=self._serve, args=(lane, pid, known), daemon=True, name=f"lane of {pid}"
            )
            self._lanes[lane] = thread
        try:
            thread.start()
        except RuntimeError as error:
            _log.warning("process %d was refused: %s", pid, error)
            self._forget(lane)

    def _process_died(self, pidfd: int) -> None:
        """End the lanes of a process: a forked child may still have copies of their other ends."""
        with self._lock:
            pids = [pid for pid, (known, _) in self._processes.items() if known == pidfd]
            ended = [lane for lane in self._lanes if lane.pid in pids]
        for lane in ended:
            lane.end()

    # A lane.

    def _serve(self, lane: Lane, pid: int, pidfd: int) -> None:
        caller = Caller(pid, pidfd, lane)
        try:
            lane.send(Kind.WELCOME, number=VERSION, wishes=self._wishes)
            while self._serve_request(lane, caller):
                pass
        except Exception:
            _log.exception("the lane of process %d, thread %d ends", pid, caller.tid)
        finally:
            caller.close()
            self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        """Close a lane; with the last one of a process, what is known of the process."""
        lane.close()
        with self._lock:
            self._lanes.pop(lane, None)
            pidfd, lanes = self._processes[lane.pid]
            if lanes == 1:
                del self._processes[lane.pid]
                os.close(pidfd)  # which ends its registration
            else:
                self._processes[lane.pid] = pidfd, lanes - 1

    def _serve_request(self, lane: Lane, caller: Caller) -> bool:
        request = lane.request()
        if request is None:
            return False
        tid, operation, descriptor, wishes, flags, code, argument, token, name = request
        if tid != caller.tid and not caller.enter_thread(tid):
            _log.warning("process %d has no thread %d", caller.pid, tid)
            return False
        if wishes & _REPORT:
            caller.report_writes()
        if code not in _INVOKES:
            self._nodes.settle(caller.pid)
        if operation == Operation.OPEN:
            self._open(lane, caller, name.partition(b"\0")[0], flags)
            return True
        try:
            node = self._nodes.enter(token)
        except OSError as error:
            lane.send(Kind.ANSWER, result=-(error.errno or errno.ENODEV))
            return True
        try:
            if refusal := caller.refusal(node, descriptor):
                lane.send(Kind.ANSWER, result=refusal)
            elif operation == Operation.IOCTL:
                result = self._ioctl(node, caller, descriptor, code, ClientAddress(argument))
                lane.send(Kind.ANSWER, result=result)
            elif operation == Operation.MMAP:
                self._map(lane, caller, node, descriptor, code, argument)
            else:
                return False
        finally:
            self._nodes.leave(node)
        return True

    def _open(self, lane: Lane, caller: Caller, name: bytes, flags: int) -> None:
        below_dev = name.decode("utf-8", "replace")
        path = self._by_name.get(below_dev)
        result = open_refusal(path, flags, below_dev in self._mirror.folders)
        descriptor = -1
        if path is not None and not result:
            try:
                front = self._machine.open_node(path.path, self._dialect)
                if self._mixed and isinstance(front, AccelFront):
                    front = MixedFront(front)
                descriptor = self._nodes.add(path, front, caller.pid, flags)
            except OSError as error:
                result = -(error.errno or errno.ENODEV)
        if self._observer is not None:
            self._observer.opened(caller, name, flags, result)
        lane.send(Kind.ANSWER, result=result, descriptor=descriptor)
        if descriptor >= 0:
            os.close(descriptor)

    def _ioctl(
        self, node: OpenNode, caller: Caller, descriptor: int, code: int, address: ClientAddress
    ) -> int:
        def carry_out() -> int:
            try:
                return node.front.ioctl(caller, code, address)
            except Exception:
                _log.exception("%s, ioctl %#x of process %d", node.path.path, code, caller.pid)
                return -errno.EIO

        if self._observer is None:
            return carry_out()
        return self._observer.ioctl(node, caller, descriptor, code, address, carry_out)

    def _map(
        self, lane: Lane, caller: Caller, node: OpenNode, descriptor: int, length: int, offset: int
    ) -> None:
        def place(memory: int, length: int) -> None:
            lane.send(Kind.ANSWER, descriptor=memory)

        result = 0
        try:
            node.front.mmap(length, offset, place)
        except OSError as error:
            result = -(error.errno or errno.EINVAL)
            lane.send(Kind.ANSWER, result=result)
        if self._observer is not None:
            self._observer.mapped(node, caller, descriptor, length, offset, result)

    # The end.

    def settle(self) -> None:
        """Wait until every lane of a client that has gone, and every node that is closed, is
        released."""
        with self._lock:
            threads = [
                thread
                for lane, thread in self._lanes.items()
                if lane.has_ended or not os.path.exists(f"/proc/{lane.pid}")
            ]
        for thread in threads:
            thread.join(limits.SERVER_PATIENCE)
        self._nodes.settle(None)

    @property
    def open_nodes(self) -> int:
        """Number of open nodes."""
        return len(self._nodes)

    def close(self) -> None:
        """End it: every later request of a client fails with ENODEV.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._listener.close()
        self._stop.close()
        self._watcher.join()
        with self._lock:
            lanes = dict(self._lanes)
        for lane in lanes:
            lane.end()
        for thread in lanes.values():
            thread.join(limits.SERVER_PATIENCE)
        self._nodes.close()
        self._watched.close()
        self._stopped.close()
        self._mirror.close()
