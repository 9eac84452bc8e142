"""A DSP for debugging: its protection domains are threads of this process.

`breakpoint()` in a skeleton stops where the programmer sits, and a debugger sees both sides of a
call.  What needs processes is missing: a skeleton that crashes takes the program along, and one
that never returns keeps its thread, also after an exception that its client has asked for.
"""

from __future__ import annotations

import errno
import os
import threading

from qda.dsp.boot import Boot
from qda.dsp.process import Process
from qda.fastrpc.domains import ProtectionDomain
from qda.rpmsg import Endpoint, Frame, Operation, PeerGone
from qda.rpmsg.frame import pack_reply

__all__ = ["start_threads"]

WINDOW = 256 << 20
"""Bytes of DSP addresses of each protection domain: they share one 4 GiB."""


def start_threads(boot: Boot, handed_over: dict[str, type]) -> Endpoint:
    """Start a DSP whose protection domains are threads; returns the driver's end of its channel.

    It ends when the endpoint is closed.  In `handed_over` clients leave the classes that they
    install: nothing is serialised, the class itself runs.
    """
    ours, theirs = Endpoint.pair()
    threading.Thread(
        target=_serve, args=(theirs, boot, handed_over), daemon=True, name=boot.domain
    ).start()
    ours.receive()
    return ours


def _serve(channel: Endpoint, boot: Boot, handed_over: dict[str, type]) -> None:
    supervisors = {0: _start(boot, ProtectionDomain.ROOT, handed_over)}
    channel.send(pack_reply(0))
    try:
        while True:
            message, descriptors = channel.receive_with_descriptors()
            frame = Frame.unpack(message)
            result = 0
            if frame.operation is Operation.CLOSE and frame.client_id in supervisors:
                supervisors.pop(frame.client_id).close()
            elif frame.operation is Operation.OPEN:
                user = frame.kind == ProtectionDomain.USER
                try:
                    if user:
                        started = _start(boot, ProtectionDomain.USER, handed_over)
                        supervisors[frame.client_id] = started
                    supervisors[frame.client_id if user else 0].send(message, descriptors)
                except OSError as error:  # no addresses left for another window
                    result = error.errno or errno.ENOMEM
            elif frame.operation is not Operation.CLOSE:
                result = errno.EINVAL
            for descriptor in descriptors:
                os.close(descriptor)
            channel.send(pack_reply(result))
    except PeerGone:
        channel.close()
        for supervisor in supervisors.values():
            supervisor.close()


def _start(boot: Boot, kind: ProtectionDomain, handed_over: dict[str, type]) -> Endpoint:
    near, far = Endpoint.pair()
    process = Process(kind, boot.domain, boot.capabilities, WINDOW, handed_over=handed_over)

    def serve() -> None:
        process.serve(far)
        far.close()
        process.end()

    threading.Thread(target=serve, daemon=True, name=f"{boot.domain} {kind.name}").start()
    return near
