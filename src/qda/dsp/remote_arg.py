"""The arguments of a call as C sees them: an array of `remote_arg` (spec/fastrpc.md 1.2)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from qda.dsp.skeleton import HandleArgument
from qda.linux import address_of

__all__ = ["RemoteArgument", "remote_arguments"]


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
            place.buffer.pv = address_of(argument)
            place.buffer.length = argument.nbytes
    return found
