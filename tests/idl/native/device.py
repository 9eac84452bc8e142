"""Generated C on a virtual device: stubs whose client library is a session, skeletons as modules.

    with open_session(machine) as session:
        install(session, c_skeleton(document, interface, implementation), document.library)
        transport = SessionTransport(session)
        stub = Stub(build(document).stub, interface, transport)
        status, handle = stub.open(interface.uri)
        status, results = stub.call("sum", {"vec": [1, 2, 3]}, {}, handle=handle)

Either side can be replaced: a skeleton in Python is installed in the same way, and a module that
`c_skeleton` has made can be loaded and invoked like any other.
"""

from __future__ import annotations

import ctypes
import types
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qda
from qda.client import RemoteModule, Session
from qda.dsp.native import NativeSkeleton, RemoteArgument, native_skeleton
from qda.errors import DSP_OFFSET, DspError, as_signed
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Document, Interface
from qda.idl.wire.nodes import Dma
from tests.idl.native.compiler import build
from tests.idl.native.hooks import Hooked
from tests.idl.native.skeleton import Implementation, hook_implementation

__all__ = ["SessionTransport", "c_skeleton", "install"]


_ON_THE_DSP = {"AEE_EOFFSET": hex(DSP_OFFSET)}
"""What tells the headers that statuses are those of a DSP (idl.md 6.9)."""


class SessionTransport:
    """A session as the client library of C stubs (`tests.idl.native.Transport`).

    Memory of the session is passed as a dmahandle under the name that `share` gives it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.opened: dict[int, RemoteModule] = {}
        self._shared: dict[int, NDArray[np.uint8]] = {}
        self._lengths: dict[int, int] = {}

    def share(self, array: NDArray[Any], offset: int = 0, length: int | None = None) -> Dma:
        """A dmahandle for bytes of an array of the session."""
        view = array.view(np.uint8).reshape(-1)
        fd = 1000 + len(self._shared)
        self._shared[fd] = view
        return Dma(fd, offset, len(view) - offset if length is None else length)

    def open(self, name: str, handle64: bool) -> tuple[int, int]:
        """Open a module by name or URI."""
        try:
            module = self._session.load(name)
        except DspError as error:
            return as_signed(error.status), 0
        self.opened[module.handle] = module
        return 0, module.handle

    def close(self, handle: int) -> int:
        """Close what `open` has opened."""
        try:
            self.opened.pop(handle).close()
        except DspError as error:
            return as_signed(error.status)
        return 0

    def register(self, fd: int, length: int) -> int:
        """Note the length of shared memory."""
        self._lengths[fd] = length
        return 0 if fd in self._shared else 14

    def invoke(
        self, handle: int, scalars: Scalars, arguments: list[RemoteArgument], descriptor: int
    ) -> int:
        """Carry a call; one with a descriptor is done when it returns."""
        buffers = [_memory(one) for one in arguments[: scalars.buffers]]
        handles = [self._selected(one.handle) for one in arguments[scalars.buffers :]]
        try:
            self._session.invoke(
                handle,
                scalars.method,
                buffers[: scalars.in_buffers],
                buffers[scalars.in_buffers :],
                handles[: scalars.in_handles],
                handles[scalars.in_handles :],
            )
        except DspError as error:
            return as_signed(error.status)
        return 0

    def _selected(self, word: int) -> NDArray[np.uint8]:
        fd, offset = word & 0xFFFFFFFF, word >> 32
        return self._shared[fd][offset : offset + self._lengths[fd]]


def _memory(argument: RemoteArgument) -> Any:
    """The bytes of a buffer argument, where they are."""
    buffer = argument.buffer
    if not buffer.length:
        return bytearray()
    return (ctypes.c_ubyte * buffer.length).from_address(buffer.pv or 0)


def install(session: Session, skeleton: type[qda.Skeleton], name: str) -> None:
    """Make a skeleton known on the DSP under the name of its library, for stubs to open."""
    session.loader.install(skeleton, name)


class _Hooked(NativeSkeleton):
    """A skeleton in C whose implementation is Python."""

    model: Interface
    implementation: Implementation

    def __init__(self) -> None:
        self._hooked = Hooked(Path(self.path))
        hook_implementation(self._hooked, self.model, self.implementation)
        self.path = str(self._hooked.path)
        super().__init__()

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        result = super().invoke(scalars, arguments)
        self._hooked.guard()
        return result


def c_skeleton(
    document: Document, interface: Interface, implementation: str | Implementation
) -> type[NativeSkeleton]:
    """A generated skeleton in C as a class, for `install` and `Session.load`.

    The implementation is C, or Python that the DSP runs when C calls it, which must be something
    that can be sent there (see `Session.load`).
    """
    handle64 = interface.is_handle64
    if isinstance(implementation, str):
        path = build(document, implementation=implementation, defines=_ON_THE_DSP).skel
        return native_skeleton(path, interface.c_name, handle64=handle64)
    members = {
        "path": str(build(document, defines=_ON_THE_DSP).skel),
        "interface": interface.c_name,
        "handle64": handle64,
        "model": interface,
        "implementation": staticmethod(implementation),
    }
    made: type[NativeSkeleton] = types.new_class(
        f"{interface.c_name}_hooked",
        (_Hooked,),
        {"name": document.library},
        lambda body: body.update(members),
    )
    return made
