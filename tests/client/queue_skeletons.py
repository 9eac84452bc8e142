"""Skeletons that use queues, for tests."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import qda
from qda.core.packets import Packet
from qda.fastrpc.queue import BufferFlag

__all__ = ["CALL_BACK", "CLOSE", "DIE", "ECHO", "OPEN", "Queues", "echo"]

ECHO, CALL_BACK, OPEN, CLOSE, DIE = range(2, 7)


def echo(queue: Any, packet: Packet) -> None:
    """Send a packet back, its buffers with each byte one higher."""
    answers = []
    for one in packet.buffers:
        for at in range(len(one.memory or b"")):
            one.memory[at] += 1  # type: ignore[index]
        flags = BufferFlag.DEREF if one.flags & BufferFlag.REF else 0
        answers.append(type(one)(one.fd, one.offset, one.size, flags))
    if packet.message == b"early":
        queue.write_early_wakeup(200)
    queue.write(packet.message, answers)


class Queues(qda.Skeleton):
    """What is done with a queue, by its number on the wire."""

    def open(self, uri: str) -> None:
        self.queues: dict[int, Any] = {}
        self.threads: dict[int, threading.Thread] = {}

    @qda.method(ECHO)
    def echo(self, number: memoryview) -> None:
        """Answer in a thread that reads."""
        key = int.from_bytes(number, "little")
        queue = self.queues[key] = self.dsp.queue(key)

        def run() -> None:
            for packet in queue:
                echo(queue, packet)

        self.threads[key] = threading.Thread(target=run, daemon=True)
        self.threads[key].start()

    @qda.method(CALL_BACK)
    def call_back(self, number: memoryview) -> None:
        """Answer in callbacks."""
        key = int.from_bytes(number, "little")
        self.queues[key] = self.dsp.queue(key, echo)

    @qda.method(OPEN)
    def open_only(self, number: memoryview) -> None:
        """Answer nothing."""
        key = int.from_bytes(number, "little")
        self.queues[key] = self.dsp.queue(key)

    @qda.method(CLOSE)
    def close_one(self, number: memoryview) -> None:
        key = int.from_bytes(number, "little")
        self.queues.pop(key).close()
        if key in self.threads:
            self.threads.pop(key).join()

    @qda.method(DIE)
    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
