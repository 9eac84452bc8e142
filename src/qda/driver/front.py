"""Fronts: what stands between a program's system calls and the objects of the driver.

Every device node leads to a front when it is opened.  Each kind of node has its own: the
accelerator's, the older FastRPC driver's, the DMA-BUF heap's.  They differ in their commands and
in how a structure is copied; what the commands do is done by the same objects (R1).

A front is given what a kernel is given, a code and an address: it reads the structure from the
client's memory and writes it back by itself, so nobody on the way knows what a code means.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Generic, Protocol, Self, TypeVar
from weakref import ref

from qda import limits
from qda.driver import control
from qda.driver.device import Lacking
from qda.driver.file import OpenFile
from qda.driver.handlers import Handler
from qda.driver.leases import Direct
from qda.driver.memory import Client, LocalClient, kernel_for
from qda.driver.peer import Died
from qda.fastrpc.obituary import Obituary
from qda.interrupts import Section, deadline, is_handlers
from qda.layout import Record
from qda.memory import ClientAddress
from qda.uapi import Command, ioctl_copies, ioctl_size

__all__ = ["FileFront", "Front", "Place", "as_result", "copied_by_size"]

T = TypeVar("T")
F = TypeVar("F", bound=OpenFile)

Place = Callable[[int, int], T]
"""Maps so many bytes of a descriptor, from its first byte, for whoever calls mmap."""


class Front(Protocol):
    """An open device node as a program reaches it."""

    def ioctl(self, client: Client, code: int, address: ClientAddress) -> int:
        """Carry out an ioctl on the structure at `address` in the client's memory, in place.

        Returns what the system call returns in the kernel: a negative errno, or the DSP's result
        as a signed 32-bit number, or 0.
        """
        ...

    def mmap(self, length: int, offset: int, place: Place[T]) -> T:
        """Map `length` bytes at an offset of the node: `place` is given the descriptor of the
        memory and the length, and its result is returned.  OSError."""
        ...

    def at_once(self, client: LocalClient, code: int, data: bytearray) -> int | None:
        """Carry out an ioctl of this process whose structure is at hand, and which needs no more
        than the core; its result as that of `ioctl`, None if it has to go there."""
        ...

    @property
    def obituary(self) -> Obituary | None:
        """How the protection domain of the node's session has died; None if it has not, or nobody
        can tell."""
        ...

    def close(self, client: Client | None = None) -> None:
        """Close the node and everything made through it; idempotent, never fails."""
        ...


def as_result(error: OSError) -> int:
    """The result of a system call that has failed."""
    return -(error.errno or errno.EIO)


def copied_by_size(
    client: Client,
    command: Command[Record],
    code: int,
    address: ClientAddress,
    run: Callable[[Record | None], int],
) -> int:
    """Run a command on a structure whose size the caller's `code` says (spec/fastrpc.md 4.1).

    A structure that is shorter than ours is extended with zeros, a longer one is written back
    whole, and the write-back happens also when the command failed.  The DRM core does so, and the
    DMA-BUF heap (5.4).
    """
    readable, writable = ioctl_copies(code, command.access.value)
    given = client.read(address, readable) if readable else b""
    if given is None:
        return -errno.EFAULT
    record_type = command.record
    if record_type is None:
        return run(None)
    buffer = bytearray(max(ioctl_size(code), record_type.byte_size))
    buffer[:readable] = given
    record = record_type.unpack(buffer)
    result = -record.breach() or run(record)
    if not writable:
        return result
    record.pack_into(buffer)
    return result if client.write(address, bytes(buffer[:writable])) else -errno.EFAULT


class _Running:
    """A command under way: should Ctrl-C break off its very end, it ends when this dies."""

    __slots__ = ("__weakref__",)


class FileFront(Generic[F]):
    """What the fronts of a DSP's nodes share: commands that run on an open file, and its end."""

    writes_back = False
    """Whether a structure is written back that a command has left as it was."""

    def __init__(self, file: F, invoke_code: int) -> None:
        self.file = file
        self.invoke_code = invoke_code
        self._idle = threading.Condition()
        self._running: set[ref[_Running]] = set()
        self._closed = False

    def section(self, command: Command[Record]) -> AbstractContextManager[None]:
        """What a command runs in, from its structure to its structure: what the DSP has done must
        be known here and to the program.  Only a call may be broken off at any moment."""
        return nullcontext() if command.code == self.invoke_code else Section(limits.PATIENCE)

    def run(self, handler: Handler[Self], client: Client, record: Record | None) -> int:
        """Run a command, which counts as running until it ends; returns the ioctl's result."""
        self.file.process = client.pid
        token = _Running()
        mark = ref(token, self._running.discard)
        try:
            self._running.add(mark)
            if self._closed:
                raise OSError(errno.EBADF, "the file is closed")
            return self.file.device.with_bank(client, partial(handler, self, client, record))
        except Died as died:
            return died.result
        except OSError as error:
            return self.failed(error)
        finally:
            self._running.discard(mark)
            if self._closed:
                with self._idle:
                    self._idle.notify_all()

    def at_once(self, client: LocalClient, code: int, data: bytearray) -> int | None:
        """See `Front.at_once`: calls are such ioctls, most of them.  One that is under way when the
        file is closed is waited for by its session."""
        session, port = self.file.session, client.port
        if code != self.invoke_code or session is None or port is None or not self.file.in_core:
            return None
        try:
            return session.invoke(port, data)
        except Died as died:
            return died.result
        except OSError as error:
            return self.failed(error)

    @property
    def direct(self) -> Direct | None:
        """How programs may call without the driver, None if they may not."""
        session = self.file.session
        if session is None or not session.lends or not self.file.in_core:
            return None
        if not session.is_private:
            return None  # it believes whoever has one of its lanes, and is not the program's alone
        return Direct(session.leases, self.invoke_code, self.writes_back, self.file.descriptors)

    def lost(self) -> int:
        """The result of a call that a program has made without the driver, and which nobody answers
        any more.  EIO if somebody does."""
        session = self.file.session
        try:
            return -errno.EIO if session is None else session.leases.lost()
        except OSError as error:
            return self.failed(error)

    @property
    def obituary(self) -> Obituary | None:
        """See `Front.obituary`."""
        return None if self.file.session is None else self.file.session.peer.obituary

    def failed(self, error: OSError) -> int:
        """The result of a command that has failed."""
        if is_handlers(error):
            raise error
        if error.errno == errno.ENODEV and not isinstance(error, Lacking):
            return -self.file.semantics.removed
        return as_result(error)

    def close(self, client: Client | None = None) -> None:
        """Close the file; idempotent, never fails."""
        with Section(limits.PATIENCE, ends=True):
            with self._idle:
                if self._closed:
                    return
                self._closed = True
            try:
                control.release(self.file, client or kernel_for(self.file.process))
            finally:
                with self._idle:
                    deadline(limits.GRACE).until(
                        lambda left: self._idle.wait_for(lambda: not self._running, left)
                    )
                self.file.close()
