"""Bells: the pipes by which the two sides of a lane wake each other.

The driver's ends are open for both reading and writing.  So its writes never meet a pipe without a
reader, which would be a signal to the program, and it can wake its own sleepers when the other side
has died.  The ends that the protection domain gets are one-way: it sees the end of the driver.
"""

from __future__ import annotations

import os
import select
import stat
from typing import NamedTuple

from qda.linux import open_again

__all__ = ["Bells", "make_bells"]


class Bells(NamedTuple):
    """One side's ends: the pipe that it sleeps on, and the one by which it wakes the other."""

    sleep: int
    wake: int

    def open_again(self) -> Bells:
        """The driver's ends for another program: it only reads what it sleeps on, and so sees the
        end of all who could wake it.  OSError."""
        sleep = open_again(self.sleep, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return Bells(sleep, open_again(self.wake, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        except BaseException:
            os.close(sleep)
            raise

    @property
    def are_open(self) -> bool:
        """Whether nobody has closed them over our head, as os.closerange does."""
        try:
            return all(stat.S_ISFIFO(os.fstat(descriptor).st_mode) for descriptor in self)
        except OSError:
            return False

    def rouse(self) -> None:
        """Wake who sleeps on ours, as the other side would.  Never waits."""
        room = select.poll()
        room.register(self.sleep, select.POLLOUT)
        if room.poll(0):  # a pipe without room has bytes, so nobody sleeps on it
            os.write(self.sleep, b"\0")

    def close(self) -> None:
        """Close both."""
        for descriptor in self:
            os.close(descriptor)


def make_bells() -> tuple[Bells, Bells]:
    """The driver's ends, and those of the protection domain.  OSError."""
    asked, asks = os.pipe()
    try:
        told, tells = os.pipe()
    except BaseException:
        os.close(asked)
        os.close(asks)
        raise
    opened: list[int] = []
    try:
        opened.append(open_again(told, os.O_RDWR | os.O_CLOEXEC))
        opened.append(open_again(asked, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        os.set_blocking(tells, False)
    except BaseException:
        for descriptor in (asked, tells, *opened):
            os.close(descriptor)
        raise
    finally:
        os.close(asks)
        os.close(told)
    return Bells(*opened), Bells(asked, tells)
