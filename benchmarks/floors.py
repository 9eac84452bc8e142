"""Floors: echoes between two processes with nothing above them.  No package is faster for long.

Each is a server in a process of its own, `python -m benchmarks.floors NAME ...`, and a client here
that sends a payload and waits until it has all of it back.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager as Block
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe

import numpy as np

from benchmarks.cases import Case, Form
from benchmarks.clocks import Batch, timed
from benchmarks.contenders import Contender, Echo, LeftOut, Maker, Sort, echoes
from benchmarks.native import ECHO, ECHO_LIBRARY, built
from benchmarks.processes import end_with_parent, python, say_ready

__all__ = ["FLOORS", "MEMORY", "PIPE", "SEMAPHORES", "pipe"]

PIPE, MEMORY, SEMAPHORES = "os.pipe", "plain memory", "shared memory, semaphore"

_WORD = 8
_PIPE_CAPACITY = 1 << 20


class _Inbox:
    """Receives messages from a pipe into memory that it keeps: a word with the length of the
    payload, then the payload.  A short message is one read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._room = memoryview(bytearray(_PIPE_CAPACITY))

    def receive(self) -> memoryview:
        """The next message, word included; valid until the one after it."""
        got = os.readv(self._descriptor, [self._room])
        if not got:
            raise EOFError
        size = _WORD + int.from_bytes(self._room[:_WORD], "little")
        if size > len(self._room):
            room = memoryview(bytearray(size))
            room[:got] = self._room[:got]
            self._room = room
        while got < size:
            more = os.readv(self._descriptor, [self._room[got:size]])
            if not more:
                raise EOFError
            got += more
        return self._room[:size]


def _write(descriptor: int, message: memoryview) -> None:
    while message:
        message = message[os.write(descriptor, message) :]


@contextmanager
def pipe() -> Iterator[Echo]:
    """Two os.pipe: the floor, since a call that sleeps needs two wake-ups.

    An empty payload is one write and one read of a word on each side, nothing else.
    """
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    for descriptor in (to_write, from_write):
        with suppress(OSError):  # an unprivileged user's pipes together have a limit
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_CAPACITY)
    inbox = _Inbox(from_read)
    word = bytes(_WORD)

    def echo(payload: bytes) -> object:
        if not payload:
            os.write(to_write, word)
            return os.read(from_read, _WORD)
        sent = os.writev(to_write, [len(payload).to_bytes(_WORD, "little"), payload]) - _WORD
        if sent < len(payload):
            _write(to_write, memoryview(payload)[sent:])
        return inbox.receive()

    try:
        arguments = (__name__, "pipe", str(to_read), str(from_write))
        with python(*arguments, descriptors=(to_read, from_write)):
            yield echo
    finally:
        for descriptor in (to_read, to_write, from_read, from_write):
            os.close(descriptor)


def _serve_pipe(read_end: str, write_end: str) -> None:
    inbox, answers = _Inbox(int(read_end)), int(write_end)
    say_ready()
    while True:
        _write(answers, inbox.receive())


@contextmanager
def _multiprocessing() -> Iterator[Echo]:
    ours, theirs = Pipe()

    def echo(payload: bytes) -> object:
        ours.send_bytes(payload)
        return ours.recv_bytes()

    descriptor = theirs.fileno()
    arguments = (__name__, "multiprocessing", str(descriptor))
    with ours, theirs, python(*arguments, descriptors=(descriptor,)):
        yield echo


def _serve_multiprocessing(descriptor: str) -> None:
    with Connection(os.dup(int(descriptor))) as connection:
        say_ready()
        while True:
            connection.send_bytes(connection.recv_bytes())


class _Shared:
    """Pages of two processes: a semaphore for each direction and a word, then room for the payload
    and for what is made of it.  The word says of how many bytes every one is read and written."""

    ROOM = 64 << 20
    START = mmap.PAGESIZE
    SIZE = START + 2 * ROOM
    _REQUEST, _ANSWER, _WORK = 0, 64, 128

    def __init__(self, descriptor: int) -> None:
        self.pages = mmap.mmap(descriptor, self.SIZE)
        room = np.frombuffer(self.pages, np.uint8)
        self._given, self._result = np.split(room[self.START :], 2)
        self._work = room[self._WORK : self._WORK + _WORD].view(np.int64)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.pages))
        self.request, self.answer = address + self._REQUEST, address + self._ANSWER
        libc = ctypes.CDLL(None)
        for function in (libc.sem_init, libc.sem_post, libc.sem_wait):
            function.argtypes = [ctypes.c_void_p]
        libc.sem_init.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint]
        self.init, self.post, self._wait = libc.sem_init, libc.sem_post, libc.sem_wait

    def wait(self, semaphore: int) -> None:
        """Wait, whatever signals come meanwhile."""
        while self._wait(semaphore):
            pass

    def fill(self, size: int) -> None:
        """Let so many bytes be there, as memory that is used is."""
        self._given[:size] = self._result[:size] = 1

    def ask(self, size: int) -> None:
        """From now on the other works on so many bytes before it answers; 0: it echoes."""
        self._work[0] = size

    def work(self) -> None:
        """Do what was asked for."""
        if size := int(self._work[0]):
            np.add(self._given[:size], 1, out=self._result[:size])


