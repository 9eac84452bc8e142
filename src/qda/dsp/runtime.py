"""What C on the DSP asks its runtime for, answered in Python.

A library in C gets these functions through pointers that it exports, `qda_` and the function's
name, which are filled in when it is loaded.  A library that exports none needs none.

    int adsp_mmap_fd_getinfo(int fd, uint32_t *length)
    void HAP_debug(int level, const char *file, int line, const char *text)
    int HAP_mem_map(int fd, uint64_t offset, uint64_t length, uint64_t *address)
    int HAP_mem_unmap(uint64_t address, uint64_t length)
    int HAP_mem_hold(int fd, uint64_t *address, uint64_t *size)
    int HAP_mem_let_go(int fd)
    int host_open(const char *name, uint32_t *handle)
    int host_invoke(uint32_t handle, uint32_t scalars, remote_arg *arguments)
    int host_close(uint32_t handle)

and those of dspqueue.h, which are the core's: no Python stands between.

By the first a generated skeleton asks how long the memory of a dmahandle is (spec/idl.md 6.5).
The headers in `qda/idl/c/include` have such pointers; for libraries that were built with other
headers, the library `qda_runtime` (native/runtime) has the symbols, and the pointers.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from qda.core import QUEUE_FUNCTIONS, Server
from qda.dsp.host import open_module
from qda.dsp.remote_arg import RemoteArgument
from qda.dsp.skeleton import DspServices, HandleArgument
from qda.errors import (
    BAD_PARAMETER,
    BAD_STATE,
    SKELETON_RAISED,
    HostError,
    StatusError,
    as_signed,
)
from qda.fastrpc.hostlog import Level
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars
from qda.linux import address_of

__all__ = [
    "RUNTIME_LIBRARY",
    "LengthOf",
    "call_running",
    "lane_serves",
    "load_runtime",
    "supply_runtime",
]

LengthOf = Callable[[int], int]
"""The length in bytes of what is mapped under an fd; StatusError if nothing is."""


class Place(Protocol):
    """A pointer by which C asks for a number."""

    def __setitem__(self, index: int, value: int, /) -> None: ...


class RemoteArguments(Protocol):
    """A pointer to C's array of arguments."""

    def __getitem__(self, index: int, /) -> RemoteArgument: ...


RUNTIME_LIBRARY: Final = "QDA_RUNTIME"
"""Environment variable that names the library `qda_runtime`, if it is not in the package."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that C may run in a thread: what gives its arguments, says how long the memory under
    an fd is, and answers other questions."""

    arguments: Callable[[], Sequence[object]]
    length_of: LengthOf
    services: DspServices | None


_calls: dict[int, Call] = {}
"""The call of each thread that has one."""

_loaded_by: list[DspServices] = []
"""The protection domain that has loaded the last library: for threads that C has started."""


@contextmanager
def call_running(
    arguments: Sequence[object], length_of: LengthOf, services: DspServices | None = None
) -> Iterator[None]:
    """While C runs a call in this thread: whose questions the runtime answers."""
    with _in_this_thread(Call(lambda: arguments, length_of, services)):
        yield


@contextmanager
def lane_serves(server: Server, services: DspServices) -> Iterator[None]:
    """While calls of this thread may run in C with no Python before it."""

    def arguments() -> list[HandleArgument]:
        return [HandleArgument(*one) for one in server.handles()] if server.runs() else []

    with _in_this_thread(Call(arguments, lambda fd: len(services.memory_of_fd(fd)), services)):
        yield


@contextmanager
def _in_this_thread(call: Call) -> Iterator[None]:
    thread = threading.get_ident()
    before = _calls.get(thread)
    _calls[thread] = call
    try:
        yield
    finally:
        if before is None:
            del _calls[thread]
        else:
            _calls[thread] = before


def load_runtime() -> str:
    """Make the runtime's functions available to libraries that are loaded from now on.

    Returns why it could not be loaded, or an empty text.
    """
    return _load_runtime(os.environ.get(RUNTIME_LIBRARY, ""))


@cache
def _load_runtime(named: str) -> str:
    path = Path(named) if named else Path(__file__).with_name("libqda_runtime.so")
    try:
        supply_runtime(ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL))
    except OSError as error:
        return (
            f"the DSP's runtime library, which may define it, is not loaded ({error}): build it "
            f"with CMake (native/cmake/CMakeLists.txt), or name it in {RUNTIME_LIBRARY}"
        )
    return ""


def supply_runtime(library: ctypes.CDLL, services: DspServices | None = None) -> None:
    """Fill in the pointers to runtime functions that a library exports."""
    if services is not None:
        _loaded_by[:] = [services]
    for name, function in _functions().items():
        try:
            pointer = ctypes.c_void_p.in_dll(library, f"qda_{name}")
        except ValueError:  # it does not ask for this one
            continue
        pointer.value = ctypes.cast(function, ctypes.c_void_p).value
    for name, address in QUEUE_FUNCTIONS.items():
        with suppress(ValueError):  # it does not ask for this one
            ctypes.c_void_p.in_dll(library, f"qda_{name}").value = address


def _services() -> DspServices:
    call = _calls.get(threading.get_ident())
    if call is not None and call.services is not None:
        return call.services
    if not _loaded_by:
        raise StatusError(BAD_STATE, "the library was not loaded by a protection domain")
    return _loaded_by[-1]


