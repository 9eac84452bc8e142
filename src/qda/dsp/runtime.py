"""What C on the DSP asks its runtime for, answered in Python.

A library in C gets these functions through pointers that it exports, `qda_` and the function's
name, which are filled in when it is loaded.  A library that exports none needs none.

    int adsp_mmap_fd_getinfo(int fd, uint32_t *length)

By this a generated skeleton asks how long the memory of a dmahandle is (spec/idl.md 6.5).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from qda.dsp.skeleton import HandleArgument
from qda.errors import BAD_PARAMETER, StatusError, as_signed

__all__ = ["LengthOf", "call_running", "supply_runtime"]

LengthOf = Callable[[int], int]
"""The length in bytes of what is mapped under an fd; StatusError if nothing is."""

_local = threading.local()
"""`call`: arguments and `LengthOf` of the call that runs in this thread."""


@contextmanager
def call_running(arguments: Sequence[Any], length_of: LengthOf) -> Iterator[None]:
    """While C runs a call in this thread: whose questions the runtime answers."""
    _local.call = arguments, length_of
    try:
        yield
    finally:
        del _local.call


def supply_runtime(library: ctypes.CDLL) -> None:
    """Fill in the pointers to runtime functions that a library exports."""
    for name, function in _functions().items():
        try:
            pointer = ctypes.c_void_p.in_dll(library, f"qda_{name}")
        except ValueError:  # it does not ask for this one
            continue
        pointer.value = ctypes.cast(function, ctypes.c_void_p).value


_FdInfo: Final = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_uint32))


@cache
def _functions() -> dict[str, Any]:
    """The functions for C.  They are made once: C may call them as long as the process lives."""
    return {"adsp_mmap_fd_getinfo": _FdInfo(_fd_info)}


def _fd_info(fd: int, length: Any) -> int:
    """The length under an fd: of a handle of the running call, else of a mapping."""
    arguments, length_of = getattr(_local, "call", ((), None))
    for argument in arguments:
        if isinstance(argument, HandleArgument) and argument.fd == fd:
            length[0] = argument.length
            return 0
    if length_of is None:  # a thread that C has started runs no call
        return as_signed(BAD_PARAMETER)
    try:
        length[0] = length_of(fd)
    except StatusError as error:
        return as_signed(error.status)
    return 0
