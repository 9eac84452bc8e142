"""Modules that are quick to load on a DSP: they need nothing but the package."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import qda

__all__ = ["HOST", "Asking", "Echo", "Forking", "Hoarder", "Numbers"]


class Echo(qda.Skeleton):
    """A module that counts how often it has been opened and not closed."""

    opened = 0

    def open(self, uri: str) -> None:
        Echo.opened += 1

    def close(self) -> None:
        Echo.opened -= 1

    @qda.method(2)
    def echo(self, given: memoryview, result: memoryview) -> None:
        result[:] = given

    @qda.method(3)
    def count(self, result: memoryview) -> None:
        result[0] = Echo.opened


class Numbers(qda.Skeleton):
    """A module that says in which process it is."""

    @qda.method(2)
    def process(self, result: memoryview) -> None:
        result[:] = os.getpid().to_bytes(4, "little")


class Forking(qda.Skeleton):
    """A module that forks a process which leaves everything behind it."""

    @qda.method(2)
    def fork(self, result: memoryview) -> None:
        import ctypes

        read, write = os.pipe()
        libc = ctypes.CDLL(None)
        if not libc.fork():  # without Python's knowledge: it keeps all descriptors
            os.setsid()
            child = libc.fork()
            if not child:
                os.write(write, os.getpid().to_bytes(4, "little"))
                signal.pause()
            os._exit(0)
        result[:] = os.read(read, 4)

    @qda.method(3)
    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Hoarder(qda.Skeleton):
    """A module that takes all descriptors."""

    @qda.method(2)
    def take_all(self) -> None:
        self.taken = []
        with suppress(OSError):
            while True:
                self.taken.append(os.open("/dev/null", os.O_RDONLY))

    @qda.method(3)
    def give_back(self) -> None:
        for descriptor in self.taken:
            os.close(descriptor)

    @qda.method(4)
    def read(self, given: memoryview) -> None:
        """Do nothing with it."""


HOST = qda.idl.load("interface small_host { long ask(); };", name="small_host.idl")
"""An interface of the program."""


class Asking(qda.Skeleton):
    """A module that opens one of the program's, and keeps it."""

    @qda.method(2)
    def open_host(self) -> None:
        self.kept = self.dsp.host.open(HOST)