@contextmanager
def _semaphores() -> Iterator[Maker]:
    descriptor = os.memfd_create("echo")
    try:
        os.truncate(descriptor, _Shared.SIZE)
        shared = _Shared(descriptor)
        for semaphore in (shared.request, shared.answer):
            shared.init(semaphore, 1, 0)
        start, pages = shared.START, shared.pages

        def echo(payload: bytes) -> object:
            end = start + len(payload)
            if payload:
                pages[start:end] = payload
            shared.post(shared.request)
            shared.wait(shared.answer)
            return pages[start:end]

        echo_of = echoes(echo, most=_Shared.ROOM)

        def make(case: Case) -> Batch | None:
            if case.form is not Form.EVERY:
                return echo_of(case)
            shared.fill(case.size)
            batch = timed(lambda: echo(b""))

            def batch_at_work(calls: int) -> list[float]:
                shared.ask(case.size)
                try:
                    return batch(calls)
                finally:
                    shared.ask(0)

            return batch_at_work

        with python(__name__, "semaphores", str(descriptor), descriptors=(descriptor,)):
            yield make
    finally:
        os.close(descriptor)


def _serve_semaphores(descriptor: str) -> None:
    shared = _Shared(int(descriptor))
    say_ready()
    while True:
        shared.wait(shared.request)
        shared.work()
        shared.post(shared.answer)


@contextmanager
def _c_echo() -> Iterator[Maker]:
    program, library = built(ECHO), built(ECHO_LIBRARY)
    if program is None or library is None:
        raise LeftOut("there is no C compiler")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        descriptor = theirs.fileno()
        server = subprocess.Popen(
            [program, str(descriptor)], pass_fds=(descriptor,), start_new_session=True
        )
        theirs.close()  # so that the end of either process is seen by the other
        try:
            yield _c_calls(ctypes.CDLL(str(library)).echo_times, ours.fileno())
        finally:
            server.kill()
            server.wait()


def _c_calls(echo_times: Callable[..., int], descriptor: int) -> Maker:
    most = 64 << 10

    def make(case: Case) -> Batch | None:
        if case.form not in (Form.EMPTY, Form.INLINE, Form.ENDS) or case.size > most:
            return None
        payload = ctypes.create_string_buffer(max(case.size, _WORD))

        def batch(calls: int) -> list[float]:
            times = (ctypes.c_double * calls)()
            size, work = ctypes.c_size_t(case.size), ctypes.c_double(case.work)
            error = echo_times(descriptor, payload, size, work, calls, times)
            if error:
                raise OSError(error, os.strerror(error))
            return list(times)

        return batch

    return make


def _on_pages(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    room = np.ones(size + mmap.PAGESIZE, np.uint8)
    start = -room.ctypes.data % mmap.PAGESIZE
    return room[start : start + size]


@contextmanager
def _memory() -> Iterator[Maker]:
    """The work of the method that reads and writes every byte, and no call."""

    def make(case: Case) -> Batch | None:
        if case.form is not Form.EVERY:
            return None
        # As buffers of a session lie, on pages of their own: how two arrays lie to each other
        # changes what NumPy needs for them.
        given, result = (_on_pages(case.size) for _ in range(2))
        return timed(lambda: np.add(given, 1, out=result))

    yield make


def _floor(name: str, opened: Callable[[], Block[Echo]]) -> Contender:
    @contextmanager
    def calls() -> Iterator[Maker]:
        with opened() as echo:
            yield echoes(echo)

    return Contender(name, Sort.FLOOR, calls)


FLOORS = (
    _floor(PIPE, pipe),
    _floor("multiprocessing.Pipe", _multiprocessing),
    Contender(SEMAPHORES, Sort.FLOOR, _semaphores),
    Contender("C echo, SEQPACKET", Sort.FLOOR, _c_echo),
    Contender(MEMORY, Sort.FLOOR, _memory),
)

_SERVERS: dict[str, Callable[..., None]] = {
    "pipe": _serve_pipe,
    "multiprocessing": _serve_multiprocessing,
    "semaphores": _serve_semaphores,
}

if __name__ == "__main__":
    end_with_parent()
    try:
        _SERVERS[sys.argv[1]](*sys.argv[2:])
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
