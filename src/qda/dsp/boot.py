"""What a processor is told when it is started, and how it is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from qda import limits
from qda.errors import UsageError
from qda.fastrpc.domains import DOMAINS
from qda.rpmsg import Endpoint

__all__ = ["FOLDERS_VARIABLE", "Boot", "Endpoint", "start_processor"]

FOLDERS_VARIABLE = "QDA_SKELETONS"
"""The environment variable of a processor that names the folders in which it looks for modules
before it asks a host, separated by semicolons."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from qda.dsp.processor import main; main()"
)

_WARM = "numpy", "qda.idl"
"""What a processor has before it forks protection domains if the program that starts it has it:
skeletons on arrays, and of an interface, need these, and others would pay more for them than for
all the rest of a DSP, in time and in memory."""

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""NumPy is imported before protection domains are forked, and must not have started threads."""


@dataclass(frozen=True, slots=True)
class Boot:
    """The name of a DSP and its capabilities by attribute number (spec/fastrpc.md 3.5).

    UsageError for a name that no DSP has.
    """

    domain: str
    capabilities: dict[int, int]

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise UsageError(f"{self.domain!r} is no DSP: there are {', '.join(DOMAINS)}")

    def pack(self, warm: Sequence[str] = ()) -> bytes:
        """As a message, with the names of modules that are to be loaded early."""
        return json.dumps([self.domain, list(self.capabilities.items()), warm]).encode()

    @classmethod
    def unpack(cls, message: bytes) -> tuple[Boot, list[str]]:
        """The inverse of `pack`."""
        domain, capabilities, warm = json.loads(message)
        return cls(domain, dict(capabilities)), warm


def start_processor(boot: Boot) -> tuple[subprocess.Popen[bytes], Endpoint]:
    """Start a processor and wait until its root protection domain is up.

    It runs this Python with this import path, in a process session of its own, so that Ctrl-C at
    the terminal is not for it.  It ends when the endpoint is closed.  Returns the process and the
    driver's end of the channel.  OSError, TimeoutError, PeerGone if it does not come up.
    """
    ours, theirs = Endpoint.pair()
    try:
        path = json.dumps([str(entry) for entry in sys.path])
        command = [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), path]
        process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=os.environ | _ONE_THREAD,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    try:
        ours.send(boot.pack([name for name in _WARM if name in sys.modules]))
        ours.receive(limits.BOOT)
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    return process, ours
