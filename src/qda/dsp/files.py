"""Loads modules from files of the host: shared objects, and skeletons in Python.

The DSP has no files.  It asks the host for `libNAME_skel.so` along the host's search path, then
for `NAME_skel.py`, and loads the bytes that it gets (spec/fastrpc.md 1.7, 7.5).  A file is loaded
once for the process, and unloaded when its last module is closed.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from qda import limits
from qda.dsp.host import ask, open_module
from qda.dsp.library_file import check_library
from qda.dsp.modules import nothing_to_close
from qda.dsp.native import NativeLibrary, NativeModule
from qda.dsp.python_file import PythonFile
from qda.dsp.reverse_calls import ReverseCalls
from qda.dsp.skeleton import DspServices
from qda.errors import BAD_PARAMETER, UNABLE_TO_LOAD, HostError, StatusError
from qda.fastrpc.hostfiles import (
    DELIMITER,
    FILE_CLOSE,
    FILE_OPEN,
    FILE_READ,
    FILES_MODULE,
    PATHS,
    SEARCH_PATH,
    FileHandle,
    OpenLengths,
    PathsAnswer,
    PathsRequest,
    ReadAnswer,
    ReadRequest,
)
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import Module
from qda.fastrpc.uri import ModuleUri

__all__ = ["File", "FileLoader", "file_names"]


class File(Protocol):
    """What a module file has become in this process."""

    def module(self, uri: ModuleUri, text: str) -> tuple[Module, Callable[[], None]]:
        """A module of the file, opened, and what closes it.  StatusError; what `open` raises."""
        ...

    def close(self) -> None:
        """Unload the file."""
        ...


@dataclass(eq=False, slots=True)
class _Loaded:
    file: File
    users: int = 1


class FileLoader:
    """Loads modules from files of the host.  Thread-safe.

    `calls` says by which reverse calls the running call reaches the host.
    """

    def __init__(self, services: DspServices, calls: Callable[[], ReverseCalls]) -> None:
        self._services, self._calls = services, calls
        self._loaded: dict[str, _Loaded] = {}
        self._lock = threading.Lock()

    def load(
        self, uri: ModuleUri, text: str, searched: list[str]
    ) -> tuple[Module, Callable[[], None]] | None:
        """A module of a file.  StatusError UNABLE_TO_LOAD for a file that is there and of no use,
        with what is wrong with it."""
        file = self._use(uri, searched)
        if file is None:
            return None
        try:
            module, close = file.module(uri, text)
        except BaseException:
            self._unuse(uri.file)
            raise

        def done() -> None:
            try:
                close()
            finally:
                self._unuse(uri.file)

        return module, done

    def _use(self, uri: ModuleUri, searched: list[str]) -> File | None:
        with self._lock:
            known = self._loaded.get(uri.file)
            if known is not None:
                known.users += 1
                return known.file
        # Not under the lock: the host may call the DSP again before it answers.
        file = self._read(uri, searched)
        if file is None:
            return None
        with self._lock:
            known = self._loaded.get(uri.file)
            if known is None:
                self._loaded[uri.file] = _Loaded(file)
                return file
            known.users += 1
        file.close()  # another thread was faster
        return known.file

    def _unuse(self, name: str) -> None:
        with self._lock:
            loaded = self._loaded[name]
            loaded.users -= 1
            if loaded.users:
                return
            del self._loaded[name]
        loaded.file.close()

    def _read(self, uri: ModuleUri, searched: list[str]) -> File | None:
        try:
            calls = self._calls()
        except StatusError as error:
            searched.append(f"no files: {error.text}")
            return None
        if not calls.wait_for_host(limits.ANNOUNCEMENT):
            searched.append("no files: the host has no listener that could be asked for them")
            return None
        names = file_names(uri)
        try:
            source = _SearchPath(calls)
        except HostError as error:
            searched.append(f"no files: {error}")
            return None
        try:
            for name in names:
                data = source.read(name)
                if data is not None:
                    return self.make(name, data, source.candidates(name))
            searched += source.places(names)
        except HostError as error:
            raise StatusError(UNABLE_TO_LOAD, f"{uri.file}: {error}") from error
        finally:
            source.close()
        return None

    def make(self, name: str, data: bytes, paths: Iterable[Path]) -> File:
        """A module file of these bytes, in this process; it may be one of `paths`, on a machine
        that is the DSP's, too.  StatusError UNABLE_TO_LOAD."""
        if name.endswith(".py"):
            return PythonFile(data, name, self._services)
        check_library(data, name)
        file = next((path for path in paths if path.is_file()), None)
        return _Library(NativeLibrary.from_bytes(data, name, self._services, file), self)

    @property
    def services(self) -> DspServices:
        """The protection domain."""
        return self._services