def _answered(function: Callable[..., int | None]) -> Callable[..., int]:
    """A function for C: what it raises becomes its result."""

    def answer(*arguments: Any) -> int:
        try:
            return function(*arguments) or 0
        except (StatusError, HostError) as error:
            return as_signed(error.status)
        except BaseException as error:  # it must not get into C
            _log_failure(function.__name__, error)
            return as_signed(SKELETON_RAISED)

    return answer


def _log_failure(name: str, error: BaseException) -> None:
    try:
        _services().log.error("runtime function %s failed: %r", name, error)
    except StatusError:
        return


_int, _u32, _u64 = ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64
_u32_at, _u64_at = ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64)
_text = ctypes.c_char_p
_arguments_at = ctypes.POINTER(RemoteArgument)


@cache
def _functions() -> dict[str, Any]:
    """The functions for C.  They are made once: C may call them as long as the process lives."""
    functions: dict[str, tuple[Callable[..., int | None], tuple[Any, ...]]] = {
        "adsp_mmap_fd_getinfo": (_fd_info, (_int, _u32_at)),
        "HAP_debug": (_debug, (_int, _text, _int, _text)),
        "HAP_mem_map": (_map, (_int, _u64, _u64, _u64_at)),
        "HAP_mem_unmap": (_unmap, (_u64, _u64)),
        "HAP_mem_hold": (_hold, (_int, _u64_at, _u64_at)),
        "HAP_mem_let_go": (_let_go, (_int,)),
        "host_open": (_host_open, (_text, _u32_at)),
        "host_invoke": (_host_invoke, (_u32, _u32, _arguments_at)),
        "host_close": (_host_close, (_u32,)),
    }
    return {
        name: ctypes.CFUNCTYPE(_int, *arguments)(_answered(function))
        for name, (function, arguments) in functions.items()
    }


def _fd_info(fd: int, length: Place) -> None:
    """The length under an fd: of a handle of the running call, else of a mapping."""
    call = _calls.get(threading.get_ident())
    if call is None:  # a thread that C has started
        length[0] = len(_services().memory_of_fd(fd))
        return
    named = _named(fd, call)
    length[0] = call.length_of(fd) if named is None else named.length


def _named(fd: int, call: Call) -> HandleArgument | None:
    """The argument of a call that goes by an fd."""
    for argument in call.arguments():
        if isinstance(argument, HandleArgument) and argument.fd == fd:
            return argument
    return None


def _argument(fd: int, services: DspServices) -> memoryview | None:
    """The memory that goes by an fd in the call of this thread.  In a thread that C has started, in
    any call of the process: it works for one of them."""
    own = _calls.get(threading.get_ident())
    for call in [own] if own else list(_calls.values()):
        if call is own or call.services is services:
            named = _named(fd, call)
            if named is not None and named.names_object:
                return named.view
    return None


def _debug(level: int, file: bytes | None, line: int, text: bytes | None) -> None:
    log = _services().log
    words = (text or b"").decode("utf-8", "replace")
    place = (file or b"").decode("utf-8", "replace")
    known = Level(level) if level in set(Level) else Level.HIGH
    log.handle(log.makeRecord(log.name, known.of_python, place, line, "%s", (words,), None))


def _map(fd: int, offset: int, length: int, address: Place) -> None:
    services = _services()
    client = services.client_id or None
    address[0] = services.space.map_own(client, fd, _argument(fd, services), offset, length)


def _unmap(address: int, length: int) -> None:
    services = _services()
    services.space.unmap_own(services.client_id or None, address, length)


def _hold(fd: int, address: Place, size: Place) -> None:
    services = _services()
    view = services.space.hold(services.client_id or None, fd, _argument(fd, services))
    address[0] = address_of(view)
    size[0] = len(view)


def _let_go(fd: int) -> None:
    services = _services()
    services.space.let_go(services.client_id or None, fd)


def _host_open(name: bytes, handle: Place) -> None:
    found = open_module(_services().host.calls, name.decode("utf-8", "replace"))
    handle[0] = found.handle


def _host_invoke(handle: int, word: int, arguments: RemoteArguments) -> int:
    scalars = Scalars.decode(word)
    if scalars.length != scalars.buffers:
        raise StatusError(BAD_PARAMETER, "a reverse call takes no handles")
    buffers = [arguments[index].buffer for index in range(scalars.buffers)]
    ins = [
        ctypes.string_at(one.pv, one.length) if one.length else b""
        for one in buffers[: scalars.in_buffers]
    ]
    outs = buffers[scalars.in_buffers :]
    reply = _services().host.calls.call(handle, scalars, ins, [one.length for one in outs])
    for one, data in zip(outs, reply.outs, strict=False):
        if data:
            ctypes.memmove(one.pv, data, len(data))
    if reply.failure:
        _services().log.info("reverse call to %#x: %s", handle, reply.failure)
    return as_signed(reply.status)


def _host_close(handle: int) -> int:
    asked = REMOTECTL.ask_close(handle)
    calls = _services().host.calls
    reply = calls.call(asked.handle, asked.scalars, asked.ins, asked.sizes)
    return as_signed(reply.status or asked.answer(reply.outs).error)
