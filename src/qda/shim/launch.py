"""Runs a program that sees the nodes of a device server, and ends as the program does."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from qda.shim.library import find_library
from qda.shim.names import SOCKET_VARIABLE

__all__ = [
    "NOT_EXECUTABLE",
    "NOT_FOUND",
    "additions",
    "environment",
    "run_program",
    "signals_arriving",
]

_PRELOAD = "LD_PRELOAD"

_ASAN = "ASAN_OPTIONS"
_ANY_ORDER = "verify_asan_link_order=0"
"""AddressSanitizer ends a program before which another library than its own is loaded.  Ours
replaces none of the functions that it depends on, those of allocation."""

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)
_NOT_OURS = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores and programs do not expect to be ignored."""

_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses of shells for a program that could not be started."""


def additions(server: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The variables by which programs see the nodes of the server at the path `server`; where
    `given` has one of them already, both values are in it.  UsageError without the preload
    library."""
    preloaded, options = given.get(_PRELOAD, ""), given.get(_ASAN, "")
    return {
        # What the user has said comes later, and so has the last word.
        _ASAN: f"{_ANY_ORDER}:{options}".rstrip(":"),
        _PRELOAD: f"{preloaded}:{find_library()}".lstrip(":"),
        SOCKET_VARIABLE: str(server),
    }


def environment(server: Path) -> dict[str, str]:
    """This process's environment, with the `additions` for programs that are to see the nodes of a
    server."""
    return {**os.environ, **additions(server, os.environ)}


def run_program(
    command: Sequence[str],
    variables: Mapping[str, str],
    door: socket.socket | None = None,
    answer: Callable[[], None] | None = None,
) -> int:
    """Run a program to its end, in the main thread; returns its exit status as shells do: 128 + n
    if signal n ended it, 127 if there is no such program, 126 if it cannot be executed.

    Signals that this process gets meanwhile go on to the program; what it ignores (as `nohup` and
    a shell's background make it) the program ignores too, except SIGPIPE and SIGXFSZ, which Python
    itself ignores, and SIGCHLD.  `answer` is called when somebody first comes to `door`, a socket
    that listens.
    """
    program = _Program()
    before = {
        number: signal.signal(number, program.forward)
        for number in _FORWARDED
        if signal.getsignal(number) != signal.SIG_IGN
    }
    # Of children whose end is ignored, the kernel would not keep the exit status.
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _awake)
    try:
        # posix_spawn and no fork: this process has threads.
        program.pid = os.posix_spawnp(
            command[0],
            list(command),
            variables,
            setsigmask=[],
            setsigdef=[*_NOT_OURS, *before],
        )
        program.deliver()
        _wait_for_end(program.pid, door, answer)
    except OSError as error:
        print(f"qda: {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    status = os.waitstatus_to_exitcode(os.waitpid(program.pid, 0)[1])
    return status if status >= 0 else 128 - status


@contextmanager
def signals_arriving() -> Iterator[socket.socket]:
    """A socket that can be read when a signal has come, in the main thread.

    A signal that comes just before a wait does not break it off, and its handler in Python would
    have to wait too: so a wait has to be for this socket as well.
    """
    arrived, arrives = socket.socketpair()
    arrives.setblocking(False)
    before = signal.set_wakeup_fd(arrives.fileno(), warn_on_full_buffer=False)
    try:
        yield arrived
    finally:
        signal.set_wakeup_fd(before)
        arrives.close()
        arrived.close()


def _awake(_number: int, _: object) -> None:
    """Of a signal that only ends a wait."""


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait_for_end(pid: int, door: socket.socket | None, answer: Callable[[], None] | None) -> None:
    """Wait until a child has ended, answer the door once, and let signal handlers run meanwhile.

    SIGCHLD tells of the end: pidfds are not everywhere, valgrind before 3.21 has none.
    """
    with signals_arriving() as arrived:
        poll = select.poll()
        poll.register(arrived, select.POLLIN)
        if door is not None:
            poll.register(door, select.POLLIN)
        while not _has_ended(pid):
            ready = [descriptor for descriptor, _ in poll.poll()]
            if arrived.fileno() in ready:
                arrived.recv(64)
            if door is not None and door.fileno() in ready:
                poll.unregister(door)
                if answer is not None:
                    answer()
                door = None


class _Program:
    """The program that runs, and signals that came before it did."""

    def __init__(self) -> None:
        self.pid = 0
        self._early: list[int] = []

    def forward(self, number: int, _: object) -> None:
        if number in _FROM_TERMINAL and _is_foreground():
            return  # the terminal has sent it to the program too
        if not self.pid:
            self._early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def deliver(self) -> None:
        while self._early:
            self.forward(self._early.pop(0), None)


def _is_foreground() -> bool:
    """Whether this process's group is the one to which the terminal sends signals."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
