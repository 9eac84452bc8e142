"""A DSP for debugging: its protection domains are threads of this process.

`breakpoint()` in a skeleton stops where the programmer sits, and a debugger sees both sides of a
call.  What needs processes is missing: a skeleton that crashes takes the program along, and one
that never returns keeps its thread, also after an exception that its client has asked for.
"""

from __future__ import annotations

import faulthandler
import io
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from qda import limits
from qda.dsp.black_box import tell_faults
from qda.dsp.boot import Boot
from qda.dsp.domains import Domains
from qda.dsp.process import Process
from qda.dsp.serving import LANE_THREAD, Serving
from qda.dsp.tracebacks import shown
from qda.fastrpc.domains import ProtectionDomain
from qda.rpmsg import Endpoint, Frame, PeerGone, serve_frame
from qda.rpmsg.frame import pack_reply

__all__ = ["start_in_threads", "start_threads"]


def start_threads(boot: Boot, handed_over: dict[str, type]) -> Endpoint:
    """Start a DSP whose protection domains are threads; returns the driver's end of its channel.

    It ends when the endpoint is closed.  In `handed_over` clients leave the classes that they
    install: nothing is serialised, the class itself runs.
    """
    _explain_ends()

    def make(kind: ProtectionDomain) -> Process:
        # OSError: there are no addresses left for another window.
        window = limits.THREADED_WINDOW
        return Process(kind, boot.domain, boot.capabilities, window, handed_over=handed_over)

    return start_in_threads(boot.domain, make)


def start_in_threads(name: str, make: Callable[[ProtectionDomain], Process]) -> Endpoint:
    """Start a DSP of that name whose protection domains are what `make` makes, in threads; returns
    the driver's end of its channel."""
    ours, theirs = Endpoint.pair()
    threading.Thread(target=_serve, args=(theirs, name, make), daemon=True, name=name).start()
    ours.receive()
    return ours


@cache
def _explain_ends() -> None:
    """Have standard error say where a skeleton has ended the program: by a fault, which Python's
    faulthandler tells unless the program has it tell it elsewhere, or by os._exit; and the address
    of the fault, which that does not tell."""
    if not faulthandler.is_enabled():
        # A notebook's standard error is no file, and some programs have none.
        with suppress(AttributeError, RuntimeError, io.UnsupportedOperation):
            faulthandler.enable(all_threads=False)
    tell_faults(2)
    end, process = os._exit, os.getpid()

    def _exit(status: int) -> NoReturn:
        if threading.current_thread().name == LANE_THREAD and os.getpid() == process:
            words = (
                f"qda: os._exit({status}) in a skeleton ends this program, since with debug=True "
                f"its DSP is threads of it\n{shown(traceback.extract_stack()[:-1])}\n"
            )
            os.write(2, words.encode("utf-8", "replace"))
        end(status)

    os._exit = _exit


@dataclass(frozen=True, slots=True)
class _Child:
    """A protection domain of threads: it ends when nobody can give it sessions any more."""

    supervisor: Endpoint

    def destroy(self) -> None:
        """See `qda.dsp.domains.Child`: if it dies, so does the program."""
        self.supervisor.close()


def _serve(channel: Endpoint, name: str, make: Callable[[ProtectionDomain], Process]) -> None:

    def begin(
        kind: ProtectionDomain, shared_as: bytes, opening: Frame | None, descriptors: list[int]
    ) -> _Child:
        process = make(kind)
        process.name = shared_as
        return _start(f"{name} {kind.name}", process, opening, descriptors)

    domains = Domains(begin)
    domains.start_root()
    channel.send(pack_reply(0))
    try:
        while True:
            serve_frame(channel, domains.handle)
    except PeerGone:
        channel.close()
        domains.close()


def _start(name: str, process: Process, opening: Frame | None, descriptors: list[int]) -> _Child:
    serving = Serving(process)
    near, far = Endpoint.pair()
    if opening is not None:
        serving.start(opening, descriptors)

    def serve() -> None:
        serving.serve(far)
        far.close()
        process.end()

    threading.Thread(target=serve, daemon=True, name=name).start()
    return _Child(near)
