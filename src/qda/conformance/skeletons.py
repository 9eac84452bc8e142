"""What the tests run on the DSP."""

from __future__ import annotations

import os
import signal
from typing import Any

from qda.dsp.skeleton import Skeleton, method

__all__ = ["Probe"]


class Probe(Skeleton, name="conformance_probe"):
    """Methods that show what reaches the DSP, and what comes back."""

    ECHO, STATUS, MARK, COUNT, PEEK, POKE, LENGTHS, SELECT, VALUE, STALL = range(2, 12)
    PEEK_FD, RAISE, DIE, ADDRESS_FAULT, NEGATE, EXTENDED = 12, 13, 14, 15, 16, 33
    ABSENT = 30

    def __init__(self) -> None:
        self.calls = 0

    @method(ECHO)
    def echo(self, source: memoryview, target: memoryview) -> None:
        target[:] = source[: len(target)]

    @method(STATUS)
    def status(self, word: memoryview, *outputs: memoryview) -> int:
        for output in outputs:
            output[:] = b"s" * len(output)
        return int.from_bytes(word, "little", signed=True)

    @method(MARK)
    def mark(self, *arguments: Any) -> None:
        """Count the call and leave everything alone."""
        self.calls += 1

    @method(COUNT)
    def count(self, target: memoryview) -> None:
        target[:] = self.calls.to_bytes(4, "little")

    @method(PEEK)
    def peek(self, address: memoryview, target: memoryview) -> None:
        target[:] = self.dsp.memory(int.from_bytes(address, "little"), len(target))

    @method(POKE)
    def poke(self, address: memoryview, source: memoryview) -> None:
        self.dsp.memory(int.from_bytes(address, "little"), len(source))[:] = source

    @method(PEEK_FD)
    def peek_fd(self, fd: memoryview, target: memoryview) -> None:
        target[:] = self.dsp.memory_of_fd(int.from_bytes(fd, "little"))[: len(target)]

    @method(LENGTHS)
    def lengths(self, *arguments: Any) -> None:
        """The lengths of all buffers before the last, as 16-bit words, in the last."""
        *others, target = arguments
        words = b"".join(len(other).to_bytes(2, "little") for other in others)
        target[: len(words)] = words

    @method(SELECT)
    def select(self, target: memoryview, handle: Any) -> None:
        target[:] = handle.view[: len(target)]

    @method(VALUE)
    def value(self, target: memoryview, handle: Any) -> None:
        target[:] = handle.value.to_bytes(8, "little")

    @method(NEGATE)
    def negate(self, source: memoryview, target: memoryview) -> None:
        """Write into the target first, to show whether it is the same memory as the source."""
        target[0] = source[0] ^ 0xFF
        target[-1] = source[0]

    @method(RAISE)
    def fail(self) -> None:
        raise RuntimeError("as the test wants it")

    @method(DIE)
    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @method(ADDRESS_FAULT)
    def fault(self) -> None:
        self.dsp.memory(0x1000, 1)

    @method(EXTENDED)
    def extended(self, source: memoryview, target: memoryview) -> None:
        target[:] = source[4 : 4 + len(target)]
