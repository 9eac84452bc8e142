"""Two ends of a GLINK edge on small FIFOs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qda.glink import INDEXES, Command, Edge, Event, Fifo, What, Wire

__all__ = ["Ends", "opened"]


class Ends:
    """Two edges, connected; each is pumped when the other has rung it."""

    def __init__(self, *, intentless: bool = True, size: int = 256, chunk: int = 64) -> None:
        self.memory = [memoryview(bytearray(INDEXES + size)) for _ in range(2)]
        self.rung = deque([0, 1])
        self.seen: list[bytes] = []
        self.events: list[list[Event]] = [[], []]
        self.wires = []
        for me in range(2):
            edge = Edge(intentless=intentless, chunk=chunk)
            reads, writes = Fifo(self.memory[1 - me]), Fifo(self.memory[me])
            self.wires.append(Wire(edge, reads, writes, self.ringer(1 - me), self.see))
            edge.start()

    def ringer(self, whom: int) -> Callable[[], None]:
        return lambda: self.rung.append(whom)

    def see(self, command: Command, come: bool) -> None:
        self.seen.append(command.pack())

    def edge(self, me: int) -> Edge:
        return self.wires[me].edge

    def settle(self) -> None:
        """Until nobody has anything to say."""
        while self.rung:
            me = self.rung.popleft()
            self.events[me] += self.wires[me].pump()

    def ring(self, me: int) -> None:
        self.rung.append(me)
        self.settle()

    def messages(self, me: int) -> list[tuple[str, bytes]]:
        return [(e.channel, e.data) for e in self.events[me] if e.what is What.MESSAGE]


def opened(ends: Ends, name: str = "c") -> None:
    for me in range(2):
        ends.edge(me).open(name)
        ends.ring(me)
