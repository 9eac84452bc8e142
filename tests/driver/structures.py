"""Commands on structures of the test itself, and their caller."""

from __future__ import annotations

import errno
from typing import TypeVar

from qda.driver import Client, Front, LocalClient
from qda.driver.memory import Awaited
from qda.interrupts import Deadline
from qda.layout import Record
from qda.linux import address_of
from qda.memory import ClientAddress
from qda.uapi import Command

__all__ = ["Interrupted", "ioctl", "run"]

R = TypeVar("R", bound=Record)


class Interrupted(LocalClient):
    """A client that gets signals instead of answers, as often as `signals` says."""

    signals = 0

    def __init__(self) -> None:
        super().__init__()
        self.port = None  # the core would wait by itself

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        if within is None and self.signals:
            self.signals -= 1
            raise InterruptedError(errno.EINTR, "a signal")
        super().wait(answer, within)


def ioctl(front: Front, client: Client, code: int, data: bytearray) -> int:
    """Carry out an ioctl on `data`, in place, for a client whose memory is this process's."""
    return front.ioctl(client, code, ClientAddress(address_of(data)))


def run(front: Front, client: Client, command: Command[R], record: R | None = None) -> int:
    """Carry out a command on a record, in place; its result."""
    data = bytearray(record.pack() if record is not None else b"")
    result = ioctl(front, client, command.code, data)
    if record is not None:
        record.update(type(record).unpack(data))
    return result
