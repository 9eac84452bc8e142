"""What QDA is measured against: processes that echo a payload.

Each peer is a server in a process of its own, `python -m benchmarks.peers NAME ...`, and a client
here that sends a payload and waits until it has all of it back.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["PEERS", "Echo", "NotInstalled"]

Echo = Callable[[bytes], object]
"""Sends a payload to the peer and returns when it is back."""

_WORD = 8
_PIPE_CAPACITY = 1 << 20


class NotInstalled(Exception):
    """A peer's library is not there; the extra `bench` installs it."""


@contextmanager
def _server(*arguments: str, descriptors: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A peer's process, ready when it has printed a line; ended with the block.

    It also ends by itself when we are killed: its standard input then comes to an end.
    """
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    process = subprocess.Popen(
        command,
        pass_fds=descriptors,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"{' '.join(arguments)} did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


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
    """Two os.pipe: the floor, since every call needs two process wake-ups.

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
        arguments = ("pipe", str(to_read), str(from_write))
        with _server(*arguments, descriptors=(to_read, from_write)):
            yield echo
    finally:
        for descriptor in (to_read, to_write, from_read, from_write):
            os.close(descriptor)


def _serve_pipe(read_end: str, write_end: str) -> None:
    inbox, answers = _Inbox(int(read_end)), int(write_end)
    print("ready", flush=True)
    while True:
        _write(answers, inbox.receive())


@contextmanager
def multiprocessing_pipe() -> Iterator[Echo]:
    """multiprocessing.Pipe, messages of bytes."""
    ours, theirs = Pipe()

    def echo(payload: bytes) -> object:
        ours.send_bytes(payload)
        return ours.recv_bytes()

    with (
        ours,
        theirs,
        _server("multiprocessing", str(theirs.fileno()), descriptors=(theirs.fileno(),)),
    ):
        yield echo


def _serve_multiprocessing(descriptor: str) -> None:
    with Connection(os.dup(int(descriptor))) as connection:
        print("ready", flush=True)
        while True:
            connection.send_bytes(connection.recv_bytes())


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotInstalled(name) from error


@contextmanager
def _address() -> Iterator[str]:
    with TemporaryDirectory(prefix="qda-bench-") as folder:
        yield str(Path(folder) / "socket")


@contextmanager
def zeromq() -> Iterator[Echo]:
    """ZeroMQ, REQ and REP over a local socket."""
    zmq = _library("zmq")
    with _address() as address, _server("zeromq", address):
        context = zmq.Context()
        requests = context.socket(zmq.REQ)
        requests.connect(f"ipc://{address}")

        def echo(payload: bytes) -> object:
            requests.send(payload, copy=False)
            return requests.recv()

        try:
            yield echo
        finally:
            requests.close(linger=0)
            context.term()


def _serve_zeromq(address: str) -> None:
    zmq = _library("zmq")
    replies = zmq.Context().socket(zmq.REP)
    replies.bind(f"ipc://{address}")
    print("ready", flush=True)
    while True:
        replies.send(replies.recv(), copy=False)


_GRPC_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@contextmanager
def grpc() -> Iterator[Echo]:
    """gRPC, a unary method of bytes over a local socket."""
    library = _library("grpc")
    with (
        _address() as address,
        _server("grpc", address),
        library.insecure_channel(f"unix:{address}", _GRPC_OPTIONS) as channel,
    ):
        yield channel.unary_unary("/bench.Echo/echo")


def _serve_grpc(address: str) -> None:
    library = _library("grpc")
    handler = library.unary_unary_rpc_method_handler(lambda request, _: request)
    server = library.server(ThreadPoolExecutor(2), options=_GRPC_OPTIONS)
    handlers = library.method_handlers_generic_handler("bench.Echo", {"echo": handler})
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(f"unix:{address}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


@contextmanager
def rpyc() -> Iterator[Echo]:
    """RPyC, a method of bytes over a local socket."""
    library = _library("rpyc")
    factory = _library("rpyc.utils.factory")
    with _address() as address, _server("rpyc", address):
        connection = factory.unix_connect(
            address, library.VoidService, {"sync_request_timeout": 120}
        )
        try:
            yield connection.root.echo
        finally:
            connection.close()


def _serve_rpyc(address: str) -> None:
    library = _library("rpyc")

    class EchoService(library.Service):  # type: ignore[misc, name-defined]
        def exposed_echo(self, payload: bytes) -> bytes:
            return payload

    server = _library("rpyc.utils.server").OneShotServer(EchoService, socket_path=address)
    server.listener.listen()  # `start` does it too, but whoever is told of us connects at once
    print("ready", flush=True)
    server.start()


PEERS = {
    "os.pipe": pipe,
    "multiprocessing.Pipe": multiprocessing_pipe,
    "ZeroMQ": zeromq,
    "gRPC": grpc,
    "RPyC": rpyc,
}
"""How to get an echo of each peer, in a `with` block.  NotInstalled if its library is missing."""

_SERVERS: dict[str, Callable[..., None]] = {
    "pipe": _serve_pipe,
    "multiprocessing": _serve_multiprocessing,
    "zeromq": _serve_zeromq,
    "grpc": _serve_grpc,
    "rpyc": _serve_rpyc,
}


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _SERVERS[sys.argv[1]](*sys.argv[2:])
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
