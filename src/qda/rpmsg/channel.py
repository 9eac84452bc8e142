"""The host's side of a channel to a DSP: opens and closes sessions, tells a session of memory."""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from qda import limits
from qda.core import LANES, Pool
from qda.interrupts import Deadline, Section, deadline
from qda.rpmsg.bells import Bells, make_bells
from qda.rpmsg.endpoint import Endpoint, PeerGone
from qda.rpmsg.frame import Frame, Operation, unpack_reply
from qda.rpmsg.watch import Watch, has_gone

__all__ = ["Channel", "Control", "Link", "PoolMemory"]


class PoolMemory(NamedTuple):
    """The memory of a session's lanes: its descriptor, and where it lies here and on the bus."""

    descriptor: int
    address: int
    device: int


class Control:
    """An endpoint on which frames are sent and answered, one at a time.

    A wait for an answer may be broken off at any time.  Who has let one request wait for nothing is
    given limits.GRACE for the next ones, until it answers.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._number = 0
        self.is_silent = False

    def request(
        self, frame: Frame, descriptors: Sequence[int] = (), within: Deadline | None = None
    ) -> None:
        """Send a frame and wait for its answer, as long as the section has that this thread is
        in, or `within` says.  PeerGone, TimeoutError, or the peer's OSError."""
        with Section():
            wait = deadline() if within is None else within
            if self.is_silent:
                wait = wait.at_most(limits.GRACE)
            if not wait.acquire(self._lock):
                raise wait.late(frame.operation.name)
            try:
                error = self._answer_to(frame, descriptors, wait)
            finally:
                self._lock.release()
        if error:
            raise OSError(error, f"{frame.operation.name}: {os.strerror(error)}")

    def _answer_to(self, frame: Frame, descriptors: Sequence[int], wait: Deadline) -> int:
        """The errno of a frame's answer; others are not heard of."""
        self._number += 1
        asked = self._number
        try:
            self._endpoint.send_in(wait, frame._replace(number=asked).pack(), descriptors)
            while True:
                error, answered = unpack_reply(self._endpoint.receive_in(wait))
                self.is_silent = False
                if answered == asked:
                    return error
        except BaseException:
            self.is_silent = True
            raise

    def tell(self, frame: Frame) -> None:
        """Send a frame whose answer nobody waits for; nothing if it cannot leave."""
        with suppress(PeerGone, TimeoutError):
            self._endpoint.send_in(Deadline(0), frame.pack())

    def fileno(self) -> int:
        return self._endpoint.fileno()

    def disown(self) -> None:
        """In a forked child: close this copy of the endpoint, which the parent goes on using."""
        self._endpoint.close()

    def close(self) -> None:
        """Wake both sides and close."""
        self._endpoint.shutdown()
        self._endpoint.close()


