"""What programs ask of the device, put into a trace: an `Observer` that keeps what it sees."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from time import monotonic_ns

from qda.driver import Client
from qda.layout import Record
from qda.memory import ClientAddress
from qda.profiles.nodes import NodeKind, NodePath
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Request
from qda.tracing.events import Mapped, Opened, Released
from qda.tracing.ioctls import (
    Asked,
    Find,
    begun,
    elements_asked,
    ended,
    in_heap,
    in_interface,
)
from qda.tracing.stream import Stream
from qda.uapi import ACCEL_DIALECTS, DIALECTS, LEGACY_73, LEGACY_SIGNALS, RFC, Command, ioctl_size

__all__ = ["Tracer"]

_INVOKES = {interface.command("INVOKE").code for interface in DIALECTS.values()}

_COUNTS, _NO_ARGUMENTS = slice(4, 7), bytes(3)
"""Where the structure of INVOKE has the numbers of arguments, in its scalars word."""


class Tracer:
    """Puts the requests of all clients into a stream.  Thread-safe.

    It is an `Observer` of a device server; `dialect` is as that has it.
    """

    encloses = True

    def __init__(self, stream: Stream, dialect: str) -> None:
        self._put, self._tell = stream.put, stream.tell
        accel = in_interface(ACCEL_DIALECTS.get(dialect, RFC))
        self._find: dict[NodeKind, Find] = dict.fromkeys(NodeKind, accel)
        self._find |= {NodeKind.HEAP: in_heap, NodeKind.FASTRPC: _in_fastrpc}
        self._numbers = itertools.count()

    # An `Observer`.

    def opened(self, request: Request, client: Client, result: int) -> None:
        """See `Observer.opened`."""
        path = "/dev/" + request.name.partition(b"\0")[0].decode("utf-8", "replace")
        who = monotonic_ns(), client.pid, client.tid
        comm = client.comm.decode("utf-8", "replace")
        self._tell(Opened(*who, path, request.flags, result, comm))

    def released(self, path: NodePath, opener: int) -> None:
        """See `Observer.released`."""
        self._tell(Released(monotonic_ns(), opener, 0, path.path))

    def mapped(self, request: Request, client: Client, node: OpenNode, result: int) -> None:
        """See `Observer.mapped`."""
        who, part = (monotonic_ns(), client.pid, client.tid), (request.code, request.argument)
        self._tell(Mapped(*who, node.path.path, request.descriptor, *part, result))

    def ioctl(
        self, request: Request, client: Client, node: OpenNode, carry_out: Callable[[], int]
    ) -> int:
        """See `Observer.ioctl`."""
        code, address, elements = request.code, ClientAddress(request.argument), b""
        size = ioctl_size(code)
        given = client.read(address, size) if size else None
        if code in _INVOKES and given is not None and given[_COUNTS] != _NO_ARGUMENTS:
            place, length = elements_asked(given)
            elements = client.read(ClientAddress(place), length) or b"" if length else b""
        asked = Asked(
            next(self._numbers),
            monotonic_ns(),
            client.pid,
            client.tid,
            node.path.path,
            request.descriptor,
            self._find[node.path.kind],
            code,
            address,
            given,
            elements,
        )
        self._put(partial(begun, asked))
        result = carry_out()
        time = monotonic_ns()
        left = client.read(address, size) if size else None
        self._put(partial(ended, asked, time, left, result))
        return result


def _in_fastrpc(code: int) -> Command[Record] | None:
    """The commands of the older driver's nodes, which complete codes tell apart."""
    return LEGACY_73.find(code) or LEGACY_SIGNALS.find(code)
