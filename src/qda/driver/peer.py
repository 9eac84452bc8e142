"""The other side of a session: its protection domain, as far as the driver knows it.

It is told of memory, and it may die.  What finds out tells the others: from then on every request
ends with a defined error, at once.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable

from qda import limits
from qda.driver.banks import Attachment
from qda.errors import BAD_STATE, as_signed
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.obituary import Obituary
from qda.interrupts import Section
from qda.rpmsg import Channel, Link, PeerGone, PoolMemory

__all__ = ["Died", "Peer"]

_log = logging.getLogger("qda.driver")

_FULL = (errno.ENOMEM, errno.EMFILE)
"""No addresses are left, or no descriptors."""


def _nothing(attachment: Attachment) -> None:
    """Nobody uses memory without a word."""


class Died(Exception):
    """The protection domain has died; `result` is that of the call which finds this out."""

    def __init__(self, result: int) -> None:
        super().__init__(f"the protection domain has died: {result}")
        self.result = result


class Peer:
    """The protection domain of one client id, behind a link with lanes in `memory`.

    `tag` is the kind of protection domain that context words name, with the form of calls; `name`
    that of a static process.  `dead` is True once no call will be answered any more.  OSError
    ENODEV if there is no DSP, ENOMEM if that has no room for one more.
    """

    def __init__(
        self,
        channel: Channel,
        client_id: int,
        kind: ProtectionDomain,
        tag: int,
        memory: PoolMemory,
        name: bytes = b"",
    ) -> None:
        self.client_id = client_id
        self.kind = kind
        self.dead = False
        self._connected = True
        self._channel = channel
        self._announcing = threading.Lock()
        self._known: dict[Attachment, int] = {}  # with their sizes, the oldest first
        self._size, self._counting = 0, threading.Lock()
        self._hide: Callable[[Attachment], None] = _nothing
        try:
            self.link = channel.connect(client_id, kind, tag, memory, name)
        except PeerGone as error:
            raise OSError(errno.ENODEV, "the DSP is gone") from error
        self.pool = self.link.pool
        self._mourners: list[Callable[[], None]] = []
        self._report: Callable[[Obituary], None] | None = None
        self._reporting = threading.Lock()
        self._broken: Obituary | None = None
        self.link.when_gone(self._end)
        self.link.when_overwritten(self._break)

    def when_dead(self, mourn: Callable[[], None]) -> None:
        """Have `mourn` called when it has died, before those who wait for it are woken."""
        self._mourners.append(mourn)

    def _die(self) -> None:
        self.dead = True
        for mourn in self._mourners:
            mourn()

    def _end(self) -> None:
        self._die()
        self.pool.kill()
        if self._report is not None:  # the words come later
            threading.Thread(target=self._tell_report, daemon=True, name="qda obituary").start()

    def _break(self, lane: int) -> None:
        """Nobody can tell what it answers any more: its program has written where lanes lie."""
        _log.error("client %d: the words of lane %d have been overwritten", self.client_id, lane)
        self._broken = Obituary(
            f"the process on the DSP has overwritten the words of lane {lane}, by which calls are "
            "answered: it writes to memory that is not its own"
        )
        self._end()

    def when_told(self, report: Callable[[Obituary], None]) -> None:
        """Have `report` called, in some thread, with the words in which its death is told."""
        self._report = report

    def _tell_report(self) -> None:
        with self._reporting:
            report, self._report = self._report, None
            words = self._broken
            if report is not None and words is None:
                words = Obituary.unpack(self.link.obituary())
            if report is not None and words is not None:
                report(words)

    @property
    def obituary(self) -> Obituary | None:
        """How it has died; waits for who can tell.  None if it has not, or nobody can."""
        if self._broken is not None:
            return self._broken
        return Obituary.unpack(self.link.obituary()) if self.dead and self._connected else None

    @property
    def patience(self) -> int:
        """For how many microseconds to look for an answer before sleeping."""
        return self.link.patience

    @property
    def lanes(self) -> int:
        """How many lanes there are, each with a thread of its own on the DSP."""
        return self.link.lanes

    def add_lanes(self, count: int) -> None:
        """Add lanes.  OSError, Died."""
        self._ask(lambda link: link.add_lanes(count))

    # Memory that it may see.

    def announce(self, attachment: Attachment) -> None:
        """Make sure that it knows the memory, which the caller uses, before a message names it.
        OSError, Died.

        What it knows it keeps at its addresses for the calls to come, until others need them.
        """
        if attachment in self._known:
            return
        with self._announcing:
            if attachment in self._known:
                return
            if self._size + attachment.buffer.size > limits.KNOWN_MEMORY:
                self._make_room(limits.KNOWN_MEMORY - attachment.buffer.size)
            try:
                self._tell(attachment)
            except OSError as error:
                if error.errno not in _FULL or not self._make_room():
                    raise
                self._tell(attachment)

    def _tell(self, attachment: Attachment) -> None:
        """Tell it of memory.  To tell it again does no harm, should a first time be broken off."""
        place, buffer = attachment.address, attachment.buffer
        attachment.knowers.append(self)
        try:
            self._ask(lambda link: link.announce(place, buffer.size, buffer.descriptor))
        except OSError:
            attachment.knowers.remove(self)
            raise
        self._note(attachment)

    def _note(self, attachment: Attachment) -> None:
        with self._counting:
            if attachment not in self._known:
                self._known[attachment] = attachment.buffer.size
                self._size += attachment.buffer.size

    def _strike(self, attachment: Attachment) -> bool:
        with self._counting:
            size = self._known.pop(attachment, 0)
            self._size -= size
            return size > 0

    def when_needed(self, hide: Callable[[Attachment], None]) -> None:
        """Have `hide` called before addresses are given up: from then on, nobody may begin to use
        the memory but by `announce`."""
        self._hide = hide

    def make_room(self) -> bool:
        """Take away all memory that no call and no mapping uses; whether there was any."""
        with self._announcing:
            return self._make_room()

    def _make_room(self, most: int = 0) -> bool:
        """The same, the oldest first, as long as it knows more than `most` bytes."""
        with Section():
            before = self._size
            for attachment in list(self._known):
                if self._size > most:
                    self._give_up(attachment)
            return self._size < before

    def _give_up(self, attachment: Attachment) -> None:
        """Take away memory unless it is used.  Who begins to use it holds it first, and then looks
        whether it is known; so it is struck out first, and then its users are looked at."""
        self._hide(attachment)
        if not self._strike(attachment):
            return
        if attachment.is_idle:
            attachment.knowers.remove(self)
            self._take_away(attachment)
        else:
            self._note(attachment)

    def withdraw(self, attachment: Attachment) -> None:
        """Take memory away from it that nobody has any more.  Never fails."""
        if self._strike(attachment):
            self._take_away(attachment)

    def _take_away(self, attachment: Attachment) -> None:
        if not self.dead:
            try:
                self._ask(lambda link: link.withdraw(attachment.address))
            except (OSError, Died) as error:
                _log.debug("withdraw %#x: %s", attachment.address, error)

    def _ask(self, request: Callable[[Link], object]) -> None:
        if not self._connected:
            raise OSError(errno.ENODEV, "the session is closed")
        try:
            request(self.link)
        except PeerGone as error:
            raise Died(self.gone(as_signed(BAD_STATE))) from error

    # Its end.

    def gone(self, status: int) -> int:
        """Note that it is gone; returns `status` if it alone has died.

        OSError ENODEV if the whole DSP is, or the session has ended.
        """
        self.dead = True
        alone = self._connected and self.kind is ProtectionDomain.USER and self._channel.alive
        if not alone:
            raise OSError(errno.ENODEV, "the DSP is gone")
        return status

    def refuse_if_dead(self) -> None:
        """Died, or OSError ENODEV, if no call can be answered any more."""
        if self.dead:
            raise Died(self.gone(as_signed(BAD_STATE)))

    def disconnect(self) -> None:
        """Destroy it on the DSP, and wake whoever waits for it.  Idempotent."""
        if not self._connected:
            return
        self._connected = False
        try:
            self._channel.disconnect(self.client_id)
        except OSError as error:
            _log.debug("disconnect of client %d: %s", self.client_id, error)
        self._tell_report()  # by now the processor has said what there is to say
        self._die()
        self.link.hang_up()

    def close(self) -> None:
        """Close the link, on which nobody waits any more."""
        self.disconnect()
        self.link.close()

    def disown(self) -> None:
        """In a forked child: close the parent's descriptors without ending the conversation."""
        if self._connected:
            self.link.disown()