class _Library:
    """A shared object with the skeletons of one or more interfaces."""

    def __init__(self, library: NativeLibrary, loader: FileLoader) -> None:
        self._library, self._services = library, loader.services

    def module(self, uri: ModuleUri, text: str) -> tuple[Module, Callable[[], None]]:
        module = NativeModule(
            self._library,
            uri.name,
            symbol=uri.symbol,
            handle64=uri.handle64,
            length_of=lambda fd: len(self._services.memory_of_fd(fd)),
            services=self._services,
        )
        module.open(text)
        return module, module.close if uri.handle64 else nothing_to_close

    def close(self) -> None:
        self._library.close()


class _SearchPath:
    """The host's files, along its search path."""

    def __init__(self, calls: ReverseCalls) -> None:
        self._calls = calls
        self._host = open_module(calls, FILES_MODULE)

    def _ask(
        self, operation: str, scalars: Scalars, ins: list[bytes], sizes: list[int]
    ) -> list[bytes]:
        return list(ask(self._calls, operation, self._host.handle, scalars, ins, sizes))

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, None if no directory has it.  HostError, StatusError."""
        texts = [one.encode() + b"\0" for one in (SEARCH_PATH, DELIMITER, name, "r")]
        lengths = OpenLengths(
            variable=len(texts[0]),
            delimiter=len(texts[1]),
            name=len(texts[2]),
            mode=len(texts[3]),
        )
        operation = f"fopen_with_env {name}"
        try:
            opened = self._ask(operation, FILE_OPEN, [lengths.pack(), *texts], [4])
        except HostError:  # 2 from the C library, 1 from hexagonrpcd (clients.md 7, 10)
            return None
        file = FileHandle.unpack(opened[0]).file
        try:
            return b"".join(self._chunks(name, file))
        finally:
            self._ask(f"fclose {name}", FILE_CLOSE, [FileHandle(file=file).pack()], [])

    def _chunks(self, name: str, file: int) -> Iterator[bytes]:
        request = ReadRequest(file=file, capacity=limits.FILE_PART).pack()
        total = 0
        while True:
            head, data = self._ask(
                f"fread {name}", FILE_READ, [request], [ReadAnswer.byte_size, limits.FILE_PART]
            )
            answer = ReadAnswer.unpack(head)
            if not 0 <= answer.count <= limits.FILE_PART:
                raise StatusError(
                    BAD_PARAMETER, f"the host has read {answer.count} of {limits.FILE_PART}"
                )
            total += answer.count
            if total > limits.MODULE_FILE:
                raise StatusError(
                    UNABLE_TO_LOAD, f"{name} has more than {limits.MODULE_FILE} bytes"
                )
            yield data[: answer.count]
            if answer.end or not answer.count:
                return

    def candidates(self, name: str) -> Iterator[Path]:
        """Where the file may be that was read, as far as the host may be asked."""
        if self._calls.is_complete:
            with suppress(HostError, StatusError, struct.error):
                for path in self._paths():
                    yield Path(path, name).absolute()

    def places(self, names: list[str]) -> list[str]:
        """Where the host has looked, in order, as far as it may be asked."""
        asked = f"the host's {SEARCH_PATH}"
        if not self._calls.is_complete:
            return [f"{asked} ({', '.join(names)})"]
        try:
            found = self._paths()
        except (HostError, StatusError, struct.error) as error:
            return [f"{asked} ({', '.join(names)}; it does not say where: {error})"]
        return [f"{path}/{name}" for name in names for path in found] or [
            f"{asked}, which is empty"
        ]

    def _paths(self) -> list[str]:
        texts = [one.encode() + b"\0" for one in (SEARCH_PATH, DELIMITER)]
        room = 0
        found: list[bytes] = []
        for _ in range(2):  # without room first: how many there are, and how long
            count = len(found)
            request = PathsRequest(variable=len(texts[0]), delimiter=len(texts[1]), count=count)
            capacities = struct.pack(f"<{count}I", *[room] * count)
            answer, *found = self._ask(
                "get_search_paths_with_env",
                Scalars(PATHS, 4, 1 + count),
                [request.pack(), *texts, capacities],
                [PathsAnswer.byte_size, *[room] * count],
            )
            said = PathsAnswer.unpack(answer)
            if not count:
                room, found = said.longest, [b""] * min(said.count, limits.PATHS_NAMED)
        return [one.partition(b"\0")[0].decode("utf-8", "replace") for one in found]

    def close(self) -> None:
        """Give the host's module back; what goes wrong then concerns nobody."""
        try:
            self._host.close()
        except (HostError, StatusError):
            return


def file_names(uri: ModuleUri) -> list[str]:
    """The files in which a module may be, the one of the URI first."""
    if uri.file.endswith(".py"):
        return [uri.file]
    stem = PurePosixPath(uri.file).name.partition(".so")[0].removeprefix("lib")
    return [uri.file, f"{stem}.py"]
