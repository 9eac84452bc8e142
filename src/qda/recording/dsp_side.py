"""The DSP's side of a recording, played for a program: a DSP without a skeleton.

It is a DSP of threads in this process.  Sessions and mappings are as ever; calls of modules are
answered from the recording.  A call is taken for the first one of its session that was recorded for
that method and has not been played, and if the session had several threads, rather for one whose
arguments are the same: they may come in another order than they did.  A program that asks for
something else is told the recorded answer, while the difference is noted.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from qda import limits
from qda.core import Arguments
from qda.dsp.boot import Boot, Endpoint
from qda.dsp.call import arguments_of
from qda.dsp.process import Process
from qda.dsp.session import ClientFault, Session
from qda.dsp.skeleton import HandleArgument
from qda.dsp.threaded import start_in_threads
from qda.errors import PROCESS_DIED, UNSUPPORTED, StatusError, as_signed, as_unsigned
from qda.fastrpc import control
from qda.fastrpc.control import Method
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import FIRST_OPENED, Fixed
from qda.fastrpc.scalars import Scalars
from qda.profiles.profile import Profile
from qda.recording.difference import Comparison
from qda.recording.events import Answered, Called, Event, HostAnswered, HostCalled
from qda.recording.play import (
    ExpectedMemory,
    Script,
    compared_ins,
    installs,
    is_log,
    of_log,
    opened,
    scripts,
    translated,
    wants_log,
)
from qda.virtual import Machine

__all__ = ["PlayedDsps"]

_KINDS = {"user": ProtectionDomain.USER, "audio": ProtectionDomain.USER}


class PlayedDsps:
    """The DSPs of a recording.  `machine` makes a system that has them; `finish` notes what was
    recorded and did not happen."""

    def __init__(self, events: Sequence[Event], comparison: Comparison) -> None:
        self.comparison = comparison
        self._left = scripts(events)
        self._begun: list[_Part] = []
        self._lock = threading.Lock()

    def machine(self, profile: Profile) -> Machine:
        """A system of that profile whose DSPs they are."""
        return Machine(profile, start=self._start)

    def _start(self, boot: Boot) -> Endpoint:
        return start_in_threads(boot.domain, lambda kind: _PlayedProcess(kind, boot, self))

    def part(self, domain: str, kind: ProtectionDomain, session: Session) -> _Part | None:
        """What is played in a session that begins: the next one that was recorded of its kind."""
        with self._lock:
            for script in self._left:
                recorded = _KINDS.get(script.opened.process, ProtectionDomain.ROOT)
                if (script.opened.domain, recorded) == (domain, kind):
                    self._left.remove(script)
                    self._begun.append(_Part(script, session, self.comparison))
                    return self._begun[-1]
        self.comparison.tell(f"a session with {domain}", "its beginning", "none", "one")
        return None

    def finish(self) -> None:
        """Note the sessions and calls that did not happen."""
        with self._lock:
            for script in self._left:
                place = f"session {script.opened.session} with {script.opened.domain}"
                self.comparison.tell(place, "its beginning", "one", "none")
            for part in self._begun:
                part.finish()


class _PlayedProcess(Process):
    """A protection domain whose modules are a recording's."""

    def __init__(self, kind: ProtectionDomain, boot: Boot, dsps: PlayedDsps) -> None:
        super().__init__(kind, boot.domain, boot.capabilities, limits.THREADED_WINDOW)
        self._domain, self._dsps = boot.domain, dsps
        self._parts: dict[int, _Part | None] = {}
        self._lock = threading.Lock()

    def run(self, session: Session, handle: int, word: int, found: Arguments) -> int:
        """See `Process.run`."""
        played = handle >= FIRST_OPENED or handle in (Fixed.REMOTECTL, Fixed.REMOTECTL1)
        is_map = handle == Fixed.INIT and Scalars.decode(word).method in _MAPS
        if isinstance(found, int) or not session.answers(handle) or not (played or is_map):
            return super().run(session, handle, word, found)
        with self._lock:
            if session.client_id not in self._parts:
                part = self._dsps.part(self._domain, self.kind, session)
                self._parts[session.client_id] = part
            part = self._parts[session.client_id]
        if part is None:
            return super().run(session, handle, word, found) if is_map else _UNKNOWN
        arguments = arguments_of(found)
        buffers = [one for one in arguments if isinstance(one, memoryview)]
        if played:
            handles = [one for one in arguments if isinstance(one, HandleArgument)]
            return part.call(handle, word, buffers, handles)
        method = Scalars.decode(word).method
        if method in (Method.MUNMAP, Method.MEM_UNMAP):
            return self._unmap(part, method, buffers[0])
        result = super().run(session, handle, word, found)
        if not result:
            self._maps(part, method, buffers)
        return result

    def _maps(self, part: _Part, method: int, buffers: Sequence[memoryview]) -> None:
        """A mapping is where it was in the recording, as far as the program can tell."""
        real = control.MapResponse.unpack(buffers[-1]).address
        offset = 0
        if method == Method.MEM_MAP:
            offset = control.MemMapRequest.unpack(buffers[0]).offset & 0xFFFFFFFF
        size = int.from_bytes(buffers[1][8:16], "little") - offset
        view = self.space.view(part.session.client_id, real, size)
        told = control.MapResponse(address=part.maps(real, offset, view))
        buffers[-1][: told.byte_size] = told.pack()

    def _unmap(self, part: _Part, method: int, request: memoryview) -> int:
        client = part.session.client_id
        try:
            if method == Method.MUNMAP:
                address = control.UnmapRequest.unpack(request).address
                self.space.unmap(client, part.unmaps(address))
            else:
                asked = control.MemUnmapRequest.unpack(request)
                self.space.unmap_fd(client, asked.fd, part.unmaps(asked.address))
        except StatusError as error:
            return as_signed(error.status)
        return 0


