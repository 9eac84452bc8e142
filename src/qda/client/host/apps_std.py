"""`apps_std`: files, environment and directories of this process, for its DSP.

The methods are those of `qda/idl/include/apps_std.idl` (spec/fastrpc.md 7.5).  What the system
refuses is an errno; what makes no sense is a status.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Final, Generic, Protocol, TypeVar

from qda import limits
from qda.client.host.search import search_folders
from qda.client.plan import Bytes
from qda.errors import (
    BAD_PARAMETER,
    NO_VARIABLE,
    UNSUPPORTED,
    VARIABLE_NOT_SET,
    StatusError,
    as_signed,
)

__all__ = ["AppsStd"]


FIRST_FILE = 100
"""Number of the first file, as in the C library."""


_MODES: Final[dict[str, Callable[[io.FileIO], io.BufferedIOBase]]] = {
    "r": io.BufferedReader,
    "w": io.BufferedWriter,
    "a": io.BufferedWriter,
    "r+": io.BufferedRandom,
    "w+": io.BufferedRandom,
    "a+": io.BufferedRandom,
}
"""What C opens with a mode, without its letters for text, bytes and exec."""

T = TypeVar("T")


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class _Folder(Protocol):
    """A `DIR` of the interface."""

    handle: int


class _File:
    """An open file, with what C remembers of one."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file = file
        self.end = self.failed = False

    def close(self) -> None:
        self.file.close()


