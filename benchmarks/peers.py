"""RPC packages that people use between processes: each echoes a payload, and counts numbers.

Each peer is a server in a process of its own, `python -m benchmarks.peers NAME ADDRESS`, and a
client here that sends a payload over a local socket and waits until it has all of it back.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cases import Case, Form
from benchmarks.clocks import Batch
from benchmarks.contenders import Contender, LeftOut, Maker, Sort, echoes
from benchmarks.processes import end_with_parent, python, say_ready

__all__ = ["PEERS"]


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise LeftOut(f"{name} is not installed") from error


def _count(numbers: bytes) -> bytes:
    return (len(numbers) // 4).to_bytes(4, "little")


@contextmanager
def _server(name: str) -> Iterator[str]:
    """A peer's server; gives the path of its socket."""
    with TemporaryDirectory(prefix="qda-bench-") as folder:
        address = str(Path(folder) / "socket")
        with python(__name__, name, address):
            yield address


@contextmanager
def _zeromq() -> Iterator[Maker]:
    """REQ and REP.  There are no methods: to count is asked for with a part of its own."""
    zmq = _library("zmq")
    with _server("zeromq") as address:
        context = zmq.Context()
        requests = context.socket(zmq.REQ)
        requests.connect(f"ipc://{address}")

        def echo(payload: bytes) -> object:
            requests.send(payload, copy=False)
            return requests.recv()

        def length(numbers: bytes) -> object:
            requests.send(b"length", zmq.SNDMORE)
            requests.send(numbers, copy=False)
            return requests.recv()

        try:
            yield echoes(echo, length)
        finally:
            requests.close(linger=0)
            context.term()


def _serve_zeromq(address: str) -> None:
    zmq = _library("zmq")
    replies = zmq.Context().socket(zmq.REP)
    replies.bind(f"ipc://{address}")
    say_ready()
    while True:
        payload = replies.recv()
        if replies.getsockopt(zmq.RCVMORE):
            payload = _count(replies.recv())
        replies.send(payload, copy=False)


_GRPC_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


@contextmanager
def _grpc() -> Iterator[Maker]:
    """Unary methods of bytes."""
    library = _library("grpc")
    with (
        _server("grpc") as address,
        library.insecure_channel(f"unix:{address}", _GRPC_OPTIONS) as channel,
    ):
        yield echoes(
            channel.unary_unary("/bench.Echo/echo"), channel.unary_unary("/bench.Echo/length")
        )


def _serve_grpc(address: str) -> None:
    library = _library("grpc")
    methods = {
        "echo": library.unary_unary_rpc_method_handler(lambda request, _: request),
        "length": library.unary_unary_rpc_method_handler(lambda request, _: _count(request)),
    }
    server = library.server(ThreadPoolExecutor(2), options=_GRPC_OPTIONS)
    handlers = library.method_handlers_generic_handler("bench.Echo", methods)
    server.add_generic_rpc_handlers((handlers,))
    server.add_insecure_port(f"unix:{address}")
    server.start()
    say_ready()
    server.wait_for_termination()


@contextmanager
def _rpyc() -> Iterator[Maker]:
    """Methods of bytes."""
    library = _library("rpyc")
    factory = _library("rpyc.utils.factory")
    with _server("rpyc") as address:
        connection = factory.unix_connect(
            address, library.VoidService, {"sync_request_timeout": 120}
        )
        try:
            yield echoes(connection.root.echo, connection.root.length)
        finally:
            connection.close()


def _serve_rpyc(address: str) -> None:
    library = _library("rpyc")

    class Service(library.Service):  # type: ignore[misc, name-defined]
        def exposed_echo(self, payload: bytes) -> bytes:
            return payload

        def exposed_length(self, numbers: bytes) -> int:
            return len(numbers) // 4

    server = _library("rpyc.utils.server").OneShotServer(Service, socket_path=address)
    server.listener.listen()  # `start` does it too, but whoever is told of us connects at once
    say_ready()
    server.start()


_SCHEMA = str(Path(__file__).with_name("echo.capnp"))
_WORDS_OF_A_MESSAGE = 1 << 28


@contextmanager
def _capnp() -> Iterator[Maker]:
    """Methods of an interface; its Python package knows asyncio only, so calls are awaited in a
    loop that goes on for a batch of them."""
    library = _library("capnp")
    schema = library.load(_SCHEMA)
    with _server("capnp") as address, asyncio.Runner() as runner:
        block = library.kj_loop()
        runner.run(block.__aenter__())
        try:
            yield _awaited(runner, runner.run(_connected(library, schema, address)))
        finally:
            runner.run(block.__aexit__(None, None, None))


async def _connected(library: Any, schema: Any, address: str) -> Any:
    stream = await library.AsyncIoStream.create_unix_connection(address)
    client = library.TwoPartyClient(stream, traversal_limit_in_words=_WORDS_OF_A_MESSAGE)
    return client.bootstrap().cast_as(schema.Echo)


def _awaited(runner: asyncio.Runner, remote: Any) -> Maker:
    def make(case: Case) -> Batch | None:
        method = remote.length if case.form is Form.ARRAY else remote.echo
        payload = bytes(4 * case.size if case.form is Form.ARRAY else case.size)
        if case.form in (Form.EVERY, Form.ARGUMENTS_C, Form.ARGUMENTS_PYTHON):
            return None

        async def once() -> object:
            answer = await method(payload)
            return answer.count if case.form is Form.ARRAY else answer.returned

        return lambda calls: runner.run(_times(once, calls, case.work))

    return make


async def _times(call: Callable[[], Awaitable[object]], calls: int, work: int) -> list[float]:
    clock, times = time.perf_counter_ns, []
    for _ in range(calls):
        end = clock() + work * 1000
        while (start := clock()) < end:
            pass
        await call()
        times.append((clock() - start) / 1000)
    return times


def _serve_capnp(address: str) -> None:
    library = _library("capnp")
    schema = library.load(_SCHEMA)

    class Service(schema.Echo.Server):  # type: ignore[misc, name-defined]
        async def echo(self, given: bytes, _context: object, **_: object) -> bytes:
            return given

        async def length(self, given: bytes, _context: object, **_: object) -> int:
            return len(given) // 4

    async def connected(stream: Any) -> None:
        await library.TwoPartyServer(
            stream, bootstrap=Service(), traversal_limit_in_words=_WORDS_OF_A_MESSAGE
        ).on_disconnect()

    async def serve() -> None:
        server = await library.AsyncIoStream.create_unix_server(connected, address)
        say_ready()
        async with server:
            await server.serve_forever()

    asyncio.run(library.run(serve()))


PEERS = (
    Contender("ZeroMQ", Sort.PEER, _zeromq),
    Contender("gRPC", Sort.PEER, _grpc),
    Contender("RPyC", Sort.PEER, _rpyc),
    Contender("Cap'n Proto", Sort.PEER, _capnp),
)

_SERVERS: dict[str, Callable[[str], None]] = {
    "zeromq": _serve_zeromq,
    "grpc": _serve_grpc,
    "rpyc": _serve_rpyc,
    "capnp": _serve_capnp,
}

if __name__ == "__main__":
    end_with_parent()
    try:
        _SERVERS[sys.argv[1]](sys.argv[2])
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
