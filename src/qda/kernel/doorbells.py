"""Doorbells between the guest and the DSPs, as eventfds: QEMU's ivshmem device.

The guest's kernel does not know it as such.  Its register 12, which takes a peer in the upper half
of a word and a vector in the lower, is to the kernel the mailbox of "qcom,sdm845-apss-shared", and
that writes one bit.  The other way, an eventfd has the device send its MSI-X message, of which the
GICv2m makes an interrupt.  Its PCI side is ours: the guest's device tree does not show it, and we
program it through QEMU's test port.  Source: QEMU, docs/specs/ivshmem-spec.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Sequence

from qda.kernel.board import REGISTERS, Edge

__all__ = ["Doorbell", "TestPort", "program", "serve"]

_CONFIGURATION = 0x40_1000_0000 + (1 << 15)
"""The device 00:01.0 in the PCI host's configuration space."""
_TABLE, _SHARED = REGISTERS + 0x1000, REGISTERS + 0x10_0000
_RAISE = 0x0802_0040
"""The GICv2m's register: a write raises the interrupt of that number."""
_FIRST_SPI = 32
_MSIX = 0x11
_IDENTITY = 0x1110_1AF4


class Doorbell:
    """The two eventfds of one DSP."""

    def __init__(self) -> None:
        self.heard = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.rings = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Interrupt the guest."""
        os.eventfd_write(self.rings, 1)

    def hear(self) -> None:
        """Take notice that the guest has rung."""
        os.eventfd_read(self.heard)

    def close(self) -> None:
        """Close both."""
        os.close(self.heard)
        os.close(self.rings)


class TestPort:
    """QEMU's port for tests of devices, by which registers are read and written.  Thread-safe."""

    __test__ = False

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rwb", buffering=0)
        self._lock = threading.Lock()

    def ask(self, *words: str | int) -> int:
        """Have a command carried out; the number that it gives, 0 if none.  OSError."""
        line = " ".join(f"{word:#x}" if isinstance(word, int) else word for word in words)
        with self._lock:
            self._file.write(line.encode() + b"\n")
            answer = self._file.readline().split()
        if not answer or answer[0] != b"OK":
            raise OSError(f"QEMU's test port: {line}: {answer!r}")
        return int(answer[1], 16) if len(answer) > 1 else 0


def serve(connection: socket.socket, edges: Sequence[Edge], bells: Sequence[Doorbell]) -> None:
    """Be the server of the device: tell it its vectors, one for each DSP, and the DSPs' own."""

    def say(number: int, *descriptors: int) -> None:
        socket.send_fds(connection, [struct.pack("<q", number)], descriptors)

    memory = os.memfd_create("qda doorbells", os.MFD_CLOEXEC)
    os.ftruncate(memory, 4096)
    say(0)  # the version
    say(0)  # its own number
    say(-1, memory)
    os.close(memory)
    for edge, bell in zip(edges, bells, strict=True):
        say(edge.peer, bell.heard)
    for bell in bells:
        say(0, bell.rings)


def program(port: TestPort, edges: Sequence[Edge]) -> None:
    """Place the device's registers, and arm a vector for each DSP.  OSError."""
    if port.ask("readl", _CONFIGURATION) != _IDENTITY:
        raise OSError("QEMU's doorbells are not where they were put")
    places = ((0x10, REGISTERS), (0x14, _TABLE), (0x18, _SHARED), (0x1C, 0))
    for offset, value in places:
        port.ask("writel", _CONFIGURATION + offset, value)
    port.ask("writew", _CONFIGURATION + 4, 0x6)  # memory, and be a master
    at = port.ask("readb", _CONFIGURATION + 0x34)
    while at and port.ask("readb", _CONFIGURATION + at) != _MSIX:
        at = port.ask("readb", _CONFIGURATION + at + 1)
    control = port.ask("readw", _CONFIGURATION + at + 2)
    port.ask("writew", _CONFIGURATION + at + 2, control | 0x8000)
    for vector, edge in enumerate(edges):
        entry = _TABLE + 16 * vector
        for offset, value in ((0, _RAISE), (4, 0), (8, edge.interrupt + _FIRST_SPI), (12, 0)):
            port.ask("writel", entry + offset, value)
