"""What is asked of the agent: steps, which one of its threads takes in order, and their results."""

from __future__ import annotations

import enum
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["Agent", "AgentGone", "Call", "Get", "Number", "Put", "failed"]

_STEP = struct.Struct("<8Q")
_RESULT = struct.Struct("<q")
_WORD = (1 << 64) - 1


class Number(enum.IntEnum):
    """The system calls that are asked for, as arm64 counts them."""

    DUP3 = 24
    FCNTL = 25
    IOCTL = 29
    OPENAT = 56
    CLOSE = 57
    LSEEK = 62
    MUNMAP = 215
    MMAP = 222
    MPROTECT = 226


class AgentGone(Exception):
    """Nobody answers any more: the guest has ended, or hangs."""


class Call(NamedTuple):
    """A system call; it has a result."""

    number: Number
    arguments: tuple[int, ...] = ()


class Put(NamedTuple):
    """Bytes for an address, which must be writable."""

    address: int
    content: bytes


class Get(NamedTuple):
    """Bytes of an address, which must be readable."""

    address: int
    length: int


Step = Call | Put | Get


def failed(result: int) -> bool:
    """Whether the result of a system call is an error's number, negated."""
    return -4096 < result < 0


class Agent:
    """The agent behind its ports.  Thread-safe: as many may ask at once as it has threads.
    `patience` is how many seconds an answer may take."""

    def __init__(self, ports: Sequence[socket.socket], patience: float) -> None:
        self._free = list(ports)
        self.patience = patience
        self._change = threading.Condition()
        self.gone = False

    def ask(self, *steps: Step) -> list[int | bytes]:
        """Have steps taken; what calls and `Get`s among them gave, in order.  AgentGone."""
        if not steps:
            return []
        with self._port() as port:
            try:
                port.sendall(b"".join(map(_packed, steps)))
                return [_result(port, step) for step in steps if not isinstance(step, Put)]
            except OSError as error:
                self.gone = True
                raise AgentGone(f"the guest does not answer: {error}") from error

    def call(self, number: Number, *arguments: int) -> int:
        """One system call; its result.  OSError, AgentGone."""
        (result,) = self.ask(Call(number, arguments))
        assert isinstance(result, int)
        if failed(result):
            raise OSError(-result, os.strerror(-result))
        return result

    @contextmanager
    def _port(self) -> Iterator[socket.socket]:
        with self._change:
            if not self._change.wait_for(lambda: self.gone or self._free, 30) or self.gone:
                raise AgentGone("the guest does not answer")
            port = self._free.pop()
        port.settimeout(self.patience)
        yield port
        with self._change:
            self._free.append(port)
            self._change.notify()


def _packed(step: Step) -> bytes:
    if isinstance(step, Call):
        words = [int(argument) & _WORD for argument in step.arguments]
        return _STEP.pack(0, step.number, *words, *[0] * (6 - len(words)))
    if isinstance(step, Put):
        return _STEP.pack(1, 0, step.address, len(step.content), 0, 0, 0, 0) + step.content
    return _STEP.pack(2, 0, step.address, step.length, 0, 0, 0, 0)


def _result(port: socket.socket, step: Call | Get) -> int | bytes:
    if isinstance(step, Get):
        return _receive(port, step.length)
    (result,) = _RESULT.unpack(_receive(port, _RESULT.size))
    return int(result)


def _receive(port: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = port.recv(min(length - len(data), 1 << 20))
        if not part:
            raise ConnectionResetError("it has ended")
        data += part
    return bytes(data)
