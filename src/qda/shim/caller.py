"""A program in another process, as the driver sees it during a call.

`Caller` is a `qda.driver.Client` over a connection: memory is read and written by the kernel on
behalf of the server, descriptors cross the connection, and while a call waits the connection says
of signals.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable, Sequence
from pathlib import Path

from qda import limits
from qda.driver.memory import (
    Awaited,
    LocalClient,
    MessageMemory,
    Piece,
    is_admin,
    wait_for,
)
from qda.interrupts import Deadline
from qda.linux import Area, MapsFile, cookie_of, name_of_thread, open_again, take_descriptor
from qda.memory import ClientAddress
from qda.shim.connection import Connection
from qda.shim.memory import CallerMemory
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Kind

__all__ = ["Caller", "has_ended"]


def has_ended(pidfd: int) -> bool:
    """Whether a process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _thread_of(pid: int, tid: int) -> int:
    """The thread of a process that knows itself as `tid`; 0 if there is none.

    In a PID namespace of its own, a process has other numbers than it has here.
    """
    tasks = Path(f"/proc/{pid}/task")
    try:
        if os.path.samefile(f"/proc/{pid}/ns/pid", "/proc/self/ns/pid"):
            return tid if (tasks / str(tid)).exists() else 0
        found = (int(task.name) for task in tasks.iterdir() if _own_number(task) == tid)
        return next(found, 0)
    except OSError:
        return 0


def _own_number(task: Path) -> int:
    """What a thread is called in its own namespace, the last that is listed; 0 if it has ended."""
    try:
        lines = (task / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)


class Caller:
    """The thread at the other end of `connection`, of the process `pid`, whose `pidfd` stays the
    server's."""

    limit = LocalClient.limit
    port = None

    def __init__(self, pid: int, pidfd: int, connection: Connection) -> None:
        self.pid, self.tid = pid, 0
        self.called = 0  # as what the thread knows itself
        self.pidfd, self.connection = pidfd, connection
        self._memory = CallerMemory(pid)
        self._maps: MapsFile | None = None
        self._had: set[bytes] = set()  # tokens of nodes
        self.read, self.fetch = self._memory.read, self._memory.fetch
        self.write: Callable[[int, bytes], bool] = self._memory.write
        self.store: Callable[[Sequence[Piece], MessageMemory], bool] = self._memory.store

    def enter_thread(self, tid: int) -> bool:
        """Be that thread of the process from now on; False if it has none of that number."""
        self.called, self.tid = tid, _thread_of(self.pid, tid)
        return self.tid != 0

    def enclose(self, address: ClientAddress) -> None:
        """Take the structure at `address` from the request, if it came with it, until `answer`."""
        structure = self.connection.enclosed
        if structure:
            memory = self._memory
            memory.place, memory.structure, memory.changed = address, structure, False

    def answer(self, result: int) -> None:
        """Answer an ioctl, with its structure if that is at hand and was written."""
        memory = self._memory
        changed = memory.place >= 0 and memory.changed
        memory.place = -1
        self.connection.answer(result, memory.structure if changed else b"")

    def report_writes(self) -> None:
        """From now on, tell the client what was written to its memory."""
        self.write, self.store = self._write_and_report, self._store_and_report

    def _write_and_report(self, address: int, data: bytes) -> bool:
        written = self._memory.write(address, data)
        if written:
            self.connection.send(Kind.WROTE, address=address, length=len(data))
        return written

    def _store_and_report(self, pieces: Sequence[Piece], message: MessageMemory) -> bool:
        stored = self._memory.store(pieces, message)
        if stored:
            for piece in pieces:
                self.connection.send(Kind.WROTE, address=piece.address, length=piece.length)
        return stored

    @property
    def comm(self) -> bytes:
        try:
            return name_of_thread(self.pid, self.tid)
        except OSError:
            return b""

    @property
    def is_admin(self) -> bool:
        """See `Client.is_admin`."""
        return is_admin(self.pid, self.tid)

    def area(self, address: ClientAddress) -> Area | None:
        """See `Client.area`.  A connection does not outlive an exec, so the file stays right."""
        if self._maps is None:
            try:
                self._maps = MapsFile(self.pid)
            except OSError:
                return None
        return self._maps.area(address)

    def descriptor(self, number: int) -> int:
        """See `Client.descriptor`."""
        return take_descriptor(self.pidfd, number)

    def refusal(self, node: OpenNode, number: int) -> int:
        """What is against a request on a node by descriptor `number`: 0, or -EBADF if the client
        has neither shown the node by a descriptor before nor does now, or another negative errno.

        Once is enough: who has had a descriptor could have kept a copy of it.
        """
        if node.token in self._had:
            return 0
        try:
            shown = self.descriptor(number)
        except OSError as error:
            return -(error.errno or errno.EBADF)
        try:
            if cookie_of(shown) != node.cookie:
                return -errno.EBADF
        except OSError:
            return -errno.EBADF
        finally:
            os.close(shown)
        if len(self._had) == limits.NODES_REMEMBERED:
            self._had.clear()
        self._had.add(node.token)
        return 0

    def install(self, descriptor: int, flags: int) -> int:
        """See `Client.install`."""
        again = open_again(descriptor, flags | os.O_CLOEXEC)
        os.lseek(again, 0, os.SEEK_END)  # where nothing is read, and nothing written
        try:
            return self.connection.install(again, flags)
        finally:
            os.close(again)

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        """See `Client.wait`.  ConnectionResetError if the client is gone."""
        while not wait_for(answer, within, self.connection.fileno()):
            if self.connection.take_interrupt():
                raise InterruptedError(errno.EINTR, "a signal handler has run")

    def close(self) -> None:
        """Forget the process."""
        if self._maps is not None:
            self._maps.close()
