"""The process of a processor, which loads its program before it is told which DSP it is.

This takes as long as loading a client or a device server.  Whoever is about to do that can have
the process started ahead, and both load at once.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from qda import limits

__all__ = ["FOLDERS_VARIABLE", "Output", "ProcessorProcess", "processor_process", "started_ahead"]

Output: TypeAlias = tuple[int, int] | None
"""Descriptors of files that a DSP has as standard output and error; None for those of the program
that starts it."""

FOLDERS_VARIABLE = "QDA_SKELETONS"
"""The environment variable of a processor that names the folders in which it looks for modules
before it asks a host, separated by semicolons."""

_PROGRAM = (
    "import json, sys; sys.path[:], warm = json.loads(sys.argv[2]); "
    "from qda.dsp.processor import main; main(int(sys.argv[1]), warm)"
)

WARM: tuple[str, ...] = ("numpy", "qda.idl")
"""What a processor has before it forks protection domains if the program that starts it has it:
skeletons on arrays, and of an interface, need these, and others would pay more for them than for
all the rest of a DSP, in time and in memory."""

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""NumPy is imported before protection domains are forked, and must not have started threads."""


class ProcessorProcess:
    """A process that becomes a processor with the first message on `channel`, and ends with it.

    It runs this Python with this import path, in a process group of its own, so that Ctrl-C at the
    terminal is not for it.  It stays in the process session: Linux may give each of these a share
    of the CPUs (autogroups), and threads of two shares cannot hand each other a CPU that both need.
    OSError if it cannot be started.
    """

    def __init__(self, output: Output = None) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            warm = [name for name in WARM if name in sys.modules]
            loaded = json.dumps([[str(entry) for entry in sys.path], warm])
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), loaded],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output and output[0],
                stderr=output and output[1],
                env=os.environ | _ONE_THREAD,
                process_group=0,
            )
        except BaseException:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def end(self) -> None:
        """End it, and wait until it is gone."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


_ahead: dict[int, ProcessorProcess] = {}
"""The one that waits for its use, by the process that has started it: not for a forked child."""


@contextmanager
def started_ahead() -> Iterator[None]:
    """Have a processor's process for who asks for one in this block.  OSError."""
    if os.getpid() in _ahead:
        yield
        return
    started = _ahead[os.getpid()] = ProcessorProcess()
    try:
        yield
    finally:
        if _ahead.get(os.getpid()) is started:
            del _ahead[os.getpid()]
            started.end()


_BESIDE = 256 << 20
"""Bytes of addresses that a protection domain has beside its window: its program, libraries."""


def _refuse_narrow_limit() -> None:
    """A processor has the limits of who starts it, and without addresses it just ends."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < limits.WINDOW + _BESIDE:
        needed = (limits.WINDOW + _BESIDE) >> 20
        raise OSError(
            errno.ENOMEM,
            f"RLIMIT_AS allows {allowed >> 20} MiB of addresses, and a protection domain takes "
            f"{needed} MiB, of which most stay empty: raise that limit (ulimit -v unlimited)",
        )


def processor_process(output: Output = None) -> ProcessorProcess:
    """The process that was started ahead, or another; it is the caller's.  OSError."""
    _refuse_narrow_limit()
    if output is not None:
        return ProcessorProcess(output)
    return _ahead.pop(os.getpid(), None) or ProcessorProcess()
