"""Skeletons in a shared object of the host: C with the entry points of generated skeletons.

    session.load(native_skeleton("build/libcalculator_skel.so", "calculator"))

A generated skeleton has one entry, which gets the scalars and the argument array of a call:

    int calculator_skel_handle_invoke(remote_handle64 h, uint32_t scalars, remote_arg* arguments);
    int calculator_skel_invoke(uint32_t scalars, remote_arg* arguments);    without a handle

The arguments are the memory that the caller shares, as for skeletons in Python.  Once a module is
open the core calls its entry by itself (`Modules.open`); Python does so where the core has not been
compiled.  In either case the interpreter serves other calls meanwhile.  C that crashes ends its
protection domain, and nothing else.

What a library asks of the DSP's runtime comes through pointers in it that `qda.dsp.runtime` fills
in, as those of our headers do, or from the library `qda_runtime`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import threading
import types
import weakref
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qda.dsp.black_box import is_sanitized, knows_exceptions
from qda.dsp.library_file import check_library
from qda.dsp.remote_arg import RemoteArgument, remote_arguments
from qda.dsp.runtime import LengthOf, call_running, load_runtime, supply_runtime
from qda.dsp.skeleton import DspServices, Skeleton
from qda.dsp.symbols import entries_of
from qda.errors import BAD_HANDLE, BAD_PARAMETER, UNABLE_TO_LOAD, StatusError, as_unsigned
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import CLOSE, OPEN
from qda.fastrpc.uri import ModuleUri
from qda.linux import sealed_memory, unload

__all__ = [
    "Entry",
    "NativeLibrary",
    "NativeModule",
    "NativeSkeleton",
    "RemoteArgument",
    "native_skeleton",
    "remote_arguments",
]


def _nothing_mapped(fd: int) -> int:
    raise StatusError(BAD_PARAMETER, f"nothing is known about fd {fd}")


def _hint(words: str, missing: str) -> str:
    """What to do about a symbol that nobody defines; `missing` says why there is no runtime."""
    found = re.search(r"undefined symbol: (\w+)", words)
    if found is None:
        return ""
    if missing:
        return f"; {missing}"
    if found[1].startswith("Q6_"):
        return "; it is an instruction of Hexagon's, which no function here stands for"
    if found[1].startswith(("qurt_", "HAP_", "compute_resource_")):
        return (
            "; the DSP's runtime has what docs/runtime.md says: if this is of it, the library "
            "qda_runtime is older, and the package has to be installed again"
        )
    return ""


def _own_symbols_first() -> int:
    """RTLD_DEEPBIND, which AddressSanitizer refuses: its functions have to stand before all."""
    return 0 if is_sanitized() else getattr(os, "RTLD_DEEPBIND", 0)


class Loaded:
    """Whoever has this has a library loaded."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The function of a module: where it is, the library's own handle, which it gets first if there
    is one, what keeps its code, and the number of the first method that it has."""

    address: int
    own: int | None
    library: Loaded
    first: int = 0


class NativeLibrary:
    """A shared object in this process.

    Its symbols stay its own: two libraries may define the same, and so may the program, with which
    a skeleton has the names of its methods in common (clients.md 13.10).  `close` unloads it.

    `path` is where the file is, `name` what errors call it.  `services` answers the library's
    questions outside of calls.  StatusError UNABLE_TO_LOAD.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        services: DspServices | None = None,
    ) -> None:
        self.name = name or os.fspath(path)
        # musl has no RTLD_DEEPBIND: there a library prefers what the program itself has.
        flags = os.RTLD_NOW | os.RTLD_LOCAL | _own_symbols_first()
        missing = load_runtime()
        try:
            self._library: ctypes.CDLL | None = ctypes.CDLL(os.fspath(path), flags)
        except OSError as error:
            words = str(error).replace(os.fspath(path), self.name)
            if not words.startswith(self.name):
                words = f"{self.name} needs {words}"
            raise StatusError(UNABLE_TO_LOAD, words + _hint(words, missing)) from error
        self._path = os.fspath(path)
        supply_runtime(self._library, services)
        knows_exceptions(self._library)
        _write_whole_lines(self._library)
        self._lock = threading.Lock()
        self._running, self._closed = 0, False

    @classmethod
    def from_bytes(
        cls, data: bytes, name: str, services: DspServices, file: Path | None = None
    ) -> NativeLibrary:
        """A library whose file has been read; it is loaded from there if it is `file` of this
        machine, so that debuggers find it.  StatusError UNABLE_TO_LOAD."""
        if file is not None and _may_load(file, data):
            return cls(file, name, services)
        descriptor = sealed_memory(name[-200:], data, _SEALS)
        try:
            return cls(f"/proc/self/fd/{descriptor}", name, services)
        finally:
            os.close(descriptor)

    def entry(self, symbol: str) -> Any:
        """A function of the library.  StatusError UNABLE_TO_LOAD if it has none of that name."""
        assert self._library is not None
        try:
            return self._library[symbol]
        except AttributeError as error:
            entries = entries_of(self._path)
            words = f"{self.name} has no symbol {symbol}"
            if symbol in entries:
                words = f"{self.name} has {symbol}, but hides it from others"
            elif entries:
                words += f"; it has {', '.join(entries)}"
            raise StatusError(UNABLE_TO_LOAD, words) from error

    @contextmanager
    def running(self) -> Iterator[None]:
        """While its code runs in this thread: it is not unloaded under it."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            self._leave()

    def keep(self) -> Loaded:
        """What keeps it loaded as long as anybody has it."""
        loaded = Loaded()
        with self._lock:
            self._running += 1
        weakref.finalize(loaded, self._leave).atexit = False
        return loaded

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
            self._unload()

    def close(self) -> None:
        """Unload it as soon as none of its code runs.  Idempotent."""
        with self._lock:
            self._closed = True
            self._unload()

    def _unload(self) -> None:
        if self._closed and not self._running and self._library is not None:
            library, self._library = self._library, None
            unload(library)


_loaded_files: dict[tuple[int, int], int] = {}
"""Files that this process has loaded libraries from, with digests of what was in them."""


def _write_whole_lines(library: ctypes.CDLL) -> None:
    """Have the C library write what skeletons print at the end of a line, also to a file: their
    process ends without a word, and what it has not written by then is lost."""
    with suppress(AttributeError, ValueError):  # a library that does without one
        line_buffered = 1  # _IOLBF, of all C libraries
        output = ctypes.c_void_p.in_dll(library, "stdout")
        library.setvbuf(output, None, line_buffered, ctypes.c_size_t(0))


def _may_load(file: Path, data: bytes) -> bool:
    """Whether loading a file gives a library of these bytes, and of its own.  One that was loaded
    once may stay for ever (those of C++ do), whatever its file becomes; and the same file loaded
    for another protection domain of this process would be the same library."""
    try:
        status = file.stat()
        digest = zlib.crc32(data)
        if status.st_size != len(data) or zlib.crc32(file.read_bytes()) != digest:
            return False
    except OSError:
        return False
    before = _loaded_files.setdefault((status.st_dev, status.st_ino), digest)
    return before == digest and not _is_mapped(status.st_ino, file)


def _is_mapped(inode: int, file: Path) -> bool:
    with open("/proc/self/maps", "rb") as maps:
        return any(f" {inode} ".encode() in line and bytes(file) in line for line in maps)


_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class NativeModule:
    """A skeleton in a shared object, as a module of a protection domain.

    `library` is the library or its path, and `name` the interface, with which its symbols begin;
    `symbol` is its entry if it is called otherwise.  `handle64`: the interface descends from
    `remote_handle64`; then `open` comes before all calls and `close` after them, and the library's
    own handle stays here.  `length_of` says how long the memory is that the caller calls by an fd;
    StatusError if there is none.  `services` answers its other questions.

    StatusError UNABLE_TO_LOAD for a library that cannot be loaded or lacks the entry.
    """

    def __init__(
        self,
        library: NativeLibrary | str | os.PathLike[str],
        name: str,
        *,
        symbol: str | None = None,
        handle64: bool = True,
        length_of: LengthOf | None = None,
        services: DspServices | None = None,
    ) -> None:
        self.name, self.handle64 = name, handle64
        self._length_of, self.services = length_of or _nothing_mapped, services
        self._handle: int | None = None
        if not isinstance(library, NativeLibrary):
            _check_file(library)
            library = NativeLibrary(library, services=services)
        self._library = library
        style = "skel_handle_invoke" if handle64 else "skel_invoke"
        self._entry = library.entry(symbol or f"{name}_{style}")
        handle = (ctypes.c_uint64,) if handle64 else ()
        self._entry.argtypes = (*handle, ctypes.c_uint32, ctypes.POINTER(RemoteArgument))
        self._entry.restype = ctypes.c_int32

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

    def direct(self) -> Entry | None:
        """What calls an opened module with no Python between; None if it is not open."""
        if self.handle64 and self._handle is None:
            return None
        address = ctypes.cast(self._entry, ctypes.c_void_p).value or 0
        return Entry(address, self._handle, self._library.keep())

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one call; returns the skeleton's status, signed.  StatusError before any C runs."""
        if self.handle64 and self._handle is None:
            raise StatusError(BAD_HANDLE, f"{self.name} was not opened by a URI with _modver")
        return self.enter(self._handle or 0, scalars, remote_arguments(arguments), arguments)

    def enter(
        self,
        handle: int,
        scalars: Scalars,
        arguments: ctypes.Array[RemoteArgument],
        given: Sequence[Any] = (),
    ) -> int:
        """Call the entry with any handle, scalars and arguments; returns its status, signed.

        `given` are the arguments as Python has them.
        """
        first = (handle,) if self.handle64 else ()
        with self._library.running(), call_running(given, self._length_of, self.services):
            status: int = self._entry(*first, scalars.word, arguments)
        return status


def _check_file(path: str | os.PathLike[str]) -> None:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        words = f"{os.fspath(path)} cannot be read: {error.strerror}"
        raise StatusError(UNABLE_TO_LOAD, words) from error
    check_library(data, os.fspath(path))


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
        self._module.services = self.dsp
        self._module.open(uri)

    def close(self) -> None:
        """Close it in C."""
        self._module.close()

    def direct(self) -> Entry | None:
        """What calls it with no Python between; None for a class that does more than this one."""
        return self._module.direct() if type(self).invoke is NativeSkeleton.invoke else None

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Call a method in C."""
        self._module.services = self.dsp  # without handles, `open` is not called
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
