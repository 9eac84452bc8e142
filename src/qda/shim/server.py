"""The device server: the nodes of a virtual system, for programs in other processes.

Each thread of a client has a connection, and each connection a thread here, so calls do not wait
for each other.  One more thread watches for new connections, for files that are closed and for
clients that die.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from qda import limits
from qda.errors import UsageError, suggestion
from qda.linux import peer_of
from qda.shim.caller import Caller, has_ended
from qda.shim.connection import Connection
from qda.shim.entrance import Entrance
from qda.shim.lending import Lending
from qda.shim.library import is_current
from qda.shim.nodes import OpenNodes
from qda.shim.protocol import VERSION, Kind, Wish
from qda.shim.requests import Observer, Requests
from qda.uapi import ACCEL_DIALECTS, DIALECTS, RFC
from qda.virtual import Machine

__all__ = ["DeviceServer"]

_log = logging.getLogger("qda.shim")


class DeviceServer:
    """Serves the nodes of `machine` from its construction until `close`, at a path or at an
    entrance that is there already, and which it owns from here on, also on failure.

    `dialect` is that of the accelerator's nodes, or of the older driver's.  `strangers` says that
    clients need not descend from this process; they are then asked to let it read them (Yama).
    `observer` sees every request.  `mixed` serves clients that mix dialects (`qda.shim.mixed`).
    `lanes` lets programs call without the server where nobody has to see that (`qda.shim.lending`).

    The server owns nothing of the machine; close it before the machine.  UsageError for a dialect
    or path that cannot be, OSError.
    """

    def __init__(
        self,
        machine: Machine,
        at: Path | Entrance,
        *,
        dialect: str = "rfc",
        strangers: bool = False,
        observer: Observer | None = None,
        mixed: bool = False,
        lanes: bool = True,
    ) -> None:
        if dialect not in DIALECTS:
            raise UsageError(f"{dialect!r} is no dialect: {suggestion(dialect, DIALECTS)}")
        if mixed and ACCEL_DIALECTS.get(dialect, RFC) is not RFC:
            raise UsageError("only in dialect rfc can GEM handles be mixed with descriptors")
        self._wishes = Wish.TRACER if strangers else Wish(0)
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}
        self._processes: dict[int, tuple[int, int]] = {}  # pidfd by pid, and how many
        self._closed = False
        self.was_used = False  # by any program
        with ExitStack() as undo:
            entrance = at if isinstance(at, Entrance) else Entrance(at, machine.nodes)
            undo.callback(entrance.close)
            self._entrance, self._listener = entrance, entrance.listener
            self.socket = entrance.socket
            self._nodes = OpenNodes(lambda *node: self._requests.released(*node))
            self._lending = Lending(self._nodes.leave, lanes and is_current())
            self._nodes.recall = self._lending.recall
            undo.callback(self._lending.close)
            undo.callback(self._nodes.close)
            self._requests = Requests(
                machine, entrance.mirror, self._nodes, self._lending, dialect, mixed
            )
            self.observe(observer)
            self._watched = select.epoll()
            undo.callback(self._watched.close)
            self._stop, stopped = socket.socketpair()
            undo.callback(self._stop.close)
            undo.callback(stopped.close)
            self._stopped = stopped
            for watched in (self._listener, self._nodes, self._lending, stopped):
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
                elif descriptor == self._lending.fileno():
                    self._lending.reap()
                else:
                    self._process_died(descriptor)

    def _accept(self) -> None:
        try:
            stream, _ = self._listener.accept()
        except OSError as error:  # the client has gone again, or we have no descriptors left
            _log.warning("a client could not connect: %s", error)
            time.sleep(limits.BREATH)
            return
        try:
            pid, uid, pidfd = peer_of(stream)
            self.was_used = True
        except OSError as error:
            _log.warning("a client was refused: %s", error)
            stream.close()
            return
        if uid not in (0, os.geteuid()):
            _log.warning("process %d was refused: it is of user %d", pid, uid)
            os.close(pidfd)
            stream.close()
            return
        connection = Connection(stream, pid)
        with self._lock:
            known, connections = self._processes.get(pid, (pidfd, 0))
            if connections:
                os.close(pidfd)
            else:
                self._watched.register(pidfd, select.EPOLLIN | select.EPOLLONESHOT)
            self._processes[pid] = known, connections + 1
            thread = threading.Thread(
                target=self._serve, args=(connection, known), daemon=True, name=f"client {pid}"
            )
            self._connections[connection] = thread
            started = _starts(thread)  # before anybody may join it
        if not started:
            _log.warning("process %d was refused: there can be no more threads", pid)
            self._forget(connection)

    def _process_died(self, pidfd: int) -> None:
        """End the connections of a process: a forked child may still have copies of their other
        ends."""
        with self._lock:  # the number may be another process's since the event was seen
            of_it = [pid for pid, (known, _) in self._processes.items() if known == pidfd]
            pids = of_it if of_it and has_ended(pidfd) else []
            ended = [connection for connection in self._connections if connection.pid in pids]
        for connection in ended:
            connection.end()

    # A connection.

    def _serve(self, connection: Connection, pidfd: int) -> None:
        caller = Caller(connection.pid, pidfd, connection)
        try:
            connection.send(Kind.WELCOME, number=VERSION, wishes=self._wishes)
            while (request := connection.request()) and self._requests.carry_out(request, caller):
                pass
        except Exception:
            _log.exception("process %d, thread %d is served no longer", caller.pid, caller.tid)
        finally:
            caller.close()
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        """Close a connection; with the last one of a process, what is known of the process."""
        connection.close()
        self._lending.look_at(connection.pid)
        with self._lock:
            self._connections.pop(connection, None)
            pidfd, connections = self._processes[connection.pid]
            if connections == 1:
                del self._processes[connection.pid]
                with suppress(OSError, ValueError):  # it has been told, or the watch has ended
                    self._watched.unregister(pidfd)
                os.close(pidfd)
            else:
                self._processes[connection.pid] = pidfd, connections - 1

    def observe(self, observer: Observer | None) -> None:
        """Show every request from here on to an observer, or to none.

        Calls that programs make without the server end first, but for those that take long
        (`limits.PARKED`).
        """
        if observer is None:
            self._requests.observer = None
            self._lending.start()
        else:
            self._lending.stop()
            self._requests.observer = observer

    # The end.

    def settle(self) -> None:
        """Wait until every connection of a client that has gone, and every node that is closed,
        is released."""
        with self._lock:
            threads = [
                thread
                for connection, thread in self._connections.items()
                if connection.has_ended or not os.path.exists(f"/proc/{connection.pid}")
            ]
        for thread in threads:
            thread.join(limits.SERVER_PATIENCE)
        self._nodes.settle(None)

    def close(self) -> None:
        """End it: every later request of a client fails with ENODEV.  Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._listener.close()
        self._stop.close()
        self._watcher.join()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.end()
        for thread in connections.values():
            thread.join(limits.SERVER_PATIENCE)
        self._lending.break_off()
        self._nodes.close()
        self._lending.close()
        self._watched.close()
        self._stopped.close()
        self._entrance.close()


def _starts(thread: threading.Thread) -> bool:
    """Start a thread; whether there can be one more."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True
