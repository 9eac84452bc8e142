"""The place of a server in the file system, claimed without trust: a socket's path, and the folder
beside it.

Others may write where a server is to be (/tmp), and prepare or exchange there what they like.  So
nothing is done by a path twice: folders are opened once, without following links, judged by their
descriptors, and everything below is made and removed relative to these.  What stands there and is
not plainly a leftover of a server of the same user is refused, and stays as it is.

What the server makes is for its user alone, whatever the umask.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from qda import limits
from qda.errors import UsageError
from qda.shim.names import MIRROR_SUFFIX

__all__ = ["OWN_FILE", "Place"]


OWN_FOLDER, OWN_FILE = 0o700, 0o600
"""Permissions: not even to be read by others, who could lock what they can open."""

_AS_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AS_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """A claimed place: `socket` is a path that can be bound, `folder` an empty folder beside it.

    `parent_descriptor` leads to the folder that both are in, `folder_descriptor` to `folder`: no
    other server claims it as long as anybody has the latter.  `may_be_left` says of a path below
    the folder whether a server may have left a file or folder there, in a crash.

    UsageError for a place that cannot be claimed: a path that is too long, in use, of another
    user, or of something else.  OSError as of the file system.
    """

    def __init__(self, path: Path, may_be_left: Callable[[str], bool]) -> None:
        self.socket = Path(os.path.abspath(path))
        if len(os.fsencode(self.socket)) > limits.SOCKET_PATH:
            raise UsageError(f"{self.socket}: longer than a socket's path, {limits.SOCKET_PATH}")
        self.folder = Path(f"{self.socket}{MIRROR_SUFFIX}")
        with ExitStack() as undo:
            self.parent_descriptor = _open_parent(self.socket.parent)
            undo.callback(os.close, self.parent_descriptor)
            self._refuse_foreign_socket()
            self.folder_descriptor = self._claim_folder()
            undo.callback(os.close, self.folder_descriptor)
            undo.callback(self.give_up)
            self._empty_folder(may_be_left)
            if self._refuse_foreign_socket():
                self._remove_stale_socket()
            undo.pop_all()

    def _refuse_foreign_socket(self) -> bool:
        """Whether there is a socket of ours; UsageError if there is anything else."""
        try:
            found = os.stat(self.socket.name, dir_fd=self.parent_descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISSOCK(found.st_mode):
            raise UsageError(f"{self.socket} exists, and is not a socket")
        _refuse_foreign(self.socket, found)
        return True

    def _remove_stale_socket(self) -> None:
        """Of our own server the folder's lock says that it lives, of other programs only this."""
        kind = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as asking:
            if asking.connect_ex(os.fsencode(self.socket)) != errno.ECONNREFUSED:
                raise UsageError(f"{self.socket}: a program listens there")
        os.unlink(self.socket.name, dir_fd=self.parent_descriptor)

    def _claim_folder(self) -> int:
        """A descriptor of the folder, made if need be, that only one server can have."""
        name = self.folder.name
        while True:
            with suppress(FileExistsError):
                os.mkdir(name, OWN_FOLDER, dir_fd=self.parent_descriptor)
            try:
                folder = os.open(name, _AS_FOLDER, dir_fd=self.parent_descriptor)
            except FileNotFoundError:
                continue  # a caretaker was faster
            except NotADirectoryError:
                raise UsageError(f"{self.folder} exists, and is not a folder") from None
            except PermissionError:
                raise UsageError(f"{self.folder} belongs to another user") from None
            with ExitStack() as undo:
                undo.callback(os.close, folder)
                if self._lock(folder):
                    undo.pop_all()
                    return folder

    def _lock(self, folder: int) -> bool:
        """Whether the folder is ours alone now, and still the one of its path."""
        _refuse_foreign(self.folder, os.fstat(folder))
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self.folder}: another device server is here") from None
        try:
            now = os.stat(self.folder.name, dir_fd=self.parent_descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(now, os.fstat(folder))

    def _empty_folder(self, may_be_left: Callable[[str], bool]) -> None:
        """Remove what a server has left; UsageError, and nothing is removed, if there is more."""
        for path, folders, files, at in os.fwalk(".", dir_fd=self.folder_descriptor):
            for name in (*folders, *files):
                inside = os.path.normpath(os.path.join(path, name))
                found = os.stat(name, dir_fd=at, follow_symlinks=False)
                _refuse_foreign(self.folder / inside, found)
                plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
                if not (plain or stat.S_ISDIR(found.st_mode)) or not may_be_left(inside):
                    raise UsageError(
                        f"{self.folder / inside} was not made by a device server: remove it, or "
                        "choose another path for the socket"
                    )
        os.fchmod(self.folder_descriptor, OWN_FOLDER)  # from here on, nobody adds anything
        for _, folders, files, at in os.fwalk(".", topdown=False, dir_fd=self.folder_descriptor):
            for name in files:
                os.unlink(name, dir_fd=at)
            for name in folders:
                os.rmdir(name, dir_fd=at)

    def create(self, name: str, length: int) -> None:
        """Make a file of that length, which takes no room, below the folder."""
        with ExitStack() as stack:
            at = self.folder_descriptor
            *folders, file = name.split("/")
            for folder in folders:
                with suppress(FileExistsError):
                    os.mkdir(folder, OWN_FOLDER, dir_fd=at)
                at = os.open(folder, _AS_FOLDER, dir_fd=at)
                stack.callback(os.close, at)
                os.fchmod(at, OWN_FOLDER)  # the umask may have left less
            made = os.open(file, _AS_NEW_FILE, OWN_FILE, dir_fd=at)
            stack.callback(os.close, made)
            os.ftruncate(made, length)

    def give_up(self) -> None:
        """Remove the folder, if nothing is in it.  Never fails."""
        with suppress(OSError):
            os.rmdir(self.folder.name, dir_fd=self.parent_descriptor)

    def close(self) -> None:
        """Let go of the place: what is there stays there."""
        os.close(self.folder_descriptor)
        os.close(self.parent_descriptor)


def _open_parent(folder: Path) -> int:
    """A descriptor of the folder in which a server is to be.

    UsageError for one in which anybody can exchange what is ours; a folder of a group often is its
    user's alone.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        os.close(descriptor)
        raise UsageError(
            f"{folder}: every user can remove there what is yours; choose a folder that others "
            "cannot write to, or one with the sticky bit, as /tmp has"
        )
    return descriptor


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    """UsageError for what another user has made."""
    if found.st_uid != os.geteuid():
        raise UsageError(f"{path} belongs to user {found.st_uid}: choose another path")
