"""A DSP of ours at the far end of the kernel's channel: the driver's messages in, responses out.

The kernel has one channel for all its sessions.  Our DSP has a link for each, with lanes, behind
each of which a thread stands.  So a message is for the session that it names, waits there for a
lane, and is answered when the thread has answered: in any order.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from qda import limits
from qda.core import LANES, POOL_SIZE, Woken
from qda.dsp.boot import Boot, start_processor
from qda.errors import BAD_ADDRESS, BAD_STATE, NO_SUCH_CLIENT, PROCESS_DIED, as_signed
from qda.fastrpc.control import Method
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import InvokeMessage, Response
from qda.kernel.guest import AddressFault, Bus, GuestMemory
from qda.kernel.message import Named, named_by
from qda.kernel.shown import Shown
from qda.linux import address_of
from qda.rpmsg import Channel, Link, PeerGone, PoolMemory

__all__ = ["Remote"]

_log = logging.getLogger("qda.kernel")

_BEGINS: dict[int | None, ProtectionDomain] = {
    Method.ATTACH: ProtectionDomain.ROOT,
    Method.CREATE: ProtectionDomain.USER,
    Method.CREATE_ATTR: ProtectionDomain.USER,
    Method.CREATE_STATIC: ProtectionDomain.USER,
}
"""The requests with which a session begins, and the protection domain that it is with."""

_DRIVER = 0
"""The session of the driver itself, with the root protection domain: nobody asks for it."""


class _Session:
    """One session of the kernel's driver: a link, its lanes, and the memory that it shows."""

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        memory: GuestMemory,
        bus: Bus,
        process: bytes,
    ) -> None:
        self.client_id = client_id
        self.words = os.memfd_create("qda pool", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.words, POOL_SIZE)
            self._map = mmap.mmap(self.words, POOL_SIZE)
            pool = PoolMemory(self.words, address_of(self._map), 0)
            self.link: Link = channel.connect(client_id, kind, kind, pool, process)
        except BaseException:
            os.close(self.words)
            raise
        self.shown = Shown(self.link, memory, bus)
        self._free: list[int] = []
        self._lanes = threading.Condition()
        self.is_dead = False
        self.link.when_gone(self._died)

    def _died(self) -> None:
        self.is_dead = True
        self.link.pool.kill()

    def call(self, message: bytes) -> bytes | None:
        """Have a message answered; None if nobody will.  OSError, PeerGone."""
        lane = self._take()
        pool = self.link.pool
        try:
            pool.send(lane, message)
            if pool.wait(lane) != Woken.RUNG:
                return None
            return pool.answer(lane)
        finally:
            with self._lanes:
                self._free.append(lane)
                self._lanes.notify()

    def _take(self) -> int:
        with self._lanes:
            if not self._free and self.link.lanes < LANES:
                first = self.link.lanes + 1
                self.link.add_lanes(1)
                self._free.append(first)
            self._lanes.wait_for(lambda: self._free)
            return self._free.pop()

    def close(self) -> None:
        self.link.close()
        os.close(self.words)  # the mapping goes with the last call that still looks at it


