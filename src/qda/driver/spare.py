"""The object that a program has closed last, which becomes the next one.

A library of August 2026 makes an object for the small arguments of each call, and closes it when
the call is over (spec/versions.md 3.2).  A new one costs more than the call: memory and addresses
are found, and the protection domain is told of it, and again of its end.  So where nobody can tell
the difference a closed object stays, with its addresses and all that is known of it, for a program
that asks for one of the same size: it has a handle and an offset as any other, and it is zero.

Nobody can tell if nobody has it.  Handles, mappings on the DSP and calls are the driver's own to
know; for the program's mappings and descriptors the kernel is asked.  The protection domain is
promised an argument for its call alone (docs/mappings.md), and is the program's own.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
import threading
from contextlib import suppress
from typing import NamedTuple

from qda import limits
from qda.driver.banks import Attachment
from qda.driver.objects import BufferObject, Objects
from qda.driver.session import Session
from qda.driver.sharing import Keeps, Uses
from qda.linux import open_again
from qda.memory import PAGE, align

__all__ = ["Spare"]


class _Kept(NamedTuple):
    """An object that nobody has, and what keeps it."""

    attachment: Attachment
    uses: Keeps


class Spare:
    """The spare object of an open file, if there is one.  Thread-safe."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def offer(self, attachment: Attachment, last: Uses, session: Session | None) -> None:
        """An object is about to be given up by `last`, a handle that names it no longer: keep it,
        if that was all that anybody had of it."""
        buffer = attachment.buffer
        if buffer.size > limits.SPARE or session is None or not _is_private(session):
            return
        if session.peer not in attachment.knowers:
            return
        uses = Keeps()
        with attachment.lock:  # who has found it by its handle holds it by now, or will not find it
            if attachment.users != {last} or not self._objects.set_aside(buffer):
                return
            if not _is_open_once(buffer):
                return  # it ends with `last`
            uses.hold(attachment)
        self._put(_Kept(attachment, uses))

    def take(self, size: int, uses: Uses) -> Attachment | None:
        """The spare object as a new one of `size` bytes; None if there is none of that size."""
        with self._lock:
            kept = self._kept
            if kept is None or kept.attachment.buffer.size != align(size, PAGE):
                return None
            self._kept = None
        attachment = kept.attachment
        with attachment.lock:
            uses.hold(attachment)
        kept.uses.release()
        with suppress(OSError):
            with mmap.mmap(attachment.buffer.descriptor, attachment.buffer.size) as pages:
                pages.madvise(mmap.MADV_REMOVE)  # the file's, too: others come, of zeros
            self._objects.take_back(attachment.buffer)
            return attachment
        return None

    def release(self) -> None:
        """Give it up."""
        self._put(None)

    def _put(self, kept: _Kept | None) -> None:
        with self._lock:
            before, self._kept = self._kept, kept
        if before is not None:
            before.uses.release()


def _is_private(session: Session) -> bool:
    """Whether calls on it, and its protection domain, are the program's alone."""
    return session.lends and session.is_private and not session.peer.dead


def _is_open_once(buffer: BufferObject) -> bool:
    """Whether the memory is open nowhere but here and on the DSP, by a descriptor or a mapping.

    Everybody else has opened it for writing, and while somebody has, there can be no lease of it to
    a reader (fcntl(2)).  The file that it was made with does not count.
    """
    with suppress(OSError):
        again = open_again(buffer.descriptor, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.fcntl(again, fcntl.F_SETSIG, signal.SIGURG)  # not SIGIO, which would end us
            fcntl.fcntl(again, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        finally:
            os.close(again)
        return True
    return False
