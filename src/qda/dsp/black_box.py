"""The black box of a protection domain: what tells how it has died, when it cannot any more.

It is memory that the processor has, too, and reads when the process has ended (`qda.dsp.ending`):
first the lines of the log that the client has not fetched, then what is said at the very end, by a
handler in C (native/black_box.c) and by Python's faulthandler.  Without the handler's library there
is less to read.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from qda import limits

__all__ = [
    "BlackBox",
    "KeptLog",
    "handler",
    "is_sanitized",
    "knows_exceptions",
    "stack_for_handler",
    "tell_faults",
]

_HEAD = 16
"""Bytes before the kept lines: how many were written in all, and how many of them do not count."""

_LOG_END = _HEAD + limits.KEPT_LOG


class KeptLog:
    """The lines that nobody has fetched yet, as bytes that go round in shared memory.

    Each stands behind the number of the client's thread whose call has logged it, 0 if that call is
    over; a number by itself says that the call of that thread is over now.
    """

    def __init__(self, memory: memoryview) -> None:
        self._counts, self._bytes = memory[:_HEAD].cast("Q"), memory[_HEAD:_LOG_END]

    def put(self, line: bytes) -> None:
        """Keep a line, with its number and its newline."""
        line = line[-limits.KEPT_LOG :]
        written = self._counts[0]
        at = written % limits.KEPT_LOG
        head = min(len(line), limits.KEPT_LOG - at)
        self._bytes[at : at + head] = line[:head]
        self._bytes[: len(line) - head] = line[head:]
        self._counts[0] = written + len(line)

    def over(self, thread: int) -> None:
        """The call of a thread is over."""
        self.put(b"%d\n" % thread)

    def keep(self, lines: Iterable[bytes]) -> None:
        """Keep these lines, and none from before."""
        self._counts[1] = self._counts[0]
        for line in lines:
            self.put(line)

    @staticmethod
    def lines(memory: bytes) -> list[tuple[int, str]]:
        """What is kept, in memory that a process has left behind: each line with the thread whose
        call was not over, 0 if there is none."""
        written, fetched = (int.from_bytes(memory[at : at + 8], "little") for at in (0, 8))
        kept = memory[_HEAD:_LOG_END]
        count = min(written - fetched, limits.KEPT_LOG)
        if count <= 0 or len(kept) < limits.KEPT_LOG:
            return []
        at = (written - count) % limits.KEPT_LOG
        found: list[tuple[int, str]] = []
        for line in (kept + kept)[at : at + count].decode("utf-8", "replace").split("\n")[:-1]:
            number, told, words = line.partition(" ")
            if not (number.isascii() and number.isdigit()):  # the oldest one has lost its beginning
                found.append((0, line))
            elif told:
                found.append((int(number), words))
            else:
                found = [(thread if thread != int(number) else 0, words) for thread, words in found]
        return found[-limits.LOG_LINES :]


class BlackBox:
    """A black box: made by the processor, kept by both.  OSError."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("black box", os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, _LOG_END)
        os.lseek(self.descriptor, 0, os.SEEK_END)

    def watch(self) -> KeptLog:
        """Record how this process ends, from now on; returns what keeps its log."""
        memory = memoryview(mmap.mmap(self.descriptor, _LOG_END))
        faulthandler.enable(self.descriptor, all_threads=False)
        library = handler()
        if library is not None:
            library.qda_black_box_begin(self.descriptor)
        self._note_exits()
        return KeptLog(memory)

    def _note_exits(self) -> None:
        """Say who has called os._exit, too, which ends a process with nothing between."""
        end, process = os._exit, os.getpid()

        def _exit(status: int) -> NoReturn:
            if os.getpid() == process:
                with suppress(OSError):  # a skeleton may have closed it
                    self.note("exit")
                    faulthandler.dump_traceback(self.descriptor, all_threads=False)
            end(status)

        os._exit = _exit

    def note(self, line: str) -> None:
        """Say something about the end that comes now."""
        os.write(self.descriptor, f"{line}\n".encode())

    def read(self) -> tuple[list[tuple[int, str]], list[str]]:
        """The lines of the log that were kept, and what was said at the end."""
        memory = os.pread(self.descriptor, _LOG_END + limits.KEPT_REPORT, 0)
        said = memory[_LOG_END:].decode("utf-8", "replace")
        return KeptLog.lines(memory), said.splitlines()

    def close(self) -> None:
        """Forget what it has."""
        os.close(self.descriptor)


@cache
def handler() -> ctypes.CDLL | None:
    """The handler's library; None if it was not built, or is not for this machine."""
    try:
        return ctypes.CDLL(str(Path(__file__).with_name("libqda_black_box.so")))
    except OSError:
        return None


def stack_for_handler() -> None:
    """Give this thread, which runs skeletons, a stack for the handler: its own may be full."""
    library = handler()
    if library is not None:
        library.qda_black_box_thread()


def tell_faults(descriptor: int) -> None:
    """Say of a fault in such a thread at which address it was, and where the code lies; whoever has
    the signal now gets it next."""
    library = handler()
    if library is not None:
        library.qda_black_box_tell(descriptor)


def is_sanitized() -> bool:
    """Whether AddressSanitizer is in this process."""
    asked = getattr(handler(), "qda_black_box_sanitized", None)
    return asked is not None and bool(asked())


def knows_exceptions(library: ctypes.CDLL) -> None:
    """Have the handler tell by which exception C++ code has ended, if a library has such."""
    ours = handler()
    if ours is None:
        return
    try:
        asked: Callable[..., Any] = library["__cxa_current_exception_type"]
    except AttributeError:
        return
    ours.qda_black_box_exceptions(asked)
