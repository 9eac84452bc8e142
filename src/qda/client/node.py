"""The client's only way to a device: a node with three operations.

One kind of node is a descriptor of the kernel, another is a virtual device in this process, so what
is tested on the virtual device is what runs on hardware.
"""

from __future__ import annotations

import errno
import mmap
import os
from typing import Protocol, Self, TypeVar

from qda import limits
from qda.core import Traced
from qda.errors import DeviceError, Refusal, UsageError
from qda.fastrpc.obituary import ASK, AskObituary, Obituary
from qda.interrupts import Section, at_wait
from qda.layout import Record
from qda.linux import address_of, ioctl
from qda.uapi import Command

__all__ = ["KernelNode", "Node", "Notes", "issue", "tell_room"]

M = TypeVar("M", bound=mmap.mmap)
R = TypeVar("R", bound=Record)


class Notes(Protocol):
    """Notes the calls of a session while a block runs; `records` has them afterwards."""

    @property
    def records(self) -> list[Traced]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Node(Protocol):
    """An open device node."""

    @property
    def name(self) -> str:
        """What it is, for people: a path, or "virtual cdsp"."""
        ...

    @property
    def path(self) -> str:
        """Its path, which is the same for a virtual device, although only this process has it."""
        ...

    @property
    def handed_over(self) -> dict[str, type] | None:
        """Classes on their way to a DSP that runs in this process, each under a key of its own.
        None if the DSP is elsewhere."""
        ...

    def neighbour(self, path: str) -> Node:
        """Open another node of the same system, for reading.  DeviceError."""
        ...

    def ioctl(self, code: int, data: bytearray) -> int:
        """Carry out an ioctl on `data`, in place; returns a signed 32-bit number.

        OSError only for results -1 to -4095: a status of the DSP such as 0x8000040D comes back as
        the negative number that it is (spec/fastrpc.md 8.3).
        """
        ...

    def mmap(self, length: int, offset: int, kind: type[M]) -> M:
        """Map `length` bytes at a fake offset of the device, as an object of `kind`.  OSError."""
        ...

    @property
    def obituary(self) -> Obituary | None:
        """How the process of the node's session has died; None if it has not, or nobody can tell.
        Waits for who can."""
        ...

    def notes(self) -> Notes | None:
        """What notes the calls of the node's session; None where nobody can."""
        ...

    def close(self) -> None:
        """Close the node and everything made through it; idempotent."""
        ...


def issue(node: Node, command: Command[R], request: R | None = None) -> int:
    """Issue a command on a node; `request` is afterwards what the device has left of it.

    It may be a record of another dialect than the command's: it is put into the form that the
    command has, and back.  Returns the result of the ioctl.  OSError.
    """
    form = command.record
    data = bytearray(form.of(request).pack()) if form and request else bytearray()
    result = node.ioctl(command.code, data)
    if form and request:
        request.update(form.unpack(data))
    return result


def tell_room(node: Node, error: Refusal) -> None:
    """Say of what found no room on a DSP that is threads of the program how little there is."""
    if node.handed_over is not None:
        room = limits.THREADED_WINDOW >> 20
        error.cause = f"with debug=True there are {room} MiB of addresses for what is shared"
        error.next_step = "unmap or close what is no longer used, or open it without debug=True"


_PATHS = {
    errno.ENOENT: ("there is no such file", 'list the nodes with `qda info`; device="virtual"'),
    errno.EACCES: (
        "the node is not for this user",
        "see who may open it with `ls -l`, and join its group",
    ),
}
_OTHER_PATHS = "the path leads to something else than a node", "list the nodes with `qda info`"


def _unopened(path: str, error: OSError) -> DeviceError:
    """The error of a path.  The numbers mean other things here than of a node that is open."""
    number = error.errno or errno.ENODEV
    if number not in (*_PATHS, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
        return DeviceError("open", path, number)
    said = DeviceError("open", path, number, os.strerror(number).lower())
    said.cause, said.next_step = _PATHS.get(number, _OTHER_PATHS)
    return said


class KernelNode:
    """A descriptor of a device node.  DeviceError if it cannot be opened."""

    handed_over = None

    def notes(self) -> None:
        """See `Node.notes`.  A kernel's driver has none."""

    def __init__(self, path: str, access: int = os.O_RDWR) -> None:
        self.name = self.path = path
        self._tells = True
        try:
            self._descriptor = os.open(path, access | os.O_CLOEXEC)
        except OSError as error:
            raise _unopened(path, error) from error
        except ValueError as error:
            raise UsageError(f"device {path!r}: {error}") from error

    def neighbour(self, path: str) -> KernelNode:
        """See `Node.neighbour`."""
        return KernelNode(path, os.O_RDONLY)

    @property
    def obituary(self) -> Obituary | None:
        """See `Node.obituary`.  A kernel's driver tells nothing; that of `qda run` does."""
        room = bytearray(limits.OBITUARY)
        asked = AskObituary(address=address_of(room), size=len(room))
        try:
            length = self.ioctl(ASK, bytearray(asked.pack())) if self._tells else 0
        except OSError as error:
            self._tells = error.errno not in (errno.ENOTTY, errno.EINVAL)
            return None
        return Obituary.unpack(bytes(room[:length]))

    def ioctl(self, code: int, data: bytearray) -> int:
        """See `Node.ioctl`.  An interrupted call is taken up again, after the signal handlers of
        Python have run; if one of them raises, the call is left alone."""
        for _ in range(limits.RESUMED):
            try:
                return ioctl(self._descriptor, code, data)
            except InterruptedError:
                at_wait()
        raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))

    def mmap(self, length: int, offset: int, kind: type[M]) -> M:
        """See `Node.mmap`."""
        if self._descriptor < 0:  # to Python's mmap, -1 means anonymous memory
            raise OSError(errno.EBADF, "the node is closed")
        return kind(self._descriptor, length, offset=offset)

    def close(self) -> None:
        """See `Node.close`."""
        with Section():
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