class Link:
    """A session's connection to its protection domain: a control endpoint, and lanes, behind each
    of which stands a thread of the protection domain.

    `pool` has the lanes; they are numbered from 1.  `patience` is that of the channel.  On the
    descriptor `end`, if there is one, the processor tells how the protection domain has died.
    """

    def __init__(
        self, control: Control, pool: Pool, patience: int, watch: Watch, end: int = -1
    ) -> None:
        self.control, self.pool = control, pool
        self.patience, self._watch = patience, watch
        self._bells: list[Bells] = []
        self._end = end
        self._told: bytes | None = None
        self._telling = threading.Lock()

    def obituary(self) -> bytes:
        """What the processor tells of the end of the protection domain, which has died; waits for
        it a while.  Empty if it has not died, or nobody can tell."""
        with self._telling:
            if self._told is None and self._end >= 0:
                poll = select.poll()
                poll.register(self._end, select.POLLIN)
                said = poll.poll(limits.EPITAPH * 1000)
                self._told = os.read(self._end, limits.OBITUARY) if said else b""
            return self._told or b""

    def when_gone(self, gone: Callable[[], None]) -> None:
        """Have `gone` called, in a thread of the channel, when the other end has gone."""
        self._watch.add(self.control.fileno(), gone)

    def when_overwritten(self, told: Callable[[int], None]) -> None:
        """Have `told` called, in a thread of the channel, with the number of a lane on which
        somebody waits and of which the words have been overwritten."""
        self._watch.look_after(self.pool, told)

    @property
    def lanes(self) -> int:
        """How many lanes there are."""
        return len(self._bells)

    def add_lanes(self, count: int) -> None:
        """Add lanes, up to 31 at once.  PeerGone, OSError; ENOSPC if a pool has no more."""
        if self.lanes + count > LANES:
            raise OSError(errno.ENOSPC, f"a session has {LANES} lanes at most")
        assert 0 < 2 * count <= limits.DESCRIPTORS
        with Section():
            self._add_lanes(count)

    def _add_lanes(self, count: int) -> None:
        ours: list[Bells] = []
        theirs: list[Bells] = []
        try:
            for _ in range(count):
                near, far = make_bells()
                ours.append(near)
                theirs.append(far)
            first = self.lanes + 1
            frame = Frame(Operation.LANES, 0, first, self.patience)
            self.control.request(frame, [number for bells in theirs for number in bells])
        except BaseException:
            for bells in ours:
                bells.close()
            raise
        finally:
            for bells in theirs:
                bells.close()
        for number, bells in enumerate(ours, first):
            self._bells.append(bells)
            self.pool.open(number, bells.sleep, bells.wake, self.patience)

    def open_bells(self, number: int) -> Bells:
        """Our ends of a lane's bells, opened again for a program that rings in our place.  It may
        end at any time, so it has a file of its own, of which the flags are its own.  OSError."""
        return self._bells[number - 1].open_again()

    def rouse(self, number: int) -> None:
        """Wake a program that sleeps on a lane of ours."""
        self._bells[number - 1].rouse()

    def announce(self, address: int, size: int, descriptor: int, pieces: int = -1) -> None:
        """Let messages of this session name `size` bytes of shared memory at `address`.

        `pieces` is a file that says where they lie (`pack_pieces`), if not at the beginning."""
        descriptors = [descriptor] if pieces < 0 else [descriptor, pieces]
        self.control.request(Frame(Operation.ANNOUNCE, 0, address, size), descriptors)

    def withdraw(self, address: int) -> None:
        """Take back what `announce` allowed."""
        self.control.request(Frame(Operation.WITHDRAW, 0, address))

    def open_signals(self) -> Endpoint:
        """An endpoint for the signals of a driver that has them.  PeerGone, OSError."""
        near, far = Endpoint.pair()
        try:
            self.control.request(Frame(Operation.SIGNALS), [far.fileno()])
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        return near

    def hang_up(self) -> None:
        """End the conversation: every thread that waits for an answer is told."""
        self._watch.remove(self.control.fileno())
        self._watch.leave(self.pool)
        self.pool.kill()
        self.control.close()

    def disown(self) -> None:
        """In a forked child: close these copies of the descriptors."""
        self._close_bells()
        self.control.disown()

    def close(self) -> None:
        """Close everything.  No thread may wait any more, see `hang_up`."""
        self.hang_up()
        self._close_bells()

    def _close_bells(self) -> None:
        while self._bells:
            self._bells.pop().close()
        with self._telling:
            end, self._end = self._end, -1
            if end >= 0:
                os.close(end)


class Channel:
    """The channel to one DSP, `name`, as its driver holds it; `domain` is its number in traces.

    `patience` is for how many microseconds a side looks for the other's message before it sleeps.
    """

    def __init__(
        self, endpoint: Endpoint, patience: int = 0, name: str = "", domain: int = 0
    ) -> None:
        self.name, self._domain = name, domain
        self._patience = patience
        self._control = Control(endpoint)
        self._watch = Watch()

    def connect(
        self, client_id: int, kind: int, tag: int, memory: PoolMemory, name: bytes = b""
    ) -> Link:
        """Open a session in a protection domain of that kind, or in the static process of that
        `name`; its lanes lie in `memory`.

        `tag` says what stands in the context words of its calls, and how these are written.
        PeerGone if the DSP is gone, OSError if it refuses.
        """
        near, far = Endpoint.pair()
        end, mourner = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            frame = Frame(Operation.OPEN, client_id, tag & ~0xFF, kind, name=name)
            self._control.request(frame, [far.fileno(), memory.descriptor, mourner])
        except BaseException as error:
            near.close()
            os.close(end)
            if not isinstance(error, OSError) or isinstance(error, TimeoutError):
                self._control.tell(Frame(Operation.CLOSE, client_id))  # it may come up after all
            raise
        finally:
            far.close()
            os.close(mourner)
        pool = Pool(memory.address, memory.device, client_id, tag, self._domain)
        return Link(Control(near), pool, self._patience, self._watch, end)

    def disconnect(self, client_id: int) -> None:
        """Destroy what is left of a session on the DSP.  PeerGone if all of it is.

        The DSP has limits.GRACE for this even if the section's time is over, since it may have
        been spent on the session's process, which is killed now.
        """
        within = deadline(at_least=0 if self._control.is_silent else limits.GRACE)
        self._control.request(Frame(Operation.CLOSE, client_id), within=within)

    @property
    def alive(self) -> bool:
        """Whether the DSP is still there: its end of the channel is open."""
        descriptor = self._control.fileno()
        if descriptor < 0:
            return False
        return not has_gone(descriptor)

    def when_gone(self, gone: Callable[[], None]) -> None:
        """Have `gone` called, in a thread of the channel, when the DSP has gone."""
        self._watch.add(self._control.fileno(), gone)

    def disown(self) -> None:
        """In a forked child: close this copy of the endpoint."""
        self._control.disown()
        self._watch.disown()

    def close(self) -> None:
        """Shut the DSP down."""
        self._watch.close()  # which looks at the descriptor
        self._control.close()
