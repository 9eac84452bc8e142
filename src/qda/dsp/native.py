"""Skeletons in a shared object of the host: C with the entry points of generated skeletons.

    session.load(native_skeleton("build/libcalculator_skel.so", "calculator"))

A generated skeleton has one entry, which gets the scalars and the argument array of a call:

    int calculator_skel_handle_invoke(remote_handle64 h, uint32_t scalars, remote_arg* arguments);
    int calculator_skel_invoke(uint32_t scalars, remote_arg* arguments);    without a handle

The arguments are the memory that the caller shares, as for skeletons in Python.  While C runs, the
interpreter serves other calls.  C that crashes ends its protection domain, and nothing else.

What a library asks of the DSP's runtime has to be in the library, or in one that it is linked
with, or come through a pointer that `qda.dsp.runtime` fills in.
"""

from __future__ import annotations

import ctypes
import os
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

from qda.dsp.runtime import LengthOf, call_running, supply_runtime
from qda.dsp.skeleton import HandleArgument, Skeleton
from qda.errors import BAD_HANDLE, BAD_PARAMETER, UNABLE_TO_LOAD, StatusError, as_unsigned
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.uri import ModuleUri
from qda.idl.lifecycle import CLOSE, OPEN

__all__ = [
    "NativeModule",
    "NativeSkeleton",
    "RemoteArgument",
    "native_skeleton",
    "remote_arguments",
]


class _Buffer(ctypes.Structure):
    _fields_ = (("pv", ctypes.c_void_p), ("length", ctypes.c_size_t))


class RemoteArgument(ctypes.Union):
    """C's `remote_arg`: a buffer, or the 64 bits of a handle.

    A dmahandle is 64 bits too: fd s32 at 0, offset u32 at 4 (spec/idl.md 6.5).
    """

    _fields_ = (("buffer", _Buffer), ("handle", ctypes.c_uint64))
    buffer: _Buffer
    handle: int


def remote_arguments(arguments: Sequence[Any]) -> ctypes.Array[RemoteArgument]:
    """The C array of a call's arguments: views, `HandleArgument`s and numbers, in wire order.

    The array points into the views, which must outlive it.  An empty buffer has no address: C may
    not touch any byte of it, and with NULL it cannot without being noticed (spec/idl.md 6.1).
    """
    found = (RemoteArgument * len(arguments))()
    for place, argument in zip(found, arguments, strict=True):
        if isinstance(argument, HandleArgument):
            place.handle = argument.value
        elif isinstance(argument, int):
            place.handle = argument
        elif argument.nbytes:
            place.buffer.pv = _address(argument)
            place.buffer.length = argument.nbytes
    return found


def _address(view: memoryview) -> int:
    """Where a view's bytes are.  NumPy says it of read-only memory too, ctypes does not."""
    address: int = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
    return address


def _nothing_mapped(fd: int) -> int:
    raise StatusError(BAD_PARAMETER, f"nothing is known about fd {fd}")


class NativeModule:
    """A skeleton in a shared object, as a module of a protection domain.

    `path` is the library and `name` the interface, with which its symbols begin.  `handle64`: the
    interface descends from `remote_handle64`; then `open` comes before all calls and `close` after
    them, and the library's own handle stays here.  `length_of` says how long the memory is that
    the caller calls by an fd; StatusError if there is none.

    StatusError UNABLE_TO_LOAD for a library that cannot be loaded or lacks the entry.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str,
        *,
        handle64: bool = True,
        length_of: LengthOf | None = None,
    ) -> None:
        self.name, self.handle64 = name, handle64
        self._length_of = length_of or _nothing_mapped
        self._handle: int | None = None
        try:
            # Symbols stay the library's own: two modules may define the same.
            self._library = ctypes.CDLL(os.fspath(path))
            style = "skel_handle_invoke" if handle64 else "skel_invoke"
            self._entry: Any = self._library[f"{name}_{style}"]
        except (OSError, AttributeError) as error:
            raise StatusError(UNABLE_TO_LOAD, f"skeleton {name}: {error}") from error
        handle = (ctypes.c_uint64,) if handle64 else ()
        self._entry.argtypes = (*handle, ctypes.c_uint32, ctypes.POINTER(RemoteArgument))
        self._entry.restype = ctypes.c_int32
        supply_runtime(self._library)

    def open(self, uri: str) -> None:
        """Open the skeleton with the URI that the client wrote; nothing without handles.

        StatusError with the status by which the skeleton refuses.
        """
        if not self.handle64:
            return
        text = uri.encode("utf-8", "surrogateescape") + b"\0"
        ins = [memoryview(len(text).to_bytes(4, "little")), memoryview(text)]
        arguments = remote_arguments([*ins, 0])
        status = self.enter(0, OPEN, arguments)
        if status:
            raise StatusError(as_unsigned(status), f"{self.name} refuses to open {uri}")
        self._handle = arguments[2].handle

    def close(self) -> None:
        """Close what was opened; idempotent.  StatusError with the skeleton's own status."""
        handle, self._handle = self._handle, None
        if handle is not None:
            status = self.enter(handle, CLOSE, remote_arguments([handle]))
            if status:
                raise StatusError(as_unsigned(status), f"{self.name} failed to close")

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one call; returns the skeleton's status, signed.  StatusError before any C runs."""
        if self.handle64 and self._handle is None:
            raise StatusError(BAD_HANDLE, f"{self.name} was not opened by a URI with _modver")
        with call_running(arguments, self._length_of):
            return self.enter(self._handle or 0, scalars, remote_arguments(arguments))

    def enter(self, handle: int, scalars: Scalars, arguments: ctypes.Array[RemoteArgument]) -> int:
        """Call the entry with any handle, scalars and arguments; returns its status, signed."""
        first = (handle,) if self.handle64 else ()
        status: int = self._entry(*first, scalars.word, arguments)
        return status


class NativeSkeleton(Skeleton):
    """Base of the classes that `native_skeleton` makes: forwards all to a `NativeModule`."""

    path = ""
    interface = ""
    handle64 = True

    def __init__(self) -> None:
        self._module = NativeModule(
            self.path,
            self.interface,
            handle64=self.handle64,
            length_of=lambda fd: len(self.dsp.memory_of_fd(fd)),
        )

    def open(self, uri: str) -> None:
        """Open it in C."""
        self._module.open(uri)

    def close(self) -> None:
        """Close it in C."""
        self._module.close()

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Call a method in C."""
        return self._module.invoke(scalars, arguments)


def native_skeleton(
    path: str | os.PathLike[str], interface: str, *, handle64: bool = True
) -> type[NativeSkeleton]:
    """A class with which `Session.load` opens the skeleton of an interface in a library.

    As on hardware, the module has the name of the file and the symbol that of the interface.  The
    library is loaded on the DSP: what is wrong with it is the error of the open.
    """
    path = os.path.abspath(path)
    name = ModuleUri(os.path.basename(path), "", handle64).name
    members = {"path": path, "interface": interface, "handle64": handle64}
    made: type[NativeSkeleton] = types.new_class(
        f"{interface}_native", (NativeSkeleton,), {"name": name}, lambda body: body.update(members)
    )
    return made
