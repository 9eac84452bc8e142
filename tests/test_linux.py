"""System calls with types: failures are values or carry errno, and nothing is left behind."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import platform
import socket
import threading

import pytest

from qda import linux
from qda.conformance.memory import reserved

_PAGE = mmap.PAGESIZE


def test_ioctl_keeps_the_errno_of_the_call() -> None:
    """A descriptor without commands answers ENOTTY; one that is closed, EBADF."""
    with open(os.devnull, "rb") as null, pytest.raises(OSError) as refused:
        linux.ioctl(null.fileno(), 0, bytearray(4))
    assert refused.value.errno == errno.ENOTTY
    with pytest.raises(OSError) as refused:
        linux.ioctl(-1, 0, bytearray())
    assert refused.value.errno == errno.EBADF


def test_what_cannot_be_sent_at_once_is_not_sent() -> None:
    """A full buffer and a closed end are both False, and neither waits nor signals."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        message = bytes(1000)
        sent = 0
        while linux.send_at_once(ours.fileno(), message):
            sent += 1
        assert sent
        for _ in range(sent):
            assert theirs.recv(2000) == message
        theirs.close()
        assert not linux.send_at_once(ours.fileno(), message)


@pytest.mark.parametrize("content", [5000, b"five bytes and more"], ids=["zeros", "bytes"])
def test_sealed_memory_stays_as_it_was_made(content: int | bytes) -> None:
    """The seals hold, no further one can be added, and no child inherits it."""
    descriptor = linux.sealed_memory("test", content, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    expected = bytes(content) if isinstance(content, int) else content
    assert os.pread(descriptor, 8000, 0) == expected
    assert not os.get_inheritable(descriptor)
    for length in (0, 10000):
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, length)
    with pytest.raises(PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    os.close(descriptor)


def test_memory_that_cannot_be_made_leaves_no_descriptor() -> None:
    """The set-up is undone when its second step fails."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        linux.sealed_memory("test", -1, 0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_reserved_addresses_are_taken_only_when_asked() -> None:
    """What is there is EEXIST, and goes only with `replace`; a file can then be placed there."""
    descriptor = linux.sealed_memory("test", b"x" * 2 * _PAGE, 0)
    with reserved(4 * _PAGE) as start:
        with pytest.raises(FileExistsError):
            linux.reserve(start, _PAGE)
        view = linux.map_shared(start + _PAGE, _PAGE, descriptor, _PAGE)
        assert bytes(view) == b"x" * _PAGE
        view[0:1] = b"y"
        assert os.pread(descriptor, 1, _PAGE) == b"y"
        linux.reserve(start + _PAGE, _PAGE, replace=True)
        place = linux.vector(start + _PAGE, 1)
        room = bytearray(1)
        assert not linux.read_memory(os.getpid(), linux.vector(linux.address_of(room), 1), place, 1)
        with pytest.raises(OSError) as refused:
            linux.map_shared(start, _PAGE, -1, 0)
        assert refused.value.errno == errno.EBADF
    os.close(descriptor)


def test_a_descriptor_of_a_process_is_taken_by_its_number() -> None:
    """It is the same open file, and not inherited; a number that is none is EBADF."""
    pidfd = os.pidfd_open(os.getpid())
    reading, writing = os.pipe()
    taken = linux.take_descriptor(pidfd, reading)
    os.write(writing, b"through")
    assert os.read(taken, 10) == b"through"
    assert linux.identity_of(taken) == linux.identity_of(reading)
    assert not os.get_inheritable(taken)
    with pytest.raises(OSError) as refused:
        linux.take_descriptor(pidfd, 1 << 20)
    assert refused.value.errno == errno.EBADF
    for descriptor in (pidfd, reading, writing, taken):
        os.close(descriptor)


def test_a_socket_has_a_name_that_no_other_socket_has() -> None:
    """A copy of its descriptor has the same; what is no socket has none."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.dup() as copy, open(os.devnull, "rb") as null:
        assert linux.cookie_of(copy.fileno()) == linux.cookie_of(ours.fileno())
        assert linux.cookie_of(theirs.fileno()) != linux.cookie_of(ours.fileno())
        before = len(os.listdir("/proc/self/fd"))
        for refused in (null.fileno(), -1):
            with pytest.raises(OSError):
                linux.cookie_of(refused)
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_peer_of_a_connection_is_known() -> None:
    """pid, uid and a pidfd that names the process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid, uid, pidfd = linux.peer_of(ours)
        assert (pid, uid) == (os.getpid(), os.getuid())
        assert f"Pid:\t{pid}\n" in _text(f"/proc/self/fdinfo/{pidfd}")
        os.close(pidfd)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="no other C library gives back")
def test_memory_that_is_free_is_given_back() -> None:
    """Also what lies below something that is in use."""
    held = [bytearray(5000) for _ in range(4000)]
    before = resident_pages()
    del held[:-1]
    linux.trim_memory()
    assert resident_pages() < before - 4000


def resident_pages() -> int:
    """How much memory this process has."""
    return int(_text("/proc/self/statm").split()[1])


def test_a_process_is_named_in_fifteen_bytes() -> None:
    """The kernel keeps no more."""
    names = []

    def run() -> None:
        linux.name_process("qda cdsp user-process")
        names.append(linux.name_of_thread(os.getpid(), threading.get_native_id()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert names == [b"qda cdsp user-p"]


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()


def _without_queries(*_: object) -> int:
    raise OSError(errno.ENOTTY, "no such query")


@pytest.mark.parametrize("queries", [True, False], ids=["by query", "by text"])
def test_a_mapping_is_found_with_its_file_and_offset(
    queries: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PROCMAP_QUERY and the text of /proc/PID/maps give the same answer."""
    descriptor = os.memfd_create("areas", os.MFD_CLOEXEC)
    os.ftruncate(descriptor, 16384)
    maps = linux.MapsFile(os.getpid())
    if not queries:  # as before Linux 6.11
        monkeypatch.setattr(fcntl, "ioctl", _without_queries)
    with mmap.mmap(descriptor, 8192, offset=4096) as pages:
        start = linux.address_of(pages)
        area = maps.area(start + 5000)
        assert area is not None
        assert (area.start, area.end, area.offset) == (start, start + 8192, 4096)
        assert area.identity[2] == os.fstat(descriptor).st_ino
        assert not area.reserved
    with reserved(8192) as start:
        area = maps.area(start + 5000)
        assert area is not None
        assert (area.start, area.end, area.offset) == (start, start + 8192, 0)
        assert area.reserved
    assert maps.area(8) is None
    assert maps.area((1 << 64) - 1) is None
    maps.close()
    os.close(descriptor)


def test_a_mark_is_not_there_in_a_child() -> None:
    """A child of a child has none either, unless it makes its own."""
    mark = linux.mark_process()
    assert mark[0] == 1
    child = os.fork()
    if not child:
        os._exit(mark[0])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert mark[0] == 1
