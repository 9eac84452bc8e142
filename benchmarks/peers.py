"""What QDA is measured against: processes that echo a payload.

Each peer is a server in a process of its own, `python -m benchmarks.peers NAME ...`, and a client
here that sends a payload and waits until it has all of it back.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

__all__ = ["PEERS", "Echo", "NotInstalled"]

Echo = Callable[[bytes], object]
"""Sends a payload to the peer and returns when it is back."""

_WORD = 8


class NotInstalled(Exception):
    """A peer's library is not there; the extra `bench` installs it."""


@contextmanager
def _server(*arguments: str, descriptors: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A peer's process, ready when it has printed a line; ended with the block."""
    command = [sys.executable, "-m", "benchmarks.peers", *arguments]
    process = subprocess.Popen(
        command,
        pass_fds=descriptors,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
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


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def pipe() -> Iterator[Echo]:
    """Two os.pipe: the floor, since every call needs two process wake-ups.

    A payload follows its length, a word of 8 bytes; an empty one is that word alone.
    """
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def echo(payload: bytes) -> object:
        _write(to_write, len(payload).to_bytes(_WORD, "little"))
        if payload:
            _write(to_write, payload)
        _read(from_read, _WORD)
        return _read(from_read, len(payload)) if payload else b""

    try:
        arguments = ("pipe", str(to_read), str(from_write))
        with _server(*arguments, descriptors=(to_read, from_write)):
            yield echo
    finally:
        for descriptor in (to_read, to_write, from_read, from_write):
            os.close(descriptor)


def _serve_pipe(read_end: str, write_end: str) -> None:
    print("ready", flush=True)
    while True:
        word = _read(int(read_end), _WORD)
        size = int.from_bytes(word, "little")
        payload = _read(int(read_end), size) if size else b""
        _write(int(write_end), word)
        if payload:
            _write(int(write_end), payload)


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

if __name__ == "__main__":
    try:
        _SERVERS[sys.argv[1]](*sys.argv[2:])
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
