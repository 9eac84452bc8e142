"""What a processor is told when it boots, and how it boots."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from qda import limits
from qda.dsp.spawn import Output, processor_process
from qda.errors import UsageError, suggestion
from qda.fastrpc.domains import DOMAINS
from qda.interrupts import Deadline
from qda.rpmsg import Endpoint

__all__ = ["Boot", "Endpoint", "Output", "start_processor"]


@dataclass(frozen=True, slots=True)
class Boot:
    """The name of a DSP and its capabilities by attribute number (spec/fastrpc.md 3.5).

    UsageError for a name that no DSP has.
    """

    domain: str
    capabilities: dict[int, int]

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise UsageError(f"{self.domain!r} is no DSP: {suggestion(self.domain, DOMAINS)}")

    def pack(self) -> bytes:
        """As a message."""
        return json.dumps([self.domain, list(self.capabilities.items())]).encode()

    @classmethod
    def unpack(cls, message: bytes) -> Boot:
        """The inverse of `pack`."""
        domain, capabilities = json.loads(message)
        return cls(domain, dict(capabilities))


def start_processor(boot: Boot, output: Output = None) -> tuple[subprocess.Popen[bytes], Endpoint]:
    """Start a processor and wait until its root protection domain is up.

    It ends when the endpoint is closed.  Returns the process and the driver's end of the channel.
    OSError, TimeoutError, PeerGone if it does not come up.
    """
    started = processor_process(output)
    channel = Endpoint(started.channel)
    try:
        channel.send(boot.pack())
        channel.receive_in(Deadline(limits.BOOT))
    except BaseException:
        started.end()
        raise
    return started.process, channel