_MAPS = Method.MMAP, Method.MEM_MAP, Method.MUNMAP, Method.MEM_UNMAP
_UNKNOWN = as_signed(UNSUPPORTED)


class _Part:
    """A session that is played.  Thread-safe."""

    def __init__(self, script: Script, session: Session, comparison: Comparison) -> None:
        self.session = session
        self._script, self._comparison = script, comparison
        self._calls = list(script.calls)
        self._has_threads = len({call.thread for call, _ in script.calls}) > 1
        self._mapped = list(script.mapped)
        self._memory: dict[int, tuple[int, ExpectedMemory]] = {}
        self._host: dict[int, int] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        session.ends(self._over.set)

    def finish(self) -> None:
        """Note the calls that did not happen."""
        for call, _ in self._calls:
            if not of_log(call):
                self._comparison.tell(self._comparison.name(call), "the call", "made", "not made")

    # Mappings.

    def maps(self, real: int, offset: int, now: memoryview) -> int:
        """Memory is mapped; returns the address that it had in the recording."""
        with self._lock:
            for mapped in self._mapped:
                if not mapped.result and mapped.offset == offset:
                    self._mapped.remove(mapped)
                    self._memory[mapped.address] = real, ExpectedMemory(mapped, now)
                    return mapped.address
        self._comparison.tell(f"session {self._script.opened.session}", "a mapping", "none", "one")
        return real

    def unmaps(self, address: int) -> int:
        """Memory at an address of the recording is mapped no longer; returns where it is."""
        with self._lock:
            real, _ = self._memory.pop(address, (address, None))
            return real

    # Calls.

    def call(
        self,
        handle: int,
        word: int,
        buffers: Sequence[memoryview],
        handles: Sequence[HandleArgument],
    ) -> int:
        """Play a call; returns its result, signed.  ClientFault where the process had died."""
        count = Scalars.decode(word).in_buffers
        ins, outs = [bytes(one) for one in buffers[:count]], buffers[count:]
        taken = self._take(handle, word, ins)
        if taken is None:
            return self._unknown(handle, word, ins)
        call, answer = taken
        place = self._comparison.name(call)
        if not installs(call) and not of_log(call):
            self._comparison.asked(call, ins, [len(out) for out in outs])
            self._compare_handles(place, call, handles)
        with self._lock:
            for _, memory in self._memory.values():
                memory.follow(call.memory)
                memory.compare(self._comparison, place)
        for asked, replied in self._script.within[call.number]:
            self._call_host(place, asked, replied)
        if answer is None:
            self._over.wait()  # it was left by its caller, as this one will be
            return _UNKNOWN
        for out, data in zip(outs, answer.outs, strict=False):
            size = min(len(out), len(data))
            out[:size] = data[:size]
        with self._lock:
            for _, memory in self._memory.values():
                memory.follow(answer.memory, also_now=True)
        if as_unsigned(answer.result) == PROCESS_DIED:
            raise ClientFault(PROCESS_DIED, "the process has died here in the recording")
        return answer.result

    def _take(
        self, handle: int, word: int, ins: list[bytes]
    ) -> tuple[Called, Answered | None] | None:
        count = Scalars.decode(word).in_buffers

        def equal(call: Called) -> bool:
            recorded = [one.data for one in call.arguments[:count]]
            return compared_ins(call, recorded) == compared_ins(call, ins)

        with self._lock:
            same = [one for one in self._calls if (one[0].handle, one[0].scalars) == (handle, word)]
            if not same:
                return None
            taken = same[0]
            if self._has_threads:
                taken = next((one for one in same if equal(one[0])), taken)
            self._calls.remove(taken)
            return taken

    def _unknown(self, handle: int, word: int, ins: Sequence[bytes]) -> int:
        """A call that was not recorded.  One that wants the log is none of the program's own: there
        is no more of it."""
        known = [call for call, _ in self._script.calls if call.handle == handle]
        method = Scalars.decode(word).method
        if not wants_log(handle, word, ins, known[0].module if known else ""):
            name = self._comparison.method(known[0]).rpartition(".")[0] if known else ""
            place = f"method {method} of {name or f'handle {handle:#x}'}"
            self._comparison.tell(place, "the call", "not made", "made")
        return _UNKNOWN

    def _compare_handles(self, place: str, call: Called, now: Sequence[HandleArgument]) -> None:
        recorded = call.arguments[Scalars.decode(call.scalars).buffers :]
        for index, (one, other) in enumerate(zip(recorded, now, strict=False)):
            if one.object:
                told = (one.offset, one.length), (other.offset, other.length)
                self._comparison.same(place, f"offset and length of handle {index}", *told)
            else:
                self._comparison.same(place, f"handle {index}", one.offset, other.value)

    def _call_host(self, place: str, asked: HostCalled, replied: HostAnswered | None) -> None:
        calls = self.session.reverse_calls
        calls.wait_for_host(limits.HOST_PATIENCE)
        scalars = Scalars.decode(asked.scalars)
        with self._lock:
            handle = self._host.get(asked.handle, asked.handle)
            ins = translated(asked.handle, asked.scalars, asked.ins, self._host)
        reply = calls.call(handle, scalars, ins, asked.sizes)
        if replied is None:
            return
        before = opened(asked.handle, asked.scalars, replied.outs)
        now = opened(asked.handle, asked.scalars, reply.outs)
        with self._lock:
            if before and now:
                self._host[before] = now
        if is_log(asked):
            return
        name = asked.module or "the host"
        where = f"{place}, which calls {name}, method {scalars.method}"
        self._comparison.same(where, "result", as_unsigned(replied.result), reply.status)
        for number, (one, other) in enumerate(zip(replied.outs, reply.outs, strict=False)):
            if not (before and now and number == 0):
                self._comparison.octets(where, f"out-buffer {number}", one, other)
