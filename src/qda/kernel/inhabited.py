"""A guest that runs beside us for as long as somebody has work for it, and how it has ended."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress

from qda.kernel.machine import Machine, Tools
from qda.kernel.run import Ended, Plan, run

__all__ = ["Inhabited"]

_GRACE = 10
"""Seconds in which a guest whose program has ended is off."""


class Inhabited:
    """A guest whose program is told by its channels what to do.

    OSError, UsageError if it cannot be started.
    """

    def __init__(self, plan: Plan, tools: Tools) -> None:
        self.channels: Sequence[socket.socket] = ()
        self.said = bytearray()
        """What the program has written."""
        self._plan, self._tools = plan, tools
        self._machine: Machine | None = None
        self._ended: Ended | None = None
        self._refused: Exception | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qda guest", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self._refused is not None:
            raise self._refused

    def _run(self) -> None:
        try:
            self._ended = run(self._plan, self._tools, self._hear, begun=self._begin)
        except Exception as error:
            self._refused = error
        finally:
            self._begun.set()

    def _begin(self, machine: Machine) -> None:
        self._machine = machine
        self.channels = [channel.dup() for channel in machine.channels]
        self._begun.set()

    def _hear(self, name: str, data: bytes) -> None:
        self.said += data

    def end(self) -> Ended:
        """Have it end, and say how it has: the program by itself, when its channels are closed, or
        by force."""
        for channel in self.channels:
            with suppress(OSError):  # the other end was there first
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()
        self._thread.join(_GRACE)
        if self._thread.is_alive() and self._machine is not None:
            self._machine.process.kill()
        self._thread.join()
        if self._ended is None:
            raise self._refused or RuntimeError("the guest did not begin")
        return self._ended