class _Table(Generic[C]):
    """What is open, by number.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, C] = {}
        self._last = FIRST_FILE - 1

    def add(self, thing: C) -> int:
        """The number of something new, which is closed if there is no room for it."""
        with self._lock:
            if len(self._open) < limits.HOST_FILES:
                self._last += 1
                self._open[self._last] = thing
                return self._last
        thing.close()
        raise OSError(errno.EMFILE, f"the DSP has {limits.HOST_FILES} files open")

    def __getitem__(self, number: int) -> C:
        with self._lock:
            if number not in self._open:
                raise StatusError(BAD_PARAMETER, f"no file {number} is open")
            return self._open[number]

    def take(self, number: int) -> C:
        found = self[number]
        with self._lock:
            self._open.pop(number, None)
        return found

    def take_all(self) -> list[C]:
        with self._lock:
            found, self._open = list(self._open.values()), {}
        return found


class AppsStd:
    """The methods of `apps_std` on this process.

    `domain` is the DSP's name, after which the folders of its files are called.  `share` puts bytes
    into a buffer that the DSP finds by an fd, and `unshare` undoes that.
    """

    def __init__(
        self, domain: str, share: Callable[[bytes], int], unshare: Callable[[int], None]
    ) -> None:
        self._domain, self._share, self._unshare = domain, share, unshare
        self._files: _Table[_File] = _Table()
        self._folders: _Table[Generator[tuple[int, bytes], None, None]] = _Table()

    def close_all(self) -> None:
        """Close what the DSP has left open."""
        left: list[_Closable] = [*self._files.take_all(), *self._folders.take_all()]
        for thing in left:
            try:
                thing.close()
            except OSError:  # bytes that cannot be written any more
                continue

    # Opening and closing.

    def fopen(self, name: str, mode: str) -> int:
        return self._files.add(_File(_open(name, mode)))

    def freopen(self, sin: int, name: str, mode: str) -> int:
        self.fclose(sin)
        return self.fopen(name, mode)

    def fopen_with_env(self, envvarname: str, delim: str, name: str, mode: str) -> int:
        return self._files.add(_File(self._find(envvarname, delim, name, mode)))

    def _find(self, variable: str, delimiter: str, name: str, mode: str) -> io.BufferedIOBase:
        """The first file of that name in the folders of a variable.  OSError of the first one that
        is there and cannot be opened, else ENOENT."""
        if os.path.isabs(name):
            return _open(name, mode)
        refused: OSError | None = None
        for folder in search_folders(variable, delimiter, self._domain, os.environ):
            if stat.S_ISFIFO(_mode_of(f"{folder}/{name}")):
                continue  # nobody may ever write to it
            try:
                return _open(f"{folder}/{name}", mode)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                refused = refused or error
        raise refused or FileNotFoundError(errno.ENOENT, f"{name} is in no folder of {variable}")

    def get_search_paths_with_env(
        self, envvarname: str, delim: str, paths: list[int]
    ) -> tuple[list[str], int, int]:
        found = search_folders(envvarname, delim, self._domain, os.environ)
        longest = max((len(os.fsencode(one)) + 1 for one in found), default=0)
        return found[: len(paths)], len(found), min(longest, 0xFFFF)

    def fdopen_decrypt(self, sin: int) -> int:
        raise StatusError(UNSUPPORTED, "nothing is decrypted here")

    def fclose(self, sin: int) -> None:
        self._files.take(sin).close()

    # Reading and writing.

    def fread(self, sin: int, buf: Bytes) -> tuple[None, int, int]:
        file = self._files[sin]
        count = self._try(file, lambda: file.file.readinto(memoryview(buf))) if len(buf) else 0
        file.end = file.end or count < len(buf)
        return None, count, file.end

    def fgets(self, sin: int, buf: Bytes) -> tuple[None, int]:
        file = self._files[sin]
        line = self._try(file, lambda: file.file.readline(len(buf) - 1)) if len(buf) > 1 else b""
        file.end = file.end or (not line.endswith(b"\n") and len(line) < len(buf) - 1)
        if len(buf):
            memoryview(buf)[: len(line) + 1] = line + b"\0"
        return None, file.end

    def fwrite(self, sin: int, buf: Bytes) -> tuple[int, int]:
        file = self._files[sin]
        return self._try(file, lambda: file.file.write(memoryview(buf))), file.end

    def fflush(self, sin: int) -> None:
        file = self._files[sin]
        self._try(file, file.file.flush)

    def fsync(self, sin: int) -> None:
        self.fflush(sin)
        os.fsync(self._files[sin].file.fileno())

    def print_string(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    # Places in a file.

    def ftell(self, sin: int) -> int:
        file = self._files[sin]
        return int(self._try(file, file.file.tell))

    def fseek(self, sin: int, offset: int, whence: int) -> None:
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise StatusError(BAD_PARAMETER, f"whence {whence}")
        file = self._files[sin]
        self._try(file, lambda: file.file.seek(offset, whence))
        file.end = False

    def rewind(self, sin: int) -> None:
        self.fseek(sin, 0, io.SEEK_SET)
        self.clearerr(sin)

    def fgetpos(self, sin: int, pos: Bytes) -> tuple[None, int]:
        place = self.ftell(sin).to_bytes(8, "little")
        if len(pos) >= len(place):
            memoryview(pos)[: len(place)] = place
        return None, len(place)

    def fsetpos(self, sin: int, pos: Bytes) -> None:
        if len(pos) < 8:
            raise StatusError(BAD_PARAMETER, f"a place of {len(pos)} bytes: 8")
        file = self._files[sin]
        self._try(file, lambda: file.file.seek(int.from_bytes(bytes(pos)[:8], "little")))
        file.end = False

    def flen(self, sin: int) -> int:
        file = self._files[sin]
        if file.file.writable():
            self._try(file, file.file.flush)
        return os.fstat(file.file.fileno()).st_size

    def ftrunc(self, sin: int, offset: int) -> None:
        file = self._files[sin]
        self._try(file, lambda: file.file.truncate(offset))

    def feof(self, sin: int) -> int:
        return int(self._files[sin].end)

    def ferror(self, sin: int) -> int:
        return int(self._files[sin].failed)

    def clearerr(self, sin: int) -> None:
        file = self._files[sin]
        file.end = file.failed = False

    @staticmethod
    def _try(file: _File, action: Callable[[], T]) -> T:
        """Work on a file, and remember that it failed.  OSError."""
        try:
            return action()
        except io.UnsupportedOperation as error:  # its mode does not allow it
            file.failed = True
            raise OSError(errno.EBADF, str(error)) from error
        except OSError:
            file.failed = True
            raise
        except (ValueError, OverflowError) as error:  # a place before the start
            raise OSError(errno.EINVAL, str(error)) from error

    # Whole files, in a buffer that is mapped on the DSP.

    def fopen_fd(self, name: str, mode: str) -> tuple[int, int]:
        return self._load(_open(name, mode))

    def fopen_with_env_fd(
        self, envvarname: str, delim: str, name: str, mode: str
    ) -> tuple[int, int]:
        return self._load(self._find(envvarname, delim, name, mode))

    def _load(self, file: io.BufferedIOBase) -> tuple[int, int]:
        with file:
            data = file.read(limits.HOST_FILE + 1)
        if len(data) > limits.HOST_FILE:
            raise OSError(errno.EFBIG, f"a file of more than {limits.HOST_FILE} bytes")
        return self._share(data), len(data)

    def fclose_fd(self, fd: int) -> None:
        self._unshare(fd)

    # Environment.

    def getenv(self, name: str, val: int) -> tuple[str, int]:
        value = os.environ.get(name)
        if value is None:
            raise StatusError(NO_VARIABLE, f"there is no variable {name}")
        data = os.fsencode(value)
        return os.fsdecode(data[: max(val - 1, 0)]), len(data) + 1

    def setenv(self, name: str, val: str, override: int) -> None:
        try:
            if override or name not in os.environ:
                os.environ[name] = val
        except (ValueError, OSError) as error:
            raise StatusError(VARIABLE_NOT_SET, f"{name!r}: {error}") from error

    def unsetenv(self, name: str) -> None:
        os.environ.pop(name, None)

    # Folders, and files by name.

    def fileExists(self, path: str) -> bool:
        return os.path.exists(path)

    def fremove(self, name: str) -> None:
        os.remove(name)

    def frename(self, oldname: str, newname: str) -> None:
        os.rename(oldname, newname)

    def mkdir(self, name: str, mode: int) -> None:
        os.mkdir(name, mode & 0o7777)

    def rmdir(self, name: str) -> None:
        os.rmdir(name)

    def opendir(self, name: str) -> dict[str, int]:
        return {"handle": self._folders.add(_entries(name))}

    def closedir(self, folder: _Folder) -> None:
        self._folders.take(folder.handle).close()

    def readdir(self, folder: _Folder) -> tuple[dict[str, int | bytes], int]:
        number, name = next(self._folders[folder.handle], (0, b""))
        inode = as_signed(number & 0xFFFFFFFF)  # the record has 32 bits for it
        entry: dict[str, int | bytes] = {"ino": inode, "name": name.ljust(255, b"\0")}
        return entry, int(not name)  # no entry has an empty name

    def stat(self, name: str) -> dict[str, int]:
        found = os.stat(name)
        times: dict[str, int] = {}
        for kind in ("atime", "mtime", "ctime"):
            seconds, rest = divmod(getattr(found, f"st_{kind}_ns"), 1_000_000_000)
            times |= {kind: seconds, f"{kind}nsec": rest}
        same = ("dev", "ino", "mode", "nlink", "rdev", "size")
        return {"tsz": 0, **{one: getattr(found, f"st_{one}") for one in same}, **times}


def _mode_of(name: str) -> int:
    """The kind of a file, 0 if there is none."""
    try:
        return os.stat(name).st_mode
    except (OSError, ValueError):
        return 0


def _open(name: str, mode: str) -> io.BufferedIOBase:
    """A file in a mode of C.  OSError."""
    plain = mode.replace("b", "").replace("t", "").replace("e", "")
    if plain not in _MODES:
        raise OSError(errno.EINVAL, f"mode {mode!r}")
    with ExitStack() as undo:
        try:
            file = undo.enter_context(io.FileIO(name, plain))
            buffered = _MODES[plain](file)
        except ValueError as error:  # a NUL in the name, or what has no places
            raise OSError(errno.EINVAL, str(error)) from error
        undo.pop_all()
    return buffered


def _entries(name: str) -> Generator[tuple[int, bytes], None, None]:
    """Inode and name of each entry, as `readdir` gives them.  OSError, at once."""
    with os.scandir(name) as found:
        entries = [(one.inode(), os.fsencode(one.name)) for one in found]
    own = os.stat(name).st_ino
    every = [(own, b"."), (own, b".."), *sorted(entries, key=lambda one: one[1])]
    return _each([one for one in every if len(one[1]) <= limits.HOST_NAME])


def _each(entries: list[tuple[int, bytes]]) -> Generator[tuple[int, bytes], None, None]:
    yield from entries
