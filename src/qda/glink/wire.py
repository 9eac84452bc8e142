"""An edge on two FIFOs in shared memory: what has come goes in, what is to be said goes out.

Nothing here waits.  `pump` is called when the other end has rung, and after this end has said
something; `ring` rings the other end.
"""

from __future__ import annotations

from collections.abc import Callable

from qda.glink.command import Code, Command, GlinkFault, Header, TransferSizes
from qda.glink.edge import Edge, Event, What
from qda.glink.fifo import Fifo

__all__ = ["Wire"]

_START = Header.byte_size + TransferSizes.byte_size


class Wire:
    """An edge between the FIFO that it reads and the one that it writes.

    `seen` is called with each command and whether it has come, before anything else.
    """

    def __init__(
        self,
        edge: Edge,
        reads: Fifo,
        writes: Fifo,
        ring: Callable[[], None],
        seen: Callable[[Command, bool], None] = lambda command, come: None,
    ) -> None:
        self.edge = edge
        self._reads, self._writes = reads, writes
        self._ring, self._seen = ring, seen
        self._blocked = False

    def pump(self) -> list[Event]:
        """Take and give what can be; what has happened.  GlinkFault."""
        events: list[Event] = []
        while (command := self._taken()) is not None:
            self._seen(command, True)
            events += self.edge.receive(command)
        ring = any(event.what is What.WANTS_ROOM for event in events)
        if self._given() or ring:
            self._ring()
        return events

    def _taken(self) -> Command | None:
        """The next command that has come whole.  Its first bytes are looked at once: who writes
        them may change them at any time."""
        filled = self._reads.filled
        start = self._reads.peek(min(filled, _START))
        length = Command.length_at(start)
        if length > self._reads.capacity:
            # Its writer would wait for ever.
            raise GlinkFault(f"a command of {length} bytes does not fit the FIFO")
        if not length or length > filled:
            return None
        rest = self._reads.peek(length)[len(start) :]
        self._reads.skip(length)
        return Command.unpack(start[:length] + rest)

    def _given(self) -> bool:
        """Write commands while there is room; whether any was."""
        outgoing, gave = self.edge.outgoing, False
        while outgoing:
            whole = outgoing[0].pack()
            if len(whole) > self._writes.room:
                if not self._blocked:
                    self._blocked = gave = True
                    self._write(Command(Code.READ_NOTIFICATION))
                break
            self._write(outgoing.popleft())
            self._blocked, gave = False, True
        return gave

    def _write(self, command: Command) -> None:
        self._seen(command, False)
        self._writes.write(command.pack())