class Remote:
    """One DSP.  `respond` sends a response to the kernel, from any thread; `died` is called, in a
    thread of its own, when the DSP has gone, and must not wait.

    OSError, TimeoutError, PeerGone if it does not come up.
    """

    def __init__(
        self,
        boot: Boot,
        memory: GuestMemory,
        bus: Bus,
        respond: Callable[[bytes], None],
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self._memory, self._bus, self._respond = memory, bus, respond
        self._process, endpoint = start_processor(boot)
        self._channel = Channel(endpoint)
        self._channel.when_gone(died)
        self._closed = False
        self._lock = threading.Lock()
        self._sessions: dict[int, _Session] = {}
        self._workers = ThreadPoolExecutor(limits.GUEST_MESSAGES, f"qda {boot.domain}")
        self._free = threading.BoundedSemaphore(limits.GUEST_MESSAGES)

    @property
    def sessions(self) -> list[int]:
        """The sessions of programs, by the numbers that the kernel's driver has given them."""
        with self._lock:
            return sorted(self._sessions.keys() - {_DRIVER})

    def receive(self, message: bytes) -> None:
        """Take a message of the kernel's driver; it is answered when the DSP has answered it."""
        if len(message) != InvokeMessage.byte_size:
            _log.warning("a message of %d bytes: it has %d", len(message), InvokeMessage.byte_size)
            return
        if not self._free.acquire(blocking=False):
            _log.warning("more than %d messages are unanswered", limits.GUEST_MESSAGES)
            return
        with self._lock:
            if not self._closed:
                self._workers.submit(self._serve, message)

    def _serve(self, message: bytes) -> None:
        try:
            response = self._response(message)
            if self._channel.alive:  # who is dead says nothing
                self._respond(response)
        finally:
            self._free.release()

    def _response(self, message: bytes) -> bytes:
        """The DSP's response, or one that says why there is none."""
        asked = InvokeMessage.unpack(message)
        try:
            return self._answer(asked, message)
        except AddressFault as fault:
            _log.warning("a message of session %d: %s", asked.client_id, fault)
            return _result(asked, as_signed(BAD_ADDRESS))
        except PeerGone:
            return _result(asked, as_signed(PROCESS_DIED))
        except OSError as error:
            if self._channel.alive:  # if not, that is all that it says
                _log.warning("a message of session %d: %s", asked.client_id, error)
            return _result(asked, -(error.errno or errno.EIO))
        except Exception:
            _log.exception("a message of session %d", asked.client_id)
            return _result(asked, -errno.EIO)

    def _answer(self, asked: InvokeMessage, message: bytes) -> bytes:
        named = named_by(asked, self._memory, self._bus)
        session, is_new = self._session(named)
        if session is None:
            gone = named.request == Method.RELEASE
            return _result(asked, 0 if gone else as_signed(NO_SUCH_CLIENT))
        if session.is_dead and named.request != Method.RELEASE:  # as our own driver has it
            return _result(asked, as_signed(BAD_STATE))
        try:
            session.shown.show(named.ranges)
            answer = session.call(message)
        except PeerGone:
            answer = None
        failed = answer is None or Response.unpack(answer).result != 0
        never_began = failed and is_new and named.request is not None
        if named.request == Method.RELEASE or never_began:
            self._end(session)
        return answer or _result(asked, as_signed(PROCESS_DIED))

    def _session(self, named: Named) -> tuple[_Session | None, bool]:
        """The session that a message is for, None if there is none; whether it begins with it."""
        with self._lock:
            session = self._sessions.get(named.client_id)
            kind = _BEGINS.get(named.request)
            if named.client_id == _DRIVER and named.request is None:
                kind = ProtectionDomain.ROOT
            is_new = session is None and kind is not None
            if session is None and kind is not None:
                if len(self._sessions) >= limits.GUEST_SESSIONS:
                    raise OSError(errno.EBUSY, f"there are {limits.GUEST_SESSIONS} sessions")
                session = _Session(
                    self._channel, named.client_id, kind, self._memory, self._bus, named.process
                )
                self._sessions[named.client_id] = session
            return session, is_new

    def _end(self, session: _Session) -> None:
        with self._lock:
            if self._sessions.get(session.client_id) is session:
                del self._sessions[session.client_id]
        with suppress(PeerGone, OSError):
            self._channel.disconnect(session.client_id)
        session.close()

    def close(self) -> None:
        """End the DSP; whoever waits for it gets no answer."""
        with self._lock:
            self._closed = True
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            session.link.pool.kill()
        self._workers.shutdown(wait=True)
        for session in sessions:
            session.close()
        self._channel.close()
        try:
            self._process.wait(limits.GRACE)
        except subprocess.TimeoutExpired:  # it is stopped
            self._process.kill()
            self._process.wait()


def _result(asked: InvokeMessage, result: int) -> bytes:
    return Response(context=asked.context, result=result).pack()
