"""The processor: a small process that makes protection domains, and ends with its owner.

It is started by exec, has one thread, forks protection domains, and watches three things: its
channel to the driver, its owner, and its children.  Its first child is the root protection domain;
if that dies, the subsystem goes down, and the driver may boot it again.
"""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

from qda.dsp.black_box import BlackBox, handler
from qda.dsp.boot import Boot
from qda.dsp.domains import Domains
from qda.dsp.orphans import end_orphans
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.obituary import Obituary
from qda.linux import adopt_orphans, die_with_parent, name_process, trim_memory
from qda.rpmsg import Endpoint, Frame, PeerGone, serve_frame
from qda.rpmsg.frame import pack_reply

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Child:
    """A protection domain: its process, the endpoint by which it is given sessions, and what tells
    how it has died.  `siblings` are the processes of all protection domains.
    """

    pid: int
    watch: int
    supervisor: Endpoint
    box: BlackBox
    siblings: set[int]

    def close(self) -> None:
        os.close(self.watch)
        self.supervisor.close()
        self.box.close()

    def destroy(self) -> Obituary | None:
        """Kill the process, with all that it has forked, and wait until they are gone; how it has
        ended, if it has died before."""
        dead = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        for kill in (os.killpg, os.kill):  # its group, or before it had one
            with suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        self.siblings.discard(self.pid)
        end_orphans(but=self.siblings)
        try:
            # It may have been about to end, its descriptors closed: then it has its own status.
            return _obituary(status, self.box) if dead or status != signal.SIGKILL else None
        finally:
            self.close()


def _end_of(pid: int, otherwise: Callable[[], int]) -> int:
    """A descriptor that can be read when a process has ended: a pidfd, or what is made `otherwise`,
    where there are none, as under valgrind before 3.21.  OSError."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
    return otherwise()


def _obituary(status: int, box: BlackBox) -> Obituary:
    from qda.dsp.ending import obituary  # for those who need it: it looks up names

    return obituary(status, *box.read())


class Processor:
    """The processes of a DSP."""

    def __init__(self, channel: Endpoint, boot: Boot, owner: int) -> None:
        from qda.dsp.process import Process  # who starts a processor waits for no more than it must
        from qda.dsp.serving import Serving
        from qda.dsp.tracebacks import without_debugger

        self._channel = channel
        self._boot = boot
        self._owner = owner
        self._domains: Domains[Child] = Domains(self._fork)
        self._pids = set[int]()
        # Protection domains begin with what is made here: they open sooner, and share it.
        without_debugger()
        self._process = Process(ProtectionDomain.USER, boot.domain, boot.capabilities)
        self._serving = Serving(self._process, die=self._die)
        self._box: BlackBox | None = None
        """In a protection domain: its own."""

    def run(self) -> None:
        """Serve the driver until it, the owner or the root protection domain is gone."""
        adopt_orphans()
        self._domains.start_root()
        try:
            self._channel.send(pack_reply(0))
            while self._serve_once():
                pass
        except PeerGone:
            pass
        finally:
            # The driver has to see the DSP gone before it sees protection domains gone.
            self._channel.close()
            self._domains.close()

    def _serve_once(self) -> bool:
        poll = select.poll()
        children = self._domains.children
        watched = {child.watch: (key, child) for key, child in children.items()}
        for descriptor in (self._channel.fileno(), self._owner, *watched):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor == self._owner:
                return False
            if descriptor in watched:
                key, child = watched[descriptor]
                if key == 0:
                    return False
                # Its endpoints are closed with it: the driver knows.  CLOSE may come later, or may
                # have come in this round; a static process may have been replaced in it.
                if children.get(key) is child:
                    self._domains.destroy(key)
            elif descriptor == self._channel.fileno():
                serve_frame(self._channel, self._domains.handle)
        return True

    def _fork(
        self, kind: ProtectionDomain, name: bytes, opening: Frame | None, descriptors: list[int]
    ) -> Child:
        """Start a protection domain; it inherits the descriptors for a session of its own."""
        box = BlackBox()
        try:
            near, far = Endpoint.pair()
        except OSError:
            box.close()
            raise
        parent = os.getpid()
        pid = os.fork()
        if pid:
            far.close()
            try:
                # Nobody sends on this unasked: what can be read there is its end.
                watch = _end_of(pid, lambda: os.dup(near.fileno()))
            except OSError:  # the processor has no descriptors left
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                near.close()
                box.close()
                raise
            self._pids.add(pid)
            return Child(pid, watch, near, box, self._pids)
        status = 1
        try:
            near.close()
            if self._enter(kind, name, parent, box):
                if opening is not None:
                    self._serving.serve_alone(opening, descriptors)
                self._serving.serve(far)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _enter(self, kind: ProtectionDomain, name: bytes, parent: int, box: BlackBox) -> bool:
        """Become a protection domain: what is the processor's is let go of.  Whether it lives."""
        die_with_parent()
        self._process.kind, self._process.name = kind, name
        name_process(f"qda {self._boot.domain} {(name or b'user').decode('utf-8', 'replace')}")
        if os.getppid() != parent:
            return False
        adopt_orphans()  # those of a protection domain that lives are its own
        os.setpgid(0, 0)
        self._channel.close()
        os.close(self._owner)
        self._domains.disown()
        for child in self._domains.children.values():
            child.close()
        self._box = box
        self._process.kept_log = box.watch()
        # What a skeleton forks must not hold our ends: their end tells the driver of our death.
        os.register_at_fork(after_in_child=self._serving.disown)
        return True

    def _die(self, reason: str) -> None:
        """End a protection domain, as by a fault."""
        if self._box is not None:
            try:
                self._box.note(f"asked {reason}")
            except OSError:  # a skeleton has closed that, too
                os._exit(1)
        os.kill(os.getpid(), signal.SIGKILL)


def main(descriptor: int, warm: Sequence[str]) -> None:
    """Run a processor on the channel of that descriptor; the modules `warm` are loaded early.

    Whoever has started it may have begun to load, too, and tells it later which DSP it is; or
    never.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A protection domain ends without a word: what it has not written by then is lost.
            stream.reconfigure(line_buffering=True)
    channel = Endpoint.adopt(descriptor)
    owner = _end_of(os.getppid(), lambda: os.eventfd(0))  # the channel ends with it, too
    handler()
    # It ends a protection domain as other signals do, not with a traceback of what we were doing.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # after `stty tostop` it writes all the same
    for name in ("qda.dsp.serving", "cloudpickle", *warm):
        with suppress(ImportError):
            import_module(name)
    trim_memory()  # each protection domain has a share in what is left free
    with suppress(PeerGone):
        boot = Boot.unpack(channel.receive())
        Processor(channel, boot, owner).run()
