"""The other end writes what it likes: it is understood, or a GlinkFault, and nothing else."""

from __future__ import annotations

import os
import random

import pytest

from qda.glink import INDEXES, Code, Command, Edge, Fifo, GlinkFault, Wire
from tests.glink.ends import Ends, opened

SEEDS = 25 if "QDA_EVERYWHERE" in os.environ else 1
INPUTS = 40_000 if SEEDS > 1 else 6_000
"""Pieces of nonsense that are written for each seed, each looked at."""
EACH = 30
"""For one edge at most: after a fault it is over."""
SIZE = INDEXES + 256
AROUND, GUARD = 64, bytes([0xA5]) * 64
BEGINNING = [
    Command(Code.VERSION_ACK, 1),
    Command(Code.OPEN_ACK, 1),
    Command(Code.OPEN, 1, 2, b"c\0"),
]
"""With which a channel is open."""


def hostile_bytes(chance: random.Random, known: list[bytes]) -> bytes:
    """Commands that were seen, with bits and whole words changed, or bytes of no meaning."""
    if chance.random() < 0.05:
        return chance.randbytes(8 * chance.randrange(1, 6))
    whole = bytearray(chance.choice(known))
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        at = chance.randrange(len(whole))
        whole[at] = chance.choice([0, 1, 0xFF, whole[at] ^ 1 << chance.randrange(8)])
    return bytes(whole)


class Attacked:
    """An end with an open channel, in memory that shows what is written around its FIFOs."""

    def __init__(self, intentless: bool) -> None:
        self.whole = bytearray(AROUND) * 3 + bytearray(2 * SIZE)
        for start in (0, AROUND + SIZE, 2 * (AROUND + SIZE)):
            self.whole[start : start + AROUND] = GUARD
        self.reads, self.writes = (
            memoryview(self.whole)[start : start + SIZE] for start in (AROUND, 2 * AROUND + SIZE)
        )
        self.edge = Edge(intentless=intentless, chunk=64)
        self.wire = Wire(self.edge, Fifo(self.reads), Fifo(self.writes), lambda: None)
        self.edge.open("c")
        for command in BEGINNING:
            self.edge.receive(command)
        self.edge.outgoing.clear()

    def attack(self, chance: random.Random, known: list[bytes]) -> int:
        """Write nonsense for it until it has had enough; how much it was."""
        other, indexes = Fifo(self.reads), self.reads[:INDEXES].cast("I")
        for number in range(1, EACH + 1):
            whole = hostile_bytes(chance, known)
            try:
                if len(whole) <= other.room:
                    other.write(whole)
                if chance.random() < 0.02:
                    indexes[chance.randrange(2)] = chance.choice([1, 8, 264, 1 << 31])
                before = bytes(self.reads[4:])
                self.wire.pump()
            except GlinkFault:
                return number
            assert before == bytes(self.reads[4:])  # of what it reads it writes its own index
            assert not any(self.writes[:4])  # and not its reader's
            self.edge.outgoing.clear()
        return EACH

    def check(self) -> None:
        """Nothing was written around the FIFOs."""
        for start in (0, AROUND + SIZE, 2 * (AROUND + SIZE)):
            assert self.whole[start : start + AROUND] == GUARD


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_comes_is_understood_or_a_fault(seed: int) -> None:
    """Nothing is read or written outside, and no other error comes of it (H15)."""
    chance = random.Random(seed)
    ends = [Ends(intentless=intentless) for intentless in (False, True)]
    for pair in ends:
        opened(pair)
        pair.edge(1).send("c", bytes(100))
        pair.ring(1)
    tried, known = 0, [command for pair in ends for command in pair.seen]
    while tried < INPUTS:
        attacked = Attacked(intentless=chance.random() < 0.5)
        tried += attacked.attack(chance, known)
        attacked.check()


class Changing(Fifo):
    """Memory that its writer changes between two looks."""

    def __init__(self, memory: memoryview, then: bytes) -> None:
        super().__init__(memory)
        self._memory, self._then = memory, then

    def peek(self, count: int) -> bytes:
        seen = super().peek(count)
        self._memory[INDEXES : INDEXES + len(self._then)] = self._then
        return seen


@pytest.mark.parametrize(
    "then",
    [
        bytes([99]),
        Command(Code.DATA, 1, 0, bytes(8)).pack(),
        Command(Code.INTENT, 1, 200).pack(),
    ],
)
def test_a_command_is_what_it_was_at_the_first_look(then: bytes) -> None:
    memory = [memoryview(bytearray(INDEXES + 64)) for _ in range(2)]
    Fifo(memory[0]).write(Command(Code.VERSION, 1).pack())
    wire = Wire(Edge(), Changing(memory[0], then), Fifo(memory[1]), lambda: None)
    assert wire.pump() == []
    assert Command.unpack(Fifo(memory[1]).peek(8)) == Command(Code.VERSION_ACK, 1)


def test_who_never_reads_is_not_answered_for_ever() -> None:
    """What waits for room is held in memory, so it has a limit."""
    edge = Edge()
    while len(edge.outgoing) <= 1 << 14:
        edge.receive(Command(Code.VERSION, 1))
    with pytest.raises(GlinkFault, match="are unread"):
        edge.receive(Command(Code.VERSION, 1))
